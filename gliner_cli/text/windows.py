"""Long documents to windows that overlap, and which window a span belongs to.

Nothing is ever cut away: the windows of a document cover all its words, and neighbours share enough of them that an
entity at an edge lies whole in one of the two.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Window:
    """Words `first` to `stop` of a document, half-open, never empty.

    `left_stop` is where the window before this one stops and `right_first` where the next begins; for the first and the
    last window of a document, the window's own ends.
    """

    document: int
    first: int
    stop: int
    left_stop: int
    right_first: int

    def __len__(self) -> int:
        return self.stop - self.first

    def owns(self, start: NDArray[np.int64], stop: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which spans, given in document words, are this window's to report.

        A span seen whole by two windows is reported by the one that sees more context on its poorer side; so each
        span is reported once, and what an edge has cut off loses to the neighbour that sees it whole.
        """
        ceded_left = (stop <= self.left_stop) & (self.left_stop - stop > start - self.first)
        ceded_right = (start >= self.right_first) & (start - self.right_first >= self.stop - stop)
        return ~(ceded_left | ceded_right)


def windows(document: int, count: int, fits: Callable[[int], int], overlap: int) -> Iterator[Window]:
    """The windows over `count` words of a document.

    `fits(first)` is the largest stop a window beginning at `first` can have (at least first + 1). Neighbours share
    `overlap` words, or half of a window that is shorter than twice that.
    """
    first, left_stop = 0, 0
    stop = fits(0) if count else 0
    while first < count:
        last = stop >= count
        shared = min(overlap, (stop - first) // 2)
        following = stop if last else stop - shared
        yield Window(document, first, stop, left_stop, following)
        if last:
            return
        left_stop = stop
        first, stop = following, fits(following)


def sentences_within(starts: list[int], count: int, fits: Callable[[int], int]) -> Callable[[int], int]:
    """`fits`, cut back to whole sentences where at least one fits.

    `starts` are the words at which sentences begin. A sentence longer than a window is cut as words are.
    """

    def whole_sentences(first: int) -> int:
        stop = fits(first)
        if stop >= count:
            return stop
        boundary = starts[bisect_right(starts, stop) - 1]
        return boundary if boundary > first else stop

    return whole_sentences
