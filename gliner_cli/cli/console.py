"""What goes to the terminal beside the results: notes, errors, progress, all on stderr.

stdout belongs to the results alone. With `--log json` each is one JSON object a line, {"time", "event", …}.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Protocol

from rich.console import Console, RenderableType

from gliner_cli.cli.render import printable
from gliner_cli.errors import GlinerError
from gliner_cli.options import LogFormat, Telling

TICK = 5.0  # seconds between two lines of progress in a log
_REDRAW = 0.2


@dataclass
class _Manner:
    """How it is said, for the whole process: what is said has no other place to learn it from."""

    log: LogFormat = "text"


_manner = _Manner()


def speak(log: LogFormat) -> None:
    """From now on as text, or as JSON."""
    _manner.log = log


def as_json() -> bool:
    """Whether programs are listening."""
    return _manner.log == "json"


def notes() -> Console:
    """The console that people read: stderr, in colour only where that is a terminal (and NO_COLOR is not set)."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def note(text: str, event: str = "note", **facts: Any) -> None:
    """One line to the person, plain: `text` may hold brackets and anything else a file name can.

    Programs get `event` and `facts` with it.
    """
    print(_line(text, event, facts), end="", file=sys.stderr, flush=True)


def note_from_a_signal(text: str) -> None:
    """The same where print may be in use right now."""
    line = _line(text, "note", {})
    os.write(2, (line if as_json() else f"\n{line}").encode())


def say(error: GlinerError, event: str = "problem") -> None:
    """An error as one line and, where there is one, its hint."""
    if as_json():
        note(error.message, event, hint=error.hint)
        return
    console = notes()
    console.print("gliner: error:", printable(error.message), style="red", markup=False)
    if error.hint:
        console.print("       ", printable(error.hint), markup=False)


def show(drawn: RenderableType, plain: Iterable[str]) -> None:
    """Something drawn for a terminal; the same as plain lines where there is none. Programs have the facts already."""
    if as_json():
        return
    if sys.stderr.isatty():
        Console(stderr=True, highlight=False).print(drawn)
        return
    for line in plain:
        note(line)


def _line(text: str, event: str, facts: dict[str, Any]) -> str:
    if not as_json():
        return f"gliner: {printable(text)}\n"
    time = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    # Of the standard library's making: file names may hold what is no Unicode, and here it is escaped.
    return json.dumps({"time": time, "event": event, "text": text, **facts}, default=str) + "\n"


class State(Protocol):
    """How far a job is, at one moment."""

    @property
    def share(self) -> float | None:
        """From 0 to 1; None where nobody can tell."""

    @property
    def facts(self) -> dict[str, Any]:
        """For programs."""

    def __str__(self) -> str:
        """For people."""


def watched(telling: Telling, results_shown: bool = False) -> bool:
    """Whether somebody sees progress: a person at a terminal, or a program that reads the log."""
    if telling.quiet or telling.no_progress or results_shown:
        return False
    return as_json() or sys.stderr.isatty()


@contextmanager
def progress(state: Callable[[], State] | None) -> Iterator[None]:
    """Shows `state` while it is entered: a live bar, or a line of the log now and then and at the end."""
    if state is None:
        yield
    elif as_json():
        with _repeated(lambda: _log(state), TICK):
            yield
        _log(state)
    else:
        with _bar(state):
            yield


def _log(state: Callable[[], State]) -> None:
    now = state()
    note(str(now), "progress", **now.facts)


@contextmanager
def _bar(state: Callable[[], State]) -> Iterator[None]:
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    spinning = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*spinning, BarColumn(bar_width=20), console=notes(), transient=True) as bar:
        task = bar.add_task("reading", total=None)

        def draw() -> None:
            now = state()
            total = None if now.share is None else 1.0
            bar.update(task, description=str(now), completed=now.share or 0, total=total)

        with _repeated(draw, _REDRAW):
            yield


@contextmanager
def _repeated(action: Callable[[], None], seconds: float) -> Iterator[None]:
    """Does something again and again, beside what else happens."""
    finished = threading.Event()

    def repeat() -> None:
        while not finished.wait(seconds):
            action()

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        finished.set()
        thread.join()
