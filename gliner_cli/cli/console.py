"""What goes to the terminal beside the results: notes, errors, progress, all on stderr.

stdout belongs to the results alone.
"""

from __future__ import annotations

import sys

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
