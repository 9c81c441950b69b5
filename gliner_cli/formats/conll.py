"""CoNLL: a word and its tag a line, a blank line between sentences, `-DOCSTART-` between documents.

Reads IOB1, IOB2, BIOES and BILOU tags in the last column, words in the first, or in those that `--columns` names;
writes IOB2. Only spaces and TABs separate columns: other white space, such as the no-break space of French numbers, is
part of a word.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import BinaryIO, NamedTuple

from gliner_cli.errors import InputError, OutputError
from gliner_cli.formats.decoding import LONGEST, Part, decoded, encodable, lines, too_long
from gliner_cli.formats.sources import Problem, Source
from gliner_cli.options import Reading, WordRule, Writing
from gliner_cli.text.words import covered, line_starts, sentence_starts, words_of
from gliner_cli.types import Document, Entity, Words

SUFFIXES = (".conll", ".iob", ".iob2", ".bio", ".bioes")
_START = "-DOCSTART-"
_TAG = re.compile(r"[O_]|(?P<prefix>[BIESLU])-(?P<label>.+)")
_GOES_ON, _ENDS = "IEL", "ESLU"  # prefixes that go on with an entity of their label, and those that end one
_SHORTEST = 16  # bytes that a line counts for, however short it is: it is held in some two hundred


class Word(NamedTuple):
    """A line: the word, the prefix of its tag ("O" outside of entities), and the label."""

    text: str
    prefix: str
    label: str


class _Places(NamedTuple):
    """The columns of words and tags, from 0. If nobody named them, a line may have no tag."""

    word: int = 0
    tag: int = -1

    def tag_of(self, columns: list[str]) -> str | None:
        """The tag among the columns of a line, None where they are too few."""
        if self.tag < 0:
            return columns[-1] if len(columns) > 1 else "O"
        return columns[self.tag] if max(self) < len(columns) else None


def read(source: Source, options: Reading, problem: Problem) -> Iterator[Document]:
    """The documents: what lies between `-DOCSTART-` lines, or every sentence up to the first of them.

    A line that is none costs its document. Raises InputError for a document longer than `LONGEST`.
    """
    places = _places(options.columns)
    with source.opened() as stream:
        parts = lines(stream, source.name, options.encoding)
        for number, sentences in _documents(_sentences(parts, source.name, places), source.name):
            try:
                document = tagged([[_word(part, source.name, places) for part in one] for one in sentences])
            except InputError as error:
                problem(error.about(b"\n".join(b"".join(part.content for part in one) for one in sentences), ".conll"))
            else:
                text, entities, words = document
                yield Document(text, f"{source.name}:{number}", source.name, entities, words=words)


def _places(columns: str | None) -> _Places:
    """What `--columns` says. Raises InputError where it does not say two columns."""
    if columns is None:
        return _Places()
    found = re.fullmatch(r"\s*([1-9]\d{0,3})\s*,\s*([1-9]\d{0,3})\s*", columns, re.ASCII)
    if not found or found[1] == found[2]:
        raise InputError(
            f"--columns {columns} is none: two numbers were expected, counted from 1.",
            "Name the columns of the words and of the tags: --columns 1,4",
        )
    return _Places(int(found[1]) - 1, int(found[2]) - 1)


def _sentences(parts: Iterable[Part], name: str, places: _Places) -> Iterator[list[Part]]:
    """The lines that blank ones separate; a `-DOCSTART-` line by itself."""
    sentence, size = list[Part](), 0
    for part in parts:
        columns, opens = _columns(part.content.decode(errors="replace")), _opens(part)
        if sentence and (opens or columns == [""]):
            yield sentence
            sentence, size = [], 0
        if opens:
            yield [part]
        elif columns != [""] and not _is_comment(columns, places):
            sentence.append(part)
            size = _allowed(size + _size([part]), f"{name}:{sentence[0].line} begins a sentence")
    if sentence:
        yield sentence


def _opens(part: Part) -> bool:
    """Whether a line opens a document."""
    return part.content.split(maxsplit=1)[:1] == [_START.encode()]


def _size(sentence: list[Part]) -> int:
    return sum(max(len(part.content), _SHORTEST) for part in sentence)


def _allowed(size: int, what: str) -> int:
    """A size that is not too much to be held. Raises InputError for one that is."""
    if size > LONGEST:
        raise too_long(what, "Put blank lines between sentences, or -DOCSTART- between documents.")
    return size


def _is_comment(columns: list[str], places: _Places) -> bool:
    """`# text = …` of CoNLL-U; a number sign that has a tag is a word."""
    return columns[0] == "#" and not (len(columns) > 1 and _TAG.fullmatch(places.tag_of(columns) or ""))


def _documents(sentences: Iterable[list[Part]], name: str) -> Iterator[tuple[int, list[list[Part]]]]:
    """Documents with the number of the line they begin on."""
    begun: tuple[int, list[list[Part]]] | None = None
    size = 0
    for sentence in sentences:
        number = sentence[0].line
        if _opens(sentence[0]):
            if begun:
                yield begun
            begun, size = (number, []), 0
        elif begun:
            begun[1].append(sentence)
            size = _allowed(size + _size(sentence), f"{name}:{begun[0]} begins a document")
        else:
            yield number, [sentence]
    if begun:
        yield begun


def _columns(line: str) -> list[str]:
    """The columns of a line, `[""]` of a blank one. Where there is a TAB, a label or a word may hold spaces."""
    content = line.rstrip(" \t\r\n")
    if "\t" in content:
        return [column.strip(" ") for column in content.split("\t")]
    return [column for column in content.split(" ") if column] or [""]


def _word(part: Part, name: str, places: _Places) -> Word:
    place = f"{name}:{part.line}"
    columns = _columns(decoded(part, place))
    tag = places.tag_of(columns)
    if tag is None:
        raise InputError(
            f"{place} has {len(columns)} columns; {max(places) + 1} were expected. Its document is left out.",
            "Mend the line, or name the columns of the words and of the tags: --columns 1,4",
        )
    word, found = columns[places.word], _TAG.fullmatch(tag)
    if not word or not found:
        what = f"the tag {tag!r}; O, or one like B-person, was expected" if word else "a tag without a word"
        raise InputError(f"{place} has {what}. Its document is left out.", "Mend the line, or name the format: --from")
    return Word(word, found["prefix"] or "O", found["label"] or "")


def tagged(sentences: list[list[Word]]) -> tuple[str, tuple[Entity, ...], Words]:
    """Text, entities and words: the words joined with a space, the sentences with a newline."""
    text = "\n".join(" ".join(word.text for word in sentence) for sentence in sentences)
    lengths = [len(word.text) for sentence in sentences for word in sentence]
    starts = array("i", accumulate((length + 1 for length in lengths), initial=0))[:-1]
    words = Words(starts, array("i", map(int.__add__, starts, lengths)))
    found = ((words.starts[first], words.ends[stop - 1], label) for first, stop, label in _entities(sentences))
    return text, tuple(Entity(start, end, label, text[start:end]) for start, end, label in found), words


def _entities(sentences: Iterable[list[Word]]) -> Iterator[tuple[int, int, str]]:
    """First word, stop and label of each entity, the words counted through all sentences.

    One rule for all schemes: a word goes on with the entity before it if it has the same label and says I, E or L;
    any other word with a label begins one.
    """
    stop = 0
    for sentence in sentences:
        first, stop = stop, stop + len(sentence)
        begun: tuple[int, str] | None = None
        for place, word in enumerate(sentence, start=first):
            if begun and not (word.prefix in _GOES_ON and word.label == begun[1]):
                yield begun[0], place, begun[1]
                begun = None
            if word.label and not begun:
                begun = place, word.label
            if begun and word.prefix in _ENDS:
                yield begun[0], place + 1, begun[1]
                begun = None
        if begun:
            yield begun[0], stop, begun[1]


def write(documents: Iterable[Document], stream: BinaryIO, options: Writing) -> None:
    """Word TAB tag, IOB2; each document written through at once. A lone surrogate becomes U+FFFD: UTF-8 has none.

    Raises OutputError for what the format cannot hold: entities that overlap, labels with a TAB or a newline.
    """
    for document in documents:
        stream.write(encodable("".join(_lines(document, options.words))).encode())
        stream.flush()


def _lines(document: Document, rule: WordRule) -> Iterator[str]:
    cut = words_of(document, rule)
    tags = _tags(document, cut)
    starts = _sentence_starts(document, cut, tags)
    yield f"{_START}\tO\n\n"
    for number, (start, end, tag) in enumerate(zip(cut.starts, cut.ends, tags, strict=True)):
        if number in starts:
            yield "\n"
        yield f"{document.text[start:end]}\t{tag}\n"
    if tags:
        yield "\n"


def _sentence_starts(document: Document, cut: Words, tags: list[str]) -> set[int]:
    """The words that a blank line goes before.

    Sentences of the source stay as they are. Those we find ourselves do not cut an entity: it would be read as two.
    """
    if document.words is not None:
        return set(line_starts(document.text, cut)) - {0}
    return {word for word in sentence_starts(document.text, cut) if not tags[word].startswith("I-")} - {0}


def _tags(document: Document, cut: Words) -> list[str]:
    """A tag for every word; an entity that covers part of a word has all of it."""
    tags = ["O"] * len(cut)
    for entity in document.entities:
        first, stop = covered(cut, entity.start, entity.end)
        if problem := _misfit(entity, tags[first:stop]):
            raise OutputError(
                f"CoNLL cannot hold the entities of {document.id}: {entity.text!r} {problem}.",
                "Use --format jsonl, or where entities overlap leave out --nested and --multi-label",
            )
        tags[first:stop] = [f"B-{entity.label}", *[f"I-{entity.label}"] * (stop - first - 1)]
    return tags


def _misfit(entity: Entity, tags: list[str]) -> str:
    if not tags:
        return "covers no word"
    if set(tags) != {"O"}:
        return "overlaps another, or shares a word with it"
    if not re.fullmatch(r"\S(?:[^\t\r\n]*\S)?", entity.label):
        return f"has the label {entity.label!r}: empty, or with a TAB, a line break or spaces around it"
    return ""
