"""A row of the report: how good one system is on one set, as plain numbers that JSON can hold.

Every row keeps the tallies of its single documents, so that two reports can be compared with significance later.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from gliner_cli.evaluation import calibration, certainty, scoring
from gliner_cli.evaluation.scoring import Error, PerDocument, Tally
from gliner_cli.types import Document, Entity

Row = dict[str, Any]
_EXAMPLES = 3  # of each kind of error
_AROUND = 40  # characters of text shown on either side of one


@dataclass(frozen=True)
class Answer:
    """What a system found; `wide`, found at `floor`, tells what it finds at all thresholds above (None: at none)."""

    found: Sequence[Document]
    wide: Sequence[Document]
    floor: float | None


def scored(gold: Sequence[Document], answer: Answer) -> Row:
    """All that is said about an answer to gold documents."""
    found = answer.found
    counted = scoring.tallies(gold, found)
    listed = scoring.errors(gold, found)
    return {
        "documents": len(gold),
        **summary(counted),
        "macro_f1": scoring.macro_f1(counted),
        "by_label": {label: summary(_only(counted, label)) for label in scoring.by_label(counted)},
        "semeval": {mode: _with_ratios(counts) for mode, counts in scoring.semeval(gold, found).items()},
        "uniner": _with_ratios(scoring.uniner(gold, found)),
        "errors": Counter(error.kind for error in listed),
        "examples": _examples(gold, listed),
        "confusion": _confusion(counted, listed),
        **_by_score(gold, answer),
        "tallies": packed(counted),
    }


def summary(counted: PerDocument) -> Row:
    """The micro numbers of some documents, with the 95 % interval of F1."""
    low, high = certainty.interval(counted)
    tally = scoring.total(counted)
    return {"entities": tally.support, **_with_ratios(tally), "low": low, "high": high}


def _with_ratios(counts: Any) -> Row:
    return {**asdict(counts), "precision": counts.precision, "recall": counts.recall, "f1": counts.f1}


def _only(counted: PerDocument, label: str) -> PerDocument:
    return [{label: tallies[label]} if label in tallies else {} for tallies in counted]


def _confusion(counted: PerDocument, listed: Iterable[Error]) -> list[list[Any]]:
    """How often a gold label was found as another, in the same place or one that overlaps; None: not at all."""
    pairs = Counter((_label(error.gold), _label(error.found)) for error in listed)
    pairs.update({(label, label): tally.tp for label, tally in scoring.by_label(counted).items() if tally.tp})
    return [[true, said, count] for (true, said), count in pairs.items()]


def _label(entity: Entity | None) -> str | None:
    return entity.label if entity else None


def _by_score(gold: Sequence[Document], answer: Answer) -> Row:
    """What only scores tell: other thresholds, and whether a score means what it says."""
    grid = [] if answer.floor is None else [threshold for threshold in calibration.GRID if threshold >= answer.floor]
    swept = [
        {"threshold": at, "precision": tally.precision, "recall": tally.recall, "f1": tally.f1}
        for at, tally in calibration.sweep(gold, answer.wide, grid)
    ]
    table = calibration.reliability(gold, answer.wide)
    return {
        "sweep": swept,
        "best": max(swept, key=lambda point: point["f1"], default=None),
        "reliability": [asdict(one) for one in table],
        "calibration_error": calibration.expected_calibration_error(table) if table else None,
    }


def _examples(gold: Sequence[Document], listed: Iterable[Error]) -> list[Row]:
    kinds: dict[str, list[Error]] = defaultdict(list)
    for error in listed:
        kinds[error.kind].append(error)
    return [_example(gold[error.document], error) for some in kinds.values() for error in evenly(some, _EXAMPLES)]


def _example(document: Document, error: Error) -> Row:
    places = [entity for entity in (error.gold, error.found) if entity]
    start, end = min(entity.start for entity in places), max(entity.end for entity in places)
    row = {"kind": error.kind, "document": document.id or str(error.document)}
    before, after = document.text[:start], document.text[end:]
    row["before"] = before if start <= _AROUND else f"…{before[-_AROUND:]}"
    row["text"] = document.text[start:end]
    row["after"] = after if len(after) <= _AROUND else f"{after[:_AROUND]}…"
    return row | {
        side: None if entity is None else {"label": entity.label, "text": entity.text, "score": entity.score}
        for side, entity in (("gold", error.gold), ("found", error.found))
    }


def evenly(items: Sequence[Any], most: int | None) -> list[Any]:
    """At most so many of the items, from beginning to end alike; all of them if no number is given."""
    count = len(items) if most is None else min(most, len(items))
    return [items[number * len(items) // count] for number in range(count)]


# --- Over sets -----------------------------------------------------------------------------------------------------


def averaged(rows: Sequence[Mapping[str, Any]], resamples: int = 1000) -> Row:
    """Over the sets, as published tables do: the mean of their F1; and, beside it, all documents as one set.

    The interval of the mean is a bootstrap within each set, as the sets are given and only their documents are drawn.
    """
    counted = [unpacked(row["tallies"]) for row in rows]
    drawn = [certainty.drawn_f1(one, seed, resamples) for seed, one in enumerate(counted)]
    low, high = np.quantile(np.mean(drawn, axis=0), [0.025, 0.975]).tolist()
    swept = _mean_sweep([row["sweep"] for row in rows])
    return {
        "sets": len(rows),
        **_means(rows, "precision", "recall", "f1", "macro_f1"),
        "low": low,
        "high": high,
        "uniner": _means([row["uniner"] for row in rows], "f1"),
        "semeval": {mode: _means([row["semeval"][mode] for row in rows], "f1") for mode in rows[0]["semeval"]},
        "pooled": summary([document for one in counted for document in one]),
        "errors": _sums(row["errors"] for row in rows),
        "unreachable": _sums(row["unreachable"] for row in rows),
        "sweep": swept,
        "best": max(swept, key=lambda point: point["f1"], default=None),
        "reliability": (table := _pooled_bins(one for row in rows for one in row["reliability"])),
        "calibration_error": calibration.expected_calibration_error(calibration.Bin(**one) for one in table)
        if table
        else None,
    }


def _means(rows: Sequence[Mapping[str, Any]], *names: str) -> Row:
    return {name: float(np.mean([row[name] for row in rows])) for name in names}


def _sums(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    return dict(sum(map(Counter, counts), Counter()))


def _mean_sweep(swept: Sequence[Sequence[Row]]) -> list[Row]:
    """The means at each threshold; none where a set has none (nothing was found there, or nothing has scores)."""
    if not all(swept):
        return []
    return [{**points[0], **_means(points, "precision", "recall", "f1")} for points in zip(*swept, strict=True)]


def _pooled_bins(bins: Iterable[Row]) -> list[Row]:
    same: dict[float, list[Row]] = defaultdict(list)
    for one in bins:
        same[one["low"]].append(one)
    return [_pooled_bin(same[low]) for low in sorted(same)]


def _pooled_bin(bins: Sequence[Row]) -> Row:
    counts = [one["count"] for one in bins]
    weighted = {name: float(np.average([one[name] for one in bins], weights=counts)) for name in ("score", "right")}
    return {**bins[0], "count": sum(counts), **weighted}


# --- Tallies in JSON -----------------------------------------------------------------------------------------------


def packed(counted: PerDocument) -> Row:
    """The tallies of single documents, as short as JSON allows: for each, runs of label number, tp, fp, fn."""
    labels = sorted({label for tallies in counted for label in tallies})
    number = {label: place for place, label in enumerate(labels)}
    rows = [[n for label, t in one.items() for n in (number[label], t.tp, t.fp, t.fn)] for one in counted]
    return {"labels": labels, "documents": rows}


def unpacked(content: Mapping[str, Any]) -> list[dict[str, Tally]]:
    """The reverse of `packed`."""
    labels = content["labels"]
    return [
        {labels[row[at]]: Tally(*row[at + 1 : at + 4]) for at in range(0, len(row), 4)} for row in content["documents"]
    ]
