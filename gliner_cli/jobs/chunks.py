"""A long job in chunks: what is extracted, remembered and done again as one. Knows neither files nor networks.

The scores of a document depend, in their last digits, on what it is computed with. A job that is to give the same bytes
whether it was broken off or not, and by however many workers, must compute the same documents together: a chunk is cut
by the documents alone, and nothing crosses its edges.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from gliner_cli.types import Document, Entity

_MOST_DOCUMENTS = 512
_MOST_CHARACTERS = 400_000
_FIRST = 8  # the first results come soon; later chunks are large, so that rows of one length find each other


@dataclass(frozen=True)
class Chunk:
    """Documents that go through together, and for each the entities found, or None if it could not be done."""

    documents: Sequence[Document]
    entities: Sequence[tuple[Entity, ...] | None] = ()


Extract = Callable[[Iterator[Chunk]], Iterator[Chunk]]  # chunks to the same with entities, in their order


def chunks(documents: Iterable[Document], more: Callable[[], bool] = lambda: True) -> Iterator[Chunk]:
    """The documents in chunks, each as soon as it is full.

    `more` says whether another document would come at once; if not, what is there is not kept waiting for it. Chunks
    are then cut by the clock, not by the documents alone: for streams, which nobody resumes.
    """
    begun: list[Document] = []
    characters, most = 0, _FIRST
    for document in documents:
        if begun and characters + len(document.text) > _MOST_CHARACTERS:
            yield Chunk(begun)
            begun, characters = [], 0
        begun.append(document)
        characters += len(document.text)
        if len(begun) == most or not more():
            yield Chunk(begun)
            begun, characters, most = [], 0, min(2 * most, _MOST_DOCUMENTS)
    if begun:
        yield Chunk(begun)


def one_by_one(extracted: Callable[[Iterable[Document]], Iterable[Document]]) -> Extract:
    """What `extracted` does with documents, done to chunks, one after the other."""

    def extract(asked: Iterator[Chunk]) -> Iterator[Chunk]:
        for chunk in asked:
            yield replace(chunk, entities=[document.entities for document in extracted(chunk.documents)])

    return extract


def without_repeats(extract: Extract) -> Extract:
    """The same, but each text goes through `extract` once; all documents that have it get its entities.

    Remembers a hash and the entities of every text there was.
    """

    def extract_once(asked: Iterator[Chunk]) -> Iterator[Chunk]:
        known: dict[bytes, tuple[Entity, ...] | None] = {}
        waiting: deque[Chunk] = deque()

        def new() -> Iterator[Chunk]:
            seen: set[bytes] = set()
            for chunk in asked:
                waiting.append(chunk)
                first: dict[bytes, Document] = {}
                for one in chunk.documents:
                    first.setdefault(_text_hash(one), one)
                yield Chunk([one for key, one in first.items() if key not in seen])
                seen |= first.keys()

        for answered in extract(new()):
            known.update(zip(map(_text_hash, answered.documents), answered.entities, strict=True))
            chunk = waiting.popleft()
            yield replace(chunk, entities=[known[_text_hash(one)] for one in chunk.documents])

    return extract_once


def _text_hash(document: Document) -> bytes:
    content = hashlib.blake2b(document.text.encode("utf-8", "surrogatepass"), digest_size=16)
    if document.words is not None:
        content.update(document.words.starts.tobytes() + document.words.ends.tobytes())
    return content.digest()
