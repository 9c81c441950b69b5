"""Our own JSON, a document a line or one array of them: what `gliner extract` writes, and reads back.

{"id": …, "source": …, "text": …, "entities": [{"start", "end", "text", "label", "score"}], and all other fields}

An entity of a document with pages (PDF) has its `page` too, from 1; it is not read.

JSON whose schema nobody named may also be an annotation tool's: the first row that has the shape of one decides.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO

from gliner_cli.formats import doccano, labelstudio, prodigy, rows
from gliner_cli.formats.json_rows import ENTITY, Made, Row, beside, documents, entity_row
from gliner_cli.formats.json_rows import rows as rows_of
from gliner_cli.formats.json_values import line as json_line
from gliner_cli.formats.json_values import values, write_array, write_lines
from gliner_cli.formats.sources import Problem, Source
from gliner_cli.options import Reading, Writing
from gliner_cli.text.pages import are_pages
from gliner_cli.types import Document

SUFFIXES: tuple[str, ...] = (".jsonl", ".ndjson")
ARRAY_SUFFIXES: tuple[str, ...] = (".json",)


def read(source: Source, options: Reading, problem: Problem) -> Iterator[Document]:
    """The documents of a stream; a row that is none is reported, and reading goes on."""
    found = rows_of(values(source, options.encoding, problem), source, options, problem)
    forced = options.input_format != "auto"
    return documents(((row, ours) for row in found) if forced else _recognised(found), problem)


def _recognised(found: Iterable[Row]) -> Iterator[tuple[Row, Made]]:
    """Rows with their schema: ours, until one has the shape of another or has our entities."""
    schema: Made | None = None
    for row in found:
        schema = schema or next((made for recognised, made in _SCHEMAS if recognised(row)), None)
        yield row, schema or ours


def is_ours(row: Row) -> bool:
    """Whether a row has entities as we write them. Without any it may be ours too."""
    match row.fields.get("entities"):
        case [*entities]:
            return all(isinstance(entity, dict) and "start_offset" not in entity for entity in entities)
    return False


def ours(row: Row) -> Document:
    """The document of a row."""
    text = row.text
    return row.document(text, [row.entity(one, text) for one in row.listed("entities", ENTITY)], ["entities"])


# Shapes are strict: a document of ours with odd fields of its own must never be taken for another's.
_SCHEMAS: tuple[tuple[Callable[[Row], bool], Made], ...] = (
    (is_ours, ours),
    (rows.recognised, rows.made),
    (labelstudio.recognised, labelstudio.made),
    (doccano.recognised, doccano.made),
    (prodigy.recognised, prodigy.made),
)


def write(documents: Iterable[Document], stream: BinaryIO, options: Writing) -> None:
    """One line a document, each written through at once. Raises OutputError for fields that JSON cannot hold."""
    write_lines(map(line, documents), stream)


def write_json(documents: Iterable[Document], stream: BinaryIO, options: Writing) -> None:
    """The same as one array."""
    write_array(map(line, documents), stream)


def line(document: Document) -> bytes:
    """A document as one line of JSON, without its end."""
    entities = _entity_rows(document)
    ours = {"id": document.id, "source": document.source, "text": document.text, "entities": entities}
    return json_line(beside(ours, document.meta), document.id)


def _entity_rows(document: Document) -> list[dict[str, Any]]:
    """The entities, with the page that each begins on where it is known where pages begin."""
    rows = [entity_row(entity) for entity in document.entities]
    pages: Any = document.meta.get("pages")
    if are_pages(pages):
        return [{**row, "page": bisect_right(pages, row["start"])} for row in rows]
    return rows
