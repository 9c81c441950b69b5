"""JSON, a document a line (or one array of them): what `gliner extract` writes, and reads back.

{"id": …, "source": …, "text": …, "entities": [{"start", "end", "text", "label", "score"}], and all other fields}
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import chain
from typing import Any, BinaryIO

import orjson

from gliner_cli.errors import InputError, OutputError
from gliner_cli.formats.decoding import Part, decoded, lines
from gliner_cli.formats.sources import Problem, Source
from gliner_cli.options import Reading, Writing
from gliner_cli.types import Document, Entity

SUFFIXES = (".jsonl", ".ndjson", ".json")

_ROUNDED_BY_ORJSON = re.compile(r"\d{19}")  # whole numbers beyond 64 bits

Placed = tuple[str, Any]  # a place in the source as people are told it, and the value there


def read(source: Source, options: Reading, problem: Problem) -> Iterator[Document]:
    """The documents of a stream; a line that is none is reported, and reading goes on."""
    with source.opened() as stream:
        for place, row in _rows(lines(stream, source.name, options.encoding), source.name, problem):
            try:
                document = _document(row, place, source, options)
            except InputError as error:
                problem(error)
            else:
                yield document


def _rows(parts: Iterator[Part], name: str, problem: Problem) -> Iterator[Placed]:
    first = next((part for part in parts if part.content.strip()), None)
    if first is None:
        return
    if first.content.lstrip().startswith(b"[") or first.content.strip() == b"{":
        yield from _of_whole(
            Part(first.line, first.offset, b"".join(part.content for part in chain([first], parts))), name
        )
    else:
        yield from _of_lines(chain([first], parts), name, problem)


def _of_whole(part: Part, name: str) -> Iterator[Placed]:
    """The elements of an array, or the one object of a file that spreads it over lines."""
    value = _parsed(part, name)
    if isinstance(value, list):
        yield from ((f"{name}[{index}]", row) for index, row in enumerate(value))
    else:
        yield f"{name}:{part.line}", value


def _of_lines(parts: Iterable[Part], name: str, problem: Problem) -> Iterator[Placed]:
    for part in parts:
        if not part.content.strip():
            continue
        try:
            row = _parsed(part, name)
        except InputError as error:
            problem(error)
        else:
            yield f"{name}:{part.line}", row


def _parsed(part: Part, name: str) -> Any:
    """orjson is fast; the json module reads what it refuses besides mistakes: lone surrogates, NaN, huge numbers."""
    text = decoded(part, f"{name}:{part.line}").rstrip()
    if not _ROUNDED_BY_ORJSON.search(text):
        with suppress(orjson.JSONDecodeError):
            return orjson.loads(text)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line, what = part.line + error.lineno - 1, f"{error.msg}, at column {error.colno}"
        raise _no_json(f"{name}:{line}", what) from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits; thousands of brackets
        raise _no_json(f"{name}:{part.line}", str(error)) from error


def _no_json(place: str, what: str) -> InputError:
    return InputError(
        f"{place} is not JSON: {what}.", "One object a line was expected; if this is plain text: --from text"
    )


def _document(row: Any, place: str, source: Source, options: Reading) -> Document:
    if not isinstance(row, dict):
        raise InputError(f"{place} is {_kind(row)}; an object was expected.", 'For example: {"text": "…"}')
    text = _text(row, place, options.text_field)
    known = {"source", "entities", options.text_field, options.id_field}
    return Document(
        text=text,
        id=_name(row.get(options.id_field), place),
        source=_name(row.get("source"), source.name),
        entities=_entities(row.get("entities"), text, place),
        meta={name: value for name, value in row.items() if name not in known},
    )


def _text(row: Mapping[str, Any], place: str, field: str) -> str:
    hint = "Name the field that holds the text: --text-field NAME"
    if field not in row:
        there = ", ".join(map(repr, row)) or "no fields"
        raise InputError(f"{place} has no field {field!r}; it has {there}.", hint)
    text = row[field]
    if not isinstance(text, str):
        raise InputError(f"{place} has {_kind(text)} as its {field!r}; a string was expected.", hint)
    return text


def _name(value: Any, otherwise: str) -> str:
    """A name as given; what is no string as JSON writes it; the other where none is given."""
    if value is None:
        return otherwise
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _entities(rows: Any, text: str, place: str) -> tuple[Entity, ...]:
    if rows is None:
        return ()
    if not isinstance(rows, list):
        raise InputError(f"{place} has {_kind(rows)} as its 'entities'; a list was expected.", _ENTITY)
    return tuple(_entity(row, text, place) for row in rows)


_ENTITY = (
    'Expected {"start", "end", "label"} in characters, the end exclusive; "text", if given, equal to the text there;'
    ' "score", if given, a number.'
)


def _entity(row: Any, text: str, place: str) -> Entity:
    match row:
        case {"start": int(start), "end": int(end), "label": str(label)} if 0 <= start < end <= len(text):
            covered, score = text[start:end], row.get("score")
            if row.get("text") in (None, covered) and (score is None or type(score) in (int, float)):
                return Entity(start, end, label, covered, score)
    raise InputError(
        f"{place} has the entity {str(row)[:80]}, which does not fit its text of {len(text)} characters.", _ENTITY
    )


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), "a number")


_KINDS = {type(None): "null", bool: "a truth value", str: "a string", list: "a list", dict: "an object"}


def write(documents: Iterable[Document], stream: BinaryIO, options: Writing) -> None:
    """One line a document, each written through at once. Raises OutputError for fields that JSON cannot hold."""
    for document in documents:
        stream.write(line(document) + b"\n")
        stream.flush()


def line(document: Document) -> bytes:
    """A document as one line of JSON, without its end."""
    row = _row(document)
    try:
        content = orjson.dumps(row)
    except TypeError:  # lone surrogates, whole numbers beyond 64 bits
        return _by_json(row, document)
    # orjson makes null of NaN and the infinities; what came in goes out
    return content if b"null" not in content or _finite(row) else _by_json(row, document)


def _by_json(row: Mapping[str, Any], document: Document) -> bytes:
    try:
        return json.dumps(row).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise OutputError(
            f"JSON cannot hold the fields of {document.id}: {error}.", "Leave them out of meta"
        ) from error


def _row(document: Document) -> Mapping[str, Any]:
    """A field of the input that is called like one of ours goes under a name that is free, `text_` for `text`."""
    row: dict[str, Any] = {
        "id": document.id,
        "source": document.source,
        "text": document.text,
        "entities": [_entity_row(entity) for entity in document.entities],
    }
    for name, value in document.meta.items():
        free = name
        while free in row:
            free += "_"
        row[free] = value
    return row


def _entity_row(entity: Entity) -> Mapping[str, Any]:
    row = {"start": entity.start, "end": entity.end, "text": entity.text, "label": entity.label}
    return row if entity.score is None else {**row, "score": entity.score}


def _finite(value: Any) -> bool:
    match value:
        case float():
            return math.isfinite(value)
        case dict():
            return all(map(_finite, value.values()))
        case list() | tuple():
            return all(map(_finite, value))
    return True
