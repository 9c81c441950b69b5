"""The table of formats: bytes to documents and back, chosen by name or suffix. A new one is a file and a line here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO, cast

from gliner_cli.errors import InputError, OutputError
from gliner_cli.formats import conll, decoding, jsonl, plain
from gliner_cli.formats.sources import STDIN, Problem, Source, sources, suffix
from gliner_cli.options import Reading, WordRule, Writing
from gliner_cli.types import Document

Reader = Callable[[Source, Reading, Problem], Iterator[Document]]
Writer = Callable[[Iterable[Document], BinaryIO, WordRule], None]


@dataclass(frozen=True)
class Format:
    """A format: its name, the suffixes it goes by, and how it is read and written, where it can be.

    A reader reports what costs one document to `problem` and goes on; it raises InputError for what ends its source.
    """

    name: str
    suffixes: tuple[str, ...]
    read: Reader | None = None
    write: Writer | None = None


_TABLE = (
    Format("text", plain.SUFFIXES, plain.read),
    Format("jsonl", jsonl.SUFFIXES, jsonl.read, jsonl.write),
    Format("conll", conll.SUFFIXES, conll.read, conll.write),
)
FORMATS: Mapping[str, Format] = {form.name: form for form in _TABLE}
_READ_BY_SUFFIX = {suffix: form for form in _TABLE if form.read for suffix in form.suffixes}
_WRITTEN_BY_SUFFIX = {suffix: form for form in _TABLE if form.write for suffix in form.suffixes}
READABLE = frozenset(_READ_BY_SUFFIX)


def read(arguments: Iterable[str], options: Reading, problem: Problem) -> Iterator[Document]:
    """The documents of all sources, one after the other, as they are asked for.

    What cannot be read is reported to `problem`, and the rest still comes. Raises InputError, before anything is read,
    for a format that is none.
    """
    if options.input_format != "auto":
        _forced(options.input_format)
    if error := decoding.unknown(options.encoding):  # said once: nothing at all can be read
        problem(error)
        return iter(())
    found = sources(arguments, READABLE, problem)
    return (document for source in found for document in documents(source, options, problem))


def documents(source: Source, options: Reading, problem: Problem) -> Iterator[Document]:
    """The documents of one source: for callers that draw its `position`."""
    try:
        read_source = cast(Reader, _input_format(source, options).read)
        yield from read_source(source, options, problem)
    except InputError as error:
        problem(error)


def _input_format(source: Source, options: Reading) -> Format:
    if options.input_format != "auto":
        return _forced(options.input_format)
    if source.name == STDIN:
        return FORMATS["jsonl" if source.first_byte() == b"{" else "text"]
    if form := _READ_BY_SUFFIX.get(source.suffix):
        return form
    raise InputError(
        f"{source.name} has no known suffix; known are {_listed(READABLE)}.", "Say what it is: --from text"
    )


def _forced(name: str) -> Format:
    form = FORMATS.get(name)
    if form is None or form.read is None:
        known = _listed(form.name for form in _TABLE if form.read)
        raise InputError(f"{name!r} is no format that can be read; known are {known}.", "Choose one: --from text")
    return form


def output_format(options: Writing) -> Format:
    """How to write, by `--format` or the suffix of `--output`; JSONL where neither says. Its `write` is never None."""
    name, target = options.output_format, options.output
    if name == "auto":
        ending = suffix(target.name) if target else ""
        form = _WRITTEN_BY_SUFFIX.get(ending) if ending else FORMATS["jsonl"]
    else:
        form = FORMATS.get(name)
    if form is None or form.write is None:
        said = f"{target} has no suffix" if name == "auto" else f"{name!r} is no format"
        known = _listed(_WRITTEN_BY_SUFFIX if name == "auto" else (form.name for form in _TABLE if form.write))
        raise OutputError(f"{said} that can be written; known are {known}.", "Say --format jsonl")
    return form


def writer(options: Writing) -> Writer:
    """What `output_format` writes with."""
    return cast(Writer, output_format(options).write)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
