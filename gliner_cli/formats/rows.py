"""Gold data in words, as benchmarks and training sets are published: rows of words and spans to documents.

`{"tokens": […], "spans": [[first, last, label], …]}`, or as the reference package has it, `{"tokenized_text", "ner"}`;
a row a line, or one array of them. `last` is inclusive here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import accumulate
from typing import Any

import orjson

from gliner_cli.errors import InputError
from gliner_cli.formats.decoding import decoded, whole
from gliner_cli.formats.sources import Problem, Source
from gliner_cli.types import Document, Entity, Words

Row = tuple[list[str], list[tuple[int, int, str]]]  # words; first word, last word, label

_FIELDS = (("tokens", "spans"), ("tokenized_text", "ner"))
_HINT = 'Expected {"tokens": ["Ada", "Byron"], "spans": [[0, 1, "person"]]}, the last word inclusive.'


def holds_rows(source: Source) -> bool:
    """Whether a JSON source begins with a row in words; the others are for `jsonl`."""
    try:
        return any(isinstance(value, dict) and _fields(value) for _, value in [next(values(source, _raised))])
    except (InputError, StopIteration):
        return False


def read(source: Source, problem: Problem) -> Iterator[Document]:
    """The documents of a source; a row that is none is reported, and reading goes on."""
    for place, value in values(source, problem):
        try:
            row = parsed(value, place)
        except InputError as error:
            problem(error)
        else:
            made = document(row, place, source.name)
            fields = _fields(value) or ()
            yield replace(made, meta={name: rest for name, rest in value.items() if name not in fields})


def parsed(value: Any, place: str) -> Row:
    """A row from JSON, its spans checked."""
    fields = _fields(value) if isinstance(value, dict) else None
    match fields and [value[name] for name in fields]:
        case [[*words], [*spans]] if all(isinstance(word, str) and word for word in words):
            return words, [_span(span, len(words), place) for span in spans]
    raise InputError(f"{place} is no row of words and spans: {str(value)[:80]}.", _HINT)


def document(row: Row, name: str, source: str) -> Document:
    """A row as a document: its words joined with a space, and fixed."""
    tokens, spans = row
    starts = list(accumulate((len(token) + 1 for token in tokens), initial=0))[:-1]
    ends = [start + len(token) for start, token in zip(starts, tokens, strict=True)]
    text = " ".join(tokens)
    found = ((starts[first], ends[last], label) for first, last, label in spans)
    entities = tuple(Entity(start, end, label, text[start:end]) for start, end, label in found)
    return Document(text, name, source, entities, words=Words.of(list(zip(starts, ends, strict=True))))


def _fields(value: dict[str, Any]) -> tuple[str, str] | None:
    return next((pair for pair in _FIELDS if value.keys() >= set(pair)), None)


def _span(span: Any, count: int, place: str) -> tuple[int, int, str]:
    match span:
        case [int(first), int(last), str(label)] if 0 <= first <= last < count and label:
            return first, last, label
    raise InputError(f"{place} has the span {str(span)[:80]}, which does not fit its {count} words.", _HINT)


def _raised(error: Exception) -> None:
    raise error


def values(source: Source, problem: Problem = _raised) -> Iterator[tuple[str, Any]]:
    """The rows of a source, parsed, with their places; a line that is no JSON goes to `problem`.

    A gold set is read whole: it is held whole anyway.
    """
    with source.opened() as stream:
        text = decoded(whole(stream, source.name, "utf-8"), source.name)
    if text.lstrip().startswith("["):
        yield from ((f"{source.name}[{number}]", row) for number, row in enumerate(_loaded(text, source.name)))
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        place = f"{source.name}:{number}"
        try:
            value = _loaded(line, place)
        except InputError as error:
            problem(error)
        else:
            yield place, value


def _loaded(text: str, place: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InputError(f"{place} is not JSON: {error}.", _HINT) from error
