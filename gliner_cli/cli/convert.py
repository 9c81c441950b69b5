"""`gliner convert`: write(read(sources))."""

from __future__ import annotations

from typing import Annotated

import typer

from gliner_cli.cli.console import say
from gliner_cli.errors import GlinerError
from gliner_cli.options import Reading, Writing


def convert(
    sources: Annotated[list[str], typer.Argument(help="Files, folders or patterns; '-': standard input.")],
    *,
    writing: Writing,
    reading: Reading,
) -> None:
    """Documents of one format in another: texts, words, entities.

    [bold]gliner convert gold.conll -o gold.jsonl[/bold]

    [bold]gliner convert export.json --from label-studio --to conll > train.conll[/bold]
    """
    from gliner_cli import formats

    formats.output_format(writing)
    problems: list[GlinerError] = []

    def problem(error: GlinerError) -> None:
        problems.append(error)
        say(error)

    formats.write(formats.read(sources, reading, problem), writing)
    if problems:
        raise typer.Exit(1)
