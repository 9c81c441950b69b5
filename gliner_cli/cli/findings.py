"""What was found, told at the end: a few lines by label, and the bars of `--stats`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from gliner_cli.cli.console import as_json, note, show
from gliner_cli.cli.render import printable
from gliner_cli.cli.tally import OfLabel, Tally
from gliner_cli.options import Telling

_LABELS = 8
_TEXTS = 3
_BARS = 20
_BAR = 30  # characters of the longest
_EIGHTHS = " ▏▎▍▌▋▊▉█"

Row = tuple[str, int, str]  # name, count, what stands behind it


def tell(tally: Tally, line: str, telling: Telling, **figures: Any) -> None:
    """The summary, unless quiet; the bars where they were asked for, quiet or not. Programs get `figures` as well."""
    if not telling.quiet:
        found = {"documents": tally.documents, "entities": tally.entities, "labels": tally.facts()}
        note(line, "summary", **figures, **found)
        show(_table(tally), _lines(tally))
    if telling.stats:
        if as_json():
            note("most frequent entities", "stats", labels=tally.facts(_BARS), without_entities=tally.empty)
        for title, rows in (("labels", _label_rows(tally)), ("entities", _entity_rows(tally))):
            show(_picture(title, rows), _plain_picture(title, rows))


# --- The summary ---------------------------------------------------------------------------------------------------


def _lines(tally: Tally) -> Iterator[str]:
    labels = tally.ordered()
    for label, of in labels[:_LABELS]:
        yield printable(f"  {label} {of.count:,}: {_texts(of)}")
    if rest := labels[_LABELS:]:
        yield f"  {len(rest):,} more labels: {sum(of.count for _, of in rest):,}"


def _table(tally: Tally) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(justify="left", style="bold", overflow="fold")
    table.add_column(justify="right")
    table.add_column(justify="left", style="dim", overflow="fold")
    labels = tally.ordered()
    for label, of in labels[:_LABELS]:
        table.add_row(*(Text(printable(cell)) for cell in (label, f"{of.count:,}", _texts(of))))
    if rest := labels[_LABELS:]:
        table.add_row(f"{len(rest):,} more labels", f"{sum(of.count for _, of in rest):,}", "")
    return table


def _texts(of: OfLabel) -> str:
    """The most frequent, as `Paris 12, London 3`; `12+` where rarer ones had to be forgotten on the way."""
    more = "+" if of.texts.lost else ""
    return ", ".join(f"{text} {count:,}{more}" for text, count in of.texts.most(_TEXTS)) or "many, none of them often"


# --- The picture ---------------------------------------------------------------------------------------------------


def _label_rows(tally: Tally) -> list[Row]:
    return [
        (label, of.count, "" if of.mean is None else f"mean score {of.mean:.2f}")
        for label, of in tally.ordered()[:_BARS]
    ]


def _entity_rows(tally: Tally) -> list[Row]:
    return [(text, count, label) for text, label, count in tally.most(_BARS)]


def _picture(title: str, rows: Sequence[Row]) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", box=None, padding=(0, 1, 0, 0), show_header=False
    )
    table.add_column(overflow="ellipsis", no_wrap=True, max_width=32)
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(justify="right")
    table.add_column(style="dim", overflow="fold")
    longest = max((count for _, count, _ in rows), default=1)
    for name, count, behind in rows:
        cells = (printable(name), bar(count / longest), f"{count:,}", printable(behind))
        table.add_row(*map(Text, cells))
    return table


def _plain_picture(title: str, rows: Sequence[Row]) -> list[str]:
    """The same for a file or a pipe: as text of fixed width, in characters that every encoding has."""
    longest = max((count for _, count, _ in rows), default=1)
    drawn = [(name, "#" * max(1, round(_BAR * count / longest)), count, behind) for name, count, behind in rows]
    lines = (
        f"  {printable(name)[:32]:32} {marks:{_BAR}} {count:>7,}  {printable(behind)}"
        for name, marks, count, behind in drawn
    )
    return [title, *(line.rstrip() for line in lines)]


def bar(share: float) -> str:
    """A bar in eighths of a character; whatever is there at all can be seen."""
    eighths = max(1, round(share * 8 * _BAR))
    return _EIGHTHS[8] * (eighths // 8) + _EIGHTHS[eighths % 8].strip()
