"""Where results are written: standard output, or a file that is there only when it is whole."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import BinaryIO, cast

from gliner_cli.errors import OutputError
from gliner_cli.formats.compression import compression, packed


@contextmanager
def opened(output: Path | None, private: bool = False) -> Iterator[BinaryIO]:
    """The stream to write to. A file is written as `partial(output)` and renamed when all went well.

    A new file has the rights of the one of before; one that is `private` is for its owner alone.

    If something goes wrong, the partial file stays with what was done, and a file of that name from before is
    untouched. Only failures to write become OutputErrors: the block may compute what it writes, and fail at that.
    """
    if output is None:
        yield _stdout()
        return
    check(output)
    if os.path.exists(output) and not os.path.isfile(output):  # /dev/null, a named pipe: to be written, never replaced
        with _created(output, output) as stream:
            yield stream
        return
    unfinished = partial(output)
    with _created(unfinished, output, private) as stream:
        yield stream
    with blaming(output, unfinished):
        put(unfinished, output)


@contextmanager
def new_folder(output: Path) -> Iterator[Path]:
    """The folder to write into: it gets the name that was asked for when all went well, and takes no other's place."""
    path = Path(os.path.abspath(output))  # `.` has no name of its own
    if os.path.lexists(path) and not (os.path.isdir(path) and not os.listdir(path)):
        raise OutputError(f"{output} is there already, and not an empty folder.", "Name another folder: -o FOLDER")
    if not os.path.isdir(path.parent):
        raise OutputError(f"{output} cannot be written: there is no folder {path.parent}.", f"mkdir -p {path.parent}")
    unfinished = partial(path)
    with blaming(output):
        if os.path.isdir(unfinished) and not os.path.islink(unfinished):
            shutil.rmtree(unfinished)
        unfinished.mkdir()
    yield unfinished
    with blaming(output, unfinished):
        if os.path.isdir(path):  # where it is empty, a rename could take its place, but not on every system
            os.rmdir(_target(path))
        put(unfinished, path)


def partial(output: Path) -> Path:
    """Where a file lies until it is whole: beside it, since only within a file system is a rename one step."""
    target = _target(output)
    return target.with_name(target.name + ".partial")


def put(unfinished: Path, output: Path) -> None:
    """Give what is whole the name that was asked for. The name is on disk as well at the end: the journal goes next."""
    target = _target(output)
    os.replace(unfinished, target)
    with suppress(OSError):  # not every system lets a folder be opened, or written through
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _target(output: Path) -> Path:
    """A link stays a link: what it points at is written."""
    return Path(os.path.realpath(output)) if os.path.islink(output) else output


def check(output: Path) -> None:
    """Raises OutputError for a place where no file can be written."""
    if os.path.isdir(output):
        raise OutputError(
            f"{output} cannot be written: it is a folder.", f"Name a file in it: -o {output / 'entities.jsonl'}"
        )
    if not os.path.isdir(output.parent):
        raise OutputError(
            f"{output} cannot be written: there is no folder {output.parent}.", f"mkdir -p {output.parent}"
        )
    if os.path.exists(output) and not os.access(output, os.W_OK):  # a rename would not ask
        raise OutputError(f"{output} cannot be written: it is write-protected.", "Name another file: -o FILE")


def _stdout() -> BinaryIO:
    if sys.stdout is None or sys.stdout.closed:
        raise OutputError("Standard output is closed.", "Write to a file: -o FILE")
    return cast(BinaryIO, _Blaming(sys.stdout.buffer, "Standard output", None))


@contextmanager
def _created(path: Path, output: Path, private: bool = False) -> Iterator[BinaryIO]:
    """The stream to what lies at `path`, compressed if the output's name says so; a file is on disk at the end."""
    with blaming(output, path):
        file = path.open("wb", buffering=0)  # writers write through anyway, and a closing buffer would fail once more
    with file:
        with blaming(output, path):
            if private:
                path.chmod(0o600)
            elif path != output and os.path.exists(output):
                shutil.copymode(output, path)  # before anything is in it: a private file stays private
        stream = cast(BinaryIO, _Blaming(cast(BinaryIO, file), output, path))
        how = compression(output.name)
        is_file = os.path.isfile(path)
        with packed(stream, how, through=not is_file) if how else nullcontext(stream) as content:
            yield content
        if is_file:
            with blaming(output, path):
                os.fsync(file.fileno())


class _Blaming:
    """As much of a stream as writers use. Its failures are OutputErrors; that the reader of a pipe has gone is none."""

    def __init__(self, stream: BinaryIO, output: Path | str, path: Path | None) -> None:
        self._stream, self._output, self._path = stream, output, path

    def write(self, content: bytes) -> int:
        left = memoryview(content)
        with blaming(self._output, self._path):
            while left:  # an unbuffered file may take a part
                left = left[self._stream.write(left) :]
        return len(content)

    def flush(self) -> None:
        with blaming(self._output, self._path):
            self._stream.flush()


@contextmanager
def blaming(output: Path | str, path: Path | None = None) -> Iterator[None]:
    """Failures of the system become OutputErrors about `output`, which say what is in `path` already."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        kept = path is not None and path != output and os.path.exists(path)
        hint = f"What was done is in {path}." if kept else "Check its rights and the room that is left, or: -o FILE"
        raise OutputError(f"{output} cannot be written: {error.strerror or error}.", hint) from error
