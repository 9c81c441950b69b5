"""The tables of a report, out of its numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from gliner_cli.evaluation import cells
from gliner_cli.evaluation.anchors import anchored, nearest
from gliner_cli.evaluation.bench import Report
from gliner_cli.evaluation.cells import Cell, Number, Shown, Table, between, count, percent, seconds, signed, spread

AVERAGE = "average"
POOLED = "all as one"
_MODES = ("strict", "exact", "partial", "type")
_KINDS = ("missed", "spurious", "wrong label", "wrong boundary", "wrong both")
_REASONS = ("wider than the network reads", "not on word boundaries")
_ASKED = ("requests", "retries", "failed", "malformed", "hallucinated", "prompt_tokens", "completion_tokens")
_BUSY = 0.25  # of each core, on average over the minute before
Row = Mapping[str, Any]


def title(report: Report) -> str:
    """What was measured, in a line."""
    names, benching = list(report["systems"]), report["settings"].get("benching", {})
    checkpoint = report["systems"][names[0]].get("checkpoint", names[0])
    against = f" against {', '.join(names[1:])}" if names[1:] else ""
    data = [*(benching.get("suite") or []), *(benching.get("data") or [])]
    return f"{checkpoint}{against} on {', '.join(data) or 'the built-in suite'}"


def brief(report: Report) -> Iterator[Table]:
    """What the terminal shows."""
    if report["rows"]:
        yield quality(report)
    if report["published"]:
        yield nearest(report)
    yield from _measures(report)


def full(report: Report) -> Iterator[Table]:
    """What Markdown shows."""
    if report["rows"]:
        yield quality(report)
    if report["published"]:
        yield anchored(report)
    yield from _measures(report)
    if report["rows"]:
        yield protocols(report)
        yield errors(report)
    if report["differences"]:
        yield differences(report)
    yield environment(report)


def _measures(report: Report) -> Iterator[Table]:
    if of_services(report):
        yield services(report)
    if report["speed"]:
        yield speed(report)
    if report["sweeps"]:
        yield sweeps(report)


# --- How good ------------------------------------------------------------------------------------------------------


def quality(report: Report) -> Table:
    """A row for each system and set; the system's name only where there are several."""
    many = len(report["systems"]) > 1
    rows = []
    for name in report["systems"]:
        rows += [((name,), *cells) if many else cells for cells in _scores(report, name)]
    columns = ("system",) * many + ("set", "gold", "P", "R", "F1", "95 %", "macro", "UniNER")
    return Table("How good: exact spans, in percent", columns, tuple(rows), tuple(_quality_notes(report)), 1 + many)


def _scores(report: Report, system: str) -> Iterator[tuple[Cell, ...]]:
    own = [row for row in report["rows"] if row["system"] == system]
    yield from (_scored(row["set"], row) for row in own)
    for average in report["averages"]:
        if average["system"] == system and len(own) > 1:
            yield _scored(AVERAGE, average)
            yield _scored(POOLED, average["pooled"])


def _scored(name: str, row: Row) -> tuple[Cell, ...]:
    gold: Cell = (count(row["entities"]),) if "entities" in row else ()
    ratios = ((percent(row[part]),) for part in ("precision", "recall", "f1"))
    macro: Cell = (percent(row["macro_f1"]),) if "macro_f1" in row else ()
    uniner: Cell = (percent(row["uniner"]["f1"]),) if "uniner" in row else ()
    return (name,), gold, *ratios, between(percent, row["low"], row["high"]), macro, uniner


def _quality_notes(report: Report) -> Iterator[Cell]:
    yield (
        "95 %: of F1, by bootstrap over documents. Macro: the labels' mean F1. UniNER: F1 of strings without places.",
    )
    for average in report["averages"]:
        if best := average["best"]:
            yield (
                f"The best threshold of {average['system']} on this data: ", cells.factor(best["threshold"]), ", F1 ",
                percent(best["f1"]), "; an oracle's, as it was chosen on the data it is scored on.",
            )  # fmt: skip
    for one in report["differences"]:
        if one["set"] is None or len(report["sets"]) == 1:
            yield (
                f"{one['system']} against {one['against']}, all documents: ", signed(one["f1"]), " (",
                *between(signed, one["low"], one["high"]), "), p = ", _probability(one["p"]), ".",
            )  # fmt: skip


def _probability(value: float) -> Number:
    return Number(value, f"{value:.3f}")


def differences(report: Report) -> Table:
    """Each other system against the first."""
    rows = tuple(
        (
            (one["system"],),
            (one["set"] or POOLED,),
            (signed(one["f1"]),),
            between(signed, one["low"], one["high"]),
            (_probability(one["p"]),),
        )
        for one in report["differences"]
    )
    said = "F1 in points. The interval is a paired bootstrap over documents; p is by approximate randomisation."
    first = report["differences"][0]["against"]
    return Table(f"Against {first}", ("system", "set", "F1", "95 %", "p"), rows, ((said,),), 2)


def protocols(report: Report) -> Table:
    """F1 by other ways of counting."""
    means = [average for average in report["averages"] if average["sets"] > 1]
    rows = tuple(
        (
            (row["system"],),
            (row.get("set", AVERAGE),),
            (percent(row["f1"]),),
            *((percent(row["semeval"][mode]["f1"]),) for mode in _MODES),
            (percent(row["uniner"]["f1"]),),
        )
        for row in [*report["rows"], *means]
    )
    said = (
        "F1 in percent. Ours: exact spans as sets, as the reference package counts. Strict, exact (boundaries alone), "
        "partial (boundaries, half for an overlap) and type (label, with any overlap) are SemEval-2013's. UniNER: "
        "strings without places, each once a document."
    )
    columns = ("system", "set", "ours", *_MODES, "UniNER")
    return Table("The same answers by other protocols", columns, rows, ((said,),), 2)


def errors(report: Report) -> Table:
    """How many of each kind, and how many gold entities no score could find."""
    rows = tuple(
        (
            (row["system"],),
            (row["set"],),
            *(_counted(row["errors"], kind) for kind in _KINDS),
            *(_counted(row["unreachable"], reason) for reason in _REASONS),
        )
        for row in report["rows"]
    )
    return Table("What goes wrong", ("system", "set", *_KINDS, *_REASONS), rows, names=2)


def _counted(counts: Mapping[str, int], name: str) -> Cell:
    return (count(counts[name]),) if counts.get(name) else ()


def labels(row: Row) -> Table:
    """One row of the report, label by label."""
    rows = tuple(_scored(label, one)[:6] for label, one in row["by_label"].items())
    return Table("Label by label", ("label", "entities", "P", "R", "F1", "95 % of F1"), rows)


# --- Services ------------------------------------------------------------------------------------------------------


def of_services(report: Report) -> list[Row]:
    """The rows of systems that are asked over a network."""
    return [row for row in report["rows"] if "requests" in row["usage"]]


def services(report: Report) -> Table:
    """What was asked, what came back, and what it cost."""
    rows = tuple(
        (
            (row["system"],),
            (row["set"],),
            *((count(row["usage"][name]),) for name in _ASKED),
            (Number(row["usage"]["cost"], f"{row['usage']['cost']:.4f}"),),
            _joined(seconds, row["latency"], "p50", "p95") if "latency" in row else (),
        )
        for row in of_services(report)
    )
    columns = ("system", "set", *(name.replace("_", " ") for name in _ASKED), "cost", "p50/p95")
    notes = tuple(_unanswered(row) for row in report["rows"] if "answered" in row)
    return Table("What was asked of services", columns, rows, notes, 2)


def _unanswered(row: Row) -> Cell:
    there = row["answered"]
    return (
        f"NOT ALL ANSWERED: of {row['set']}, {row['system']} answered ", count(there["documents"]), " documents of ",
        count(row["documents"]), ", with F1 ", percent(there["f1"]), " on these; the others count as missed.",
    )  # fmt: skip


# --- How fast ------------------------------------------------------------------------------------------------------

# A measure: what it is called, and its cell from one system's entry. What was not measured has no cell.
_MEASURES: Mapping[str, Callable[[Row], Cell]] = {
    "words a second": lambda one: spread(count, one["words_per_second"]),
    "pieces a second": lambda one: (count(one["pieces_per_second"]),),
    "documents a second": lambda one: spread(cells.amount, one["documents_per_second"]),
    "one document, p50/p95/p99": lambda one: _joined(seconds, one["latency"], "p50", "p95", "p99"),
    "loaded after": lambda one: (seconds(one["loaded"]),),
    "first answer after": lambda one: (seconds(one["first"]),),
    "most memory": lambda one: (cells.size(one["memory"]),),
    "most memory of the GPU": lambda one: (cells.size(one["gpu_memory"]),),
    "processor time of a run": lambda one: (seconds(one["cpu"]["median"]),),
    "% of multiplying speed": lambda one: (percent(one["share_of_matmul"]),),
    "documents an hour": lambda one: (count(one["documents_per_hour"]),),
    "a million documents cost": lambda one: (cells.factor(one["per_million_documents"]),),
    "× the seconds of the first": lambda one: spread(cells.factor, one["ratio"]),
}


def _joined(show: Shown, values: Row, *names: str) -> Cell:
    first, *others = (show(values[name]) for name in names)
    return (first, *(part for other in others for part in ("/", other)))


def speed(report: Report) -> Table:
    """A column for each system, services too, as far as they can be told."""
    measured = report["speed"]
    ratios = {one["against"]: {"ratio": one} for one in measured["ratios"]}
    billed = {one["system"]: one for one in report["costs"]}
    names = [name for name in report["systems"] if name in measured["systems"] or name in billed]
    entries = [measured["systems"].get(name, {}) | billed.get(name, {}) | ratios.get(name, {}) for name in names]
    rows = ((name, [_cell(show, one) for one in entries]) for name, show in _MEASURES.items())
    shown = tuple(((name,), *found) for name, found in rows if any(found))
    return Table("How fast: medians, with quartiles in brackets", ("", *names), shown, tuple(_speed_notes(report)))


def _cell(show: Callable[[Row], Cell], one: Row) -> Cell:
    try:
        return show(one)
    except (KeyError, TypeError):  # it was not measured, or None: it cannot be, here
        return ()


def _speed_notes(report: Report) -> Iterator[Cell]:
    measured, threads = report["speed"], report["environment"]["threads"]
    yield (
        count(measured["repeat"]), " runs each, in turn, after ", count(measured["warm_up"]), " to warm up, on ",
        count(threads), " threads; the harness itself took ", percent(measured["harness"]), " % of the time.",
    )  # fmt: skip
    if (load := report["environment"]["load_before"]) and load > _BUSY * report["environment"]["cores"]:
        yield (
            "The machine was busy when this began, load ",
            cells.amount(load),
            ": nothing here is as fast as it can be.",
        )
    yield from map(_agreement, measured["agreement"])


def _agreement(one: Row) -> Cell:
    ours, other, distance = one["system"], one["against"], one["largest_score_difference"]
    scores: Cell = () if distance is None else (", scores at most ", Number(distance, f"{distance:.1e}"), " apart")
    if not one["only_ours"] + one["only_theirs"]:
        return f"{other} found the same entities as {ours}: ", count(one["equal"]), *scores, "."
    return (
        f"NOT THE SAME WORK: {other} and {ours} agree on ", count(one["equal"]), " entities, ", count(one["only_ours"]),
        f" only {ours} found, ", count(one["only_theirs"]), f" only {other}", *scores, ".",
    )  # fmt: skip


def sweeps(report: Report) -> Table:
    """How cost grows, a row for each value and system."""
    rows = tuple(
        (
            (f"{row['axis']} = ", count(row["value"])),
            (row["system"],),
            spread(count, row["words_per_second"]),
            (seconds(row["document"]),),
        )
        for row in report["sweeps"]
    )
    return Table("How cost grows", ("", "system", "words a second", "a document"), rows, names=2)


# --- On what, and how ----------------------------------------------------------------------------------------------


def environment(report: Report) -> Table:
    """The machine, the versions, the systems and the settings: name and value."""
    facts = [
        *flat("", report["environment"]),
        *(fact for name, about in report["systems"].items() for fact in flat(name, about)),
        *flat("", report["settings"]),
    ]
    rows = tuple(((name.replace("_", " "),), _plain(value)) for name, value in facts)
    return Table("The machine and the settings", ("", ""), rows, names=2)


def flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """What is set in a nest of settings, each under its whole name."""
    if isinstance(value, Mapping):
        for part, inner in value.items():
            yield from flat(f"{name} {part}".strip(), inner)
    elif not (value is None or value is False or value == []):  # 0 is a setting
        yield name, value


def _plain(value: Any) -> Cell:
    match value:
        case bool():
            return ("yes",)
        case int() | float():
            return (Number(value, f"{value:,}"),)
        case list() | tuple():
            return (", ".join(map(str, value)),)
    return (str(value),)
