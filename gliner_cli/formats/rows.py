"""Gold data in words, as benchmarks and training sets are published: rows of words and spans.

`{"tokens": […], "spans": [[first, last, label], …]}`, or as the reference package has it, and as it is written,
`{"tokenized_text", "ner"}`. `last` is inclusive here and nowhere else.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import Any, BinaryIO

from gliner_cli.errors import InputError, OutputError
from gliner_cli.formats import json_rows, json_values
from gliner_cli.formats.json_rows import beside
from gliner_cli.options import WordRule, Writing
from gliner_cli.text.words import covered, words_of
from gliner_cli.types import Document, Entity, Words

Row = tuple[list[str], list[tuple[int, int, str]]]  # words; first word, last word, label

_FIELDS = (("tokenized_text", "ner"), ("tokens", "spans"))
_HINT = 'Expected {"tokens": ["Ada", "Byron"], "spans": [[0, 1, "person"]]}, the last word inclusive.'


def recognised(row: json_rows.Row) -> bool:
    """Whether a row is one of words beyond doubt: one with a text, or with our entities, is not."""
    pair = _fields(row.fields)
    if pair is None or "entities" in row.fields or row.options.text_field in row.fields:
        return False
    words, spans = row.fields[pair[0]], row.fields[pair[1]]
    return isinstance(words, list) and isinstance(spans, list) and all(isinstance(word, str) for word in words)


def made(row: json_rows.Row) -> Document:
    """The document of a row: its words joined with a space, and fixed."""
    text, entities, words = _joined(parsed(row.fields, row.place))
    return row.document(text, entities, _fields(row.fields) or (), words)


read = json_rows.reader(made)


def parsed(value: Any, place: str) -> Row:
    """A row from JSON, its spans checked."""
    fields = _fields(value) if isinstance(value, dict) else None
    match fields and [value[name] for name in fields]:
        case [[*words], [*spans]] if all(isinstance(word, str) and word for word in words):
            return words, [_span(span, len(words), place) for span in spans]
    raise InputError(f"{place} is no row of words and spans: {str(value)[:80]}.", _HINT)


def document(row: Row, name: str, source: str) -> Document:
    """A row as a document: its words joined with a space, and fixed."""
    text, entities, words = _joined(row)
    return Document(text, name, source, entities, words=words)


def _joined(row: Row) -> tuple[str, tuple[Entity, ...], Words]:
    tokens, spans = row
    starts = array("i", accumulate((len(token) + 1 for token in tokens), initial=0))[:-1]
    ends = array("i", (start + len(token) for start, token in zip(starts, tokens, strict=True)))
    text = " ".join(tokens)
    found = ((starts[first], ends[last], label) for first, last, label in spans)
    return text, tuple(Entity(start, end, label, text[start:end]) for start, end, label in found), Words(starts, ends)


def _fields(value: Mapping[str, Any]) -> tuple[str, str] | None:
    return next((pair for pair in _FIELDS if value.keys() >= set(pair)), None)


def _span(span: Any, count: int, place: str) -> tuple[int, int, str]:
    match span:
        case [int(first), int(last), str(label)] if 0 <= first <= last < count and label:
            return first, last, label
    raise InputError(f"{place} has the span {str(span)[:80]}, which does not fit its {count} words.", _HINT)


def write(documents: Iterable[Document], stream: BinaryIO, options: Writing) -> None:
    """One line a document, each written through at once; what is between words is not kept, nor are scores.

    An entity that covers part of a word has all of it, as in CoNLL. Raises OutputError for one that covers no word,
    and for one without a label.
    """
    json_values.write_lines((_line(document, options.words) for document in documents), stream)


def _line(document: Document, rule: WordRule) -> bytes:
    words = words_of(document, rule)
    ours = {
        "id": document.id,
        "source": document.source,
        "tokenized_text": [document.text[start:end] for start, end in zip(words.starts, words.ends, strict=True)],
        "ner": [_covered(entity, words, document) for entity in document.entities],
    }
    return json_values.line(beside(ours, document.meta, ("text", "entities")), document.id)


def _covered(entity: Entity, words: Words, document: Document) -> tuple[int, int, str]:
    first, stop = covered(words, entity.start, entity.end)
    if first >= stop or not entity.label:
        why = "has no label" if first < stop else "covers no word"
        raise OutputError(
            f"Rows of words cannot hold the entities of {document.id}: {entity.text!r} {why}.", "Use --format jsonl"
        )
    return first, stop - 1, entity.label
