"""Strings to places: what a language model says it saw, found again in the text.

Such a model names what it found and not where. Everything it says is either placed or counted; nothing is dropped
in silence. Knows neither prompts nor the network.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from gliner_cli.text.words import words
from gliner_cli.types import Document, Entity

Rule = Literal["all", "order"]
Mention = tuple[str, str]  # what was said, and the label it was given
Place = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Aligned:
    """What could be placed; how many mentions could not (`hallucinated`), and how many said nothing new."""

    entities: tuple[Entity, ...]
    hallucinated: int
    duplicates: int


def aligned(document: Document, mentions: Sequence[Mention], rule: Rule = "all", nested: bool = False) -> Aligned:
    """The entities that mentions are.

    `all`: each string at all its occurrences, those inside a longer string that was mentioned only where there are no
    others ("York" of "New York"), or where entities may be nested. `order`: the first mention of a string at its first
    occurrence, the second at its second, and so on.
    """
    where = _Where(document)
    places = {text: where.places(text) for text, _ in mentions}
    placed = _everywhere(mentions, places, nested) if rule == "all" else _in_order(mentions, places)
    found = sorted({(start, end, label) for (start, end), label in placed})
    entities = tuple(Entity(start, end, label, document.text[start:end]) for start, end, label in found)
    hallucinated = sum(not places[text] for text, _ in mentions)
    return Aligned(entities, hallucinated, _repeated(mentions, places, rule))


class _Where:
    """Where a string occurs in a document: on its word boundaries if it does so anywhere."""

    def __init__(self, document: Document) -> None:
        cut = document.words or words(document.text)
        self.text, self.starts, self.ends = document.text, set(cut.starts), set(cut.ends)

    def places(self, string: str) -> list[Place]:
        """As it is written; failing that, with other spaces; failing that, with other capitals too.

        Corpora are often cut into words ("McDonald 's"), and models put such text right as they repeat it.
        """
        inside: list[Place] = []
        for pattern, flags in _patterns(string):
            found = [match.span() for match in re.finditer(pattern, self.text, flags)]
            if whole := [(start, end) for start, end in found if start in self.starts and end in self.ends]:
                return whole
            inside = inside or found[:1]
        return inside


def _patterns(string: str) -> list[tuple[str, int]]:
    string = string.strip()
    spaced = r"\s*".join(map(re.escape, "".join(string.split())))
    return [(re.escape(string), 0), (spaced, 0), (spaced, re.IGNORECASE)] if string else []


def _everywhere(
    mentions: Iterable[Mention], places: dict[str, list[Place]], nested: bool
) -> Iterator[tuple[Place, str]]:
    taken: list[Place] = []
    for text, label in sorted(set(mentions), key=lambda mention: (-len(mention[0]), mention)):
        free = [place for place in places[text] if nested or not any(_inside(place, other) for other in taken)]
        chosen = free or places[text]
        taken += chosen
        yield from ((place, label) for place in chosen)


def _inside(place: Place, other: Place) -> bool:
    return place != other and other[0] <= place[0] and place[1] <= other[1]


def _in_order(mentions: Iterable[Mention], places: dict[str, list[Place]]) -> Iterator[tuple[Place, str]]:
    said: Counter[str] = Counter()
    for text, label in mentions:
        if said[text] < len(places[text]):
            yield places[text][said[text]], label
        said[text] += 1


def _repeated(mentions: Sequence[Mention], places: dict[str, list[Place]], rule: Rule) -> int:
    real = [(text, label) for text, label in mentions if places[text]]
    if rule == "all":
        return len(real) - len(set(real))
    said = Counter(text for text, _ in real)
    return sum(max(0, count - len(places[text])) for text, count in said.items())
