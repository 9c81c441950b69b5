"""Two reports: the second against the first, with significance. Made from the tallies that each row keeps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gliner_cli.errors import InputError
from gliner_cli.evaluation.bench import Report, by_set
from gliner_cli.evaluation.cells import Cell, Number, Table, between, count, percent, signed
from gliner_cli.evaluation.quality import unpacked
from gliner_cli.evaluation.tables import flat

_OF_THE_DAY = ("when", "command", "load_before")  # of an environment, what differs always


def compared(a: Report, b: Report) -> list[dict[str, Any]]:
    """A row for each system and set that both have: F1 in each, the difference, its interval and p.

    Systems go by their names; where no name is in both, the first of each. Raises InputError if the two have no gold
    data in common: the same name is not enough, texts, gold and labels must be the same.
    """
    pairs = [row for ours, theirs in _systems(a, b) for row in _rows(a, b, ours, theirs)]
    if not pairs:
        raise InputError(
            f"The reports have no set in common: {', '.join(a['sets'])}; {', '.join(b['sets'])}.",
            "Measure both on the same data, labels and --limit.",
        )
    return pairs


def _systems(a: Report, b: Report) -> list[tuple[str, str]]:
    both = [(name, name) for name in a["systems"] if name in b["systems"]]
    return both or [(next(iter(a["systems"])), next(iter(b["systems"])))]


def _rows(a: Report, b: Report, ours: str, theirs: str) -> Iterator[dict[str, Any]]:
    left, right = _by_set(a, ours), _by_set(b, theirs)
    same = [name for name in left if name in right and a["sets"][name]["digest"] == b["sets"][name]["digest"]]
    tallied = {name: (unpacked(left[name]["tallies"]), unpacked(right[name]["tallies"])) for name in same}
    for row in by_set(tallied) if tallied else ():
        yield {"system": ours if ours == theirs else f"{ours} and {theirs}", **row}


def _by_set(report: Report, system: str) -> Mapping[str, Any]:
    return {row["set"]: row for row in report["rows"] if row["system"] == system}


def changed(a: Report, b: Report) -> list[tuple[str, str, str]]:
    """The settings, versions and machines that are not the same: name, and value in each."""
    names, other_names = zip(*_systems(a, b), strict=True)
    left, right = dict(_facts(a, names)), dict(_facts(b, other_names))
    return [
        (name, left.get(name, ""), right.get(name, ""))
        for name in dict.fromkeys([*left, *right])
        if left.get(name) != right.get(name)
    ]


def _facts(report: Report, systems: Sequence[str]) -> Iterator[tuple[str, str]]:
    environment = {key: value for key, value in report["environment"].items() if key not in _OF_THE_DAY}
    abouts = {f"system {number}": report["systems"][name] for number, name in enumerate(systems, 1)}
    yield from ((name, str(one)) for name, one in flat("", {**environment, **abouts, **report["settings"]}))


def tables(a: Report, b: Report) -> Iterator[Table]:
    """What is shown of it."""
    rows = tuple(_row(row) for row in compared(a, b))
    said = (
        "F1 in percent. The interval is a paired bootstrap over documents; p, by approximate randomisation, is how "
        "often chance alone makes a difference as large."
    )
    columns = ("system", "set", "first", "second", "difference", "95 %", "p")
    yield Table("The second report against the first", columns, rows, ((said,),), 2)
    if speeds := tuple(_speeds(a, b)):
        said = "Not measured in one run: only a bench of both systems together is paired."
        yield Table("Words a second", ("system", "first", "second", "ratio"), speeds, ((said,),))
    if facts := changed(a, b):
        yield Table(
            "What else is not the same",
            ("", "first", "second"),
            tuple(tuple((part,) for part in one) for one in facts),
            names=3,
        )


def _row(row: Mapping[str, Any]) -> tuple[Cell, ...]:
    name, p = row["set"] or "all as one set", Number(row["p"], f"{row['p']:.3f}")
    scores = (percent(row["a"]),), (percent(row["b"]),), (signed(row["f1"]),)
    return (row["system"],), (name,), *scores, between(signed, row["low"], row["high"]), (p,)


def _speeds(a: Report, b: Report) -> Iterator[tuple[Cell, ...]]:
    left, right = ((report["speed"] or {}).get("systems", {}) for report in (a, b))
    for name in left:
        if name in right:
            rates = [one[name]["words_per_second"]["median"] for one in (left, right)]
            ratio = rates[1] / rates[0]
            yield (name,), (count(rates[0]),), (count(rates[1]),), (Number(ratio, f"{ratio:.2f}"),)
