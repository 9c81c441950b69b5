"""Documents to columns of Arrow: which there are, of what types, and what no type can hold.

Knows no files. The module `pyarrow` is an argument: it is imported where somebody reads or writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from gliner_cli.errors import OutputError
from gliner_cli.formats import arrow_values
from gliner_cli.formats.decoding import encodable
from gliner_cli.formats.json_rows import beside
from gliner_cli.formats.tables import late_column, ours, rows, unique
from gliner_cli.types import Document

_ROWS, _CHARACTERS = 5000, 1 << 25  # of a row group at most; the first of them decides on the types


class Line(NamedTuple):
    """A row to write, the types that are known of its columns, and whose it is."""

    values: Mapping[str, Any]
    types: Mapping[str, Any]
    document: Document


def groups_of(documents: Iterable[Document], long: bool) -> Iterator[list[Line]]:
    """The rows of documents, some thousand at once, and fewer of long texts."""
    group, characters = list[Line](), 0
    for document in documents:
        types = beside(dict.fromkeys(ours(long)), getattr(document.meta, "types", {}))
        group += (Line(row, types, document) for row in rows(document, long))
        characters += len(document.text)
        if len(group) >= _ROWS or characters >= _CHARACTERS:
            yield group
            group, characters = [], 0
    if group:
        yield group


def columns_of(arrow: Any, group: list[Line], long: bool) -> dict[str, Any]:
    """The columns by the names of fields: ours, and all that the first rows have."""
    names = list(dict.fromkeys(name for line in group for name in line.values if name not in ours(long)))
    others = unique([*ours(long), *map(encodable, names)])[len(ours(long)) :]
    typed = (arrow.field(column, _type(arrow, name, group)) for name, column in zip(names, others, strict=True))
    return {**{field.name: field for field in _ours(arrow, long)}, **dict(zip(names, typed, strict=True))}


def _ours(arrow: Any, long: bool) -> list[Any]:
    text, whole = arrow.string(), arrow.int64()
    entity = [("start", whole), ("end", whole), ("text", text), ("label", text), ("score", arrow.float64())]
    if long:
        return [arrow.field(*pair) for pair in [("id", text), ("source", text), *entity]]
    return [
        *(arrow.field(name, text) for name in ours(long)[:-1]),
        arrow.field("entities", arrow.list_(arrow.struct(entity))),
    ]


def _type(arrow: Any, name: str, group: list[Line]) -> Any:
    """The type that a column came with, if all rows came with the same; otherwise what fits all its values."""
    lines = [line for line in group if name in line.values]
    known = {line.types.get(name) for line in lines}
    if len(known) == 1 and None not in known:
        kind: Any = known.pop()
        return kind.value_type if arrow.types.is_dictionary(kind) else kind  # a file has one dictionary, we have many
    inferred = _array(arrow, name, lines, None).type
    return arrow.string() if arrow.types.is_null(inferred) else inferred  # the likeliest of what may still come


def table(arrow: Any, group: list[Line], columns: Mapping[str, Any]) -> Any:
    """Rows as a table. Raises OutputError for a field that has no column, or whose values do not fit its type."""
    for line in group:
        if late := next((name for name in line.values if name not in columns), None):
            raise late_column(late, line.document, "A table with types")
    arrays = [_array(arrow, name, group, field.type) for name, field in columns.items()]
    return arrow.Table.from_arrays(arrays, schema=arrow.schema(columns.values()))


def _array(arrow: Any, name: str, lines: list[Line], kind: Any) -> Any:
    """A column. Arrow would round numbers, cut times and leave out unknown parts of a struct: that is an error here."""
    values = [_encodable(line.values.get(name)) for line in lines]
    try:
        array = arrow_values.array(arrow, values, kind)
        said = (
            ""
            if _bare(arrow_values.listed(arrow, array)) == _bare(values)
            else f"not all of its values fit the type {array.type}"
        )
    except (arrow.ArrowException, ValueError, OverflowError, TypeError) as error:
        said = str(error)
    if said:
        raise OutputError(
            f"A column has one type, and the field {name!r} of the documents from {lines[0].document.id} to"
            f" {lines[-1].document.id} has none that fits: {said.rstrip('.')}.",
            "Use --format jsonl or sqlite, which take any values.",
        )
    return array


def _encodable(value: Any) -> Any:
    match value:
        case arrow_values.Nanoseconds():
            return value
        case str():
            return encodable(value)
        case dict():
            return {_encodable(name): _encodable(part) for name, part in value.items()}
        case list() | tuple():
            return type(value)(map(_encodable, value))
    return value


def _bare(value: Any) -> Any:
    """A value as it compares: without parts that are None, which Arrow gives to every struct."""
    match value:
        case dict():
            return {name: _bare(part) for name, part in value.items() if part is not None}
        case list() | tuple():
            return [_bare(part) for part in value]
        case float() if value != value:  # noqa: PLR0124 (NaN)
            return "NaN"
    return value
