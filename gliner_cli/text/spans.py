"""Settling overlaps: of the candidates that compete for the same words, which become entities.

The rules are the reference package's (`BaseDecoder.greedy_search`): candidates in falling order of score, each kept
unless it conflicts with one kept before. Candidates of one score go in the order of start, then length, then label.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Spans:
    """Spans of one document as four arrays of the same length: document words, half-open, label number, score."""

    starts: NDArray[np.int64]
    stops: NDArray[np.int64]
    labels: NDArray[np.int64]
    scores: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, chosen: NDArray[np.int64] | NDArray[np.bool_]) -> Spans:
        return Spans(self.starts[chosen], self.stops[chosen], self.labels[chosen], self.scores[chosen])

    @classmethod
    def joined(cls, parts: list[Spans]) -> Spans:
        """The spans of all parts as one."""
        if not parts:
            nothing = np.empty(0, np.int64)
            return cls(nothing, nothing, nothing, np.empty(0, np.float32))
        return cls(
            np.concatenate([part.starts for part in parts]),
            np.concatenate([part.stops for part in parts]),
            np.concatenate([part.labels for part in parts]),
            np.concatenate([part.scores for part in parts]),
        )


def settled(spans: Spans, nested: bool = False, multi_label: bool = False) -> Spans:
    """The spans that are kept, ordered by start; those that share a start by falling score.

    Flat: no two kept spans share a word. `nested`: a span may lie inside another, but not cross its edge. The same
    words may carry two labels only with `multi_label`.
    """
    ranked = spans[_ranks(spans)]
    ranked = ranked[np.fromiter(_accepted(ranked, _places(spans, nested), multi_label), np.bool_)]
    return ranked[np.argsort(ranked.starts, kind="stable")]


def rivals(spans: Spans, nested: bool = False, multi_label: bool = False) -> list[int | None]:
    """For each span, why `settled` drops it: the number of the best kept span it gives way to; None where it is kept.

    Asks the same judges as `settled`, the conflict of two spans by a judge who has seen nothing but the one.
    """
    order = _ranks(spans)
    ranked = spans[order]
    accepted = _accepted(ranked, _places(spans, nested), multi_label)
    found: list[int | None] = [None] * len(spans)
    covering: dict[int, list[tuple[int, int, tuple[int, int]]]] = {}  # of each word, the kept spans over it
    places = zip(ranked.starts.tolist(), ranked.stops.tolist(), strict=True)
    for rank, (number, place, stays) in enumerate(zip(order.tolist(), places, accepted, strict=True)):
        if stays:
            for word in range(*place):
                covering.setdefault(word, []).append((rank, number, place))
        else:
            near = sorted({one for word in range(*place) for one in covering.get(word, ())})
            found[number] = next(other for _, other, taken in near if _gives_way(place, taken, nested))
    return found


def _gives_way(place: tuple[int, int], taken: tuple[int, int], nested: bool) -> bool:
    first, words = min(place[0], taken[0]), max(place[1], taken[1])
    alone = _Nested(words - first) if nested else _Flat(words - first)
    alone.remember(taken[0] - first, taken[1] - first)
    return place == taken or alone.conflict(place[0] - first, place[1] - first)


def _ranks(spans: Spans) -> NDArray[np.int64]:
    return np.lexsort((spans.labels, spans.stops, spans.starts, -spans.scores))


def _places(spans: Spans, nested: bool) -> _Flat | _Nested:
    words = int(spans.stops.max(initial=0))
    return _Nested(words) if nested else _Flat(words)


def _accepted(ranked: Spans, kept: _Flat | _Nested, multi_label: bool) -> Iterator[bool]:
    places: set[tuple[int, int]] = set()
    for place in zip(ranked.starts.tolist(), ranked.stops.tolist(), strict=True):
        if place in places:
            yield multi_label
        elif kept.conflict(*place):
            yield False
        else:
            places.add(place)
            kept.remember(*place)
            yield True


class _Flat:
    """One byte a word, set where a kept span lies: a conflict is one search in C, however many were kept."""

    def __init__(self, words: int) -> None:
        self.taken = bytearray(words)

    def conflict(self, start: int, stop: int) -> bool:
        return self.taken.find(1, start, stop) >= 0

    def remember(self, start: int, stop: int) -> None:
        self.taken[start:stop] = b"\x01" * (stop - start)


class _Nested:
    """For each word, how far the kept spans that begin or end there reach: a crossing shows within the new span."""

    def __init__(self, words: int) -> None:
        self.furthest_stop = [0] * (words + 1)  # of the kept spans that start at this word
        self.first_start = [words + 1] * (words + 1)  # of the kept spans that stop at this word

    def conflict(self, start: int, stop: int) -> bool:
        inside = slice(start + 1, stop)
        crosses_right = max(self.furthest_stop[inside], default=0) > stop
        return crosses_right or min(self.first_start[inside], default=start) < start

    def remember(self, start: int, stop: int) -> None:
        self.furthest_stop[start] = max(self.furthest_stop[start], stop)
        self.first_start[stop] = min(self.first_start[stop], start)
