"""`gliner bench`: for each system, for each set, measure(score(gold, system.extract(gold, labels)))."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gliner_cli.cli.completion import completer
from gliner_cli.cli.console import note, say
from gliner_cli.errors import InputError
from gliner_cli.options import Benching, Choice, Comparing, Computing, Extraction, Reporting, Timing

if TYPE_CHECKING:
    from gliner_cli.evaluation.bench import Report
    from gliner_cli.evaluation.cells import Table
    from gliner_cli.text.labels import Labels


def bench(
    label: Annotated[
        list[str] | None,
        typer.Option(
            "-l",
            "--label",
            help="Ask for these only: -l person -l drug. All that a set has if not given.",
            autocompletion=completer("labels"),
        ),
    ] = None,
    labels_file: Annotated[
        Path | None,
        typer.Option("--labels", help="Labels from a file: one a line, or JSON with descriptions and thresholds."),
    ] = None,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No notes; tables and errors only.")] = False,
    *,
    benching: Benching,
    timing: Timing,
    comparing: Comparing,
    reporting: Reporting,
    extraction: Extraction,
    choice: Choice,
    computing: Computing,
) -> None:
    """How good, how fast, at what cost, and compared with what.

    [bold]gliner bench[/bold]  (the starter on the built-in suite, offline, about a minute)

    [bold]gliner bench --suite ood --model urchade/gliner_medium-v2.1 --report out/[/bold]

    [bold]gliner bench --data my-gold.jsonl -l person -l drug[/bold]

    [bold]gliner bench --speed --against gliner --repeat 7[/bold]

    [bold]gliner bench --against openai:gpt-4o-mini --price in=0.15,out=0.60 --budget 2[/bold]

    [bold]gliner bench --compare a.json b.json[/bold]
    """
    from gliner_cli.evaluation import bench as benches
    from gliner_cli.evaluation import report as reports
    from gliner_cli.evaluation.request import Asked, request

    if reporting.compare:
        _show(_compared(*reporting.compare))
        return
    demanded = reports.demands(reporting.fail_under or [])
    path = reports.place(reporting.report, reporting.json)
    asked = Asked(benching, timing, comparing, extraction, choice, computing, _labels(label or [], labels_file))
    wanted = request(
        asked, shlex.join(["gliner", *sys.argv[1:]]), say, _kept(path, reporting.resume), _silent if quiet else note
    )
    for folder in (path and path.parent, reporting.report):
        if folder:
            reports.prepare(folder)
    report: Report = {}
    for report in benches.grown(wanted):
        if path:
            reports.save(report, path)
    _finish(report, reporting, path, quiet)
    if short := list(reports.failures(report, demanded)):
        note("; ".join(short))
        raise typer.Exit(1)


def _silent(_: str) -> None:
    pass


def _labels(arguments: list[str], file: Path | None) -> Labels | None:
    from gliner_cli.text import labels

    parts = [*([labels.parsed(arguments)] if arguments else []), *([labels.from_file(file)] if file else [])]
    return labels.merged(*parts) if parts else None


def _kept(path: Path | None, resume: bool) -> Report | None:
    from gliner_cli.evaluation.report import load

    if not resume:
        return None
    if path is None:
        raise InputError("--resume was given, but not where the report is.", "--report DIR or --json FILE")
    return load(path) if path.exists() else None


def _compared(a: Path, b: Path) -> Iterable[Table]:
    from gliner_cli.evaluation.comparison import tables
    from gliner_cli.evaluation.report import load

    return tables(load(a), load(b))


def _finish(report: Report, reporting: Reporting, path: Path | None, quiet: bool) -> None:
    from gliner_cli.evaluation.report import save_pages
    from gliner_cli.evaluation.tables import brief

    _show(brief(report))
    if reporting.report:
        save_pages(report, reporting.report)
    if path and not quiet:
        note(f"report in {reporting.report or path}; the same again: {report['environment']['command']}")


def _show(tables: Iterable[Table]) -> None:
    """Tables for people on a terminal, Markdown where the output goes elsewhere."""
    if not sys.stdout.isatty():
        from gliner_cli.evaluation.report import markdown_tables

        print(markdown_tables(tables), end="")
        return
    from rich.console import Console

    from gliner_cli.cli.render import print_tables

    print_tables(tables, Console(highlight=False))
