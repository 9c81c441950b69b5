"""What a user typed to sources: files, folders, globs, standard input; and their bytes."""

from __future__ import annotations

import codecs
import errno
import glob
import io
import os
import re
import select
import sys
import tempfile
import weakref
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import BinaryIO, cast

from gliner_cli.errors import GlinerError, InputError
from gliner_cli.formats.compression import compression, uncompressed_name, unpacked
from gliner_cli.formats.decoding import CHUNK, Chunks, chunks

Problem = Callable[[GlinerError], None]
STDIN = "-"
_OF_A_JOB = re.compile(r"\.(?:journal|partial|run\.json)$|\.skipped\d*\.[a-z]+$")
_COPIED = 2 << 30  # bytes; of what is unpacked into a temporary file, for a bomb would fill the disk


class Source:
    """One stream of bytes: a file, or what can be read only once: standard input, a pipe, a device.

    `size` is in bytes on disk, None where nobody knows it; `position` is how many of these have been read so far: what
    a progress bar draws.
    """

    def __init__(self, name: str, path: Path | None = None) -> None:
        self.name, self.path, self.position = name, path, 0
        self.size = os.path.getsize(path) if path and os.path.isfile(path) else None
        self._left: Iterator[bytes] | None = None  # of what can be read only once

    @property
    def suffix(self) -> str:
        return suffix(self.name)

    @contextmanager
    def opened(self) -> Iterator[io.BufferedReader]:
        """The bytes, uncompressed. Raises InputError where they cannot be read, at first or later."""
        with self._failing(_unreadable):
            if self.path is None or self.size is None:
                yield _stream(self._rest())
                return
            with self.path.open("rb") as file:
                self.position = 0
                yield _stream(self._content(file))

    def beginning(self) -> bytes:
        """The first bytes, white space left out, uncompressed; of what is no file they will still be read."""
        if self.size is not None:
            with suppress(InputError), self.opened() as stream:
                return _begun(stream.read1(CHUNK))
            return b""
        ahead = b""
        with self._failing(_unreadable):
            rest = self._rest()
            for chunk in rest:
                ahead += chunk
                if len(ahead) > CHUNK or _begun(ahead):
                    break
        self._left = chain([ahead], rest)
        return _begun(ahead)

    @contextmanager
    def file(self) -> Iterator[Path]:
        """The content as a file, for libraries that seek: the file itself, or a temporary copy of what comes.

        Raises InputError where it cannot be read, like `opened`, and where the copy would be larger than `_COPIED`.
        """
        if self.path is not None and self.size is not None and not compression(self.path.name):
            with self._failing(_unreadable):  # the same errors for what is not there
                self.path.open("rb").close()
            yield self.path
            return
        with self._failing(_uncopied):
            copy = tempfile.NamedTemporaryFile(buffering=0)  # noqa: SIM115 (a buffer would fail once more, when it is closed)
        with copy:
            with self.opened() as stream:
                self._copy(stream, cast(BinaryIO, copy))
            yield Path(copy.name)

    def _copy(self, stream: io.BufferedReader, copy: BinaryIO) -> None:
        size = 0
        for chunk in chunks(stream):
            size += len(chunk)
            if size > _COPIED:
                raise _too_long(self.name)
            with self._failing(_uncopied):
                left = memoryview(chunk)
                while left:  # a file may take a part
                    left = left[copy.write(left) :]

    @contextmanager
    def _failing(self, said: Callable[[str, OSError], InputError]) -> Iterator[None]:
        """Failures of the system become what is `said` of them."""
        try:
            yield
        except OSError as error:
            raise said(self.name, error) from error

    def _rest(self) -> Iterator[bytes]:
        """What has not been read yet of what can be read only once; it stays open as long as the source is there."""
        if self._left is None:
            raw = _stdin() if self.path is None else self.path.open("rb")
            if self.path is not None:
                weakref.finalize(self, raw.close)
            self._left = self._content(raw)
        return self._left

    def _content(self, raw: BinaryIO) -> Iterator[bytes]:
        how = compression(self.path.name) if self.path else None
        content = self._counted(raw)
        return unpacked(_stream(content), self.name, how) if how else content

    def _counted(self, raw: BinaryIO) -> Iterator[bytes]:
        for chunk in chunks(raw):
            self.position += len(chunk)
            yield chunk
        if self.size and self.position < self.size:
            raise InputError(
                f"{self.name} was cut while it was read: {self.position:,} of its {self.size:,} bytes were there.",
                "What came before is done. Read it again when nobody writes it.",
            )


def _stdin() -> BinaryIO:
    if sys.stdin is None or sys.stdin.closed:
        raise InputError(
            "Standard input is closed.", "Name files, or pipe text in: cat FILE | gliner extract -l person"
        )
    return sys.stdin.buffer


def stdin_ready() -> bool:
    """Whether standard input has more at once, or has ended; True where nobody can tell."""
    try:
        return bool(select.select([sys.stdin], [], [], 0)[0])
    except (OSError, ValueError):  # Windows knows sockets only; a file in memory has no descriptor
        return True


def _begun(content: bytes) -> bytes:
    """What is left of the beginning of a stream without white space and byte-order mark, be that half there."""
    return b"" if codecs.BOM_UTF8.startswith(content) else content.removeprefix(codecs.BOM_UTF8).lstrip()


def _stream(content: Iterator[bytes]) -> io.BufferedReader:
    return io.BufferedReader(Chunks(content), CHUNK)


def _too_long(name: str) -> InputError:
    return InputError(
        f"{name} holds more than {_COPIED >> 30} GB, and its format can only be read from a file.",
        "Unpack it into a file, and name that.",
    )


def _uncopied(name: str, error: OSError) -> InputError:
    folder = f"the temporary folder {tempfile.tempdir or ''}".rstrip()
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    what = "is full" if full else f"cannot be written: {error.strerror or error}"
    return InputError(
        f"{name} can only be read from a copy, and {folder} {what}.",
        "Make room there, or name another folder: TMPDIR=FOLDER gliner …",
    )


def suffix(name: str) -> str:
    """A file name's suffix in lower case, that of a compression left out."""
    return Path(uncompressed_name(name.lower())).suffix


def sources(
    arguments: Iterable[str],
    suffixes: Collection[str],
    problem: Problem,
    whole: Callable[[str], bool] = lambda _: False,
) -> Iterator[Source]:
    """The sources that arguments name, in their order; what is not there is reported and the others still come.

    Of a folder, the files with one of the suffixes, or itself if it is `whole`; a file that is named is a source
    whatever it is called.
    """
    for argument in arguments:
        try:
            if os.path.isdir(argument) and whole(argument):
                yield Source(argument, Path(argument))
                continue
            yield from _of(argument, suffixes, problem, whole)
        except InputError as error:
            problem(error.about(os.fsencode(argument), ".files"))


def _of(argument: str, suffixes: Collection[str], problem: Problem, whole: Callable[[str], bool]) -> Iterator[Source]:
    # os.path says no where Path raises: a whole text typed in place of a name is too long for one.
    if argument == STDIN:
        yield Source(STDIN)
    elif os.path.isdir(argument):
        yield from _in_folder(Path(argument), suffixes, problem)
    elif os.path.exists(argument):
        yield Source(argument, Path(argument))
    elif found := _matches(argument):
        yield from sources(found, suffixes, problem, whole)
    else:
        what = "matches no file" if glob.has_magic(argument) else "does not exist"
        shown = argument if len(argument) < 100 else f"{argument[:80]} …"
        raise InputError(
            f"{shown or repr('')} {what}.",
            "Check the name; folders and patterns like 'docs/*.txt' work too. A text itself: echo 'TEXT' | gliner …",
        )


def _matches(pattern: str) -> list[str]:
    """What a pattern names, sorted. `**` goes into folders by itself: those it names would be read twice."""
    found = sorted(set(glob.glob(pattern, recursive=True)))
    return [name for name in found if not os.path.isdir(name)] if "**" in pattern else found


def _in_folder(folder: Path, suffixes: Collection[str], problem: Problem) -> Iterator[Source]:
    files = sorted(path for path in _visible(folder, problem) if suffix(path.name) in suffixes)
    if not files:
        raise InputError(
            f"{folder} holds no file to read; looked for {', '.join(sorted(suffixes))}.", "Name the files."
        )
    for path in files:
        if os.path.exists(path) and not os.path.isfile(path):  # it may have no end, or no beginning
            error = InputError(f"{path} is a pipe or a device; it is left out.", "Name it, to read it all the same.")
            problem(error.about(os.fsencode(path), ".files"))
        else:
            yield Source(str(path), path)


def _visible(folder: Path, problem: Problem) -> Iterator[Path]:
    """The files at every level below a folder; links to folders are not followed.

    Passed over are hidden ones, and those that jobs leave beside their output.
    """

    def report(error: OSError) -> None:
        problem(_unreadable(error.filename, error).about(os.fsencode(error.filename), ".files"))

    for parent, folders, names in os.walk(folder, onerror=report):
        folders[:] = (name for name in folders if not name.startswith("."))
        yield from (Path(parent, name) for name in names if not (name.startswith(".") or _OF_A_JOB.search(name)))


def _unreadable(name: str, error: OSError) -> InputError:
    return InputError(f"{name} cannot be read: {error.strerror or error}.", "Check its name and rights.")
