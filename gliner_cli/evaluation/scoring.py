"""How good: pure functions over documents. `gold` and `found` are the same documents, in one order.

An entity is right if start, end and label are those of a gold one, counted as sets within each document, as the
reference package's evaluator counts: what is found twice in one document counts once, in two documents twice. Other
protocols (SemEval-2013's four, UniNER's strings) stand beside it. Nothing here knows a network, a file or a clock.
"""

from __future__ import annotations

import re
import string
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from gliner_cli.options import WordRule
from gliner_cli.text.words import words
from gliner_cli.types import Document, Entity

# --- Exact spans ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tally:
    """True positives, false positives, false negatives; a ratio with nothing below it is 0, as in the reference."""

    tp: int = 0
    fp: int = 0
    fn: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn)

    @property
    def support(self) -> int:
        return self.tp + self.fn

    @property
    def precision(self) -> float:
        return _ratio(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float:
        return _ratio(self.tp, self.support)

    @property
    def f1(self) -> float:
        return _harmonic(self.precision, self.recall)


PerDocument = Sequence[Mapping[str, Tally]]


def tallies(gold: Sequence[Document], found: Sequence[Document]) -> list[dict[str, Tally]]:
    """Of each document, the tally of each label that it has in gold or found."""
    return [_by_label(places_of(true), places_of(said)) for true, said in zip(gold, found, strict=True)]


def total(per_document: Iterable[Mapping[str, Tally]]) -> Tally:
    """The micro tally: all labels of all documents together."""
    return sum((tally for document in per_document for tally in document.values()), Tally())


def by_label(per_document: Iterable[Mapping[str, Tally]]) -> dict[str, Tally]:
    """Each label's tally over all documents, in the order of the alphabet."""
    sums: dict[str, Tally] = defaultdict(Tally)
    for document in per_document:
        for label, tally in document.items():
            sums[label] += tally
    return dict(sorted(sums.items()))


def macro_f1(per_document: Iterable[Mapping[str, Tally]]) -> float:
    """The mean F1 of the labels that are in gold or were found; asked and neither, a label does not count (seqeval)."""
    each = [tally.f1 for tally in by_label(per_document).values()]
    return _ratio(sum(each), len(each))


class _Place(NamedTuple):
    start: int
    end: int
    label: str


def place_of(entity: Entity) -> _Place:
    """What of an entity has to be right: start, end and label."""
    return _Place(entity.start, entity.end, entity.label)


def places_of(document: Document) -> list[_Place]:
    """Where a document's entities are: each once, in the order of the text."""
    return sorted(set(map(place_of, document.entities)))


def _by_label(gold: Iterable[_Place], found: Iterable[_Place]) -> dict[str, Tally]:
    true, said = set(gold), set(found)
    counts: dict[str, Tally] = defaultdict(Tally)
    for places, one in ((true & said, Tally(tp=1)), (said - true, Tally(fp=1)), (true - said, Tally(fn=1))):
        for place in places:
            counts[place.label] += one
    return dict(sorted(counts.items()))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _harmonic(precision: float, recall: float) -> float:
    return _ratio(2 * precision * recall, precision + recall)


# --- Other protocols ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Semeval:
    """The five counts of SemEval-2013 task 9.1; what is partly right counts half."""

    correct: int = 0
    incorrect: int = 0
    partial: int = 0
    missed: int = 0
    spurious: int = 0

    @property
    def precision(self) -> float:
        return _ratio(self.correct + self.partial / 2, self.correct + self.incorrect + self.partial + self.spurious)

    @property
    def recall(self) -> float:
        return _ratio(self.correct + self.partial / 2, self.correct + self.incorrect + self.partial + self.missed)

    @property
    def f1(self) -> float:
        return _harmonic(self.precision, self.recall)


# When a found entity is right, given a gold one that overlaps it; and what it is if it only overlaps one.
_MODES: Mapping[str, tuple[Callable[[_Place, _Place], bool], str]] = {
    "strict": (lambda gold, found: gold == found, "incorrect"),
    "exact": (lambda gold, found: gold[:2] == found[:2], "incorrect"),
    "partial": (lambda gold, found: gold[:2] == found[:2], "partial"),
    "type": (lambda gold, found: gold.label == found.label, "incorrect"),
}


def semeval(gold: Sequence[Document], found: Sequence[Document]) -> dict[str, Semeval]:
    """The modes "strict", "exact", "partial" and "type", counted as nervaluate does.

    It goes through the found entities in the order of the text and gives each the first gold one it can have, so where
    entities overlap "strict" can be a little below the exact tally. For one label: give documents by `only`.
    """
    pairs = [(places_of(true), places_of(said)) for true, said in zip(gold, found, strict=True)]
    near = [_overlapping(*pair) for pair in pairs]
    return {
        mode: Semeval(**_summed(_fates(*pair, around, *rule) for pair, around in zip(pairs, near, strict=True)))
        for mode, rule in _MODES.items()
    }


def only(documents: Iterable[Document], label: str) -> list[Document]:
    """The documents with their entities of one label."""
    return [
        replace(document, entities=tuple(entity for entity in document.entities if entity.label == label))
        for document in documents
    ]


def _summed(fates: Iterable[Iterable[str]]) -> dict[str, int]:
    counts: dict[str, int] = defaultdict(int)
    for document in fates:
        for fate in document:
            counts[fate] += 1
    return counts


def _fates(
    gold: Sequence[_Place],
    found: Sequence[_Place],
    near: Sequence[Sequence[int]],
    is_right: Callable[[_Place, _Place], bool],
    otherwise: str,
) -> Iterator[str]:
    """What becomes of each found entity, and then of each gold one that none of them took."""
    left = set(range(len(gold)))
    for said, around in zip(found, near, strict=True):
        free = [number for number in around if number in left and _enough(gold[number], said)]
        right = [number for number in free if is_right(gold[number], said)]
        if right:
            left.remove(min((_distance(gold[number], said), number) for number in right)[1])
            yield "correct"
        elif free:
            left.remove(free[0])
            yield otherwise
        else:
            yield "spurious"
    yield from ("missed" for _ in left)


def _overlapping(gold: Sequence[_Place], found: Sequence[_Place]) -> list[list[int]]:
    """For each found entity the numbers of the gold ones, in order of start, that share a character with it."""
    starts = [place.start for place in gold]
    longest = max((place.end - place.start for place in gold), default=0)
    near = ((said, range(*(bisect_left(starts, at) for at in (said.start - longest, said.end)))) for said in found)
    return [[number for number in numbers if _shared(gold[number], said) > 0] for said, numbers in near]


def _shared(a: _Place, b: _Place) -> int:
    return min(a.end, b.end) - max(a.start, b.start)


def _enough(gold: _Place, found: _Place) -> bool:
    """nervaluate's default: at least 1 % of the gold entity is covered."""
    return _shared(gold, found) * 100 >= gold.end - gold.start


def _distance(gold: _Place, found: _Place) -> int:
    return abs(gold.start - found.start) + abs(gold.end - found.end)


_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def uniner(gold: Sequence[Document], found: Sequence[Document]) -> Tally:
    """UniNER's protocol (src/eval/evaluate.py): the strings of each label, without offsets, each once a document.

    Case, ASCII punctuation and articles do not count. Its parser of answers, which reads a list with a "]" inside of a
    string as an empty one, is not copied: the strings here never were text.
    """
    pairs = [(_strings(true), _strings(said)) for true, said in zip(gold, found, strict=True)]
    return sum((Tally(len(true & said), len(said - true), len(true - said)) for true, said in pairs), Tally())


def _strings(document: Document) -> set[tuple[str, str]]:
    return {(entity.label, _normalised(entity.text)) for entity in document.entities}


def _normalised(text: str) -> str:
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split())


# --- What went wrong ------------------------------------------------------------------------------------------------

ErrorKind = Literal["missed", "spurious", "wrong label", "wrong boundary", "wrong both"]
_NEARNESS: tuple[ErrorKind, ...] = ("wrong label", "wrong boundary", "wrong both")


@dataclass(frozen=True, slots=True)
class Error:
    """A gold entity that was not found as it is, what was found in its place, or both; `document` is its number."""

    kind: ErrorKind
    document: int
    gold: Entity | None
    found: Entity | None


def errors(gold: Sequence[Document], found: Sequence[Document]) -> list[Error]:
    """Every entity of gold or found that is not exactly in the other, each in one error, in the order of the text.

    Those that overlap are paired, the most alike first: same place, then same label, then what shares most characters.
    """
    pairs = enumerate(zip(gold, found, strict=True))
    return [error for number, (true, said) in pairs for error in _errors_of(number, true, said)]


def _errors_of(number: int, gold: Document, found: Document) -> list[Error]:
    true = {place_of(entity): entity for entity in gold.entities}
    said = {place_of(entity): entity for entity in found.entities}
    lost, extra = sorted(true.keys() - said.keys()), sorted(said.keys() - true.keys())
    paired = list(_paired(lost, extra))
    with_found = {place for _, place, _ in paired}
    with_gold = {place for _, _, place in paired}
    listed = [Error(kind, number, true[gold_place], said[place]) for kind, gold_place, place in paired]
    listed += [Error("missed", number, true[place], None) for place in lost if place not in with_found]
    listed += [Error("spurious", number, None, said[place]) for place in extra if place not in with_gold]
    return sorted(listed, key=_where)


def _paired(gold: Sequence[_Place], found: Sequence[_Place]) -> Iterator[tuple[ErrorKind, _Place, _Place]]:
    near = zip(found, _overlapping(gold, found), strict=True)
    pairs = [(_kind(gold[number], said), gold[number], said) for said, numbers in near for number in numbers]
    pairs.sort(key=lambda pair: (_NEARNESS.index(pair[0]), -_shared(pair[1], pair[2])))
    used_gold, used_found = set[_Place](), set[_Place]()
    for kind, true, said in pairs:
        if true not in used_gold and said not in used_found:
            used_gold.add(true)
            used_found.add(said)
            yield kind, true, said


def _kind(gold: _Place, found: _Place) -> ErrorKind:
    if gold[:2] == found[:2]:
        return "wrong label"
    return "wrong boundary" if gold.label == found.label else "wrong both"


def _where(error: Error) -> int:
    entity = error.gold or error.found
    assert entity is not None  # noqa: S101
    return entity.start


def unreachable(gold: Iterable[Document], width: int | None, rule: WordRule = "auto") -> dict[str, int]:
    """How many gold entities cannot be found however good the scores are, by reason; each is counted once.

    `width` is the most words of a span the network reads, None where there is no most (token heads); `rule` cuts the
    texts of documents that bring no words.
    """
    counts = {"not on word boundaries": 0, "wider than the network reads": 0}
    for document in gold:
        cut = document.words or words(document.text, rule)
        starts = {start: word for word, start in enumerate(cut.starts)}
        stops = {end: word + 1 for word, end in enumerate(cut.ends)}
        for start, end, _ in places_of(document):
            if start not in starts or end not in stops:
                counts["not on word boundaries"] += 1
            elif width is not None and stops[end] - starts[start] > width:
                counts["wider than the network reads"] += 1
    return counts
