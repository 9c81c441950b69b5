"""Documents with entities to passages: windows of words with what is to be found in them.

Nothing is dropped silently: what cannot be learned from a document is in the `Remark`s that come beside its passages.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gliner_cli.inference.prompt import LONGEST_ROW, PieceMaker, WordPieces
from gliner_cli.text.windows import sentences_within, windows
from gliner_cli.text.words import sentence_starts, words
from gliner_cli.types import Document, Entity, Words

# What a passage leaves of a row's pieces to the types asked.
_ROOM_FOR_TYPES = 0.5


@dataclass(frozen=True, slots=True)
class Passage:
    """A window to learn from: words `first` to `stop` of a document, and the spans in it.

    `gold` holds (start, stop, type) in words of the window, half-open; `unsaid` are types that are there too, in places
    that cannot be learned. `absent` are types that are known not to be there. `annotated` are the types the document
    was annotated for: those of them that are nowhere in it are absent; it is empty where unmarked text may hold
    anything.
    """

    pieces: WordPieces
    first: int
    stop: int
    gold: tuple[tuple[int, int, str], ...]
    absent: tuple[str, ...] = ()
    annotated: tuple[str, ...] = ()
    unsaid: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """What is written in the window."""
        return self.pieces.text(self.first, self.stop)

    @property
    def types(self) -> tuple[str, ...]:
        """The types in the passage, in the order they come in."""
        return tuple(dict.fromkeys(label for _, _, label in self.gold))


@dataclass(frozen=True, slots=True)
class Remark:
    """Something about a document that its owner should know: what, where (file and line), and an example."""

    what: str
    where: str
    example: str


Remarks = Callable[[Remark], None]


def passages(
    documents: Iterable[Document], maker: PieceMaker, annotated: Sequence[str], remark: Remarks
) -> Iterator[Passage]:
    """The passages of documents, in order.

    `annotated` are the types that documents were annotated for unless they say so themselves (`meta["labels"]`); with
    `meta["negatives"]` a document names types that are absent, and is taken as only partly annotated.
    """
    shared: dict[tuple[str, ...], tuple[str, ...]] = {}
    default = tuple(annotated)
    for document in documents:
        absent = _names(document.meta.get("negatives"))
        own = _names(document.meta.get("labels"))
        closed = own or (() if absent else default)
        yield from _of_document(document, maker, absent, shared.setdefault(closed, closed), remark)


def _names(value: Any) -> tuple[str, ...]:
    return tuple(str(name) for name in value) if isinstance(value, list | tuple) else ()


def _of_document(
    document: Document, maker: PieceMaker, absent: tuple[str, ...], annotated: tuple[str, ...], remark: Remarks
) -> Iterator[Passage]:
    cut = document.words or words(document.text)
    spans = sorted(_in_words(document, cut, remark))
    off_words = {entity.label for entity in document.entities} - {label for _, _, label in spans}
    pieces = WordPieces(maker, document.text, cut)
    for first, stop in _windows(document, cut, pieces, maker):
        within = [(start, end, label) for start, end, label in spans if start < stop and end > first]
        for start, end, label in within:
            if start < first or end > stop:
                remark(_remark("cut by the edge of a window", document, f"{label}, words {start} to {end}"))
            elif maker.config.head == "span" and end - start > maker.config.max_width:
                remark(_remark(f"wider than the {maker.config.max_width} words the network reads", document, label))
        gold = tuple((s - first, e - first, label) for s, e, label in within if s >= first and e <= stop)
        unsaid = off_words | {label for _, _, label in within} - {label for _, _, label in gold}
        yield Passage(pieces, first, stop, gold, absent, annotated, tuple(sorted(unsaid)))


def _windows(document: Document, cut: Words, pieces: WordPieces, maker: PieceMaker) -> Iterator[tuple[int, int]]:
    """Whole sentences as far as they fit; a window's edge is where least is lost."""
    longest = int((maker.longest_row or LONGEST_ROW) * (1 - _ROOM_FOR_TYPES))
    most_words = maker.config.max_len

    def fits(first: int) -> int:
        return pieces.fits(first, most_words, longest)

    if len(cut) and fits(0) == len(cut):
        yield 0, len(cut)
        return
    whole = sentences_within(sentence_starts(document.text, cut), len(cut), fits)
    for window in windows(0, len(cut), whole, overlap=0):
        yield window.first, window.stop


def _in_words(document: Document, cut: Words, remark: Remarks) -> Iterator[tuple[int, int, str]]:
    """The entities in words; those that begin or end inside a word cannot be learned."""
    for entity in document.entities:
        first = bisect_left(cut.starts, entity.start)
        last = bisect_left(cut.ends, entity.end)
        if _on_words(entity, cut, first, last):
            yield first, last + 1, entity.label
        else:
            remark(_remark("not on the edges of words", document, f"{entity.text!r} as {entity.label}"))


def _on_words(entity: Entity, cut: Words, first: int, last: int) -> bool:
    there = first < len(cut) and last < len(cut)
    return there and cut.starts[first] == entity.start and cut.ends[last] == entity.end


def _remark(what: str, document: Document, example: str) -> Remark:
    return Remark(what, where(document), example)


def where(document: Document) -> str:
    """Where a document came from, as its owner finds it again: file and line, or file and the name it has there."""
    name, source = document.id or "", document.source or ""
    return name if name.startswith(source) else f"{source}: {name}" if name else source
