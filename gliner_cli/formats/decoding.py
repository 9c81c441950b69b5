"""The bytes of a source as text, and the place of the first byte that is wrong. Knows no format.

Formats see UTF-8 only. A source in another encoding is turned into it while it is read, because lines are cut at the
byte 0x0A, which in UTF-16 is half of many characters.
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

from gliner_cli.errors import InputError

CHUNK = 1 << 16
AUTO = "auto"
# Bytes of a line, or of a document that is a whole file. A document is held whole, some ten times over (text, words,
# pieces, answers): this is fourteen Bibles in one, and what a bomb or a disk of zeros would go far beyond.
LONGEST = 64 << 20
# Of code pages that fit equally well, these are what files are in; others (of old Macs, …) hardly are.
_COMMON = ("cp1252", "cp1251", "cp1250", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257")
_HEAD = 1 << 18  # bytes that an encoding is told by
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
          (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))  # fmt: skip
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
    """The lines of a stream with their ends, as they come; a byte-order mark is left out.

    Raises InputError for one longer than `LONGEST`.
    """
    offset = 0
    read_line = partial(_utf8(stream, name, encoding).readline, LONGEST + 1)
    for number, content in enumerate(iter(read_line, b""), start=1):
        if len(content) > LONGEST:
            raise too_long(f"{name}:{number} is a line", "Break its lines: fold -s; a JSON array: jq -c '.[]'")
        yield _unmarked(Part(number, offset, content))
        offset += len(content)


def pieces(stream: io.BufferedReader, name: str, encoding: str) -> Iterator[Part]:
    """A stream as it comes, cut anywhere: for what need not have lines; a byte-order mark is left out."""
    line, offset = 1, 0
    for content in chunks(_utf8(stream, name, encoding)):
        yield _unmarked(Part(line, offset, content))
        line, offset = line + content.count(b"\n"), offset + len(content)


def whole(stream: io.BufferedReader, name: str, encoding: str, longest: int = LONGEST) -> Part:
    """All of a stream; a byte-order mark is left out. Raises InputError for one longer than `longest`."""
    content = _utf8(stream, name, encoding).read(longest + 1)
    if len(content) > longest:
        raise too_long(
            f"{name} is one document", "Read it in parts, if it is text: --per paragraph; or split it.", longest
        )
    return _unmarked(Part(1, 0, content))


def decoded(part: Part, place: str) -> str:
    """The text of a part. Raises InputError that names the first wrong byte, counted from the start of the source."""
    try:
        return part.content.decode()
    except UnicodeDecodeError as error:
        raise _wrong_byte(place, "utf-8", error, part.offset) from error


def encodable(text: str) -> str:
    """Text that UTF-8 can hold: a lone surrogate becomes U+FFFD, which leaves every character in its place."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def unknown(encoding: str) -> InputError | None:
    """What is wrong with the name of an encoding, if anything is. Codecs that make no text are none either."""
    if encoding == AUTO:
        return None
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


def marked(head: bytes) -> str | None:
    """The encoding that a byte-order mark names."""
    return next((encoding for mark, encoding in _MARKS if head.startswith(mark)), None)


def detected(head: bytes, name: str) -> str:
    """The encoding of a text that begins so: by its byte-order mark, UTF-8 if it can be, otherwise what is likely.

    Raises InputError where nothing is.
    """
    if mark := marked(head):
        return mark
    if _could_be_utf8(head):
        return "utf-8"
    from charset_normalizer import from_bytes

    found = list(from_bytes(_whole_lines(head)))
    if not found:
        raise InputError(f"The encoding of {name} cannot be told by its bytes.", _HINT)
    alike = [match for match in found if match.chaos <= found[0].chaos]
    known = [name for match in alike for name in match.could_be_from_charset]
    return next((name for name in _COMMON if name in known), found[0].encoding)


def _could_be_utf8(head: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)  # may end within a character
    except UnicodeDecodeError:
        return False
    return b"\0" not in head  # half of each letter in UTF-16


def _whole_lines(head: bytes) -> bytes:
    """A beginning that was cut off somewhere, without a half character at its end."""
    if len(head) < _HEAD or b"\0" in head:  # all of it; or UTF-16, whose characters have an even place
        return head
    return head[: head.rfind(b"\n") + 1] or head


def _utf8(stream: io.BufferedReader, name: str, encoding: str) -> io.BufferedReader:
    if encoding == AUTO:
        head = stream.read(_HEAD)
        encoding, stream = detected(head, name), io.BufferedReader(Chunks(chain([head], chunks(stream))), CHUNK)
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
        except UnicodeError as error:  # of codecs that do not say where: idna, punycode
            raise InputError(f"{name} is not {encoding}: {error}.", _HINT) from error
        yield text.encode("utf-8", "surrogatepass")


def _wrong_byte(place: str, encoding: str, error: UnicodeDecodeError, offset: int) -> InputError:
    at = offset + error.start
    return InputError(f"{place} is not {encoding}: byte {at} is 0x{error.object[error.start]:02x}.", _HINT)


def too_long(what: str, hint: str, longest: int = LONGEST) -> InputError:
    """The error for a line or a document that would eat the memory."""
    return InputError(f"{what} of more than {longest >> 20} MB, which is more than one can be.", hint)
