"""What could not be read: said, or the end, or kept in a file beside the output, as `--on-error` has it."""

from __future__ import annotations

from pathlib import Path

from gliner_cli.cli.console import say
from gliner_cli.errors import GlinerError, InputError, OutputError
from gliner_cli.options import OnError


class Problems:
    """Called with each. `kept` are the files that hold what was left out, `lost` how many are in none."""

    def __init__(self, on_error: OnError = "report", output: Path | None = None) -> None:
        if on_error == "skip" and output is None:
            raise OutputError(
                "--on-error skip keeps what is left out beside the output, and there is none.", "Name it: -o FILE"
            )
        self.kept: list[Path] = []
        self.lost = 0
        self._before = (b"", "")
        self._on_error, self._output = on_error, output

    def __call__(self, error: GlinerError) -> None:
        if self._on_error == "stop":
            raise error
        if self._on_error == "skip" and isinstance(error, InputError) and error.part:
            self._keep(*error.part)
        else:
            self.lost += 1
        say(error)

    def _keep(self, content: bytes, suffix: str) -> None:
        from gliner_cli.jobs.record import beside

        assert self._output is not None  # noqa: S101
        if (content, suffix) == self._before:  # several pages of one file are that file, once
            return
        self._before = content, suffix
        path = beside(self._output, f"skipped{suffix}")
        try:
            with path.open("ab" if path in self.kept else "wb") as file:
                file.write(content.rstrip(b"\r\n") + b"\n" + b"\n" * (suffix in _BLANK_LINE_BETWEEN))
        except OSError as error:
            raise OutputError(
                f"{path} cannot be written: {error.strerror or error}.", "It would hold what is left out."
            ) from error
        if path not in self.kept:
            self.kept.append(path)


_BLANK_LINE_BETWEEN = (".txt", ".conll")
