"""Tables as they are before they are drawn: on the terminal, as Markdown, or on the page.

A number in a cell keeps the value that the JSON has, beside the text that people read. Shares are shown in percent, as
published tables do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple


class Number(NamedTuple):
    """A number as the JSON has it, and as people read it."""

    value: float
    text: str


Cell = tuple[Number | str, ...]


@dataclass(frozen=True)
class Table:
    """`notes` are sentences below it. The first `names` columns are text, the others numbers."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[Cell, ...] = ()
    names: int = 1


def text(cell: Cell) -> str:
    """A cell as plain text."""
    return "".join(part if isinstance(part, str) else part.text for part in cell)


# --- Numbers for people --------------------------------------------------------------------------------------------


def percent(value: float) -> Number:
    """A share from 0 to 1, as 47.1."""
    return Number(value, f"{100 * value:.1f}")


def signed(value: float) -> Number:
    """A difference of shares, in points: +1.3."""
    return Number(value, f"{100 * value:+.1f}")


def count(value: float) -> Number:
    """A whole number, or one whose fraction does not matter, as 12,345."""
    return Number(value, f"{value:,.0f}")


def amount(value: float) -> Number:
    """Any other number, with three digits that say something."""
    return Number(value, f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}")


def factor(value: float) -> Number:
    """A ratio, as 2.31."""
    return Number(value, f"{value:,.2f}")


def seconds(value: float) -> Number:
    """A time, as 12 ms or 1.2 s."""
    return Number(value, f"{1000 * value:,.1f} ms" if value < 0.1 else f"{value:,.2f} s")


def size(value: float) -> Number:
    """Bytes, as 312 MB."""
    return Number(value, f"{value / 1e6:,.0f} MB")


Shown = Callable[[float], Number]


def between(show: Shown, low: float, high: float) -> Cell:
    """An interval, as 41.2–53.1."""
    return show(low), "–", show(high)


def spread(show: Shown, values: Mapping[str, Any]) -> Cell:
    """A median and its quartiles, as 2,310 (2,250–2,340)."""
    return show(values["median"]), " (", *between(show, values["low"], values["high"]), ")"
