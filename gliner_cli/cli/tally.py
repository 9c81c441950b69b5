"""What was found, counted as it goes by, in bounded memory: by label, the most frequent texts, the mean score."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from gliner_cli.types import Document

_KEPT = 256  # texts a label
_LONGEST = 80  # characters of a text
_MOST_LABELS = 2000  # of `convert`, whose labels nobody named


class Frequent:
    """The most frequent of many texts: Misra and Gries (1982), pruned in batches as Agarwal et al. (2012, section 3).

    Up to twice `kept` texts are counted; when there are more, the count of the first that is too many is taken off all,
    and what has none left is forgotten. So no count is too high, and none too low by more than `lost`, which is at most
    the number of all texts divided by `kept`. Below twice `kept` different texts all is exact.
    """

    def __init__(self, kept: int = _KEPT) -> None:
        self._kept, self.lost = kept, 0
        self._counts: Counter[str] = Counter()

    def add(self, text: str) -> None:
        """One more."""
        self._counts[text] += 1
        if len(self._counts) > 2 * self._kept:
            self._prune()

    def most(self, count: int) -> list[tuple[str, int]]:
        """The most frequent, each with how often it was seen at least; in a tie the first in the alphabet."""
        return sorted(self._counts.items(), key=lambda one: (-one[1], one[0]))[:count]

    def _prune(self) -> None:
        too_many = sorted(self._counts.values(), reverse=True)[self._kept]
        self._counts = Counter({text: n - too_many for text, n in self._counts.items() if n > too_many})
        self.lost += too_many


@dataclass
class OfLabel:
    """What was found of one label."""

    count: int = 0
    scored: int = 0
    scores: float = 0.0
    texts: Frequent = field(default_factory=Frequent)

    @property
    def mean(self) -> float | None:
        """The mean score; None where nothing has one."""
        return self.scores / self.scored if self.scored else None


@dataclass
class Tally:
    """Everything found, by label."""

    documents: int = 0
    empty: int = 0
    by_label: dict[str, OfLabel] = field(default_factory=dict)

    def counting(self, documents: Iterable[Document]) -> Iterator[Document]:
        """The documents, counted as they go by."""
        for document in documents:
            self.documents += 1
            self.empty += not document.entities
            for entity in document.entities:
                of = self._of(entity.label)
                of.count += 1
                of.texts.add(_shown(entity.text))
                if entity.score is not None:
                    of.scored += 1
                    of.scores += entity.score
            yield document

    @property
    def entities(self) -> int:
        """How many there are."""
        return sum(of.count for of in self.by_label.values())

    def ordered(self) -> list[tuple[str, OfLabel]]:
        """The labels, the most frequent first."""
        return sorted(self.by_label.items(), key=lambda one: (-one[1].count, one[0]))

    def most(self, count: int) -> list[tuple[str, str, int]]:
        """The most frequent entities of all labels: text, label, how often."""
        every = [(text, label, n) for label, of in self.by_label.items() for text, n in of.texts.most(count)]
        return sorted(every, key=lambda one: (-one[2], one[:2]))[:count]

    def facts(self, texts: int = 3) -> list[dict[str, object]]:
        """For programs: each label with its count, its mean score and its most frequent texts."""
        return [
            {
                "label": label,
                "count": of.count,
                "mean_score": None if of.mean is None else round(of.mean, 4),
                "most": [{"text": text, "count": n} for text, n in of.texts.most(texts)],
                "counts_low_by_at_most": of.texts.lost,
            }
            for label, of in self.ordered()
        ]

    def _of(self, label: str) -> OfLabel:
        name = label if label in self.by_label or len(self.by_label) < _MOST_LABELS else "(other labels)"
        return self.by_label.setdefault(name, OfLabel())


def _shown(text: str) -> str:
    """White space made one, and the rest of a very long one left out."""
    line = " ".join(text[: 2 * _LONGEST].split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
