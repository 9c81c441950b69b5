"""`gliner extract`: write(extract(read(sources), labels))."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gliner_cli.cli import findings, history, told, watching
from gliner_cli.cli.completion import completer
from gliner_cli.cli.console import note, progress, speak, watched
from gliner_cli.cli.problems import Problems
from gliner_cli.cli.render import summary
from gliner_cli.cli.stopping import Stopping
from gliner_cli.cli.tally import Tally
from gliner_cli.errors import InputError, OutputError
from gliner_cli.formats.sources import STDIN, stdin_ready
from gliner_cli.options import Choice, Computing, Extraction, Failing, Job, Reading, Telling, Writing
from gliner_cli.types import Document

if TYPE_CHECKING:
    from gliner_cli.inference.counts import Counts
    from gliner_cli.inference.extractor import Extractor
    from gliner_cli.jobs.chunks import Chunk, Extract
    from gliner_cli.jobs.run import Run
    from gliner_cli.text.labels import Labels


def extract(
    sources: Annotated[
        list[str] | None, typer.Argument(help="Files, folders or patterns; '-' or nothing: standard input.")
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            "-l",
            "--label",
            help="What to look for: -l person -l 'drug=0.3', or -l person,drug.",
            autocompletion=completer("labels"),
        ),
    ] = None,
    labels_file: Annotated[
        Path | None,
        typer.Option("--labels", help="Labels from a file: one a line, or JSON with descriptions and thresholds."),
    ] = None,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Of the first document, every candidate, and why it is an entity or is not."),
    ] = False,
    *,
    writing: Writing,
    reading: Reading,
    extraction: Extraction,
    choice: Choice,
    computing: Computing,
    job: Job,
    failing: Failing,
    telling: Telling,
) -> None:
    """Find entities of any type in text.

    [bold]gliner extract docs/*.txt -l person -l drug[/bold]

    [bold]cat file | gliner extract -l person -l city --format conll[/bold]

    [bold]gliner extract docs/ -l "person,organization" -l "drug=0.3" -o out.jsonl --stats[/bold]

    [bold]gliner extract note.txt -l person --explain[/bold]
    """
    from gliner_cli import formats
    from gliner_cli.jobs import choosing
    from gliner_cli.jobs.run import Run

    speak(telling.log)
    asked = _asked(label or [], labels_file)
    writing = replace(writing, words=extraction.words)
    _check(explain, writing)
    formats.output_format(writing)  # a wrong format is an error before anything is loaded
    names = _sources(sources)
    problems = Problems(failing.on_error, writing.output, names)
    run = Run(problems)
    seen = watched(telling, _for_people(writing))
    watch = watching.watch(run, job, names, reading) if seen else None
    documents = formats.read(names, reading, run.failed, told.begun(telling, watch), writing)
    documents = choosing.chosen(documents, job)
    documents = watch.documents(documents) if watch else documents
    first = next(documents, None)
    if first is None:  # nothing is loaded for nothing to read
        _nothing(writing, problems)
        return
    documents = chain([first], documents)

    from gliner_cli.inference.extractor import chosen
    from gliner_cli.jobs import job as jobs

    with told.loading(telling):
        extractor = chosen(choice, computing, sole=not job.workers)
    told.how(telling, asked, extractor, extraction, choice)
    history.remember(asked.names)
    if explain:
        _explain(extractor, documents, asked, extraction)
        raise typer.Exit(1 if run.failed_parts else 0)
    settings = jobs.settings(extractor, asked, extraction, computing, job) if writing.output else {}
    journal = jobs.journal(writing.output, settings, job.resume)
    stream = STDIN in names and not journal
    tally = Tally()
    run.begin()
    with (
        _recorded(run, writing.output if journal else None, settings),
        Stopping() as stopping,
        _extracting(extractor, asked, extraction, job, run.counts, stream) as extract,
        progress(watch.now if watch else None),
    ):
        parts = stopping.until(_chunks(documents, stream))
        answered = jobs.answered(parts, extract, journal, job, lambda: stopping.cut)
        done = run.done(watch.chunks(answered) if watch else answered)
        _write(stopping.said(tally.counting(done)), writing)
        if journal:
            journal.forget()
    findings.tell(tally, summary(run), telling, **_figures(run))
    problems.close()


def _check(explain: bool, writing: Writing) -> None:
    if explain and (writing.output or writing.redact):
        raise OutputError(
            "--explain prints a table, and no results.", "Leave out -o and --redact; or: --explain > FILE"
        )


def _figures(run: Run) -> dict[str, Any]:
    return {"words": run.counts.words, "windows": run.counts.windows, "seconds": round(run.seconds, 3),
            "computed": run.counts.documents, "failures": run.failed_parts}  # fmt: skip


def _explain(extractor: Extractor, documents: Iterator[Document], asked: Labels, extraction: Extraction) -> None:
    from gliner_cli.cli.explain import print_explanation
    from gliner_cli.inference.explaining import explained

    document = next(documents)
    print_explanation(explained(extractor, document, asked, extraction))
    if next(documents, None):
        note("explained is the first document; there are more")


def _chunks(documents: Iterator[Document], stream: bool) -> Iterator[Chunk]:
    """A stream's documents are not kept waiting for those that follow; those of a job that can be resumed are."""
    from gliner_cli.jobs.chunks import chunks

    return chunks(documents, stdin_ready) if stream else chunks(documents)


@contextmanager
def _extracting(
    extractor: Extractor, asked: Labels, extraction: Extraction, job: Job, counts: Counts, stream: bool
) -> Iterator[Extract]:
    """What extracts chunks: this process, or several."""
    if job.workers:
        from gliner_cli.jobs.workers import Workers

        with Workers(extractor, asked, extraction, job.workers, counts) as workers:
            yield partial(workers.extract, more=stdin_ready) if stream else workers.extract
    else:
        from gliner_cli.jobs.chunks import one_by_one

        plan = extractor.plan(asked, extraction)
        yield one_by_one(lambda documents: extractor.run(plan, documents, counts))


@contextmanager
def _recorded(run: Run, output: Path | None, settings: Mapping[str, Any]) -> Iterator[None]:
    """Leaves a record of the run beside an output that can be resumed, however it ended."""
    from gliner_cli.formats import output as outputs
    from gliner_cli.jobs import record

    state = "failed"
    try:
        yield
        state = "done"
    except KeyboardInterrupt:
        state = "stopped"
        kept = f" (in {outputs.partial(output)}); the same command with --resume goes on" if output else ""
        note(f"stopped after {run.documents:,} documents{kept}")
        raise
    finally:
        if output:
            with nullcontext() if state == "done" else suppress(OutputError):  # what ended the run is what to tell
                record.write(record.beside(output, "run.json"), run.record(settings, sys.argv, state))


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


def _nothing(writing: Writing, problems: Problems) -> None:
    """An empty input has an empty output; one that could not be read has none."""
    empty = not (problems.kept or problems.lost)
    if empty:
        note("there are no documents in the input")
        _write(iter(()), writing)
    problems.close(written=empty)


def _for_people(writing: Writing) -> bool:
    """Whether the results are read as they come: then they are shown as text, and are progress enough."""
    at_terminal = sys.stdout is not None and not sys.stdout.closed and sys.stdout.isatty()
    return at_terminal and writing.output is None and writing.output_format == "auto"


def _write(documents: Iterator[Document], writing: Writing) -> None:
    from gliner_cli import formats

    if _for_people(writing):
        from rich.console import Console

        from gliner_cli.cli.render import print_documents

        print_documents(documents, Console(highlight=False, soft_wrap=True))
        return
    formats.write(documents, writing)
