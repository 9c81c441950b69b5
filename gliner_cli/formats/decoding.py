"""The bytes of a source as text, and the place of the first byte that is wrong. Knows no format.

Formats see UTF-8 only. A source in another encoding is turned into it while it is read, because lines are cut at the
byte 0x0A, which in UTF-16 is half of many characters.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from itertools import chain
from typing import Any, NamedTuple

from gliner_cli.errors import InputError

CHUNK = 1 << 16
_HINT = "Say how it is encoded: --encoding latin-1"


class Part(NamedTuple):
    """Bytes of a source, in UTF-8: the line they begin on (from 1), their offset (from 0), and themselves."""

    line: int
    offset: int
    content: bytes


class Chunks(io.RawIOBase):
    """A raw stream made of an iterator of bytes. It asks for a chunk only when it has none left."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._left = chunks, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        while not self._left:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._left = chunk
        count = min(len(buffer), len(self._left))
        buffer[:count], self._left = self._left[:count], self._left[count:]
        return count


def chunks(stream: Any) -> Iterator[bytes]:
    """What a buffered stream gives, as soon as it gives it: an endless one is not waited for."""
    while chunk := stream.read1(CHUNK):
        yield chunk


def lines(stream: io.BufferedReader, name: str, encoding: str) -> Iterator[Part]:
    """The lines of a stream with their ends, as they come; a byte-order mark is left out."""
    offset = 0
    for number, content in enumerate(_utf8(stream, name, encoding), start=1):
        yield _unmarked(Part(number, offset, content))
        offset += len(content)


def whole(stream: io.BufferedReader, name: str, encoding: str) -> Part:
    """All of a stream; a byte-order mark is left out."""
    return _unmarked(Part(1, 0, _utf8(stream, name, encoding).read()))


def decoded(part: Part, place: str) -> str:
    """The text of a part. Raises InputError that names the first wrong byte, counted from the start of the source."""
    try:
        return part.content.decode()
    except UnicodeDecodeError as error:
        raise _wrong_byte(place, "utf-8", error, part.offset) from error


def unknown(encoding: str) -> InputError | None:
    """What is wrong with the name of an encoding, if anything is. Codecs that make no text are none either."""
    try:
        "".encode(encoding)
        codecs.getincrementaldecoder(encoding)
    except (LookupError, ValueError):
        return InputError(f"There is no encoding {encoding!r}.", "Try --encoding latin-1 or --encoding cp1252")
    return None


def _unmarked(part: Part) -> Part:
    if part.offset or not part.content.startswith(codecs.BOM_UTF8):
        return part
    return Part(part.line, len(codecs.BOM_UTF8), part.content.removeprefix(codecs.BOM_UTF8))


def _utf8(stream: io.BufferedReader, name: str, encoding: str) -> io.BufferedReader:
    if codecs.lookup(encoding).name in ("utf-8", "utf-8-sig"):
        return stream
    return io.BufferedReader(Chunks(_recoded(stream, name, encoding)), CHUNK)


def _recoded(stream: io.BufferedReader, name: str, encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)()
    read = 0
    for chunk in chain(chunks(stream), [b""]):
        read += len(chunk)
        try:
            text = decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:  # its object begins with what the decoder had kept from the last chunk
            raise _wrong_byte(name, encoding, error, read - len(error.object)) from error
        yield text.encode("utf-8", "surrogatepass")


def _wrong_byte(place: str, encoding: str, error: UnicodeDecodeError, offset: int) -> InputError:
    at = offset + error.start
    return InputError(f"{place} is not {encoding}: byte {at} is 0x{error.object[error.start]:02x}.", _HINT)
