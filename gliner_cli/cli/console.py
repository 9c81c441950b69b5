"""What goes to the terminal beside the results: notes, errors, progress, all on stderr.

stdout belongs to the results alone.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

from gliner_cli.errors import GlinerError


def notes() -> Console:
    """The console that people read: stderr, in colour only where that is a terminal (and NO_COLOR is not set)."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def note(text: str) -> None:
    """One line to the person, plain: `text` may hold brackets and anything else a file name can."""
    print(f"gliner: {text}", file=sys.stderr)


def say(error: GlinerError) -> None:
    """An error as one line and, where there is one, its hint."""
    console = notes()
    console.print("gliner: error:", error.message, style="red", markup=False)
    if error.hint:
        console.print("       ", error.hint, markup=False)


@contextmanager
def progress(quiet: bool, done: Callable[[], tuple[int, int]]) -> Iterator[None]:
    """A live line of (documents, words) done and words a second on stderr, if that is a terminal."""
    if quiet or not sys.stderr.isatty():
        yield
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=notes(), transient=True) as bar:
        task = bar.add_task("reading")
        finished = threading.Event()

        def draw() -> None:
            while not finished.wait(0.2):
                documents, words = done()
                speed = words / max(bar.tasks[0].elapsed or 0, 1e-3)
                bar.update(task, description=f"{documents:,} documents  {words:,} words  {speed:,.0f} words/s")

        drawing = threading.Thread(target=draw, daemon=True)
        drawing.start()
        try:
            yield
        finally:
            finished.set()
            drawing.join()
