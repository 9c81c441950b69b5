"""A document's text as HTML, its entities as `<mark>`s in one another; no character of it is ever markup.

Entities that cross are cut where the first of them ends, so that the marks nest: ABC and BCD of ABCD become
`[A[BC]][D]`. The last mark of an entity carries its name, which the style sheet shows behind it; all marks carry the
label's number, which gives the colour, and the score.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape

from gliner_cli.types import Entity

COLOURS = 12  # as many as the style sheet has; further labels have the same with another line below
LINES = 3
DEEPEST = 16  # marks in one another: a browser stops at 512 elements, a reader far earlier
_LONGEST_LABEL = 40
_LONGEST_NAME = 80

# What would act, or be nothing, on a page: control characters, line and paragraph separators, what overrides the
# direction of text, characters that are none. Joiners, marks of direction and break opportunities are part of writing;
# so are tags (U+E00xx), but only in flags.
_UNSEEN = re.compile(
    "(\U0001f3f4[\U000e0020-\U000e007e]+\U000e007f)"
    "|[\0-\x08\x0b-\x1f\x7f-\x9f\u180e\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb\ufffe\uffff"
    "\U000e0000-\U000e007f]"
)


def shown(text: str) -> str:
    """A text as HTML, what cannot be seen made visible."""
    return _UNSEEN.sub(_code_shown, escape(text.replace("\r\n", "\n")))


def plain(text: str) -> str:
    """The same without elements, for attributes and names."""
    return _UNSEEN.sub(_code, text.replace("\r\n", "\n"))


def _code(found: re.Match[str]) -> str:
    return found[1] or f"U+{ord(found[0]):04X}"


def _code_shown(found: re.Match[str]) -> str:
    return found[1] or f"<i>{_code(found)}</i>"


def cut(text: str, longest: int) -> str:
    """A text of one line, not too long."""
    line = plain(" ".join(text.split()))
    return line if len(line) <= longest else line[: longest - 1] + "…"


def label_name(label: str) -> str:
    """How a label is shown."""
    return cut(label, _LONGEST_LABEL)


def entity_name(entity: Entity) -> str:
    """How an entity is shown in a list."""
    return cut(entity.text, _LONGEST_NAME)


def colour(number: int) -> str:
    """The classes of the label of this number."""
    line = number // COLOURS % LINES
    return f"c{number % COLOURS} u{line}" if line else f"c{number % COLOURS}"


@dataclass(frozen=True, slots=True)
class Marked:
    """A text as HTML; its entities, in the order of the marks with their names; how many could not be drawn."""

    html: str
    entities: Sequence[Entity]
    left_out: int


def marked(text: str, entities: Iterable[Entity], number: Callable[[str], int]) -> Marked:
    """Draw the entities of a text. `number` gives the number of a label."""
    drawing = _Drawing(text, number)
    left_out = sum(not drawing.begun(entity) for entity in sorted(entities, key=_outermost_first))
    return Marked(drawing.html(), drawing.entities(), left_out)


def _outermost_first(entity: Entity) -> tuple[int, int]:
    return entity.start, -entity.end


@dataclass(frozen=True, slots=True)
class _Mark:
    """A mark that is open: its tag is the part of this number. `again`: its entity had one before."""

    entity: Entity
    part: int
    title: str
    again: bool


class _Drawing:
    """Goes through a text once, from the left, with the marks that are open, the outermost first."""

    def __init__(self, text: str, number: Callable[[str], int]) -> None:
        self._text, self._number = text, number
        self._at = 0
        self._parts: list[str] = []
        self._open: list[_Mark] = []
        self._named: dict[int, Entity] = {}

    def begun(self, entity: Entity) -> bool:
        """Open the mark of an entity that begins no earlier than the last; False where it cannot be drawn."""
        self._go(entity.start)
        drawn = entity.start < entity.end and len(self._open) < DEEPEST
        if drawn:
            self._start(entity)
        return drawn

    def html(self) -> str:
        """The whole text."""
        self._go(len(self._text))
        return "".join(self._parts)

    def entities(self) -> list[Entity]:
        """What was drawn, in the order of the marks with the names."""
        return [self._named[part] for part in sorted(self._named)]

    def _go(self, place: int) -> None:
        while self._open and (end := min(mark.entity.end for mark in self._open)) <= place:
            self._write(end)
            self._end(end)
        self._write(place)

    def _write(self, end: int) -> None:
        piece = self._text[self._at : end]
        if piece.endswith("\r") and self._text[end : end + 1] == "\n":  # cut between the two that are one line's end
            piece = piece[:-1]
        self._parts.append(shown(piece))
        self._at = end

    def _start(self, entity: Entity, again: bool = False) -> None:
        around = [entity, *(mark.entity for mark in reversed(self._open))]
        title = " · ".join(map(_said, around))
        self._open.append(_Mark(entity, len(self._parts), title, again))
        self._parts.append(self._tag(self._open[-1]))

    def _end(self, end: int) -> None:
        """Close the marks that end here, and with them what lies in them, which goes on in marks of its own."""
        first = next(depth for depth, mark in enumerate(self._open) if mark.entity.end == end)
        closing, self._open = self._open[first:], self._open[:first]
        self._parts.append("</mark>" * len(closing))
        for mark in closing:
            if mark.entity.end == end:
                self._parts[mark.part] = self._tag(mark, last=True)
                self._named[mark.part] = mark.entity
        for mark in sorted(closing, key=lambda mark: -mark.entity.end):
            if mark.entity.end > end:
                self._start(mark.entity, again=True)

    def _tag(self, mark: _Mark, last: bool = False) -> str:
        entity = mark.entity
        number = self._number(entity.label)
        written = {"class": colour(number), "data-l": str(number), "title": mark.title}
        if entity.score is not None:
            written["data-s"] = f"{entity.score:.2f}"
        if last:
            written["data-n"] = label_name(entity.label)
            if mark.again or entity_name(entity) != entity.text:  # otherwise its text is what the mark holds
                written["data-t"] = entity_name(entity)
        return "<mark" + "".join(f' {name}="{escape(value)}"' for name, value in written.items()) + ">"


def _said(entity: Entity) -> str:
    score = "" if entity.score is None else f" {entity.score:.2f}"
    return label_name(entity.label) + score
