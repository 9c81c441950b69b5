"""How sure a score is, and a difference of two: by drawing documents again, and by chance changing sides.

The tallies are those of `scoring.py`, document by document, since documents are what is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gliner_cli.evaluation.scoring import PerDocument, total


def interval(
    per_document: PerDocument, seed: int = 0, resamples: int = 1000, level: float = 0.95
) -> tuple[float, float]:
    """Between which the micro F1 lies: the percentile bootstrap, documents drawn with replacement."""
    if not per_document:
        return 0.0, 0.0
    low, high = np.quantile(drawn_f1(per_document, seed, resamples), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def drawn_f1(per_document: PerDocument, seed: int, resamples: int) -> NDArray[np.float64]:
    """The micro F1 of so many draws of documents with replacement."""
    (scores,) = _resampled_f1([_counts(per_document)], seed, resamples)
    return scores


@dataclass(frozen=True, slots=True)
class Difference:
    """Micro F1 of b minus that of a, its 95 % interval, and p: how often chance alone makes one as large."""

    f1: float
    low: float
    high: float
    p: float


def difference(a: PerDocument, b: PerDocument, seed: int = 0, resamples: int = 1000) -> Difference:
    """Of two systems on the same gold documents.

    The interval is a paired bootstrap: both are scored on the same draws. p is by approximate randomisation (Noreen
    1989): the two answers to a document change sides by the toss of a coin; one is added so that p is never 0.
    """
    if len(a) != len(b):
        raise ValueError(f"{len(a)} and {len(b)} documents cannot be compared")
    if not a:
        return Difference(0.0, 0.0, 0.0, 1.0)
    ours, theirs = _counts(b), _counts(a)
    seen = float(_f1(ours.sum(0)) - _f1(theirs.sum(0)))
    drawn = np.subtract(*_resampled_f1([ours, theirs], seed, resamples))
    low, high = np.quantile(drawn, [0.025, 0.975])
    by_chance = np.abs(_swapped_f1(ours, theirs, seed, resamples)) >= abs(seen) - 1e-12
    return Difference(seen, float(low), float(high), float(by_chance.sum() + 1) / (resamples + 1))


_Counts = NDArray[np.int64]  # (documents, 2): true positives; all that is gold or found, a true positive twice


def _counts(per_document: PerDocument) -> _Counts:
    sums = [total([document]) for document in per_document]
    return np.array([(tally.tp, 2 * tally.tp + tally.fp + tally.fn) for tally in sums], np.int64)


def _f1(sums: NDArray[np.int64]) -> NDArray[np.float64]:
    """F1 = 2 TP / (2 TP + FP + FN) over the last axis; 0 where there is nothing."""
    right, everything = sums[..., 0], sums[..., 1]
    return np.asarray(2 * right / np.maximum(everything, 1), np.float64)


def _resampled_f1(systems: Sequence[_Counts], seed: int, resamples: int) -> list[NDArray[np.float64]]:
    """The F1 of each system on the same draws of documents. A draw at a time: memory stays that of the documents."""
    generator, size = np.random.default_rng(seed), len(systems[0])
    side_by_side = np.hstack(systems)
    sums = [np.bincount(generator.integers(size, size=size), minlength=size) @ side_by_side for _ in range(resamples)]
    return [_f1(part) for part in np.split(np.array(sums), len(systems), axis=1)]


def _swapped_f1(a: _Counts, b: _Counts, seed: int, resamples: int) -> NDArray[np.float64]:
    """F1 of a minus F1 of b after each document's answers have changed sides, or not, by chance."""
    generator, apart = np.random.default_rng(seed), b - a
    moved = np.array([generator.integers(2, size=len(a)) @ apart for _ in range(resamples)])
    return _f1(a.sum(0) + moved) - _f1(b.sum(0) - moved)
