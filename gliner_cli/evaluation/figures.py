"""The pictures of a report: which numbers are drawn, how, and what is said below."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from gliner_cli.evaluation import anchors, pictures
from gliner_cli.evaluation.bench import Report
from gliner_cli.evaluation.cells import Shown, count, percent
from gliner_cli.evaluation.pictures import Mark, tag

Row = Mapping[str, Any]
_NOTHING = "(nothing)"
_AXES = {"labels": "number of labels", "words": "words in a document", "batch-tokens": "most pieces in a batch"}


def figure(picture: str, caption: str, more: str = "") -> str:
    """A picture with what is said of it; `more` is markup already."""
    return tag("figure", picture + tag("figcaption", escape(caption) + more))


def _mark(row: Row, value: str = "f1", show: Shown = percent) -> Mark:
    told = show(row[value]).text
    if row.get("low") is None:
        return Mark(row[value], text=told)
    return Mark(row[value], row["low"], row["high"], f"{told} ({show(row['low']).text} to {show(row['high']).text})")


def by_set(report: Report) -> str:
    """F1 of each set and system."""
    names = list(report["systems"])
    found = {(row["system"], row["set"]): _mark(row) for row in report["rows"]}
    found |= {(row["system"], "average"): _mark(row) for row in report["averages"] if row["sets"] > 1}
    sets = list(report["sets"]) + ["average"] * (len(report["sets"]) > 1)
    rows = [(one, [(number, found.get((name, one))) for number, name in enumerate(names)]) for one in sets]
    picture = pictures.dots("F1 of each set", rows, names)
    return figure(picture, "F1 of exact spans in each set, with 95 % intervals (bootstrap over documents).")


def by_label(row: Row, all_of_it: Sequence[Row]) -> str:
    """F1 of each label of a set, all systems beside each other."""
    if not row["by_label"]:
        return ""
    each = list(enumerate(one["by_label"] for one in all_of_it))
    rows = [(label, [(number, _mark(own[label])) for number, own in each if label in own]) for label in row["by_label"]]
    picture = pictures.dots(f"F1 of each label in {row['set']}", rows, [one["system"] for one in all_of_it])
    return figure(picture, "F1 of each label, with 95 % intervals.")


def confusion(row: Row) -> str:
    """What was found where a label was gold."""
    if not row["confusion"]:
        return ""
    counts = {(gold or _NOTHING, found or _NOTHING): count for gold, found, count in row["confusion"]}
    names = [*row["by_label"], _NOTHING]
    picture = pictures.grid(f"Confusion of labels in {row['set']}", names, names, counts)
    said = f"Gold labels down, what {row['system']} found in their place across; green is right in place and label."
    return figure(picture, said)


def averages(report: Report) -> str:
    """Published averages and ours, the best first."""
    rows = [row for row in anchors.beside(report) if row["average"] is not None]
    letters = anchors.letters(anchors.beside(report))
    marks = [
        (f"{row['system']} ({letters[row['counting']]})", [(int(row["source"] == anchors.HERE), _mark(row, "average"))])
        for row in rows
    ]
    picture = pictures.dots("Averages", marks, ["published", anchors.HERE]) if rows else ""
    return figure(picture, "Averages over the sets; the letter says how they were counted.") if rows else ""


def thresholds(row: Row) -> str:
    """Precision, recall and F1 by threshold."""
    parts = (("F1", "f1"), ("precision", "precision"), ("recall", "recall"))
    series = {name: [(point["threshold"], _mark(point, part)) for point in row["sweep"]] for name, part in parts}
    across, up = pictures.scores("threshold"), pictures.shares("precision, recall, F1")
    return figure(pictures.curves("Thresholds", series, across, up), "Precision, recall and F1 by threshold.")


def calibration(row: Row) -> str:
    """Scores against what is right."""
    discs = [
        (one["score"], Mark(one["right"], text=f"{percent(one['right']).text} % of {one['count']:,}"), one["count"])
        for one in row["reliability"]
    ]
    error = tag("data", f"{row['calibration_error']:.3f}", value=repr(row["calibration_error"]))
    said = (
        "The share of found entities that is right, by score; the dashed line is where a score means what it says. "
        "Discs are as large as the number of entities. Expected calibration error "
    )
    return figure(pictures.calibration("Calibration", discs), said, f"{error}.")


def speed(report: Report) -> str:
    """Words a second on each set."""
    measured = report["speed"]["systems"]
    each = [{**one["by_set"], "all sets": one} for one in measured.values()]
    rates = [{name: one["words_per_second"] for name, one in sets.items()} for sets in each]
    sets = list(report["sets"]) + ["all sets"] * (len(report["sets"]) > 1)
    most = max(max(rate["runs"]) for sets in rates for rate in sets.values()) * 1.05
    rows = [(one, [(number, _mark(own[one], "median", count)) for number, own in enumerate(rates)]) for one in sets]
    picture = pictures.dots("Words a second in each set", rows, list(measured), most, percents=False)
    return figure(picture, "Words a second: medians and quartiles of the runs.")


def growth(report: Report) -> Iterator[str]:
    """Words a second, a picture for each thing that was varied."""
    for axis in dict.fromkeys(row["axis"] for row in report["sweeps"]):
        rows = [row for row in report["sweeps"] if row["axis"] == axis]
        series: dict[str, list[tuple[float, Mark]]] = {row["system"]: [] for row in rows}
        for row in rows:
            series[row["system"]].append((row["value"], _mark(row["words_per_second"], "median", count)))
        across = pictures.values(_AXES[axis], [row["value"] for row in rows])
        up = pictures.amounts("words a second", max(row["words_per_second"]["high"] for row in rows))
        yield figure(pictures.curves(axis, series, across, up), f"Words a second by {_AXES[axis]}, with quartiles.")
