"""Labels that were asked for before, so that a shell can complete them. Labels alone: no texts, no file names.

A file of the user's own, at most 200 lines, written by commands that a person runs at a terminal. The variable
GLINER_NO_HISTORY, set to anything, turns it off; the file may be deleted at any time.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

OFF = "GLINER_NO_HISTORY"
MOST = 200
_LONGEST = 100


def place() -> Path:
    """Where it lies: the user's folder for state, by the rules of the system."""
    if sys.platform == "win32":
        home = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        home = "~/Library/Application Support"
    else:
        home = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(home).expanduser() / "gliner" / "labels"


def labels() -> list[str]:
    """The labels, the latest first; none where there is no history."""
    try:
        lines = place().read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    return [line for line in lines if line][:MOST]


def at_terminal() -> bool:
    """Whether a person typed the command; what programs ask for is not remembered."""
    return bool(sys.stderr and sys.stderr.isatty())


def remember(used: Iterable[str]) -> None:
    """Put these labels before those of earlier times, in one step. What goes wrong here must not cost a run."""
    if os.environ.get(OFF) or not at_terminal():
        return
    fit = [label for label in used if label.isprintable() and len(label) <= _LONGEST and "," not in label]
    before = labels()
    after = list(dict.fromkeys([*fit, *before]))[:MOST]
    if after != before:
        with suppress(OSError):
            _write(place(), "".join(f"{label}\n" for label in after))


def _write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    number, name = tempfile.mkstemp(dir=path.parent)  # readable by nobody else
    try:
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(content)
        os.replace(name, path)
    except OSError:
        os.unlink(name)
        raise
