"""What others have published, beside what was measured here: the same sets, and for each the way it was counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from string import ascii_lowercase
from typing import Any

from gliner_cli.evaluation import corpora, packaged
from gliner_cli.evaluation.cells import Cell, Table, percent
from gliner_cli.evaluation.published import Published, rows

HERE = "measured here"
_Row = Mapping[str, Any]


def published(sets: Sequence[str]) -> list[dict[str, Any]]:
    """The published rows that may stand beside these sets, F1 as shares like all others in a report.

    An average stands there only if it is over just as many sets as its suite has here, and all of these are there.
    """
    suites = corpora.suites()
    whole = {name: len(members) for name, members in suites.items() if set(members) <= set(sets)}
    here = (_narrowed(row, sets, whole) for row in rows() if row.unit == "F1")
    return [row for row in here if row["scores"] or row["average"] is not None]


def _narrowed(row: Published, sets: Sequence[str], whole: Mapping[str, int]) -> dict[str, Any]:
    """The row with the scores of these sets only."""
    average = row.average if row.of in [whole.get(suite, -1) for suite in row.suites] else None
    scores = {name: _share(score) for name, score in row.scores.items() if name in sets}
    mean = None if average is None else _share(average)
    return {**asdict(row), "suites": list(row.suites), "scores": scores, "average": mean}


def _share(value: float) -> float:
    return round(value / 100, 6)


def beside(report: Mapping[str, Any]) -> list[_Row]:
    """Published rows and ours, each of ours by exact spans and by UniNER's strings; by average, the best last."""
    by_exact, by_strings = (packaged.table("published.toml")["counting"][name] for name in ("exact", "strings"))
    own = []
    for average in report["averages"]:
        there = [row for row in report["rows"] if row["system"] == average["system"]]
        own.append(_own(average, {row["set"]: row["f1"] for row in there}, average["f1"], by_exact))
        uniner = {row["set"]: row["uniner"]["f1"] for row in there}
        own.append(_own(average, uniner, average["uniner"]["f1"], by_strings))
    return sorted([*report["published"], *own], key=lambda row: row["average"] or 0)


def _own(average: _Row, scores: Mapping[str, float], mean: float, counting: str) -> _Row:
    of_several = mean if average["sets"] > 1 else None
    return {"system": average["system"], "scores": scores, "average": of_several, "counting": counting, "source": HERE}


def anchored(report: Mapping[str, Any], sets: Sequence[str]) -> Table:
    """The rows with their scores of these sets, their average, and a letter for the way they were counted."""
    found = beside(report)
    marks = letters(found)
    lines = tuple(
        (
            (row["system"],),
            *(_score(row["scores"].get(name)) for name in sets),
            _score(row["average"]),
            (marks[row["counting"]],),
            (row["source"],),
        )
        for row in found
    )
    notes = tuple(_notes(found, marks))
    columns = ("system", *(_short(name) for name in sets), "average", "counted", "source")
    return Table("Beside it, what others have published", columns, lines, notes)


def letters(found: Iterable[_Row]) -> dict[str, str]:
    """A letter for each way of counting."""
    return dict(zip(dict.fromkeys(row["counting"] for row in found), ascii_lowercase, strict=False))


def _score(value: float | None) -> Cell:
    return () if value is None else (percent(value),)


def _short(name: str) -> str:
    """A set's name without its family's: crossner_ai is ai."""
    return name.partition("_")[2] or name


def _notes(found: Iterable[_Row], marks: Mapping[str, str]) -> Iterable[Cell]:
    yield from ((f"{letter}: {counting}.",) for counting, letter in marks.items())
    told = {row["note"]: row["system"] for row in found if row.get("note")}
    yield from ((f"{system}: {note}",) for note, system in told.items())
