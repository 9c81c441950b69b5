"""What flows through the project, and the words we use for it.

This module knows neither files nor tensors. The glossary, one word for one thing:

document    a text with its name, the fields it came with and the entities known in it
word        a stretch of characters that an entity can start or end at; never cut in two
piece       what the tokenizer makes of a word; what the network counts in
label       the name of an entity type, as the user wrote it
window      a run of words of one document that goes through the network at once
candidate   a stretch of words with a label and a score above its threshold, before overlaps are settled
span        a candidate's place in the *document*, in words
entity      a span that was kept, in characters: what the user gets

Every interval is half-open: characters `start, end`, words `start, stop`.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Entity:
    """A labelled stretch of a document's text: `document.text[start:end] == text`.

    `score` is the network's probability, or None where a person (or another tool) said so without one.
    """

    start: int
    end: int
    label: str
    text: str
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Words:
    """Where the words of a text lie, in characters, half-open, ascending and without overlap.

    Arrays of 32-bit integers, not tuples: a document of a million words costs 8 MB.
    """

    starts: array[int]
    ends: array[int]

    @classmethod
    def of(cls, places: list[tuple[int, int]]) -> Words:
        """The words at these (start, end) places."""
        return cls(array("i", [start for start, _ in places]), array("i", [end for _, end in places]))

    def __len__(self) -> int:
        return len(self.starts)


@dataclass(frozen=True, slots=True)
class Document:
    """A text to read or one that was read: the same type at both ends of every command.

    `id` is unique within a run where the source gives one. `source` names the file (or "-"). `meta` keeps the fields
    of the input that are none of ours, in their order. `words` is given only where the source fixed the words (CoNLL).
    """

    text: str
    id: str | None = None
    source: str | None = None
    entities: tuple[Entity, ...] = ()
    meta: Mapping[str, Any] = field(default_factory=dict)
    words: Words | None = None
