"""A report on disk: JSON that grows row by row, Markdown and a page of it; and what is demanded of it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from gliner_cli.errors import InputError, OutputError
from gliner_cli.evaluation.bench import FORMAT, Report
from gliner_cli.evaluation.cells import Table, text
from gliner_cli.evaluation.page import page
from gliner_cli.evaluation.tables import full, title
from gliner_cli.formats.output import opened

JSON = "report.json"


def place(folder: Path | None, file: Path | None) -> Path | None:
    """Where the JSON goes: a file of its own, or into the folder of the report; None if nowhere."""
    return file or (folder / JSON if folder else None)


def prepare(folder: Path) -> None:
    """Make the folder, before hours are spent on what could not be written."""
    hint = "Name another folder: --report DIR"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be made: {error.strerror}.", hint) from error
    if not os.access(folder, os.W_OK):
        raise OutputError(f"{folder} is write-protected.", hint)


def save(report: Report, path: Path) -> None:
    """Write the JSON, whole or not at all: a run that is broken off leaves what was done before."""
    _write(path, json.dumps(report, ensure_ascii=False, indent=1, allow_nan=False))


def save_pages(report: Report, folder: Path) -> None:
    """Write what people read: report.md and report.html."""
    _write(folder / "report.md", markdown(report))
    _write(folder / "report.html", page(report))


def _write(path: Path, content: str) -> None:
    with opened(path) as stream:
        # Half a pair of surrogates, which JSON allows in a text, is no character that a file can hold.
        stream.write(content.encode("utf-8", errors="replace"))


def load(path: Path) -> Report:
    """A report that was saved. Raises InputError for anything else."""
    path = path / JSON if path.is_dir() else path
    hint = "Make one: gliner bench --json a.json"
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", hint) from error
    except ValueError as error:
        raise InputError(f"{path} is no JSON: {error}.", hint) from error
    if not isinstance(report, dict) or report.get("format") != FORMAT:
        raise InputError(f"{path} is no report of gliner bench ({FORMAT!r} was expected).", hint)
    return report


# --- Markdown ------------------------------------------------------------------------------------------------------


def markdown(report: Report) -> str:
    """The report as Markdown: all its tables and the command."""
    head = f"# {_escaped(title(report))}\n\n```\n{report['environment']['command']}\n```\n\n"
    return head + markdown_tables(full(report))


def markdown_tables(tables: Iterable[Table]) -> str:
    """These tables, each under its title."""
    return "\n\n".join(map(_table, tables)) + "\n"


def _table(table: Table) -> str:
    sides = ["---" if number < table.names else "---:" for number in range(len(table.columns))]
    rows = [table.columns, sides, *(tuple(map(text, row)) for row in table.rows)]
    lines = ["| " + " | ".join(map(_escaped, row)) + " |" for row in rows]
    return "\n".join(
        [f"## {_escaped(table.title)}", "", *lines, *(f"\n{_escaped(text(note))}" for note in table.notes)]
    )


def _escaped(content: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return re.sub(r"([\\|`*_<>\[\]])", r"\\\1", " ".join(content.split())) if content.strip("-:") else content


# --- Demands -------------------------------------------------------------------------------------------------------

_SHARES = {"F1": "f1", "P": "precision", "R": "recall"}
_RATE = "words/s"


def demands(arguments: Sequence[str]) -> dict[str, float]:
    """What --fail-under asks: the least value by its name. F1, P and R may be shares or percent."""
    return dict(map(_demand, arguments))


def _demand(argument: str) -> tuple[str, float]:
    name, _, number = argument.partition("=")
    if name not in (*_SHARES, _RATE) or not re.fullmatch(r"\d+(\.\d*)?|\.\d+", number):
        raise InputError(
            f"--fail-under is {argument!r}; F1, P, R or words/s and a number were expected.", "--fail-under F1=0.35"
        )
    value = float(number)
    return name, value / 100 if name in _SHARES and value > 1 else value


def failures(report: Report, asked: dict[str, float]) -> Iterator[str]:
    """What the first system falls short of, in words; of what was not measured, too."""
    for name, least in asked.items():
        value = _reached(report, name)
        if value is None:
            yield f"{name} was not measured, at least {least:g} was asked"
        elif value < least:
            yield f"{name} is {value:.4g}, at least {least:g} was asked"


def _reached(report: Report, name: str) -> float | None:
    if name == _RATE:
        measured = (report["speed"] or {}).get("systems", {})
        return next((float(one["words_per_second"]["median"]) for one in measured.values()), None)
    return next((float(average[_SHARES[name]]) for average in report["averages"]), None)
