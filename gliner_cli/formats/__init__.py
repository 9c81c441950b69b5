"""The table of formats: bytes to documents and back, chosen by name or suffix. A new one is a file and a line here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from gliner_cli.errors import InputError, OutputError
from gliner_cli.formats import conll, jsonl, plain
from gliner_cli.formats.sources import STDIN, Problem, Source, sources
from gliner_cli.options import Reading, WordRule, Writing
from gliner_cli.types import Document

Reader = Callable[[Source, Reading, Problem], Iterator[Document]]
Writer = Callable[[Iterable[Document], BinaryIO, WordRule], None]


@dataclass(frozen=True)
class Format:
    """A format: the suffixes it goes by, and how it is read and written, where it can be."""

    suffixes: tuple[str, ...]
    read: Reader | None = None
    write: Writer | None = None


FORMATS: Mapping[str, Format] = {
    "text": Format(plain.SUFFIXES, plain.read),
    "jsonl": Format(jsonl.SUFFIXES, jsonl.read, jsonl.write),
    "conll": Format(conll.SUFFIXES, conll.read, conll.write),
}
_BY_SUFFIX = {suffix: form for form in FORMATS.values() for suffix in form.suffixes}


def read(arguments: Iterable[str], options: Reading, problem: Problem) -> Iterator[Document]:
    """The documents of all sources, one after the other, as they are asked for.

    What cannot be read is reported to `problem`, and the rest still comes.
    """
    readable = {suffix for suffix, form in _BY_SUFFIX.items() if form.read}
    for source in sources(arguments, readable, problem):
        try:
            yield from _reader(source, options)(source, options, problem)
        except InputError as error:
            problem(error)


def _reader(source: Source, options: Reading) -> Reader:
    if options.input_format != "auto":
        form: Format | None = FORMATS[options.input_format]
    elif source.name == STDIN:
        form = FORMATS["jsonl"] if _looks_like_json(source) else FORMATS["text"]
    else:
        form = _BY_SUFFIX.get(source.suffix)
    if form is None or form.read is None:
        known = ", ".join(sorted(suffix for suffix, known in _BY_SUFFIX.items() if known.read))
        raise InputError(f"{source.name} has no known suffix; known are {known}.", "Say what it is: --from text")
    return form.read


def _looks_like_json(source: Source) -> bool:
    """Whether standard input begins with an object: looked at, not taken."""
    with source.opened() as stream:
        peek = getattr(stream, "peek", None)
        return bool(peek and peek(1).lstrip()[:1] == b"{")


def writer(options: Writing) -> Writer:
    """How to write, by `--format` or the suffix of `--output`; JSONL where neither says."""
    if options.output_format != "auto":
        form: Format | None = FORMATS[options.output_format]
    elif options.output:
        form = _BY_SUFFIX.get(Source(options.output.name).suffix)
    else:
        form = FORMATS["jsonl"]
    if form is None or form.write is None:
        known = ", ".join(sorted(suffix for suffix, known in _BY_SUFFIX.items() if known.write))
        raise OutputError(
            f"{options.output} has no suffix that can be written; known are {known}.", "Say --format jsonl"
        )
    return form.write
