"""`gliner pull`: a published checkpoint and everything it needs, or gold data of a suite; checked, on this machine."""

from __future__ import annotations

import shlex
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gliner_cli.cli.completion import completer

if TYPE_CHECKING:
    from gliner_cli.checkpoint.hub import Fetching, Pulled, Say


def pull(
    name: Annotated[
        str | None,
        typer.Argument(help="Hub id: owner/name or owner/name@revision.", autocompletion=completer("models")),
    ] = None,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit on the hub.")] = None,
    to: Annotated[
        Path | None, typer.Option(help="Also write a self-contained folder, for a machine without network.")
    ] = None,
    suite: Annotated[
        list[str] | None,
        typer.Option(
            help="Instead, the gold data of a suite or set for gliner bench: ood, wnut17, …; again for more.",
            autocompletion=completer("suites"),
        ),
    ] = None,
) -> None:
    """Fetch a published checkpoint with everything it needs; afterwards no network is needed.

    [bold]gliner pull urchade/gliner_medium-v2.1[/bold]

    [bold]gliner pull urchade/gliner_small-v2.1 --to bundle/[/bold]

    [bold]gliner pull --suite ood[/bold]
    """
    if suite and (name or revision):
        raise typer.BadParameter("Name a checkpoint or a suite; each is pulled by itself.")
    if suite:
        _pull_suites(suite, to)
    elif name:
        _pull_checkpoint(name, revision, to)
    else:
        raise typer.BadParameter("Name a checkpoint, owner/name, or a suite, --suite ood.")


def _pull_checkpoint(name: str, revision: str | None, to: Path | None) -> None:
    from gliner_cli.checkpoint import bundle, hub

    with _watching() as say:
        pulled = hub.pull(name, revision, say)
    where = bundle.bundle(pulled, to) if to else pulled.place.folder
    print("\n".join(_summary(pulled, where)))
    print(f"\ngliner extract FILE -l person -m {shlex.quote(str(to)) if to else pulled.reference}")


def _pull_suites(names: list[str], to: Path | None) -> None:
    from gliner_cli.cli.console import note
    from gliner_cli.evaluation.corpora import Corpus, named
    from gliner_cli.evaluation.fetching import fetched

    def say(corpus: Corpus) -> None:
        note(f"{corpus.name}: {corpus.url}")

    for corpus in {corpus.name: corpus for name in names for corpus in named(name)}.values():
        done = fetched(corpus, to, say)
        print(f"{corpus.name}: {done.sentences:,} sentences, licence: {corpus.licence}")
        print(f"  {done.path}\n  sha256 {done.sha256}")
    where = f" --data-dir {shlex.quote(str(to))}" if to else ""
    print(f"\ngliner bench{where} {' '.join(f'--suite {name}' for name in names)}")


def _summary(pulled: Pulled, where: Path) -> list[str]:
    files = [f"  {size:>15,} bytes  {file}" for file, size in pulled.files.items()]
    return [
        f"{pulled.place.name} at {pulled.place.commit}",
        f"  kind     {pulled.kind}",
        f"  licence  {pulled.licence or 'not stated'}",
        *(f"  {folder}/ from {source}" for folder, source in pulled.sources.items()),
        *files,
        f"  {sum(pulled.files.values()):>15,} bytes  in all, in {where}",
    ]


@contextmanager
def _watching() -> Iterator[Say]:
    """What `pull` tells: a bar that grows on stderr if that is a terminal, a line for each file if not."""
    from gliner_cli.cli.console import note, notes

    if not sys.stderr.isatty():
        yield lambda fetching: note(str(fetching))
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    shown = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*shown, TimeRemainingColumn(), console=notes(), transient=True) as bar:
        task = bar.add_task("asking the hub", total=None)
        coming: list[Fetching] = []
        finished = threading.Event()

        def begin(fetching: Fetching) -> None:
            coming[:] = [fetching]
            bar.reset(task, description=f"{fetching.repository}: {fetching.file}", total=fetching.size)

        def draw() -> None:
            while not finished.wait(0.2):
                for fetching in coming:
                    bar.update(task, completed=max(bar.tasks[0].completed, fetching.arrived()))

        drawing = threading.Thread(target=draw, daemon=True)
        drawing.start()
        try:
            yield begin
        finally:
            finished.set()
            drawing.join()
