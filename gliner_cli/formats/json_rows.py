"""Rows of JSON to documents and back: what all schemas share, which are ours and those of annotation tools.

A schema is a function of a `Row` that gives its document, or None for what its tool says is none.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from gliner_cli.errors import InputError
from gliner_cli.formats.json_values import Placed, as_text, kind, line, values
from gliner_cli.formats.sources import Problem, Source
from gliner_cli.options import Reading
from gliner_cli.types import Document, Entity, Words

_LARGEST = sys.float_info.max
ENTITY = (
    'Expected {"start", "end", "label"} in characters, the end exclusive; "text", if given, equal to the text there;'
    ' "score", if given, a number.'
)


@dataclass(frozen=True, slots=True)
class Row:
    """An object of JSON, its place, the name of its source, and how fields are called."""

    fields: Mapping[str, Any]
    place: str
    source: str
    options: Reading

    @property
    def text(self) -> str:
        """The text. Raises InputError where it is not there, or is none."""
        field, hint = self.options.text_field, "Name the field that holds the text: --text-field NAME"
        if field not in self.fields:
            there = ", ".join(map(repr, self.fields)) or "no fields"
            raise InputError(f"{self.place} has no field {field!r}; it has {there}.", hint)
        text = self.fields[field]
        if not isinstance(text, str):
            raise InputError(f"{self.place} has {kind(text)} as its {field!r}; a string was expected.", hint)
        return text

    def document(
        self, text: str, entities: Iterable[Entity], without: Iterable[str] = (), words: Words | None = None
    ) -> Document:
        """The document: all fields are kept in `meta` but the text, the name, the source and those `without`."""
        known = {"source", self.options.text_field, self.options.id_field, *without}
        return Document(
            text,
            _name(self.fields.get(self.options.id_field), self.place),
            _name(self.fields.get("source"), self.source),
            tuple(entities),
            {name: value for name, value in self.fields.items() if name not in known},
            words,
        )

    def listed(self, field: str, expected: str) -> list[Any]:
        """A field that is a list, or not there."""
        value = self.fields.get(field)
        if value is not None and not isinstance(value, list):
            raise InputError(f"{self.place} has {kind(value)} as its {field!r}; a list was expected.", expected)
        return value or []

    def entity(self, found: Any, text: str) -> Entity:
        """An entity of the form that `ENTITY` says. Raises InputError for any other, and one that does not fit."""
        match found:
            case {"start": start, "end": end, "label": label} if made := placed(start, end, label, text):
                with suppress(ValueError):
                    if found.get("text") in (None, made.text):
                        return replace(made, score=score(found.get("score")))
        raise self.misfit(found, text, ENTITY)

    def misfit(self, found: Any, text: str, expected: str) -> InputError:
        """The error for an entity that is none."""
        return InputError(
            f"{self.place} has the entity {str(found)[:80]}, which does not fit its text of {len(text)} characters.",
            expected,
        )


Made = Callable[[Row], Document | None]
Reader = Callable[[Source, Reading, Problem], Iterator[Document]]


def placed(start: Any, end: Any, label: Any, text: str) -> Entity | None:
    """An entity of the text, or None if the values are not of one."""
    if type(start) is int and type(end) is int and isinstance(label, str) and 0 <= start < end <= len(text):
        return Entity(start, end, label, text[start:end])
    return None


def score(value: Any) -> float | None:
    """A score, None where there is none. Raises ValueError for what is no number, and for one beyond all numbers."""
    if value is None:
        return None
    if type(value) not in (int, float) or not -_LARGEST <= value <= _LARGEST:
        raise ValueError("no score")
    return float(value)


def reader(made: Made) -> Reader:
    """How a schema is read: as a stream, what is no row of it reported."""

    def read(source: Source, options: Reading, problem: Problem) -> Iterator[Document]:
        found = values(source, options.encoding, problem)
        return documents(((row, made) for row in rows(found, source, options, problem)), problem)

    return read


def rows(found: Iterable[Placed], source: Source, options: Reading, problem: Problem) -> Iterator[Row]:
    """The objects among values; the others are reported."""
    for place, value in found:
        if isinstance(value, dict):
            yield Row(value, place, source.name, options)
        else:
            error = InputError(f"{place} is {kind(value)}; an object was expected.", 'For example: {"text": "…"}')
            problem(error.about(json.dumps(value).encode(), ".jsonl"))


def documents(found: Iterable[tuple[Row, Made]], problem: Problem) -> Iterator[Document]:
    """The documents of rows; a row that is none of its schema is reported."""
    for row, made in found:
        try:
            document = made(row)
        except InputError as error:
            problem(error.about(line(row.fields, row.place), ".jsonl"))
        else:
            if document is not None:
                yield document


def beside(ours: Mapping[str, Any], others: Mapping[str, Any], reserved: Collection[str] = ()) -> dict[str, Any]:
    """Both; one of the others that is called like one of ours goes under a name that is free, `text_` for `text`.

    Names that are `reserved` mean something to the schema, and are not free either.
    """
    row = dict(ours)
    for name, value in others.items():
        free = name
        while free in row or free in reserved:
            free += "_"
        row[free] = value
    return row


def entity_row(entity: Entity) -> dict[str, Any]:
    """An entity as `Row.entity` reads it; a score only where there is one."""
    row = {"start": entity.start, "end": entity.end, "text": entity.text, "label": entity.label}
    return row if entity.score is None else {**row, "score": entity.score}


def _name(value: Any, otherwise: str) -> str:
    """A name as given; what is no string as JSON writes it; the other where none is given."""
    if value is None:
        return otherwise
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=as_text)
