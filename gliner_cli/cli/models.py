"""`gliner models`: what is on this machine, and what is known; `gliner models verify`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Annotated

import typer

from gliner_cli.cli.completion import completer

models_app = typer.Typer(invoke_without_command=True)

_HEADINGS = ("name", "here", "kind", "backbone", "languages", "licence", "bytes", "f1", "f1_source")


@dataclass(frozen=True)
class _Row:
    """A checkpoint as the list shows it; `here` is empty, "complete", or what is the matter with it."""

    name: str
    here: str = ""
    kind: str | None = None
    backbone: str | None = None
    languages: str | None = None
    licence: str | None = None
    size: int | None = None
    f1: float | None = None
    f1_source: str | None = None


@models_app.callback()
def models(context: typer.Context) -> None:
    """List the checkpoints on this machine, and known public ones with licence, size and published F1.

    Tab-separated where standard output is no terminal; an empty field: not known.

    [bold]gliner models[/bold]

    [bold]gliner models verify urchade/gliner_medium-v2.1[/bold]
    """
    if context.invoked_subcommand:
        return
    rows = [*_local_rows(), *_known_rows()]
    if sys.stdout.isatty():
        _print_tables(rows)
    else:
        _print_fields(rows)


@models_app.command()
def verify(
    name: Annotated[
        str, typer.Argument(help="A folder, or a hub id that was pulled.", autocompletion=completer("models"))
    ],
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit.")] = None,
) -> None:
    """Check every file of a checkpoint on this machine against its SHA-256.

    [bold]gliner models verify urchade/gliner_medium-v2.1[/bold]

    [bold]gliner models verify bundle/[/bold]
    """
    from gliner_cli.checkpoint.bundle import problems
    from gliner_cli.checkpoint.hub import located

    whole = True
    for problem in problems(located(name, revision)):
        print(f"{name}: {problem}")
        whole = False
    if not whole:
        raise typer.Exit(1)
    print(f"{name}: OK")


def _local_rows() -> list[_Row]:
    from gliner_cli.checkpoint.bundle import built_in, local_checkpoints

    return [
        _Row(local.reference, local.state, local.kind, licence=local.licence, size=local.size)
        for local in (built_in(), *local_checkpoints())
    ]


def _known_rows() -> list[_Row]:
    from gliner_cli.checkpoint.catalog import CATALOG

    return [_Row(k.name, "", k.kind, k.backbone, k.languages, k.licence, k.size, k.f1, k.f1_source) for k in CATALOG]


def _print_fields(rows: list[_Row]) -> None:
    print(*_HEADINGS, sep="\t")
    for row in rows:
        values = (
            row.name,
            row.here,
            row.kind,
            row.backbone,
            row.languages,
            row.licence,
            row.size,
            row.f1,
            row.f1_source,
        )
        print(*("" if value is None else value for value in values), sep="\t")


def _print_tables(rows: list[_Row]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    for title, headings, cells in (
        ("On this machine", ("name", "kind", "licence", "size", ""), _local_cells(rows)),
        ("Known: gliner pull NAME", ("name", "kind", "licence", "size", "F1*"), _known_cells(rows)),
    ):
        table = Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
        for heading in headings:
            table.add_column(heading, justify="right" if heading in ("size", "F1*") else "left", overflow="fold")
        for row in cells:
            table.add_row(*(Text(cell) for cell in row))
        console.print(table)
        console.print()
    console.print("* published average of the seven out-of-domain sets; who says so, and more: gliner models | cat")


def _local_cells(rows: list[_Row]) -> list[tuple[str, ...]]:
    return [(r.name, r.kind or "", r.licence or "", _megabytes(r.size), r.here) for r in rows if r.here]


def _known_cells(rows: list[_Row]) -> list[tuple[str, ...]]:
    return [
        (r.name, r.kind or "?", r.licence or "?", _megabytes(r.size), "" if r.f1 is None else f"{r.f1:.1f}")
        for r in rows
        if not r.here
    ]


def _megabytes(size: int | None) -> str:
    return "" if size is None else f"{size / 1e6:,.0f} MB"
