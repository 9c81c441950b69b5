"""`gliner convert`: write(read(sources))."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from gliner_cli.cli import findings, told, watching
from gliner_cli.cli.console import progress, speak, watched
from gliner_cli.cli.problems import Problems
from gliner_cli.cli.tally import Tally
from gliner_cli.options import Failing, Job, Reading, Telling, Writing
from gliner_cli.types import Document

if TYPE_CHECKING:
    from gliner_cli.jobs.run import Run


def convert(
    sources: Annotated[list[str], typer.Argument(help="Files, folders or patterns; '-': standard input.")],
    *,
    writing: Writing,
    reading: Reading,
    failing: Failing,
    telling: Telling,
) -> None:
    """Documents of one format in another: texts, words, entities.

    [bold]gliner convert gold.conll -o gold.jsonl[/bold]

    [bold]gliner convert export.json --from label-studio --to conll > train.conll[/bold]
    """
    from gliner_cli import formats
    from gliner_cli.jobs.run import Run

    speak(telling.log)
    formats.output_format(writing)
    problems = Problems(failing.on_error, writing.output, sources)
    tally, run = Tally(), Run(problems)
    to_file = writing.output is not None or not sys.stdout.isatty()
    watch = watching.watch(run, Job(), sources, reading) if watched(telling, not to_file) else None
    documents = formats.read(sources, reading, run.failed, told.begun(telling, watch), writing)
    documents = _passed(watch.documents(documents), run) if watch else documents
    with progress(watch.now if watch else None):
        formats.write(tally.counting(documents), writing)
    line = f"{tally.documents:,} documents, {tally.entities:,} entities"
    findings.tell(tally, line, telling, failures=run.failed_parts)
    problems.close()


def _passed(documents: Iterable[Document], run: Run) -> Iterator[Document]:
    """The documents; one that is asked for has been written before the next."""
    for document in documents:
        yield document
        run.documents += 1
        run.counts.documents += 1
