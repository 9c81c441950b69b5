"""spaCy's DocBin (`.spacy`): documents cut into tokens.

Entities are in `doc.ents`; where some overlap, all of them are in `doc.spans["sc"]` too. The text comes out as it went
in: odd white space is a token of its own, and a token is cut where an entity begins or ends within it. `id`, `source`,
the other fields (as JSON) and scores are in `doc.user_data`. All documents are one compressed block, so none is written
before the last is known.
"""

from __future__ import annotations

import importlib
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from gliner_cli.errors import InputError, OutputError, needs
from gliner_cli.formats.decoding import encodable
from gliner_cli.formats.json_rows import score
from gliner_cli.formats.json_values import as_text
from gliner_cli.formats.msgpack import has_more_than
from gliner_cli.formats.output import opened
from gliner_cli.formats.sources import Problem, Source
from gliner_cli.options import Reading, WordRule, Writing
from gliner_cli.text.words import words_of
from gliner_cli.types import Document, Entity, Words

SUFFIXES = (".spacy",)

_LARGEST = 512 << 20  # bytes of a block unpacked: 5 million tokens with all that spaCy knows of them
_MOST = 4_000_000  # values in it besides the tokens, some dozens a document and one a word: empty objects of 300 MB
# What msgpack cannot make sense of is a ValueError, or a TypeError for keys that can be none. spaCy trusts the values:
# one that is not there is a KeyError or an IndexError, of another kind an AttributeError or a TypeError; lengths that
# do not fit are an AssertionError, numbers that C does not hold an OverflowError, too many of them a MemoryError, and
# columns of which there are none a ZeroDivisionError.
_BROKEN = (zlib.error, ValueError, TypeError, KeyError, IndexError, AttributeError, AssertionError, OverflowError,
           ZeroDivisionError, MemoryError, RecursionError)  # fmt: skip
_ATTRIBUTES = ("ORTH", "ENT_IOB", "ENT_TYPE")
_GROUP = "sc"  # the group of spaCy's own span categorizer

Place = tuple[int, int, str]


def _library(what: str) -> Any:
    try:
        for part in ("attrs", "tokens", "vocab"):
            importlib.import_module(f"spacy.{part}")
    except ImportError as error:
        raise needs("spacy", what) from error
    return importlib.import_module("spacy")


def read(source: Source, options: Reading, problem: Problem) -> Iterator[Document]:
    """The documents of a block. Nothing in it is a pickle: it is msgpack, and of a token only what we need is used."""
    spacy = _library("Reading a DocBin")
    with source.file() as path:
        _check_size(path, source.name)
        content = path.read_bytes()
    try:
        _check_count(zlib.decompress(content), source.name)
        box = spacy.tokens.DocBin().from_bytes(content)
        for inner in (*box.user_data, *box.span_groups):
            if inner:
                _check_count(inner, source.name)
        _bare(box, spacy.attrs.IDS)
        for number, doc in enumerate(box.get_docs(spacy.vocab.Vocab()), start=1):
            yield _document(doc, f"{source.name}:{number}", source.name)
    except _BROKEN as error:
        said = str(error).partition("\n")[0][:200] or type(error).__name__
        raise InputError(f"{source.name} is not a whole DocBin: {said}.", "Write it again with this spaCy.") from error


def _check_size(path: Path, name: str) -> None:
    """Raises InputError for what is no zlib stream, or unpacks to too much."""
    unpacking, total = zlib.decompressobj(), 0
    try:
        with path.open("rb") as file:
            while content := unpacking.unconsumed_tail or file.read(1 << 16):
                total += len(unpacking.decompress(content, 1 << 20))
                if total > _LARGEST:
                    raise InputError(f"{name} holds more than {_LARGEST >> 20} MB.", "Split it into several files.")
    except zlib.error as error:
        raise InputError(
            f"{name} is not a whole DocBin: {error}.", "A .spacy file that spaCy wrote was expected."
        ) from error


def _check_count(content: Any, name: str) -> None:
    """Raises ValueError for what is no block of bytes, InputError for one that would become too many objects."""
    if not isinstance(content, bytes):
        raise ValueError(f"{type(content).__name__} in place of bytes")
    if has_more_than(_MOST, content):
        raise InputError(f"{name} holds more than {_MOST:,} values.", "Split it into several files.")


def _bare(box: Any, ids: Mapping[str, int]) -> None:
    """Leaves only what we read: the others (heads of a tree, …) would be trusted with places in memory."""
    columns = [box.attrs.index(ids[name]) for name in _ATTRIBUTES if ids[name] in box.attrs]
    box.tokens = [tokens[:, columns] for tokens in box.tokens]
    box.attrs = [box.attrs[column] for column in columns]


def _document(doc: Any, place: str, source: str) -> Document:
    text, known = doc.text, doc.user_data
    marked, grouped = (list(map(_place, spans)) for spans in (doc.ents, doc.spans.get(_GROUP, ())))
    scores = _scores(known.get("scores"))
    places = grouped if set(marked) <= set(grouped) else marked
    entities = (
        Entity(start, end, label, text[start:end], scores.get((start, end, label))) for start, end, label in places
    )
    words = Words.of([(token.idx, token.idx + len(token)) for token in doc if not token.is_space])
    return Document(
        text, _name(known.get("id"), place), _name(known.get("source"), source), tuple(entities), _meta(known), words
    )


def _scores(known: Any) -> Mapping[Place, float | None]:
    """The scores of entities as we write them; others may keep something else under that name."""
    found = dict[Place, float | None]()
    for row in known if isinstance(known, list | tuple) else ():
        match row:
            case [int(start), int(end), str(label), given]:
                with suppress(ValueError):
                    found[start, end, label] = score(given)
    return found


def _place(span: Any) -> Place:
    return span.start_char, span.end_char, span.label_


def _name(value: Any, otherwise: str) -> str:
    return otherwise if value is None else str(value)


def _meta(known: Mapping[Any, Any]) -> Mapping[str, Any]:
    try:
        found = json.loads(known.get("meta", "{}"))
    except (ValueError, TypeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def write_to(documents: Iterable[Document], path: Path, options: Writing) -> None:
    """Raises OutputError for fields that JSON cannot hold."""
    spacy = _library("Writing a DocBin")
    vocab = spacy.vocab.Vocab()
    with opened(path) as stream:
        box = spacy.tokens.DocBin(_ATTRIBUTES, store_user_data=True)
        for document in documents:
            box.add(_doc(spacy.tokens, vocab, document, options.words))
        stream.write(box.to_bytes())


def _doc(tokens: Any, vocab: Any, document: Document, rule: WordRule) -> Any:
    texts, spaces = _tokens(document, rule)
    doc = tokens.Doc(vocab, words=texts, spaces=spaces, user_data=_user_data(document))
    spans = [doc.char_span(entity.start, entity.end, encodable(entity.label)) for entity in document.entities]
    flat = _flat(spans)
    doc.set_ents(flat)
    if len(flat) < len(spans):
        doc.spans[_GROUP] = spans
    return doc


def _user_data(document: Document) -> dict[str, Any]:
    try:
        meta = json.dumps(dict(document.meta), default=as_text)
    except (TypeError, ValueError, RecursionError) as error:
        raise OutputError(
            f"A DocBin cannot hold the fields of {document.id}: {error}.", "Leave them out of meta"
        ) from error
    scored = [[e.start, e.end, encodable(e.label), e.score] for e in document.entities if e.score is not None]
    names = {"id": document.id, "source": document.source}
    named = {key: encodable(name) for key, name in names.items() if name is not None}
    return {**named, "meta": meta, "scores": scored}


def _tokens(document: Document, rule: WordRule) -> tuple[list[str], list[bool]]:
    """The text cut at the ends of words and entities, and which piece has a space behind it.

    A space that an entity begins or ends with is a token like any other.
    """
    text = encodable(document.text)
    cut = words_of(replace(document, text=text), rule)
    starts, ends = {entity.start for entity in document.entities}, {entity.end for entity in document.entities}
    cuts = sorted({0, len(text), *cut.starts, *cut.ends, *starts, *ends})
    texts, spaces = list[str](), list[bool]()
    for start, end in pairwise(cuts):
        if text[start:end] == " " and texts and not spaces[-1] and start not in starts and end not in ends:
            spaces[-1] = True
        else:
            texts.append(text[start:end])
            spaces.append(False)
    return texts, spaces


def _flat(spans: Iterable[Any]) -> list[Any]:
    """Those that do not overlap one before them: the earlier, and of two that begin alike the longer."""
    kept = list[Any]()
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if not kept or span.start >= kept[-1].end:
            kept.append(span)
    return kept
