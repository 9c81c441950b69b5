"""Values of Python and arrays of Arrow, where the two differ: Python knows no nanoseconds.

The module `pyarrow` is an argument: it is imported where somebody reads or writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class Nanoseconds(str):
    """A time that Python has no type for, as text, and its count, for who writes it as a time again."""

    nanoseconds: int


def listed(arrow: Any, column: Any) -> list[Any]:
    """The values of an array. Of times in nanoseconds, those that need them are text."""
    if getattr(column.type, "unit", None) != "ns":
        return list(column.to_pylist())
    kinds = {"timestamp": lambda: arrow.timestamp("us", column.type.tz), "time64": lambda: arrow.time64("us")}
    target = kinds.get(str(column.type).partition("[")[0], lambda: arrow.duration("us"))()
    try:
        return list(column.cast(target).to_pylist())
    except arrow.ArrowInvalid:
        if len(column) == 1:
            return [_as_text(arrow, column)]
        return [value for row in range(len(column)) for value in listed(arrow, column.slice(row, 1))]


def _as_text(arrow: Any, column: Any) -> Nanoseconds:
    (count,) = column.cast(arrow.int64()).to_pylist()
    is_duration = arrow.types.is_duration(column.type)
    text = Nanoseconds(f"{count} ns" if is_duration else column.cast(arrow.string()).to_pylist()[0])
    text.nanoseconds = count
    return text


def array(arrow: Any, values: Sequence[Any], kind: Any) -> Any:
    """The values as an array of a type, or of what fits them if none is given."""
    if getattr(kind, "unit", None) != "ns" or not any(isinstance(value, Nanoseconds) for value in values):
        return arrow.array(values, kind)
    counts = [
        value.nanoseconds if isinstance(value, Nanoseconds) else arrow.scalar(value, kind).value for value in values
    ]
    return arrow.array(counts, arrow.int64()).cast(kind)
