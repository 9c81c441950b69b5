"""doccano: JSON lines, the entities of a text as [start, end, label] in characters, the end exclusive.

The field is `label` in doccano's exports and imports, `labels` or `entities` in older ones; exports with relations have
objects in `entities`, {"start_offset", "end_offset", "label"}. All of these are read, `label` is written. All other
fields are doccano's metadata, and ours. Scores have no place.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, BinaryIO

from gliner_cli.formats.json_rows import Row, beside, placed, reader
from gliner_cli.formats.json_values import line, write_lines
from gliner_cli.options import Writing
from gliner_cli.types import Document, Entity

_FIELDS = ("label", "labels", "entities")
_ENTITY = "Expected [start, end, label] in characters, the end exclusive."


def recognised(row: Row) -> bool:
    """Whether a row is doccano's beyond doubt: it has at least one entity, and all have its shape."""
    return isinstance(row.fields.get(row.options.text_field), str) and any(
        _are_entities(row.fields.get(field)) for field in _FIELDS
    )


def _are_entities(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_parts, value))


def _parts(value: Any) -> tuple[int, int, str] | None:
    match value:
        case [int(start), int(end), str(label)]:
            return start, end, label
        case {"start_offset": int(start), "end_offset": int(end), "label": str(label)}:
            return start, end, label
    return None


def made(row: Row) -> Document:
    """The document of a row."""
    text = row.text
    field = next((field for field in _FIELDS if field in row.fields), _FIELDS[0])
    return row.document(text, [_entity(row, value, text) for value in row.listed(field, _ENTITY)], [field])


def _entity(row: Row, value: Any, text: str) -> Entity:
    parts = _parts(value)
    entity = placed(*parts, text) if parts else None
    if entity is None:
        raise row.misfit(value, text, _ENTITY)
    return entity


read = reader(made)


def write(documents: Iterable[Document], stream: BinaryIO, options: Writing) -> None:
    """One line a document, each written through at once."""
    write_lines(map(_line, documents), stream)


def _line(document: Document) -> bytes:
    labels = [[entity.start, entity.end, entity.label] for entity in document.entities]
    ours = {"id": document.id, "source": document.source, "text": document.text, "label": labels}
    return line(beside(ours, document.meta, _FIELDS), document.id)
