"""The report and the model card in Markdown, and the picture of the course of learning."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gliner_cli.checkpoint.cache import is_repository
from gliner_cli.evaluation.pictures import Mark, amounts, curves, shares, standalone

Report = Mapping[str, Any]


def report_page(report: Report) -> str:
    """The report as a person reads it."""
    return "\n".join(_report(report)) + "\n"


def model_card(report: Report, base: str) -> str:
    """The README of the checkpoint's folder, in the hub's form, which takes none but its own names as a base."""
    name = base.partition("@")[0]
    is_hub = "/" in name and is_repository(name) and not os.path.exists(name)
    named = [f"base_model: {name}"] if is_hub else []
    front = ("---", "library_name: gliner", "tags: [gliner, named-entity-recognition]", *named)
    labels = ", ".join(list(report["data"]["labels"])[:50])
    return "\n".join(
        [
            *front,
            "---",
            "# A GLiNER checkpoint, fine-tuned",
            "",
            f"Began with {base if named else os.path.basename(base)}. Taught: {labels}.",
            "",
            "```",
            f"gliner extract FILE -m FOLDER {_first_labels(report)}",
            "```",
            "",
            *_report(report),
        ]
    )


def _first_labels(report: Report) -> str:
    return " ".join(f"-l {shlex.quote(label)}" for label in list(report["data"]["labels"])[:3])


def course_picture(report: Report) -> str:
    """F1 on the dev data by step, as SVG."""
    points = [(float(step), Mark(f1, text=f"step {step}: {100 * f1:.1f}")) for step, f1 in report["course"].items()]
    most = max((step for step, _ in points), default=1.0)
    return standalone(curves("F1 on the dev data", {"F1": points}, amounts("steps", max(most, 1.0)), shares("F1")))


def _report(report: Report) -> Iterator[str]:
    data = report["data"]
    yield "## How good"
    yield ""
    yield f"Measured on {data['dev_documents']} dev documents that were not learned from; exact spans, 95 % intervals."
    yield "Thresholds were chosen on the same dev data, so their row flatters a little."
    yield ""
    yield from _table(("", "F1", "interval", "precision", "recall"), _rows(report))
    yield ""
    yield from _by_label(report)
    yield from _others(report)
    yield "## What is wrong"
    yield ""
    kinds = ", ".join(f"{kind} {count}" for kind, count in report["errors"].items()) or "nothing"
    unreachable = ", ".join(f"{why} {count}" for why, count in report["unreachable"].items() if count) or "nothing"
    yield f"With thresholds: {kinds}. Out of reach whatever is learned: {unreachable}."
    yield ""
    yield "## How it was learned"
    yield ""
    remarks = ", ".join(f"{what} {count}" for what, count in data["remarks"].items()) or "none"
    yield f"{data['documents']} documents ({data['passages']} passages, {data['annotation']} annotation),"
    yield f"{report['steps']} steps in {report['seconds']:.0f} s, the best after {report['best_step']};"
    if report["learned_share"] < 1:
        yield f"{report['learned_share']:.0%} of what was learned is in the weights, the rest is as it was before;"
    yield f"ended: {report['ended']}. Remarks on the data: {remarks}."
    yield ""
    learning = {name: value for name, value in report["settings"]["learning"].items() if value is not None}
    yield "Settings: " + ", ".join(f"{name} {value}" for name, value in learning.items()) + "."
    yield "Versions: " + ", ".join(f"{name} {value}" for name, value in report["versions"].items()) + "."


def _rows(report: Report) -> Iterator[tuple[str, ...]]:
    names = (("before", "before"), ("after", "after"), ("after_with_thresholds", "after, with its thresholds"))
    for key, name in names:
        if quality := report[key]:
            yield (
                name,
                _percent(quality["f1"]),
                _interval(quality),
                _percent(quality["precision"]),
                _percent(quality["recall"]),
            )
    if difference := report["difference"]:
        yield "difference", f"{100 * difference['f1']:+.1f}", _interval(difference), f"p = {difference['p']:.3f}", ""


def _by_label(report: Report) -> Iterator[str]:
    after = report["after_with_thresholds"]["by_label"]
    before = (report["before"] or {}).get("by_label", {})
    rows = (
        (
            label,
            str(int(now["support"])),
            _percent(before[label]["f1"]) if label in before else "",
            _percent(now["f1"]),
            str(report["thresholds"].get(label, "")),
        )
        for label, now in list(after.items())[:200]
    )
    yield from _table(("label", "gold", "F1 before", "F1 after", "threshold"), rows)
    yield ""


def _others(report: Report) -> Iterator[str]:
    if others := report["other_labels"]:
        yield "## What was forgotten"
        yield ""
        yield (
            f"F1 of {others['labels']} labels that were not taught, on the built-in suite: "
            f"{_percent(others['before'])} before, {_percent(others['after'])} after."
        )
        if kept := report["kept"]:
            yield f"F1 on what was to be kept: {_percent(kept['before'])} before, {_percent(kept['after'])} after."
        yield ""


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    yield _line(heads := tuple(heads))
    yield "|" + "---|" * len(heads)
    yield from map(_line, rows)


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"


def _interval(values: Mapping[str, float]) -> str:
    return f"{100 * values['low']:.1f} to {100 * values['high']:.1f}"
