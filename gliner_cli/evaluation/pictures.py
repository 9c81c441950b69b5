"""Pictures of numbers as SVG, drawn with nothing but strings. They know no report; colours are the page's.

Whatever a person reads as a number carries its exact value in `data-v` (ticks of an axis apart, which are of class
"tick"), so that a test can hold every picture against the JSON. All text is escaped here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

WIDTH = 720.0
_LETTER = 6.7  # width of a letter at 12 px, about
_ROOM = 68.0  # below and left of a plot, for its axes


@dataclass(frozen=True)
class Mark:
    """A value and the interval around it, if any; the text that people read of it."""

    value: float
    low: float | None = None
    high: float | None = None
    text: str = ""

    @property
    def exact(self) -> str:
        """What goes into `data-v`."""
        return " ".join(repr(one) for one in (self.value, self.low, self.high) if one is not None)


def tag(name: str, content: str = "", **attributes: Any) -> str:
    """An element; `content` is markup, attributes are escaped. `class_` is class, `stroke_width` is stroke-width."""
    named = "".join(
        f' {key.strip("_").replace("_", "-")}="{f"{value:.1f}" if isinstance(value, float) else escape(str(value))}"'
        for key, value in attributes.items()
    )
    return f"<{name}{named}>{content}</{name}>"


def words(content: str, x: float, y: float, **attributes: Any) -> str:
    """Text at a place."""
    return tag("text", escape(content), x=float(x), y=float(y), **attributes)


def standalone(picture: str) -> str:
    """A picture as a file of its own: with its name space, and with the colours that a page would give it."""
    style = (
        "text{font:12px sans-serif;fill:#555}line{stroke:#ddd}.curve{fill:none;stroke:#2563c9;stroke-width:2}"
        ".dot,circle{fill:#2563c9}"
    )
    return picture.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1).replace(
        ">", f"><style>{style}</style><rect width='100%' height='100%' fill='#fff'/>", 1
    )


def _line(x1: float, y1: float, x2: float, y2: float, **attributes: Any) -> str:
    return tag("line", x1=float(x1), y1=float(y1), x2=float(x2), y2=float(y2), **attributes)


def _told(mark: Mark) -> str:
    return tag("title", escape(mark.text), data_v=mark.exact)


def _picture(height: float, title: str, parts: Sequence[str], width: float = WIDTH) -> str:
    inner = "".join(parts)
    return tag("svg", inner, viewBox=f"0 0 {width:.0f} {height:.0f}", role="img", aria_label=title,
               style=f"max-width:{width:.0f}px")  # fmt: skip


def _legend(names: Sequence[str], left: float) -> list[str]:
    """The series' names in their colours, in a row; none for a single one, which the caption names."""
    if len(names) < 2:
        return []
    places = [left + sum(len(name) * _LETTER + 30 for name in names[:number]) for number in range(len(names))]
    return [
        tag("g", tag("circle", cx=x + 5, cy=10.0, r=4.5, class_=f"dot s{number % 6}") + words(name, x + 15, 14))
        for number, (name, x) in enumerate(zip(names, places, strict=True))
    ]


def _short(name: str, most: int = 30) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"


# --- Values with intervals, a line each -----------------------------------------------------------------------------

Rows = Sequence[tuple[str, Sequence[tuple[int, Mark | None]]]]


def dots(title: str, rows: Rows, series: Sequence[str], most: float = 1.0, percents: bool = True) -> str:
    """A line for each row, on it a dot with its interval for each mark, in the colour of its series (by number).

    The axis goes from 0 to `most`; with `percents` it is labelled in percent.
    """
    left = min(230.0, max(len(_short(name)) for name, _ in rows) * _LETTER + 14)
    top, right = 26.0 if len(series) > 1 else 8.0, WIDTH - 66
    heights = [11 + 15.0 * len(marks) for _, marks in rows]
    edges = [top + sum(heights[:number]) for number in range(len(rows) + 1)]

    def across(value: float) -> float:
        return left + (right - left) * min(value, most) / most

    parts = _legend(series, left)
    for at in _ticks(most):
        shown = f"{at * 100:.0f} %" if percents else _brief(at)
        parts.append(_line(across(at), top, across(at), edges[-1], class_="grid"))
        parts.append(words(shown, across(at), edges[-1] + 16, class_="tick", text_anchor="middle"))
    for (name, marks), y, height in zip(rows, edges, heights, strict=False):
        parts.append(words(_short(name), left - 10, y + height / 2 + 4, text_anchor="end"))
        parts += [_dot(mark, across, y + 13 + 15 * place, which) for place, (which, mark) in enumerate(marks) if mark]
    return _picture(edges[-1] + 26, title, parts)


def _dot(mark: Mark, across: Callable[[float], float], y: float, which: int) -> str:
    colour = f"s{which % 6}"
    low = across(mark.value if mark.low is None else mark.low)
    high = across(mark.value if mark.high is None else mark.high)
    shown = mark.text.partition(" ")[0]
    return tag(
        "g",
        _told(mark)
        + _line(low, y, high, y, class_=f"range {colour}")
        + tag("circle", cx=float(across(mark.value)), cy=float(y), r=4.5, class_=f"dot {colour}")
        + words(shown, max(high, across(mark.value)) + 9, y + 4, class_="value", data_v=mark.exact),
    )


def _ticks(most: float) -> list[float]:
    """Round numbers from 0 to at most `most`, four to eight of them."""
    rough = most / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * 0.999)
    return [step * number for number in range(int(most / step * 1.0001) + 1)]


def _brief(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.2g}"


# --- Curves --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Axis:
    """What an axis shows: its name, its ends, whether equal steps are equal factors, and its ticks."""

    name: str
    low: float
    high: float
    ticks: tuple[float, ...]
    logarithmic: bool = False
    percent: bool = False

    def share(self, value: float) -> float:
        """How far along the axis a value is, from 0 to 1."""
        if self.logarithmic:
            return math.log(value / self.low) / math.log(self.high / self.low) if self.high > self.low else 0.5
        return (value - self.low) / (self.high - self.low)

    def shown(self, tick: float) -> str:
        """The text of a tick."""
        return f"{tick * 100:.0f}" if self.percent else _brief(tick)


def shares(name: str) -> Axis:
    """An axis of shares, in percent."""
    return Axis(f"{name}, %", 0, 1, (0, 0.2, 0.4, 0.6, 0.8, 1), percent=True)


def scores(name: str) -> Axis:
    """An axis of scores or thresholds."""
    return Axis(name, 0, 1, (0, 0.2, 0.4, 0.6, 0.8, 1))


def values(name: str, ticks: Sequence[float]) -> Axis:
    """A logarithmic axis with a tick at each of these."""
    return Axis(name, min(ticks), max(ticks), tuple(ticks), logarithmic=True)


def amounts(name: str, most: float) -> Axis:
    """An axis from 0 to a little more than `most`."""
    ticks = _ticks(most * 1.05)
    return Axis(name, 0, max(most * 1.05, ticks[-1]), tuple(ticks))


Curve = Sequence[tuple[float, Mark]]


def curves(title: str, series: Mapping[str, Curve], x: Axis, y: Axis, height: float = 300.0) -> str:
    """A line for each series, its quartiles as a band behind it."""
    frame = _Frame(_ROOM, 30.0, WIDTH - 24, height - 46, x, y)
    parts = [*_legend(list(series), _ROOM), *frame.axes()]
    for number, curve in enumerate(series.values()):
        parts += frame.band(curve, number)
        parts.append(tag("polyline", points=" ".join(frame.at(a, mark.value) for a, mark in curve),
                         class_=f"curve s{number % 6}"))  # fmt: skip
        parts += [frame.point(a, mark, number) for a, mark in curve]
    return _picture(height, title, parts)


@dataclass(frozen=True)
class _Frame:
    """Where a plot lies in its picture, and its axes."""

    left: float
    top: float
    right: float
    bottom: float
    x: Axis
    y: Axis

    def across(self, value: float) -> float:
        return self.left + (self.right - self.left) * self.x.share(value)

    def up(self, value: float) -> float:
        return self.bottom - (self.bottom - self.top) * self.y.share(value)

    def at(self, a: float, b: float) -> str:
        return f"{self.across(a):.1f},{self.up(b):.1f}"

    def axes(self) -> Iterator[str]:
        for tick in self.y.ticks:
            yield _line(self.left, self.up(tick), self.right, self.up(tick), class_="grid")
            yield words(self.y.shown(tick), self.left - 8, self.up(tick) + 4, class_="tick", text_anchor="end")
        for tick in self.x.ticks:
            yield words(self.x.shown(tick), self.across(tick), self.bottom + 20, class_="tick", text_anchor="middle")
        yield words(self.x.name, (self.left + self.right) / 2, self.bottom + 40, class_="axis", text_anchor="middle")
        turned = f"rotate(-90 14 {(self.top + self.bottom) / 2:.1f})"
        yield words(
            self.y.name, 14, (self.top + self.bottom) / 2, class_="axis", text_anchor="middle", transform=turned
        )

    def band(self, curve: Curve, number: int) -> list[str]:
        low = [self.at(a, mark.low) for a, mark in curve if mark.low is not None]
        high = [self.at(a, mark.high) for a, mark in curve if mark.high is not None]
        return [tag("polygon", points=" ".join([*low, *reversed(high)]), class_=f"band s{number % 6}")] if low else []

    def point(self, a: float, mark: Mark, number: int, radius: float = 3.5) -> str:
        circle = tag("circle", cx=self.across(a), cy=self.up(mark.value), r=radius, class_=f"dot s{number % 6}")
        return tag("g", _told(mark) + circle)


def calibration(title: str, bins: Sequence[tuple[float, Mark, int]]) -> str:
    """Score against the share that is right, a disc for each bin, its area the number of entities in it."""
    side = 360.0
    frame = _Frame(_ROOM, 14.0, side - 14, side - 48, scores("score"), shares("right"))
    most = max(count for _, _, count in bins)
    discs = [frame.point(at, mark, 0, 2.5 + 9 * math.sqrt(count / most)) for at, mark, count in bins]
    ideal = _line(frame.left, frame.bottom, frame.right, frame.top, class_="ideal")
    return _picture(side, title, [*frame.axes(), ideal, *discs], side)


# --- Counts in a grid ----------------------------------------------------------------------------------------------


def grid(title: str, names: Sequence[str], columns: Sequence[str], counts: Mapping[tuple[str, str], int]) -> str:
    """Gold labels down, found ones across; a cell is as dark as its share of the row."""
    cell = 30.0
    left = max(len(_short(name)) for name in names) * _LETTER + 14
    top = max(len(_short(name)) for name in columns) * _LETTER * 0.72 + 22
    width, bottom = left + cell * len(columns) + 90, top + cell * len(names)
    parts = [
        words(
            _short(name),
            left + cell * number + 12,
            top - 8,
            transform=f"rotate(-45 {left + cell * number + 12:.1f} {top - 8:.1f})",
        )
        for number, name in enumerate(columns)
    ]
    for number, name in enumerate(names):
        y, row = top + cell * number, [counts.get((name, column), 0) for column in columns]
        parts.append(words(_short(name), left - 10, y + cell / 2 + 4, text_anchor="end"))
        parts += [
            _cell(left + cell * place, y, cell, count, count / sum(row), column == name)
            for place, (column, count) in enumerate(zip(columns, row, strict=True))
            if count
        ]
    frame = tag("rect", x=left, y=top, width=cell * len(columns), height=cell * len(names), class_="frame")
    return _picture(bottom + 8, title, [frame, *parts], width)


def _cell(x: float, y: float, side: float, count: int, share: float, right: bool) -> str:
    colour = "right" if right else "wrong"
    box = tag("rect", x=x + 1, y=y + 1, width=side - 2, height=side - 2, rx=3, class_=colour,
              fill_opacity=f"{0.12 + 0.88 * share:.2f}")  # fmt: skip
    shade = "value strong" if share > 0.5 else "value"
    return box + words(str(count), x + side / 2, y + side / 2 + 4, class_=shade, text_anchor="middle", data_v=count)
