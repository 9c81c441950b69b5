"""JSON between bytes and values: a value a line, or the elements of one array, as they come and with their places.

Knows no schema. An array is not held whole: its elements are cut where their brackets close, so that one of a gigabyte
needs no more memory than its longest element, and a broken element costs only itself. Of a key that an object has twice
the last one counts, as readers of JSON do everywhere.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import accumulate, chain
from typing import Any, BinaryIO

import orjson

from gliner_cli.errors import InputError, OutputError
from gliner_cli.formats.decoding import CHUNK, LONGEST, Part, decoded, lines, pieces
from gliner_cli.formats.sources import Problem, Source

Placed = tuple[str, Any]  # a place in the source as people are told it, and the value there

DEEPEST = 200  # brackets inside each other: deeper values could be read, but not all of them written
_MOST = 2_000_000  # brackets in one value: 64 MB of empty objects are some gigabytes of memory, and ten seconds

_DIGITS = bytes(48 if chr(byte) in "0123456789" else 32 for byte in range(256))
_ROUNDED_BY_ORJSON = b"0" * 19  # whole numbers beyond 64 bits, when all digits are noughts
# A string (1: nothing or a backslash, where the bytes end inside it); 2: a bracket that opens; 3: one that closes.
_MARK = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|(\\?)\Z)|([\[{])|([\]}])', re.DOTALL)
_STEPS = {2: 1, 3: -1}
_BEFORE_TEXT = b"\xef\xbb\xbf\xff\xfe\x00 \t\r\n"  # byte-order marks and white space, in every encoding


def values(source: Source, encoding: str, problem: Problem) -> Iterator[Placed]:
    """The values of a source; what is no JSON is reported, and reading goes on. Raises InputError for half an array."""
    with source.opened() as stream:
        is_array = stream.peek().lstrip(_BEFORE_TEXT).startswith(b"[")
        parts = (pieces if is_array else lines)(stream, source.name, encoding)
        first = next((part for part in parts if part.content.strip()), None)
        if first is None:
            return
        begun = first.content.strip()
        if begun.startswith(b"["):
            yield from _of_array(first, parts, source.name, problem)
        elif begun == b"{":  # objects that go over several lines each
            cut = (part for part, _ in _cut(chain([first], parts), source.name))
            yield from _of_parts(cut, source.name, problem)
        else:
            yield from _of_parts(chain([first], parts), source.name, problem)


def _of_parts(parts: Iterable[Part], name: str, problem: Problem) -> Iterator[Placed]:
    for part in map(_bare, parts):
        if part.content:
            try:
                value = _parsed(part, name)
            except InputError as error:
                problem(error.about(part.content.replace(b"\n", b" "), ".jsonl"))
            else:
                yield f"{name}:{part.line}", value


def _of_array(first: Part, rest: Iterable[Part], name: str, problem: Problem) -> Iterator[Placed]:
    index, closed = 0, False
    for part, closes in _cut(chain([_after(first, first.content.index(b"[") + 1)], rest), name):
        bare = _bare(part._replace(content=part.content[:-1]) if closes else part)
        if closed and (bare.content or closes):
            raise InputError(f"{name}:{bare.line} goes on after the end of the array.", _ONE_ARRAY)
        try:
            found = _listed(bare, name)
        except InputError as error:
            problem(error.about(bare.content.replace(b"\n", b" "), ".jsonl"))
            index += 1
        else:
            yield from ((f"{name}[{number}]", value) for number, value in enumerate(found, start=index))
            index += len(found)
        closed = closed or closes
    if not closed:
        raise InputError(f"{name} ends before its array does: a bracket or quote is missing.", _ONE_ARRAY)


_ONE_ARRAY = "One array of objects was expected, or one object a line."


def _cut(parts: Iterable[Part], name: str) -> Iterator[tuple[Part, bool]]:
    """Parts that end with the last bracket of a value, and whether that one closes what all of them lie in.

    What is between two values begins the second; what comes after the last is a part of its own.
    """
    brackets, held, size, depth = _Brackets(), list[Part](), 0, 0
    for part in parts:
        number, used = part.line, 0  # nothing is cut off the front: that would copy what is left for every value
        for end, step in brackets.of(part.content):
            depth += step
            if step < 0 and depth <= 0:
                last = Part(number, part.offset + used, part.content[used:end])
                yield _joined([*held, last]), depth < 0
                number, used = number + last.content.count(b"\n"), end
                held, size, depth = [], 0, 0
        held.append(Part(number, part.offset + used, part.content[used:]))
        size += len(part.content) - used
        if size > LONGEST:  # for want of a bracket the rest of a file must not end up in memory
            raise InputError(f"{name}:{_bare(held[0]).line} begins a value that does not end in {size} bytes.", _HINT)
    if held:
        yield _joined(held), False


class _Brackets:
    """The brackets of a stream of JSON, without those in its strings."""

    def __init__(self) -> None:
        self._open = b""  # what the next bytes are to be read after, where the last ended inside a string

    def of(self, content: bytes) -> Iterator[tuple[int, int]]:
        """Where each bracket of the next bytes ends, and 1 if it opens, -1 if it closes."""
        before, self._open = self._open, b""
        for match in _MARK.finditer(before + content):
            if match.lastindex == 1:
                self._open = b'"' + match[1]
            elif match.lastindex:
                yield match.end() - len(before), _STEPS[match.lastindex]


def _joined(parts: list[Part]) -> Part:
    return parts[0]._replace(content=b"".join(part.content for part in parts))


def _after(part: Part, count: int) -> Part:
    """A part without its first bytes."""
    return Part(part.line + part.content.count(b"\n", 0, count), part.offset + count, part.content[count:])


def _bare(part: Part) -> Part:
    """A part without white space, and without the comma before it."""
    return _stripped(_after(_stripped(part), 1)) if part.content.lstrip().startswith(b",") else _stripped(part)


def _stripped(part: Part) -> Part:
    content = part.content.lstrip()
    left = _after(part, len(part.content) - len(content))
    return left._replace(content=content.rstrip())


def _listed(part: Part, name: str) -> list[Any]:
    """The elements of a part of an array: most often one; more where some have no brackets."""
    if part.content.startswith((b"{", b"[")):
        return [_parsed(part, name)]
    listed = _parsed(Part(part.line, part.offset - 1, b"[" + part.content + b"]"), name)
    return list(listed)


def _parsed(part: Part, name: str) -> Any:
    """orjson is fast; the json module reads what it refuses besides mistakes: lone surrogates, NaN, huge numbers."""
    text = decoded(part, f"{name}:{part.line}")
    if part.content.count(b"[") + part.content.count(b"{") > _MOST:
        raise _no_json(f"{name}:{part.line}", f"more than {_MOST:,} brackets in one value")
    if _depth(part.content) > DEEPEST:
        raise _no_json(f"{name}:{part.line}", f"more than {DEEPEST} brackets inside each other")
    if _ROUNDED_BY_ORJSON not in part.content.translate(_DIGITS):
        with suppress(orjson.JSONDecodeError):
            return orjson.loads(text)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line, what = part.line + error.lineno - 1, f"{error.msg}, at column {error.colno}"
        raise _no_json(f"{name}:{line}", what) from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits
        raise _no_json(f"{name}:{part.line}", str(error)) from error


def _depth(content: bytes) -> int:
    """The most brackets inside each other; 0 where there are too few for it to matter."""
    if content.count(b"[") + content.count(b"{") <= DEEPEST:
        return 0
    brackets = _Brackets()
    cut = (content[start : start + CHUNK] for start in range(0, len(content), CHUNK))
    return max(accumulate(step for piece in cut for _, step in brackets.of(piece)), default=0)


def _no_json(place: str, what: str) -> InputError:
    return InputError(f"{place} is not JSON: {what}.", _HINT)


_HINT = "One object a line was expected; if this is plain text: --from text"


def kind(value: Any) -> str:
    """What a value is, for messages."""
    return _KINDS.get(type(value), "a number")


_KINDS = {type(None): "null", bool: "a truth value", str: "a string", list: "a list", dict: "an object"}


def as_text(value: Any) -> str:
    """A value that JSON has no type for: bytes as hexadecimal digits, numbers, dates and times as they are shown."""
    return value.hex() if isinstance(value, bytes) else str(value)


def line(row: Mapping[str, Any], name: str | None) -> bytes:
    """A row as one line of JSON, without its end. Raises OutputError that calls what cannot be held by its name."""
    try:
        content = orjson.dumps(row, as_text, orjson.OPT_PASSTHROUGH_DATETIME)
    except TypeError:  # lone surrogates, whole numbers beyond 64 bits
        return _by_json(row, name)
    # orjson makes null of NaN and the infinities; what came in goes out
    return content if b"null" not in content or _finite(row) else _by_json(row, name)


def write_lines(rows: Iterable[bytes], stream: BinaryIO) -> None:
    """One line a row, each written through at once."""
    for row in rows:
        stream.write(row + b"\n")
        stream.flush()


def write_array(rows: Iterable[bytes], stream: BinaryIO) -> None:
    """One array, an element a line, each written through at once; it is JSON when the last has come."""
    before = b"[\n"
    for row in rows:
        stream.write(before + row)
        stream.flush()
        before = b",\n"
    stream.write(b"[]\n" if before == b"[\n" else b"\n]\n")
    stream.flush()


def _by_json(row: Mapping[str, Any], name: str | None) -> bytes:
    try:
        return json.dumps(row, default=as_text).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise OutputError(f"JSON cannot hold the fields of {name}: {error}.", "Leave them out of meta") from error


def _finite(value: Any) -> bool:
    match value:
        case float():
            return math.isfinite(value)
        case dict():
            return all(map(_finite, value.values()))
        case list() | tuple():
            return all(map(_finite, value))
    return True
