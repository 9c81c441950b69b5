"""A report as one HTML page: nothing is fetched, no script is needed, light and dark as the reader's system is.

Every number carries its exact value, in `<data value>` or in a picture's `data-v`, and that value is in the JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

from gliner_cli.evaluation import figures, packaged, tables
from gliner_cli.evaluation.anchors import HERE, anchored
from gliner_cli.evaluation.bench import Report
from gliner_cli.evaluation.cells import Cell, Number, Table, between, count, factor, percent, seconds, size
from gliner_cli.evaluation.pictures import tag
from gliner_cli.formats.page import house

Row = Mapping[str, Any]


def page(report: Report) -> str:
    """The whole page."""
    title = tables.title(report)
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        + tag("title", escape(title))
        + tag("style", house() + packaged.path("page.css").read_text(encoding="utf-8"))
    )
    body = tag("main", "".join(_body(report, title)))
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>{body}</body></html>\n'


def _body(report: Report, title: str) -> Iterator[str]:
    when = report["environment"]["when"]
    stamp = tag("time", when.replace("T", " ").replace("Z", " UTC"), datetime=when)
    yield tag("header", tag("p", f"gliner bench, {stamp}") + tag("h1", escape(title)))
    yield tag("dl", "".join(_tiles(report)), class_="tiles")
    for heading, drawn in _SECTIONS.items():
        if parts := "".join(drawn(report)):
            yield tag("section", tag("h2", heading) + parts)


# --- Parts of a page -----------------------------------------------------------------------------------------------


def _text(cell: Cell) -> str:
    return "".join(escape(part) if isinstance(part, str) else _number(part) for part in cell)


def _number(number: Number) -> str:
    return tag("data", escape(number.text), value=repr(number.value))


def _table(table: Table, kind: str = "wide") -> str:
    head = _line("th", map(escape, table.columns), table.names) if any(table.columns) else ""
    rows = (_line("td", map(_text, row), table.names, _is_sum(row)) for row in table.rows)
    body = tag("thead", head) + tag("tbody", "".join(rows))
    return tag("div", tag("table", body), class_=kind) + "".join(map(_note, table.notes))


def _line(kind: str, parts: Iterable[str], names: int, total: bool = False) -> str:
    row = "".join(
        tag(kind, part, **({"class_": "name"} if number < names else {})) for number, part in enumerate(parts)
    )
    return tag("tr", row, **({"class_": "sum"} if total else {}))


def _is_sum(row: Sequence[Cell]) -> bool:
    return any(cell in ((tables.AVERAGE,), (tables.POOLED,), (HERE,)) for cell in row)


def _note(cell: Cell) -> str:
    return tag("p", _text(cell), class_="note warning" if str(cell[0]).startswith("NOT ") else "note")


def _tiles(report: Report) -> Iterator[str]:
    """The few numbers that most readers came for."""
    for average in report["averages"][:1]:
        where = "mean of the sets" if average["sets"] > 1 else next(iter(report["sets"]))
        spread = between(percent, average["low"], average["high"])
        yield _tile(f"F1, {where}", percent(average["f1"]), "95 %: ", *spread)
    for one in list((report["speed"] or {}).get("systems", {}).values())[:1]:
        rate = one["words_per_second"]
        yield _tile("words a second", count(rate["median"]), "quartiles ", *between(count, rate["low"], rate["high"]))
        if one.get("memory"):
            yield _tile("most memory", size(one["memory"]), "first answer after ", seconds(one["first"]))
    for one in (report["speed"] or {}).get("ratios", []):
        spread = between(factor, one["low"], one["high"])
        yield _tile(f"times as fast as {one['against']}", factor(one["median"]), "quartiles ", *spread)


def _tile(name: str, value: Number, *more: Number | str) -> str:
    return tag("div", tag("dt", escape(name)) + tag("dd", _number(value)) + tag("dd", _text(more)))


# --- Sections ------------------------------------------------------------------------------------------------------


def _good(report: Report) -> Iterator[str]:
    if not report["rows"]:
        return
    yield figures.by_set(report) + _table(tables.quality(report))
    if tables.of_services(report):
        yield tag("h3", "Services") + _table(tables.services(report))
    if report["differences"]:
        table = tables.differences(report)
        yield tag("h3", escape(table.title)) + _table(table)


def _beside(report: Report) -> Iterator[str]:
    if report["published"]:
        yield figures.averages(report) + _table(anchored(report))


def _fast(report: Report) -> Iterator[str]:
    if report["speed"]:
        yield figures.speed(report) + _table(tables.speed(report))


def _grows(report: Report) -> Iterator[str]:
    yield from figures.growth(report)
    if report["sweeps"]:
        yield _table(tables.sweeps(report))


def _by_score(report: Report) -> Iterator[str]:
    for average in report["averages"]:
        swept = figures.thresholds(average) if average["sweep"] else ""
        drawn = swept + (figures.calibration(average) if average["reliability"] else "")
        heading = tag("h3", escape(average["system"])) if len(report["averages"]) > 1 and drawn else ""
        yield heading + drawn


def _wrong(report: Report) -> Iterator[str]:
    if report["rows"]:
        yield _table(tables.errors(report)) + _table(tables.protocols(report))


def _each(report: Report) -> Iterator[str]:
    """The first system, set by set; the others beside it where they fit."""
    first = next(iter(report["systems"]))
    for row in report["rows"]:
        if row["system"] == first:
            others = [one for one in report["rows"] if one["set"] == row["set"]]
            yield _one_set(row, others, opened=len(report["sets"]) == 1)


def _one_set(row: Row, all_of_it: Sequence[Row], opened: bool) -> str:
    said = _text((count(row["documents"]), " documents, F1 ", percent(row["f1"])))
    summary = tag("summary", f"{escape(row['set'])} {tag('span', said)}")
    drawn = figures.by_label(row, all_of_it) + figures.confusion(row)
    content = summary + drawn + _table(tables.labels(row)) + _examples(row["examples"])
    return tag("details", content, **({"open": ""} if opened else {}))


def _examples(examples: Iterable[Row]) -> str:
    items = "".join(tag("li", _example(one)) for one in examples)
    return tag("h3", "Examples of errors") + tag("ul", items, class_="examples") if items else ""


def _example(one: Row) -> str:
    sides = (f"{side}: {_side(one[side])}" for side in ("gold", "found") if one[side])
    shown = f"{escape(one['before'])}{tag('mark', escape(one['text']))}{escape(one['after'])}"
    return tag("b", escape(one["kind"])) + shown + tag("small", "; ".join(sides))


def _side(entity: Row) -> str:
    score = "" if entity["score"] is None else " " + _number(factor(entity["score"]))
    return f"“{escape(entity['text'])}” as {escape(entity['label'])}{score}"


def _again(report: Report) -> Iterator[str]:
    yield tag("pre", escape(report["environment"]["command"])) + _table(tables.environment(report), "wide card")


_SECTIONS: Mapping[str, Callable[[Report], Iterator[str]]] = {
    "How good": _good,
    "Beside what others have published": _beside,
    "How fast": _fast,
    "How cost grows": _grows,
    "Thresholds and calibration": _by_score,
    "What goes wrong": _wrong,
    "Set by set": _each,
    "The same again": _again,
}
