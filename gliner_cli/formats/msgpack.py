"""MessagePack without unpacking it: how many objects it would make, of which each takes dozens of bytes of memory."""

from __future__ import annotations

# What follows the first byte of an object (github.com/msgpack/msgpack/blob/master/spec.md): so many bytes …
_FIXED = {0xCA: 4, 0xCB: 8, **{0xCC + power: 1 << power for power in range(4)}, **{0xD0 + p: 1 << p for p in range(4)},
          **{0xD4 + power: 1 + (1 << power) for power in range(5)}}  # fmt: skip
# … or a number of so many bytes: of bytes that follow (and of one more, in extensions), or of objects.
_BYTES = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xC7: 1, 0xC8: 2, 0xC9: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}
_OBJECTS = {0xDC: 2, 0xDD: 4, 0xDE: 2, 0xDF: 4}
_EXTENSIONS = (0xC7, 0xC8, 0xC9)


def has_more_than(most: int, content: bytes) -> bool:
    """Whether there are more objects than so many, or said to be. Those within `bin` values are none."""
    place = count = 0
    said = 1
    while place < len(content) and max(count, said) <= most:
        first = content[place]
        count, place = count + 1, place + 1
        if width := _OBJECTS.get(first):
            said += int.from_bytes(content[place : place + width], "big")
            place += width
        else:
            place += _length(first, content, place)
    return max(count, said) > most


def _length(first: int, content: bytes, place: int) -> int:
    """How many bytes are between the first one of an object and the next object."""
    if 0xA0 <= first <= 0xBF:
        return first & 0x1F
    if width := _BYTES.get(first):
        return width + (first in _EXTENSIONS) + int.from_bytes(content[place : place + width], "big")
    return _FIXED.get(first, 0)
