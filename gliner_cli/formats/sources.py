"""What a user typed to sources: files, folders, globs, standard input; and their bytes."""

from __future__ import annotations

import glob
import gzip
import sys
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from gliner_cli.errors import GlinerError, InputError

Problem = Callable[[GlinerError], None]
STDIN = "-"


@dataclass(frozen=True)
class Source:
    """One stream of bytes: a file, or standard input."""

    name: str
    path: Path | None = None

    @property
    def suffix(self) -> str:
        """The file's suffix in lower case, that of a compression left out."""
        name = self.name.lower().removesuffix(".gz")
        return Path(name).suffix

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """The bytes, uncompressed. Raises InputError where they cannot be read."""
        try:
            with self._raw() as stream:
                yield stream
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise InputError(f"{self.name} is not a whole gzip file: {error}.", "Compress it again.") from error
        except OSError as error:
            raise InputError(
                f"{self.name} cannot be read: {error.strerror or error}.", "Check its name and rights."
            ) from error

    @contextmanager
    def _raw(self) -> Iterator[BinaryIO]:
        if self.path is None:
            if sys.stdin is None or sys.stdin.closed:
                raise InputError(
                    "Standard input is closed.", "Name files, or pipe text in: cat FILE | gliner extract -l person"
                )
            yield sys.stdin.buffer
        elif self.path.name.lower().endswith(".gz"):
            with gzip.open(self.path, "rb") as stream:
                yield cast(BinaryIO, stream)
        else:
            with self.path.open("rb") as file:
                yield file


def sources(arguments: Iterable[str], suffixes: Collection[str], problem: Problem) -> Iterator[Source]:
    """The sources that arguments name, in their order; what is not there is reported and the others still come."""
    for argument in arguments:
        try:
            yield from _of(argument, suffixes)
        except InputError as error:
            problem(error)


def _of(argument: str, suffixes: Collection[str]) -> Iterator[Source]:
    path = Path(argument)
    if argument == STDIN:
        yield Source(STDIN)
    elif path.is_dir():
        yield from _in_folder(path, suffixes)
    elif path.exists():
        yield Source(argument, path)
    elif found := sorted(glob.glob(argument, recursive=True)):
        for name in found:
            yield from _of(name, suffixes)
    else:
        raise InputError(
            f"{argument} does not exist.", "Check the name; folders and patterns like 'docs/*.txt' work too."
        )


def _in_folder(folder: Path, suffixes: Collection[str]) -> Iterator[Source]:
    """The readable files below a folder, sorted; hidden ones are passed over."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not _hidden(path.relative_to(folder))]
    readable = [source for source in (Source(str(path), path) for path in files) if source.suffix in suffixes]
    if not readable:
        raise InputError(
            f"{folder} holds no file to read; looked for {', '.join(sorted(suffixes))}.", "Name the files."
        )
    yield from readable


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def decoded(content: bytes, encoding: str, name: str, offset: int = 0) -> str:
    """Bytes as text. Raises InputError that names the place of the first wrong byte; `offset` is where they begin."""
    try:
        return content.decode("utf-8-sig" if encoding.lower().replace("-", "") == "utf8" and not offset else encoding)
    except LookupError as error:
        raise InputError(
            f"There is no encoding {encoding!r}.", "Try --encoding latin-1 or --encoding cp1252"
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"{name} is not {encoding}: byte {offset + error.start} is 0x{content[error.start]:02x}.",
            "Say how it is encoded: --encoding latin-1",
        ) from error
