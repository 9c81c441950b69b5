"""The table of formats: bytes to documents and back, chosen by name, suffix or content.

A new one is a file and a line here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from gliner_cli.errors import InputError, OutputError
from gliner_cli.formats import conll, decoding, jsonl, plain
from gliner_cli.formats.output import opened
from gliner_cli.formats.sources import STDIN, Problem, Source, sources, suffix
from gliner_cli.options import Reading, Writing
from gliner_cli.types import Document

Reader = Callable[[Source, Reading, Problem], Iterator[Document]]
Writer = Callable[[Iterable[Document], BinaryIO, Writing], None]
PathWriter = Callable[[Iterable[Document], Path, Writing], None]


@dataclass(frozen=True)
class Format:
    """A format: its name, the suffixes it goes by, and how it is read and written, where it can be.

    A reader reports what costs one document to `problem` and goes on; it raises InputError for what ends its source.
    What cannot be written as a stream has `write_to` in place of `write`: it gets the path that the user named, and
    leaves there all or nothing. `beginning` is what content of this format begins with, white space left out.
    `folder` means that a folder is one source.
    """

    name: str
    suffixes: tuple[str, ...]
    read: Reader | None = None
    write: Writer | None = None
    write_to: PathWriter | None = None
    beginning: tuple[bytes, ...] = ()
    folder: bool = False

    @property
    def written(self) -> bool:
        """Whether documents can be written so."""
        return bool(self.write or self.write_to)


_TABLE = (
    Format("text", plain.SUFFIXES, plain.read),
    Format("jsonl", jsonl.SUFFIXES, jsonl.read, jsonl.write, beginning=(b"{", b"[")),
    Format("conll", conll.SUFFIXES, conll.read, conll.write),
)
FORMATS: Mapping[str, Format] = {form.name: form for form in _TABLE}
_READ_BY_SUFFIX = {suffix: form for form in _TABLE if form.read for suffix in form.suffixes}
_WRITTEN_BY_SUFFIX = {suffix: form for form in _TABLE if form.written for suffix in form.suffixes}
READABLE = frozenset(_READ_BY_SUFFIX)


def read(arguments: Iterable[str], options: Reading, problem: Problem) -> Iterator[Document]:
    """The documents of all sources, one after the other, as they are asked for.

    What cannot be read is reported to `problem`, and the rest still comes. Raises InputError, before anything is read,
    for a format that is none.
    """
    forced = None if options.input_format == "auto" else _forced(options.input_format)
    if error := decoding.unknown(options.encoding):  # said once: nothing at all can be read
        problem(error)
        return iter(())
    found = sources(arguments, READABLE, problem, whole_folders=bool(forced and forced.folder))
    return (document for source in found for document in documents(source, options, problem))


def documents(source: Source, options: Reading, problem: Problem) -> Iterator[Document]:
    """The documents of one source: for callers that draw its `position`."""
    try:
        read_source = cast(Reader, input_format(source, options).read)
        yield from read_source(source, options, problem)
    except InputError as error:
        problem(error)


def input_format(source: Source, options: Reading) -> Format:
    """How a source is read: as it was said, by its suffix, or by what it begins with. Raises InputError if unknown."""
    if options.input_format != "auto":
        return _forced(options.input_format)
    if form := _READ_BY_SUFFIX.get(source.suffix):
        return form
    beginning = source.beginning().lower()
    for form in _TABLE:
        if form.read and any(beginning.startswith(known.lower()) for known in form.beginning):
            return form
    if source.name == STDIN:
        return FORMATS["text"]
    raise InputError(
        f"{source.name} has no known suffix; known are {_listed(READABLE)}.", "Say what it is: --from text"
    )


def _forced(name: str) -> Format:
    form = FORMATS.get(name)
    if form is None or form.read is None:
        known = _listed(form.name for form in _TABLE if form.read)
        raise InputError(f"{name!r} is no format that can be read; known are {known}.", "Choose one: --from text")
    return form


def write(documents: Iterable[Document], options: Writing) -> None:
    """Write documents where and as the options say: a file is there when it is whole, or not at all."""
    form = output_format(options)
    if form.write:
        with opened(options.output) as stream:
            form.write(documents, stream, options)
    else:
        cast(PathWriter, form.write_to)(documents, cast(Path, options.output), options)


def output_format(options: Writing) -> Format:
    """How to write, by `--format` or the suffix of `--output`; JSONL where neither says.

    Raises OutputError for what cannot be written, or not to standard output.
    """
    name, target = options.output_format, options.output
    if name == "auto":
        ending = suffix(target.name) if target else ""
        form = _WRITTEN_BY_SUFFIX.get(ending) if ending else FORMATS["jsonl"]
    else:
        form = FORMATS.get(name)
    if form is None or not form.written:
        said = f"{target} has no suffix" if name == "auto" else f"{name!r} is no format"
        known = _listed(_WRITTEN_BY_SUFFIX if name == "auto" else (form.name for form in _TABLE if form.written))
        raise OutputError(f"{said} that can be written; known are {known}.", "Say --format jsonl")
    if form.write is None and target is None:
        raise OutputError(f"{form.name} cannot go to standard output.", f"Name where it goes: -o NAME --to {form.name}")
    return form


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
