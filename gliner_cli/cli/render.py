"""Documents for people: the text with its entities marked, and the summary of a run; and tables of a bench."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from gliner_cli.types import Document

if TYPE_CHECKING:
    from gliner_cli.evaluation.cells import Cell, Table
    from gliner_cli.jobs.run import Run

_COLOURS = ("cyan", "magenta", "yellow", "green", "blue", "red", "bright_cyan", "bright_magenta", "bright_yellow")


def print_documents(documents: Iterable[Document], console: Console) -> None:
    """Each document's text with its entities in the colour of their label."""
    colours: dict[str, str] = {}
    for document in documents:
        if document.id:
            console.print(Text(document.id, style="bold"))
        console.print(marked(document, colours))
        console.print()


def marked(document: Document, colours: dict[str, str]) -> Text:
    """The text with every entity coloured and its label and score behind it. Of nested ones, the inner in its place."""
    shown, place = Text(), 0
    for entity in sorted(document.entities, key=lambda entity: (entity.end, -entity.start)):
        colour = colours.setdefault(entity.label, _COLOURS[len(colours) % len(_COLOURS)])
        start = max(place, entity.start)
        shown.append(printable(document.text[place:start]))
        shown.append(printable(document.text[start : entity.end]), style=f"bold {colour}")
        score = "" if entity.score is None else f" {entity.score:.2f}"
        shown.append(f" [{entity.label}{score}]", style=colour)
        place = max(place, entity.end)
    shown.append(printable(document.text[place:]))
    return shown


def printable(text: str) -> str:
    """Text that cannot steer a terminal: control characters become their pictures."""
    return "".join(
        c if c in "\n\t" or (ord(c) >= 32 and not 127 <= ord(c) < 160) else chr(0x2400 + ord(c) % 32) for c in text
    )


def summary(run: Run) -> str:
    """A run in one line."""
    entities = f"{run.entities.total():,} entities"
    words, known = run.counts.words, run.documents - run.counts.documents
    rate = f"{words / run.seconds:,.0f} words/s" if run.seconds > 0 else ""
    before = f" ({known:,} of them known)" if known > 0 else ""
    done = f"{run.documents:,} documents{before}, {words:,} words, {run.counts.windows:,} windows"
    return f"{done}: {entities} in {run.seconds:.1f} s, {rate}"


def print_tables(tables: Iterable[Table], console: Console) -> None:
    """Tables one below the other, each with its title above and its notes below."""
    for table in tables:
        console.print(_drawn(table))
        for note in table.notes:
            console.print(_plain(note), style="bold red" if _plain(note).plain.startswith("NOT") else "dim")
        console.print()


def _drawn(table: Table) -> RichTable:
    drawn = RichTable(title=table.title, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
    for number, column in enumerate(table.columns):
        drawn.add_column(column, justify="left" if number < table.names else "right", overflow="fold")
    for row in table.rows:
        drawn.add_row(*map(_plain, row))
    return drawn


def _plain(cell: Cell) -> Text:
    return Text(printable("".join(part if isinstance(part, str) else part.text for part in cell)))
