"""What only scores tell: other thresholds, the best of them, and whether a score means what it says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gliner_cli.evaluation.scoring import Tally, by_label, place_of, places_of, tallies, total
from gliner_cli.types import Document, Entity

GRID = tuple(step / 20 for step in range(1, 20))


def above(found: Iterable[Document], threshold: float | Mapping[str, float]) -> list[Document]:
    """What of a run at a low threshold has a score above a higher one; entities without a score stay.

    One threshold: exactly what a run at it finds, because candidates are settled in falling order of score, so that
    what is kept depends on higher scores alone. One a label: an entity that another displaced does not come back when
    that one falls below its own label's threshold. A label that is not in the mapping keeps all it has.
    """
    kept = _bar(threshold)
    return [replace(document, entities=tuple(filter(kept, document.entities))) for document in found]


def _bar(threshold: float | Mapping[str, float]) -> Callable[[Entity], bool]:
    """Compares in the 32 bits of the scores, as the heads do: 0.3 is there a little above 0.3."""
    if isinstance(threshold, Mapping):
        bars = {label: float(np.float32(value)) for label, value in threshold.items()}
        return lambda entity: entity.score is None or entity.score > bars.get(entity.label, -1.0)
    bar = float(np.float32(threshold))
    return lambda entity: entity.score is None or entity.score > bar


def sweep(
    gold: Sequence[Document], found: Sequence[Document], thresholds: Iterable[float] = GRID
) -> list[tuple[float, Tally]]:
    """The micro tally at each threshold, from a run at one that is not above any of them."""
    return [(threshold, total(tallies(gold, above(found, threshold)))) for threshold in thresholds]


def best_thresholds(
    gold: Sequence[Document], found: Sequence[Document], labels: Iterable[str], least: int = 50
) -> dict[str, float]:
    """For each label the threshold that is best for the micro F1 of all, drawn to the one best for all where gold is
    scarce.

    The other labels stand at the common threshold meanwhile. A label with `least` gold entities lies half way between
    its own best and the common one, so one seen three times gets no threshold of its own by chance. Of thresholds
    equally good, the one nearest the common. Taken from one half of CrossNER's dev sets and used on the other, micro
    F1 67.1; thresholds best for each label's own F1 with `least` 20 had 66.7, 0.5 for all 66.9 (200 splits, 10 models).
    """
    runs = [(threshold, tallies(gold, above(found, threshold))) for threshold in GRID]
    each = {threshold: by_label(run) for threshold, run in runs}
    common = _best([(threshold, total(run)) for threshold, run in runs], 0.5)
    chosen = {}
    for label in labels:
        others = sum((tally for name, tally in each[common].items() if name != label), Tally())
        own = {threshold: run.get(label, Tally()) for threshold, run in each.items()}
        support = max(tally.support for tally in own.values())
        best = _best([(threshold, others + tally) for threshold, tally in own.items()], common)
        chosen[label] = round((support * best + least * common) / (support + least), 3)
    return chosen


def _best(rows: Iterable[tuple[float, Tally]], near: float) -> float:
    return max(rows, key=lambda row: (row[1].f1, -abs(row[0] - near)))[0]


@dataclass(frozen=True, slots=True)
class Bin:
    """The found entities with scores above `low` up to `high`: how many, their mean score, the share that is right."""

    low: float
    high: float
    count: int
    score: float
    right: float


def reliability(gold: Sequence[Document], found: Sequence[Document], bins: int = 10) -> list[Bin]:
    """Whether a score of 0.8 means right in eight of ten cases. Bins of equal width; empty ones are left out."""
    rows = [
        (entity.score, place_of(entity) in right_ones)
        for right_ones, said in ((set(places_of(true)), said) for true, said in zip(gold, found, strict=True))
        for entity in said.entities
        if entity.score is not None
    ]
    scores, right = np.array(rows, np.float64).reshape(-1, 2).T
    which = np.clip(np.ceil(scores * bins) - 1, 0, bins - 1)
    return [
        Bin(number / bins, (number + 1) / bins, int(mask.sum()), float(scores[mask].mean()), float(right[mask].mean()))
        for number in range(bins)
        if (mask := which == number).any()
    ]


def expected_calibration_error(table: Iterable[Bin]) -> float:
    """The mean distance between score and share that is right, weighted by count (Naeini et al. 2015)."""
    rows = list(table)
    apart = sum(row.count * abs(row.score - row.right) for row in rows)
    count = sum(row.count for row in rows)
    return apart / count if count else 0.0
