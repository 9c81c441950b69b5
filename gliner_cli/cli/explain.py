"""`gliner extract --explain`: a table of candidates on a terminal, tab-separated where the output goes elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from gliner_cli.cli.render import printable

if TYPE_CHECKING:
    from gliner_cli.inference.explaining import Candidate, Explanation

_HEADINGS = ("start", "end", "text", "label", "score", "threshold", "of", "window", "fate", "why")
_STYLES = {"kept": "bold green", "below threshold": "dim"}


def print_explanation(explanation: Explanation) -> None:
    """All candidates of a document, in the order of their places."""
    if sys.stdout.isatty():
        _print_table(explanation)
        return
    print("\n".join(f"# {line}" for line in _facts(explanation)))
    print(*_HEADINGS, sep="\t")
    for one in explanation.candidates:
        print(*_cells(one), sep="\t")


def _facts(explanation: Explanation) -> Iterator[str]:
    document, kept = explanation.document, len(explanation.document.entities)
    yield _one_line(document.id or document.source or "document")
    unknown = f", {explanation.unknown:,} of them unknown to the tokenizer" if explanation.unknown else ""
    yield f"{explanation.words:,} words, {explanation.pieces:,} pieces{unknown}"
    asked = f", each asked {explanation.prompts} times for its labels" if explanation.prompts > 1 else ""
    places = ", ".join(f"{window.first}-{window.stop}" for window in explanation.windows[:10])
    more = ", …" if len(explanation.windows) > 10 else ""
    windows = f"{len(explanation.windows):,} window{'s' if len(explanation.windows) != 1 else ''}"
    yield f"{windows} (words {places}{more}){asked}"
    yield f"{len(explanation.candidates):,} candidates, {kept:,} entities"


def _cells(one: Candidate) -> tuple[str, ...]:
    numbers = (str(one.start), str(one.end))
    limits = (f"{one.score:.4f}", f"{one.threshold:g}", one.origin, str(one.window))
    return (*numbers, _one_line(one.text), _one_line(one.label), *limits, one.fate, _one_line(one.why))


def _one_line(text: str) -> str:
    return printable(" ".join(text.split()))


def _print_table(explanation: Explanation) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    for number, line in enumerate(_facts(explanation)):
        console.print(Text(line, style="" if number else "bold"))
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("place", "text", "label", "score", "why"):
        table.add_column(heading, justify="right" if heading == "score" else "left", overflow="fold")
    for one in explanation.candidates:
        cells = (f"{one.start}-{one.end}", _one_line(one.text), _one_line(one.label), f"{one.score:.3f}", one.why)
        table.add_row(*(Text(printable(cell)) for cell in cells), style=_STYLES.get(one.fate, ""))
    console.print(table)
