"""What could not be read: said, or the end, or kept in a file beside the output, as `--on-error` has it."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import typer

from gliner_cli.cli.console import note, say
from gliner_cli.errors import GlinerError, InputError, OutputError
from gliner_cli.formats.output import blaming, partial, put
from gliner_cli.options import OnError

_BLANK_LINE_BETWEEN = (".txt", ".conll")


class Problems:
    """Called with each. `kept` are the files that hold what was left out, `lost` how many are in none.

    What has a header is kept in a file for each: with another one it could not be read again.
    Until `close` they are partial ones: a run that is killed leaves the output of before, and its files.
    """

    def __init__(self, on_error: OnError = "report", output: Path | None = None, sources: Iterable[str] = ()) -> None:
        if on_error == "skip" and output is None:
            raise OutputError(
                "--on-error skip keeps what is left out beside the output, and there is none.", "Name it: -o FILE"
            )
        if on_error == "skip" and output is not None:
            _refuse_inputs(output, sources)
        self.lost = 0
        self._files: dict[tuple[str, bytes], Path] = {}  # by suffix and header
        self._before = (b"", "", b"")
        self._on_error, self._output = on_error, output

    @property
    def kept(self) -> list[Path]:
        return list(self._files.values())

    def __call__(self, error: GlinerError) -> None:
        if self._on_error == "stop":
            raise error
        if self._on_error == "skip" and isinstance(error, InputError) and error.part:
            self._keep(*error.part, error.header)
        else:
            self.lost += 1
        say(error)

    def close(self, written: bool = True) -> None:
        """Say where what was left out is, and exit with 1 if some of the input is in no output and no such file.

        Where the output has been `written`, files of what was left out of the one before it go.
        """
        for path in self.kept:
            with blaming(path, partial(path)):
                put(partial(path), path)
        if written and self._on_error == "skip" and self._output is not None:
            for path in set(_side_files(self._output)) - set(self.kept):
                with blaming(path):
                    path.unlink()
        for path in self.kept:
            what = "those files, and read them" if path.suffix == ".files" else "it, and read it"
            note(f"what was left out is in {path}: mend {what} again")
        if self.lost:
            raise typer.Exit(1)

    def _keep(self, content: bytes, suffix: str, header: bytes) -> None:
        if (content, suffix, header) == self._before:  # several pages of one file are that file, once
            return
        self._before = content, suffix, header
        path = self._files.get((suffix, header))
        if path is None:
            path = self._files[suffix, header] = self._new(suffix)
            _write(partial(path), "wb", header and _line(header))
        _write(partial(path), "ab", _line(content) + b"\n" * (suffix in _BLANK_LINE_BETWEEN))

    def _new(self, suffix: str) -> Path:
        from gliner_cli.jobs.record import beside

        assert self._output is not None  # noqa: S101
        alike = sum(one == suffix for one, _ in self._files)
        return beside(self._output, f"skipped{alike + 1 if alike else ''}{suffix}")


def _refuse_inputs(output: Path, sources: Iterable[str]) -> None:
    side_files = list(_side_files(output))
    if not side_files:  # a pattern may go through many folders
        return
    given = {os.path.realpath(name) for source in sources for name in (source, *glob.glob(source, recursive=True))}
    for path in side_files:
        if os.path.realpath(path) in given:
            raise OutputError(
                f"{path} is an input, and what is left out of {output} would replace it.",
                "Name another file: -o FILE",
            )


def _side_files(output: Path) -> Iterator[Path]:
    """What lies there of what was left out of an output, be it partial."""
    if os.path.isdir(output.parent):
        named = re.compile(re.escape(output.name) + r"\.skipped\d*\.[a-z]+(\.partial)?")
        yield from (output.with_name(name) for name in sorted(os.listdir(output.parent)) if named.fullmatch(name))


def _line(content: bytes) -> bytes:
    return content.rstrip(b"\r\n") + b"\n"


def _write(path: Path, mode: str, content: bytes) -> None:
    try:
        with path.open(mode) as file:
            file.write(content)
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written: {error.strerror or error}.", "It would hold what is left out."
        ) from error
