"""`gliner extract`: write(extract(read(sources), labels))."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gliner_cli.cli.console import note, progress, say
from gliner_cli.errors import GlinerError, InputError
from gliner_cli.options import Choice, Computing, Extraction, Reading, Writing
from gliner_cli.types import Document

if TYPE_CHECKING:
    from gliner_cli.inference.extractor import Extractor
    from gliner_cli.inference.pipeline import Counts
    from gliner_cli.text.labels import Labels


def extract(
    sources: Annotated[
        list[str] | None, typer.Argument(help="Files, folders or patterns; '-' or nothing: standard input.")
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option("-l", "--label", help="What to look for: -l person -l 'drug=0.3', or -l person,drug."),
    ] = None,
    labels_file: Annotated[
        Path | None,
        typer.Option("--labels", help="Labels from a file: one a line, or JSON with descriptions and thresholds."),
    ] = None,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress, no summary; errors only.")] = False,
    *,
    writing: Writing,
    reading: Reading,
    extraction: Extraction,
    choice: Choice,
    computing: Computing,
) -> None:
    """Find entities of any type in text.

    [bold]gliner extract docs/*.txt -l person -l drug[/bold]

    [bold]cat file | gliner extract -l person -l city --format conll[/bold]
    """
    from gliner_cli import formats

    asked = _asked(label or [], labels_file)
    writing = replace(writing, words=extraction.words)
    formats.output_format(writing)  # a wrong format is an error before anything is loaded
    problems: list[GlinerError] = []

    def problem(error: GlinerError) -> None:
        problems.append(error)
        say(error)

    documents = formats.read(_sources(sources), reading, problem)
    documents = _begun(documents)  # nor is a checkpoint loaded when there is nothing to read

    from gliner_cli.inference.extractor import chosen
    from gliner_cli.inference.pipeline import Counts

    extractor, counts, found = chosen(choice, computing), Counts(), Counter[str]()
    if not quiet:
        _say_what_helps(asked, extractor, choice, extraction)
    began = time.perf_counter()
    done = _counted(extractor.extract(documents, asked, extraction, counts), found)
    with progress(quiet or _for_people(writing), lambda: (counts.documents, counts.words)):
        _write(done, writing)
    if not quiet:
        _sum_up(counts, found, time.perf_counter() - began)
    if problems:
        raise typer.Exit(1)


def _asked(arguments: list[str], file: Path | None) -> Labels:
    from gliner_cli.text import labels

    parts = [labels.parsed(arguments)] if arguments else []
    return labels.merged(*parts, *([labels.from_file(file)] if file else []))


def _sources(given: list[str] | None) -> list[str]:
    if given:
        return given
    if sys.stdin and not sys.stdin.closed and sys.stdin.isatty():
        raise InputError(
            "No files were given.", "gliner extract FILE -l person, or: cat FILE | gliner extract -l person"
        )
    return ["-"]


def _begun(documents: Iterator[Document]) -> Iterator[Document]:
    """The same documents, the first one already read. Ends the command where there is none."""
    first = next(documents, None)
    if first is None:
        raise typer.Exit(1)

    def all_of_them() -> Iterator[Document]:
        yield first
        yield from documents

    return all_of_them()


def _say_what_helps(asked: Labels, extractor: Extractor, choice: Choice, extraction: Extraction) -> None:
    from gliner_cli.text.labels import abbreviations

    if not choice.model:
        note(
            "using the small built-in starter checkpoint; larger ones find more: gliner pull urchade/gliner_medium-v2.1"
        )
    if short := abbreviations(asked):
        note(
            f"labels are read for their meaning: words find much more than {', '.join(short)} (say 'person', not 'PER')"
        )
    parts = extractor.parts(asked, extraction)
    if parts > 1:
        trained = extractor.checkpoint.config.max_types
        note(f"{len(asked)} labels are asked in {parts} parts (the checkpoint was trained with {trained} at once)")


def _counted(documents: Iterable[Document], found: Counter[str]) -> Iterator[Document]:
    for document in documents:
        found.update(entity.label for entity in document.entities)
        yield document


def _for_people(writing: Writing) -> bool:
    """Whether the results are read as they come: then they are shown as text, and are progress enough."""
    return writing.output is None and writing.output_format == "auto" and sys.stdout.isatty()


def _write(documents: Iterator[Document], writing: Writing) -> None:
    from gliner_cli import formats
    from gliner_cli.formats.output import partial

    if _for_people(writing):
        from rich.console import Console

        from gliner_cli.cli.render import print_documents

        print_documents(documents, Console(highlight=False, soft_wrap=True))
        return
    try:
        formats.write(documents, writing)
    except KeyboardInterrupt:
        note("interrupted" + (f"; what was done is in {partial(writing.output)}" if writing.output else ""))
        raise


def _sum_up(counts: Counts, found: Counter[str], seconds: float) -> None:
    from gliner_cli.cli.render import summary

    note(summary(counts.documents, counts.words, counts.windows, found, seconds))
