"""Compressed streams of bytes, both ways, chosen by the last suffix of a name. Knows no format of documents."""

from __future__ import annotations

import bz2
import gzip
import importlib
import lzma
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from gliner_cli.errors import InputError, needs
from gliner_cli.formats.decoding import chunks

Opener = Callable[[BinaryIO], Any]


@dataclass(frozen=True)
class Compression:
    """What people call it, how its stream is opened around another one, and what a broken one raises."""

    name: str
    reading: Opener
    writing: Opener
    errors: Callable[[], tuple[type[Exception], ...]] = lambda: (
        EOFError, OSError, MemoryError, zlib.error, lzma.LZMAError  # the third: a dictionary of gigabytes
    )  # fmt: skip


def _zstd() -> Any:
    """The module of Python 3.14, or the same thing for those before."""
    try:
        return importlib.import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
    except ImportError as error:
        raise needs("zst", "A file compressed with zstd") from error


# No name and no time in the header of gzip, as in the others: the same results are the same bytes.
_TABLE: Mapping[str, Compression] = {
    ".gz": Compression(
        "gzip",
        lambda stream: gzip.GzipFile(fileobj=stream),
        lambda stream: gzip.GzipFile("", "wb", fileobj=stream, mtime=0),
    ),
    ".bz2": Compression("bzip2", bz2.BZ2File, lambda stream: bz2.BZ2File(stream, "wb")),
    ".xz": Compression("xz", lzma.LZMAFile, lambda stream: lzma.LZMAFile(stream, "wb")),  # noqa: SIM115
    ".zst": Compression(
        "zstd",
        lambda stream: _zstd().ZstdFile(stream),
        lambda stream: _zstd().ZstdFile(stream, "wb"),
        lambda: (EOFError, OSError, _zstd().ZstdError),
    ),
}


def compression(name: str) -> Compression | None:
    """How a file is compressed, by its name."""
    return _TABLE.get(Path(name.lower()).suffix)


def uncompressed_name(name: str) -> str:
    """A file's name without the suffix of its compression."""
    return str(Path(name).with_suffix("")) if compression(name) else name


def unpacked(stream: BinaryIO, name: str, how: Compression) -> Iterator[bytes]:
    """The content of a compressed stream, as it comes. Raises InputError where the stream is broken or cut off."""
    try:
        with how.reading(stream) as content:
            yield from chunks(content)
    except how.errors() as error:
        if isinstance(error, OSError) and error.errno is not None:  # the disk's, not the archive's
            raise
        raise InputError(f"{name} is not a whole {how.name} file: {error}.", "Compress it again.") from error


@contextmanager
def packed(stream: BinaryIO, how: Compression, through: bool) -> Iterator[BinaryIO]:
    """A stream that is compressed into the other one, which is left open.

    Only `through` to who reads along is it flushed: after every document it would be half as large again.
    """
    with how.writing(stream) as content:
        yield cast(BinaryIO, content if through else _Unflushed(content))


class _Unflushed:
    """As much of a stream as writers use."""

    def __init__(self, stream: BinaryIO) -> None:
        self.write = stream.write

    def flush(self) -> None:
        """Nothing."""
