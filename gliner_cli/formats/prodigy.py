"""Prodigy: JSON lines, entities in `spans`, words in `tokens`, the source and other fields in `meta`.

A row that was rejected or ignored is no document, as for Prodigy's own `data-to-spacy`: its spans are known to be
wrong, or not known to be right. Fields beside `meta` (hashes, session, view) are kept among those of `meta`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from typing import Any, BinaryIO

from gliner_cli.errors import InputError
from gliner_cli.formats.json_rows import ENTITY, Row, beside, entity_row, reader
from gliner_cli.formats.json_values import line, write_lines
from gliner_cli.options import Writing
from gliner_cli.types import Document, Words

_ANSWERS = {"accept": True, "reject": False, "ignore": False}
_HASHES = {"_input_hash", "_task_hash"}
_FIELDS = ("spans", "tokens", "answer", "meta")


def recognised(row: Row) -> bool:
    """Whether a row is Prodigy's beyond doubt: it has Prodigy's hashes, or spans of its shape."""
    fields = row.fields
    if "entities" in fields or not isinstance(fields.get(row.options.text_field), str):
        return False
    return fields.keys() >= _HASHES or _are_spans(fields.get("spans"))


def _are_spans(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_span, value))


def _is_span(value: Any) -> bool:
    match value:
        case {"start": int(), "end": int(), "label": str()}:
            return True
    return False


def made(row: Row) -> Document | None:
    """The document of a row; None of one that was not accepted."""
    answer = row.fields.get("answer", "accept")
    accepted = _ANSWERS.get(answer) if isinstance(answer, str) else None
    if accepted is None:
        raise InputError(f"{row.place} has the answer {str(answer)[:80]!r}.", f"Expected one of {', '.join(_ANSWERS)}.")
    if not accepted:
        return None
    text = row.text
    entities = [row.entity(span, text) for span in row.listed("spans", ENTITY)]
    return replace(row, fields=_flat(row)).document(text, entities, words=_words(row, text))


def _flat(row: Row) -> dict[str, Any]:
    """The fields of a row with those in `meta` among them; the row's own text and name go before."""
    meta = row.fields.get("meta")
    others = {name: value for name, value in row.fields.items() if name not in _FIELDS}
    if meta is not None and not isinstance(meta, dict):
        return {**others, "meta": meta}
    named = {row.options.text_field, row.options.id_field} & others.keys()
    return {**others, **(meta or {}), **{name: others[name] for name in named}}


def _words(row: Row, text: str) -> Words | None:
    """The words of the tokens; spaCy's of white space are none."""
    if row.fields.get("tokens") is None:
        return None
    places = [_place(token) for token in row.listed("tokens", _TOKENS)]
    fits = all(place and 0 <= place[0] < place[1] <= len(text) for place in places)
    known = [place for place in places if place]
    if not fits or any(before[1] > after[0] for before, after in pairwise(known)):
        raise InputError(f"{row.place} has tokens that do not fit its text of {len(text)} characters.", _TOKENS)
    return Words.of([(start, end) for start, end in known if text[start:end].strip()])


_TOKENS = 'Expected tokens like {"text", "start", "end", "id"} in characters, in the order of the text.'


def _place(token: Any) -> tuple[int, int] | None:
    match token:
        case {"start": int(start), "end": int(end)}:
            return start, end
    return None


read = reader(made)


def write(documents: Iterable[Document], stream: BinaryIO, options: Writing) -> None:
    """One line a document, each written through at once."""
    write_lines(map(_line, documents), stream)


def _line(document: Document) -> bytes:
    row: dict[str, Any] = {
        "id": document.id,
        "text": document.text,
        "spans": [entity_row(entity) for entity in document.entities],
        "meta": beside({"source": document.source}, document.meta, ("id", "text")),
    }
    if document.words is not None:
        row["tokens"] = _tokens(document.text, document.words)
    return line(row, document.id)


def _tokens(text: str, words: Words) -> list[dict[str, Any]]:
    """`ws` says whether white space follows, as Prodigy shows it."""
    return [
        {"text": text[start:end], "start": start, "end": end, "id": number, "ws": text[end : end + 1].isspace()}
        for number, (start, end) in enumerate(zip(words.starts, words.ends, strict=True))
    ]
