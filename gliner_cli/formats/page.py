"""Documents as one HTML page: entities marked in the text, with a legend, counts and filters. Nothing is fetched.

The page is written document by document; what is known only at the end (labels, counts) is written there, and its
place on the screen is the style sheet's business. It can be read without its script, which only filters. A content
security policy allows that script and that style sheet, by their hashes, and nothing else; so whatever is in a document
cannot act even if a browser took it for markup.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from html import escape
from pathlib import Path
from typing import Any, BinaryIO

from gliner_cli.errors import OutputError
from gliner_cli.formats.page_marks import DEEPEST, Marked, colour, entity_name, label_name, marked, shown
from gliner_cli.options import Writing
from gliner_cli.types import Document

FREQUENT = 20
_COUNTED = 50_000  # different names whose counts are kept


def write(documents: Iterable[Document], stream: BinaryIO, options: Writing) -> None:
    """One page; each document is written through at once. Raises OutputError where a browser would read it as XML."""
    if options.output and options.output.suffix == ".xhtml":
        raise OutputError(f"{options.output} would be read as XML, and the page is HTML.", "Name it so: -o PAGE.html")
    for part in _parts(documents):
        stream.write(part.encode())
        stream.flush()


def _parts(documents: Iterable[Document]) -> Iterator[str]:
    tally = _Tally()
    yield _beginning()
    for document in documents:
        yield _article(document, tally)
    yield f"</main>\n{_panel(tally)}<script>{_packaged('page.js')}</script>\n</body></html>\n"


# --- What is counted -----------------------------------------------------------------------------------------------


@dataclass
class _Tally:
    """Counts so far. Memory is bounded: where there are too many names, the rare ones are forgotten."""

    documents: int = 0
    left_out: int = 0
    scored: bool = False
    forgotten: bool = False
    numbers: dict[str, int] = field(default_factory=dict)  # of labels, in the order they came
    labels: Counter[str] = field(default_factory=Counter)
    names: Counter[tuple[str, str]] = field(default_factory=Counter)

    def number(self, label: str) -> int:
        """The number of a label; a new one gets the next."""
        return self.numbers.setdefault(label, len(self.numbers))

    def add(self, drawn: Marked) -> None:
        """Count the entities of one more document."""
        self.documents += 1
        self.left_out += drawn.left_out
        self.scored = self.scored or any(entity.score is not None for entity in drawn.entities)
        self.labels.update(entity.label for entity in drawn.entities)
        self.names.update((entity.label, entity_name(entity)) for entity in drawn.entities)
        if len(self.names) > _COUNTED:
            self.names = Counter(dict(self.names.most_common(_COUNTED // 2)))
            self.forgotten = True


# --- Parts of the page ---------------------------------------------------------------------------------------------


def _beginning() -> str:
    policy = f"default-src 'none'; style-src {_hash(_style())}; script-src {_hash(_packaged('page.js'))}"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<meta http-equiv=\"Content-Security-Policy\" content=\"{policy}; base-uri 'none'; form-action 'none'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1"><title>Entities in text</title>'
        f"<style>{_style()}</style></head><body>\n"
        '<a class="skip" href="#panel">To the summary and filters</a>'
        '<header class="top"><p>gliner</p><h1>Entities in text</h1></header>\n<main id="documents">\n'
    )


def _article(document: Document, tally: _Tally) -> str:
    drawn = marked(document.text, document.entities, tally.number)
    tally.add(drawn)
    number = tally.documents
    name = shown(document.id) if document.id else f"Document {number}"
    source = document.source or ""
    where = "" if (document.id or "").startswith(source) else f"<small>{shown(source)}</small>"
    return (
        f'<article id="d{number}"><h2><a href="#d{number}">{number}</a> <bdi>{name}</bdi> {where}</h2>'
        f'<div class="text" dir="auto">{drawn.html}</div>{_fields(document.meta)}</article>\n'
    )


def _fields(meta: Mapping[str, Any]) -> str:
    if not meta:
        return ""
    rows = "".join(f"<div><dt>{shown(name)}</dt><dd>{shown(_value(value))}</dd></div>" for name, value in meta.items())
    return f"<details><summary>{_many(len(meta), 'field')}</summary><dl>{rows}</dl></details>"


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _panel(tally: _Tally) -> str:
    counted = {"document": tally.documents, "entity": tally.labels.total(), "label": len(tally.numbers)}
    tiles = "".join(f"<div><dt>{_plural(name, n)}</dt><dd>{n:,}</dd></div>" for name, n in counted.items())
    return (
        f'<aside id="panel" tabindex="-1" aria-label="Summary and filters"><dl class="tiles">{tiles}</dl>\n'
        f"{_filters(tally)}{_legend(tally)}{_frequent(tally)}{_left_out(tally)}</aside>\n"
    )


def _filters(tally: _Tally) -> str:
    """What the script needs; without it, it stays hidden."""
    score = (
        '<label><span>Lowest score <output id="least">0.00</output></span>'
        '<input id="score" type="range" min="0" max="1" step="0.01" value="0"></label>'
    )
    return (
        '<div id="filters" hidden><label><span>Search</span><input id="query" type="search" autocomplete="off" '
        f'spellcheck="false"></label>{score if tally.scored else ""}'
        '<label class="check"><input id="hits" type="checkbox"> Only documents with entities</label>'
        '<p id="status" role="status"></p></div>\n'
    )


def _legend(tally: _Tally) -> str:
    if not tally.numbers:
        return ""
    rows = "".join(_label(label, number, tally.labels[label]) for label, number in tally.numbers.items())
    both = '<p id="both" hidden><button type="button">All</button><button type="button">None</button></p>'
    return f'<section class="labels"><h2>Labels</h2>{both}<ul id="legend">{rows}</ul></section>\n'


def _label(label: str, number: int, count: int) -> str:
    return (
        f'<li><button type="button" aria-pressed="true" class="{colour(number)}"><b>{escape(label_name(label))}</b>'
        f"<span>{count:,}</span></button></li>"
    )


def _frequent(tally: _Tally) -> str:
    if not tally.names:
        return ""
    rows = "".join(_name(*key, tally, count) for key, count in tally.names.most_common(FREQUENT))
    note = "<p class=note>Counts of rare entities may be too small.</p>" if tally.forgotten else ""
    return (
        '<details class="frequent" open><summary><h2>Most frequent</h2></summary>'
        f'<ol id="frequent" data-most="{FREQUENT}">{rows}</ol>{note}</details>\n'
    )


def _name(label: str, name: str, tally: _Tally, count: int) -> str:
    return (
        f'<li><button type="button" class="{colour(tally.number(label))}"><bdi>{escape(name)}</bdi> '
        f"<small>{escape(label_name(label))}</small><span>{count:,}</span></button></li>"
    )


def _left_out(tally: _Tally) -> str:
    if not tally.left_out:
        return ""
    what = f"{tally.left_out:,} more {_plural('entity', tally.left_out)}"
    return f'<p class="note">{what} could not be drawn: more than {DEEPEST} on the same words, or empty.</p>\n'


def _many(number: int, name: str) -> str:
    return f"{number:,} {_plural(name, number)}"


def _plural(name: str, number: int) -> str:
    return name if number == 1 else name.removesuffix("y") + "ies" if name.endswith("ty") else name + "s"


# --- What comes with the page --------------------------------------------------------------------------------------


def house() -> str:
    """The part of the style sheet that all our pages share: paper, ink, letters, light and dark."""
    return _packaged("house.css")


def _style() -> str:
    return house() + _packaged("page.css")


@cache
def _packaged(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def _hash(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
