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
        known: dict[str, tuple[Entity, ...] | None] = {}
        waiting: deque[tuple[Chunk, list[str], list[str]]] = deque()  # each with its texts, and those that are new

        def new() -> Iterator[Chunk]:
            seen: set[str] = set()
            for chunk in asked:
                texts = [content_hash(one, one.text) for one in chunk.documents]
                first: dict[str, Document] = {}
                for text, one in zip(texts, chunk.documents, strict=True):
                    if text not in seen:
                        first.setdefault(text, one)
                seen |= first.keys()
                waiting.append((chunk, texts, list(first)))
                yield Chunk(list(first.values()))

        for answered in extract(new()):
            chunk, texts, first = waiting.popleft()
            known.update(zip(first, answered.entities, strict=True))
            yield replace(chunk, entities=[known[text] for text in texts])

    return extract_once


def content_hash(document: Document, *parts: str) -> str:
    """A hash of some of a document's texts, and of its words where they are fixed."""
    content = hashlib.blake2b(digest_size=16)
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        content.update(len(encoded).to_bytes(8, "little") + encoded)
    if document.words is not None:
        content.update(document.words.starts.tobytes() + document.words.ends.tobytes())
    return content.hexdigest()
