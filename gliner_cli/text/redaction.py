"""Entities replaced by placeholders, `[PERSON_1]`: the same one for the same name within a document. Reversible."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from gliner_cli.text.pages import are_pages
from gliner_cli.types import Document, Entity


class Replaced(NamedTuple):
    """Where a placeholder stands in the redacted text, in characters, and what stood there."""

    start: int
    end: int
    text: str


def redacted(document: Document) -> tuple[Document, list[Replaced]]:
    """The document with every entity's text replaced, and what is needed to undo it.

    Entities that overlap are replaced as one, under the label of the longest. Names that differ in case or white space
    only are the same. A placeholder that the text holds already is passed over. The words are to be cut again. Pages
    begin where they do in the new text.
    """
    named, text, place = _Placeholders(document.text), "", 0
    entities, replacements, covered = [], [], list[tuple[int, int]]()
    for entity in _apart(document.entities, document.text):
        text += document.text[place : entity.start]
        placeholder = named.of(entity)
        entities.append(Entity(len(text), len(text) + len(placeholder), entity.label, placeholder, entity.score))
        covered.append((entity.start, entity.end))
        replacements.append(Replaced(entities[-1].start, entities[-1].end, entity.text))
        text, place = text + placeholder, entity.end
    text += document.text[place:]
    meta = _paged(document.meta, covered, replacements)
    return replace(document, text=text, entities=tuple(entities), meta=meta, words=None), replacements


def _paged(
    meta: Mapping[str, Any], covered: Sequence[tuple[int, int]], replacements: Sequence[Replaced]
) -> Mapping[str, Any]:
    """The fields, with the places where pages begin in the redacted text; within a placeholder none does."""

    def moved(place: int) -> int:
        before = bisect_left(covered, (place, 0))
        if not before:
            return place
        return replacements[before - 1].end + max(0, place - covered[before - 1][1])

    pages: Any = meta.get("pages")
    return {**meta, "pages": list(map(moved, pages))} if are_pages(pages) else meta


def restored(text: str, replacements: Sequence[Replaced]) -> str:
    """The text as it was before."""
    whole, place = "", 0
    for one in replacements:
        whole += text[place : one.start] + one.text
        place = one.end
    return whole + text[place:]


def _apart(entities: Iterable[Entity], text: str) -> Iterator[Entity]:
    """The entities in their order, those that overlap as one."""
    begun: list[Entity] = []
    end = 0
    for entity in sorted(entities, key=lambda entity: (entity.start, -entity.end)):
        if begun and entity.start >= end:
            yield _covering(begun, end, text)
            begun = []
        end = max(end, entity.end) if begun else entity.end
        begun.append(entity)
    if begun:
        yield _covering(begun, end, text)


def _covering(entities: Sequence[Entity], end: int, text: str) -> Entity:
    longest = max(entities, key=lambda entity: entity.end - entity.start)
    start = entities[0].start
    return replace(longest, start=start, end=end, text=text[start:end])


class _Placeholders:
    def __init__(self, text: str) -> None:
        self._text = text
        self._given: dict[tuple[str, str], str] = {}
        self._last: dict[str, int] = {}

    def of(self, entity: Entity) -> str:
        name = re.sub(r"\W+", "_", entity.label).strip("_").upper() or "ENTITY"
        key = name, " ".join(entity.text.split()).casefold()
        if key not in self._given:
            self._given[key] = self._new(name)
        return self._given[key]

    def _new(self, name: str) -> str:
        while True:
            number = self._last[name] = self._last.get(name, 0) + 1
            placeholder = f"[{name}_{number}]"
            if placeholder not in self._text:
                return placeholder
