"""What others have published, beside what was measured here: the same sets, and for each the way it was counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from string import ascii_lowercase
from typing import Any

from gliner_cli.evaluation import corpora, packaged
from gliner_cli.evaluation.cells import Cell, Table, count, percent
from gliner_cli.evaluation.published import Published, rows

HERE = "measured here"
_NEAREST = 12  # published rows that the terminal shows
_Row = Mapping[str, Any]


def published(sets: Sequence[str]) -> list[dict[str, Any]]:
    """The published rows that may stand beside these sets, F1 as shares like all others in a report.

    Where all sets of a suite were measured, what was published of the suite as a whole; of other sets, whatever there
    is of them. An average stands there only if it is over just as many sets as its suite has here.
    """
    whole = {name: members for name, members in corpora.suites().items() if set(members) <= set(sets)}
    single = set(sets).difference(*whole.values())
    notes = {table["name"]: table.get("note", "") for table in packaged.table("published.toml")["tables"]}
    sizes = {name: len(members) for name, members in whole.items()}
    near = (row for row in rows() if whole.keys() & set(row.suites) or single & row.scores.keys())
    here = (_narrowed(row, sets, sizes, notes[row.table]) for row in near if row.unit == "F1")
    return [row for row in here if row["scores"] or row["average"] is not None]


def _narrowed(row: Published, sets: Sequence[str], sizes: Mapping[str, int], note: str) -> dict[str, Any]:
    """The row with the scores of these sets only; `note` is what is said of its whole table."""
    average = row.average if row.of in [sizes.get(suite, -1) for suite in row.suites] else None
    told = asdict(row) | {"suites": list(row.suites), "note": row.note.removeprefix(note).strip(), "table_note": note}
    scores = {name: _share(score) for name, score in row.scores.items() if name in sets}
    return told | {"scores": scores, "average": None if average is None else _share(average)}


def _share(value: float) -> float:
    return round(value / 100, 6)


def beside(report: Mapping[str, Any]) -> list[_Row]:
    """Published rows and ours, each of ours by exact spans and by UniNER's strings; by average, the best first."""
    by_exact, by_strings = (packaged.table("published.toml")["counting"][name] for name in ("exact", "strings"))
    own = []
    for average in report["averages"]:
        there = [row for row in report["rows"] if row["system"] == average["system"]]
        own.append(_own(average, {row["set"]: row["f1"] for row in there}, average["f1"], by_exact))
        uniner = {row["set"]: row["uniner"]["f1"] for row in there}
        own.append(_own(average, uniner, average["uniner"]["f1"], by_strings))
    return sorted([*own, *report["published"]], key=lambda row: -(row["average"] or 0))


def _own(average: _Row, scores: Mapping[str, float], mean: float, counting: str) -> _Row:
    of_several = mean if average["sets"] > 1 else None
    return {"system": average["system"], "scores": scores, "average": of_several, "counting": counting, "source": HERE}


def letters(found: Sequence[_Row]) -> dict[str, str]:
    """A letter for each way of counting, the first ones for ours."""
    ours_first = sorted(found, key=lambda row: row["source"] != HERE)
    return dict(zip(dict.fromkeys(row["counting"] for row in ours_first), ascii_lowercase, strict=False))


def anchored(report: Mapping[str, Any]) -> Table:
    """All rows: average, the letter for the way of counting, the single sets, the source; and what is said of them."""
    found, sets = beside(report), list(report["sets"])
    table = _table(found, sets)
    return Table(table.title, table.columns, table.rows, (*table.notes, *_remarks(found)))


def nearest(report: Mapping[str, Any]) -> Table:
    """The rows whose averages (of a single set: scores) are nearest to that of our first system, without the sets."""
    sets = [] if len(report["sets"]) > 1 else list(report["sets"])
    there = [(value, row) for row in beside(report) if (value := _value(row, sets)) is not None]
    ours = next(value for value, row in there if row["source"] == HERE)
    own = [row for _, row in there if row["source"] == HERE]
    others = sorted((abs(value - ours), number) for number, (value, row) in enumerate(there) if row["source"] != HERE)
    chosen = {number for _, number in others[:_NEAREST]}
    table = _table([row for number, (_, row) in enumerate(there) if number in chosen or row in own], sets)
    left = len(others) - len(chosen)
    more: Cell = (count(left), " more are in the report: --report DIR") if left else ()
    lines = tuple(
        ((*name, f", {HERE}"), *cells) if source == (HERE,) else (name, *cells) for name, *cells, source in table.rows
    )
    return Table(table.title, table.columns[:-1], lines, (*table.notes, *([more] if more else [])))


def _value(row: _Row, sets: Sequence[str]) -> float | None:
    value: float | None = row["scores"].get(sets[0]) if sets else row["average"]
    return value


def _table(found: Sequence[_Row], sets: Sequence[str]) -> Table:
    marks, means = letters(found), any(row["average"] is not None for row in found)
    lines = tuple(
        (
            (row["system"],),
            *([_score(row["average"])] if means else []),
            (marks[row["counting"]],),
            *(_score(row["scores"].get(name)) for name in sets),
            (row["source"],),
        )
        for row in found
    )
    columns = ("system", *(["average"] if means else []), "counted", *map(_short, sets), "source")
    notes: tuple[Cell, ...] = tuple((f"{letter}: {counting}.",) for counting, letter in marks.items())
    return Table("Beside it, what others have published", columns, lines, notes)


def _score(value: float | None) -> Cell:
    return () if value is None else (percent(value),)


def _short(name: str) -> str:
    """A set's name without its family's: crossner_ai is ai."""
    return name.partition("_")[2] or name


def _remarks(found: Sequence[_Row]) -> Iterator[Cell]:
    """What is said of whole tables, and then of single rows; how surely we know a row, if we did not read it."""
    others = [row for row in found if row["source"] != HERE]
    tables = {row["title"]: row["table_note"] for row in others if row["table_note"]}
    yield from ((f"{title}: {said}",) for title, said in tables.items())
    if single := [f"{row['system']}: {said}" for row in others if (said := _remark(row))]:
        yield (f"{'; '.join(single)}.",)


def _remark(row: _Row) -> str:
    return ", ".join(filter(None, (row["note"], "" if row["known"] == "read" else row["known"])))
