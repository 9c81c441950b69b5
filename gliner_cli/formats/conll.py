"""CoNLL: a word and its tag a line, a blank line between sentences, `-DOCSTART-` between documents.

Reads IOB1, IOB2, BIOES and BILOU tags in the last column, words in the first; writes IOB2.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO

from gliner_cli.errors import InputError, OutputError
from gliner_cli.formats.sources import Problem, Source, decoded
from gliner_cli.options import Reading, WordRule
from gliner_cli.text.words import line_starts, sentence_starts
from gliner_cli.text.words import words as words_of
from gliner_cli.types import Document, Entity, Words

SUFFIXES = (".conll", ".iob", ".iob2", ".bio", ".bioes")
_START = "-DOCSTART-"
_OPENING, _CLOSING = "BSUL", "ESUL"  # prefixes that begin an entity, and that end one (U, S: both)

Line = tuple[int, str, str]  # number, word, tag
Sentence = list[Line]


def read(source: Source, options: Reading, problem: Problem) -> Iterator[Document]:
    """The documents: what lies between `-DOCSTART-` lines, or where there are none every sentence."""
    with source.opened() as stream:
        for sentences in _documents(stream, source.name, options.encoding):
            number = sentences[0][0][0]
            try:
                yield _document(sentences, f"{source.name}:{number}", source.name)
            except InputError as error:
                problem(error)


def _documents(stream: BinaryIO, name: str, encoding: str) -> Iterator[list[Sentence]]:
    sentences: list[Sentence] = [[]]
    marked, offset = False, 0
    for number, content in enumerate(stream, start=1):
        text = decoded(content, encoding, name, offset).rstrip("\r\n")
        columns = text.split("\t" if "\t" in text else None)  # behind a TAB a label may hold spaces
        offset += len(content)
        if columns and columns[0] == _START:
            yield from _whole(sentences)
            marked, sentences = True, [[]]
        elif columns and columns[0]:
            sentences[-1].append((number, columns[0], columns[-1] if len(columns) > 1 else "O"))
        elif not marked:
            yield from _whole(sentences)
            sentences = [[]]
        elif sentences[-1]:
            sentences.append([])
    yield from _whole(sentences)


def _whole(sentences: list[Sentence]) -> Iterator[list[Sentence]]:
    filled = [sentence for sentence in sentences if sentence]
    if filled:
        yield filled


def _document(sentences: list[Sentence], name: str, source: str) -> Document:
    text = "\n".join(" ".join(word for _, word, _ in sentence) for sentence in sentences)
    places, entities, start = [], [], 0
    for sentence in sentences:
        own = []
        for _, word, _ in sentence:
            own.append((start, start + len(word)))
            start += len(word) + 1
        tagged = _entities(sentence, source)
        entities += [Entity(own[a][0], own[b][1], label, text[own[a][0] : own[b][1]]) for a, b, label in tagged]
        places += own
    return Document(text, id=name, source=source, entities=tuple(entities), words=Words.of(places))


def _entities(sentence: Sentence, source: str) -> Iterator[tuple[int, int, str]]:
    """First word, last word and label of each entity of a sentence."""
    begun: tuple[int, str] | None = None
    for place, (number, _, tag) in enumerate(sentence):
        prefix, label = _tag(tag, f"{source}:{number}")
        if begun and (prefix == "O" or (prefix in _OPENING and prefix != "L") or label != begun[1]):
            yield begun[0], place - 1, begun[1]
            begun = None
        if prefix != "O" and begun is None:
            begun = (place, label)
        if begun and prefix in _CLOSING:
            yield begun[0], place, begun[1]
            begun = None
    if begun:
        yield begun[0], len(sentence) - 1, begun[1]


def _tag(tag: str, place: str) -> tuple[str, str]:
    prefix, dash, label = tag.partition("-")
    if tag in ("O", "_") or (dash and label and prefix in "BIESLU"):
        return ("O", "") if tag in ("O", "_") else (prefix, label)
    raise InputError(
        f"{place} has the tag {tag!r}; O, or one like B-person, was expected.", "Is this CoNLL? See --from"
    )


def write(documents: Iterable[Document], stream: BinaryIO, words: WordRule) -> None:
    """Word TAB tag, IOB2; each document written through at once. Raises OutputError for entities that overlap."""
    for document in documents:
        stream.write("".join(_lines(document, words)).encode("utf-8", "surrogatepass"))
        stream.flush()


def _lines(document: Document, rule: WordRule) -> Iterator[str]:
    cut = document.words or words_of(document.text, rule)
    breaks = set((line_starts if document.words else sentence_starts)(document.text, cut)) - {0}
    tags = _tags(document, cut)
    yield f"{_START}\tO\n\n"
    for number, (start, end, tag) in enumerate(zip(cut.starts, cut.ends, tags, strict=True)):
        yield f"{chr(10) if number in breaks else ''}{document.text[start:end]}\t{tag}\n"
    if tags:
        yield "\n"


def _tags(document: Document, cut: Words) -> list[str]:
    tags = ["O"] * len(cut)
    place = 0
    for entity in sorted(document.entities, key=lambda entity: entity.start):
        while place < len(cut) and cut.ends[place] <= entity.start:
            place += 1
        prefix = "B-"
        while place < len(cut) and cut.starts[place] < entity.end:
            tags[place] = prefix + entity.label
            prefix, place = "I-", place + 1
        if prefix == "B-":
            raise OutputError(
                f"CoNLL cannot hold the entities of {document.id}: {entity.text!r} overlaps another.",
                "Leave out --nested and --multi-label, or use --format jsonl",
            )
    return tags
