"""JSON, a document a line (or one array of them): what `gliner extract` writes, and reads back.

{"id": …, "source": …, "text": …, "entities": [{"start", "end", "text", "label", "score"}], and all other fields}
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO

import orjson

from gliner_cli.errors import InputError
from gliner_cli.formats.sources import Problem, Source, decoded
from gliner_cli.options import Reading, WordRule
from gliner_cli.types import Document, Entity

SUFFIXES = (".jsonl", ".ndjson", ".json")
_OURS = ("id", "source", "text", "entities")


def read(source: Source, options: Reading, problem: Problem) -> Iterator[Document]:
    """The documents of a stream; a line that is none is reported, and reading goes on."""
    with source.opened() as stream:
        for place, content in _rows(stream, source.name):
            try:
                row = (
                    _parsed(decoded(content, options.encoding, place), place) if isinstance(content, bytes) else content
                )
                yield _document(row, place, source, options)
            except InputError as error:
                problem(error)


def _rows(stream: BinaryIO, name: str) -> Iterator[tuple[str, Any]]:
    """Places and lines; the rows of an array, if the stream begins like one."""
    for number, line in enumerate(stream, start=1):
        if number == 1 and line.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):
            rows = _parsed(decoded(line + stream.read(), "utf-8", name), name)
            yield from ((f"{name}[{index}]", row) for index, row in enumerate(rows))
            return
        if line.strip():
            yield f"{name}:{number}", line


def _parsed(text: str, place: str) -> Any:
    try:
        return json.loads(text) if "\\ud" in text.lower() else orjson.loads(text)
    except (ValueError, RecursionError, UnicodeEncodeError) as error:
        raise InputError(
            f"{place} is not JSON: {error}.", "One object a line was expected; for plain text: --from text"
        ) from error


def _document(row: Any, place: str, source: Source, options: Reading) -> Document:
    if not isinstance(row, dict):
        raise InputError(f"{place} is a {type(row).__name__}; an object was expected.", '{"text": "…"}')
    text = row.get(options.text_field)
    if not isinstance(text, str):
        problem = f"{place} has no text in {options.text_field!r}; it has {', '.join(map(repr, row)) or 'no fields'}."
        raise InputError(problem, "Name the field that holds the text: --text-field NAME")
    given = row.get(options.id_field)
    known = {"source", "entities", options.text_field, options.id_field}
    return Document(
        text=text,
        id=place if given is None else str(given),
        source=row["source"] if isinstance(row.get("source"), str) else source.name,
        entities=tuple(_entity(entity, text, place) for entity in row.get("entities") or ()),
        meta={name: value for name, value in row.items() if name not in known},
    )


def _entity(row: Any, text: str, place: str) -> Entity:
    match row:
        case {"start": int(start), "end": int(end), "label": str(label)} if 0 <= start < end <= len(text):
            if row.get("text", text[start:end]) == text[start:end]:
                return Entity(start, end, label, text[start:end], row.get("score"))
    raise InputError(
        f"{place} has the entity {str(row)[:80]}, which does not fit its text of {len(text)} characters.",
        'Expected {"start", "end", "label"} in characters, the end exclusive, and "text" equal to the text there.',
    )


def write(documents: Iterable[Document], stream: BinaryIO, words: WordRule) -> None:
    """One line a document, each written through at once."""
    for document in documents:
        stream.write(line(document) + b"\n")
        stream.flush()


def line(document: Document) -> bytes:
    """A document as one line of JSON, without its end."""
    row = {
        "id": document.id,
        "source": document.source,
        "text": document.text,
        "entities": [_row(entity) for entity in document.entities],
    }
    row |= {name: value for name, value in document.meta.items() if name not in _OURS}
    try:
        return orjson.dumps(row)
    except TypeError:  # lone surrogates, numbers beyond 64 bits: the slower library writes them
        return json.dumps(row, ensure_ascii=True).encode()


def _row(entity: Entity) -> Mapping[str, Any]:
    row = {"start": entity.start, "end": entity.end, "text": entity.text, "label": entity.label}
    return row if entity.score is None else {**row, "score": entity.score}
