"""What could not be read: said, counted, and kept if that was asked."""

from __future__ import annotations

from pathlib import Path

from gliner_cli.cli.console import say
from gliner_cli.errors import GlinerError
from gliner_cli.options import OnError


class Problems:
    """Called with each; what becomes of it is `--on-error`."""

    def __init__(self, on_error: OnError = "report", output: Path | None = None) -> None:
        self.found: list[str] = []
        self._on_error, self._output = on_error, output

    def __call__(self, error: GlinerError) -> None:
        if self._on_error == "stop":
            raise error
        self.found.append(error.message)
        say(error)

    def __bool__(self) -> bool:
        return bool(self.found)
