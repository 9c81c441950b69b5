"""Everything that can go wrong for a reason a person can mend.

GlinerError
├── LabelError         the labels make no sense
├── InputError         a source cannot be read, or a part of it
├── OutputError        the result cannot be written
├── CheckpointError    a folder is no checkpoint, is damaged, or holds something else
│   └── UnsupportedError   a checkpoint of a kind we recognise and do not run
├── HubError           the hub does not answer, or answers no
├── DeviceError        the asked-for device or precision is not there
├── TrainingError      training cannot begin, or cannot go on
└── MissingExtraError  an optional part of the package is not installed

The core raises these; `cli/app.py` alone catches them, prints `message` and `hint`, and exits 1.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class GlinerError(Exception):
    """What happened and what was expected (`message`), and what to type next (`hint`)."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class LabelError(GlinerError):
    """The labels make no sense."""


class InputError(GlinerError):
    """A source cannot be read, or a part of it.

    `part` is what was not read, where it can be mended and tried again: its bytes, and the suffix of a file of such;
    `header` is what such a file begins with.
    """

    part: tuple[bytes, str] | None = None
    header = b""

    def about(self, content: bytes, suffix: str, header: bytes = b"") -> InputError:
        """The same, with its part; one that it has already is more exact."""
        if self.part is None:
            self.part, self.header = (content, suffix), header
        return self


class OutputError(GlinerError):
    """The result cannot be written."""


class CheckpointError(GlinerError):
    """A folder is no checkpoint, is damaged, or holds something else."""


class UnsupportedError(CheckpointError):
    """A checkpoint of a kind we recognise and do not run."""


class HubError(GlinerError):
    """The hub does not answer, or answers no."""


class DeviceError(GlinerError):
    """The asked-for device or precision is not there."""


class TrainingError(GlinerError):
    """Training cannot begin, or cannot go on."""


class MissingExtraError(GlinerError):
    """An optional part of the package is not installed."""


def needs(extra: str, what: str) -> MissingExtraError:
    """The error to raise where `what` is asked for and the packages of `extra` are not installed."""
    return MissingExtraError(f"{what} needs packages that are not installed.", f"pip install 'gliner-cli[{extra}]'")


def meant(name: str, known: Iterable[str]) -> str:
    """`Did you mean …? ` for a name that is nearly a known one, otherwise nothing: to begin a hint with."""
    near = difflib.get_close_matches(name.lower(), list(known), n=1)
    return f"Did you mean {near[0]}? " if near else ""
