"""The table of formats: bytes to documents and back, chosen by name, suffix or content.

A new one is a file and a line here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO, cast

from gliner_cli.errors import InputError, MissingExtraError, OutputError, meant
from gliner_cli.formats import (
    brat,
    conll,
    datasets,
    decoding,
    doccano,
    docx,
    jsonl,
    labelstudio,
    page,
    parquet,
    pdf,
    plain,
    prodigy,
    redacted,
    rows,
    spacy,
    sqlite,
    tables,
    web,
)
from gliner_cli.formats.json_rows import Reader
from gliner_cli.formats.output import opened
from gliner_cli.formats.sources import STDIN, Problem, Source, sources, suffix
from gliner_cli.options import Reading, Writing
from gliner_cli.types import Document

Writer = Callable[[Iterable[Document], BinaryIO, Writing], None]
PathWriter = Callable[[Iterable[Document], Path, Writing], None]


@dataclass(frozen=True)
class Format:
    """A format: its name, the suffixes it goes by, and how it is read and written, where it can be.

    A reader reports what costs one document to `problem` and goes on; it raises InputError for what ends its source.
    What cannot be written as a stream has `write_to` in place of `write`: it gets the path that the user named, and
    leaves there all or nothing. `beginning` is what content of this format begins with, white space left out.
    `folder` means that a folder is one source; `is_in` knows such a folder by what lies in it, where that can be told.
    """

    name: str
    suffixes: tuple[str, ...]
    read: Reader | None = None
    write: Writer | None = None
    write_to: PathWriter | None = None
    beginning: tuple[bytes, ...] = ()
    folder: bool = False
    is_in: Callable[[str | Path], bool] | None = None

    @property
    def written(self) -> bool:
        """Whether documents can be written so."""
        return bool(self.write or self.write_to)


_TABLE = (
    Format("text", plain.SUFFIXES, plain.read, plain.write),
    Format("jsonl", jsonl.SUFFIXES, jsonl.read, jsonl.write, beginning=(b"{", b"[")),
    Format("json", jsonl.ARRAY_SUFFIXES, jsonl.read, jsonl.write_json),
    Format("conll", conll.SUFFIXES, conll.read, conll.write),
    Format("rows", (), rows.read, rows.write),
    Format("label-studio", (), labelstudio.read, labelstudio.write),
    Format("doccano", (), doccano.read, doccano.write),
    Format("prodigy", (), prodigy.read, prodigy.write),
    Format("brat", brat.SUFFIXES, brat.read, write_to=brat.write_to, folder=True),
    Format("csv", tables.CSV_SUFFIXES, tables.read_csv, tables.write_csv),
    Format("tsv", tables.TSV_SUFFIXES, tables.read_tsv, tables.write_tsv),
    Format("parquet", parquet.PARQUET_SUFFIXES, parquet.read_parquet, None, parquet.write_parquet, (parquet.PARQUET,)),
    Format("arrow", parquet.ARROW_SUFFIXES, parquet.read_arrow, None, parquet.write_arrow, (parquet.ARROW,)),
    Format("sqlite", sqlite.SUFFIXES, sqlite.read, None, sqlite.write_to, (sqlite.BEGINNING,)),
    Format("html", web.SUFFIXES, web.read, page.write, beginning=web.BEGINNINGS),
    Format("pdf", pdf.SUFFIXES, pdf.read, beginning=(pdf.BEGINNING,)),
    Format("docx", docx.SUFFIXES, docx.read, beginning=(docx.BEGINNING,)),
    Format("spacy", spacy.SUFFIXES, spacy.read, write_to=spacy.write_to),
    Format("datasets", (), datasets.read, write_to=datasets.write_to, folder=True, is_in=datasets.is_in),
)
FORMATS: Mapping[str, Format] = {form.name: form for form in _TABLE}
_READ_BY_SUFFIX = {suffix: form for form in _TABLE if form.read for suffix in form.suffixes}
_WRITTEN_BY_SUFFIX = {suffix: form for form in _TABLE if form.written for suffix in form.suffixes}
READABLE = frozenset(_READ_BY_SUFFIX)
_JSON = (*jsonl.SUFFIXES, *jsonl.ARRAY_SUFFIXES)  # of formats that have no suffix of their own


def read(
    arguments: Iterable[str],
    options: Reading,
    problem: Problem,
    begun: Callable[[Source], None] = lambda _: None,
    writing: Writing | None = None,
) -> Iterator[Document]:
    """The documents of all sources, one after the other, as they are asked for; `begun` hears of each source first.

    Where `writing` puts its results may lie in a folder that is read: that is none of the sources. What cannot be read
    is reported to `problem`, and the rest still comes. Raises, before anything is read, InputError for a format that is
    none, and OutputError for an output that is an input.
    """
    arguments = list(arguments)
    ours = _left_out(arguments, writing) if writing else None
    found = named(arguments, options, problem)
    if error := decoding.unknown(options.encoding):  # said once: nothing at all can be read
        problem(error)
        return iter(())

    def all_of(source: Source) -> Iterator[Document]:
        begun(source)
        return documents(source, options, problem)

    if writing and ours:
        found = _others(found, ours, writing)
    return (document for source in found for document in all_of(source))


def _left_out(arguments: Iterable[str], writing: Writing) -> str | None:
    """The file that is no source, since results replace it. In a database, which may be both, they replace a table."""
    output = writing.output
    if output is None or not os.path.isfile(output):
        return None
    ours = os.path.realpath(output)
    if all(argument == STDIN or os.path.realpath(argument) != ours for argument in arguments):
        return ours
    if output_format(writing) is FORMATS["sqlite"]:
        return None
    raise _replacing(writing)


def _others(found: Iterator[Source], ours: str, writing: Writing) -> Iterator[Source]:
    """The sources but `ours`. Raises OutputError where there are no others: it is no result then, but what to read."""
    first = next(found, None)
    others = (source for source in found if not _is(source, ours))
    if first and _is(first, ours):
        first = next(others, None)
        if first is None:
            raise _replacing(writing)
    return chain([first] if first else [], others)


def _is(source: Source, path: str) -> bool:
    return source.path is not None and os.path.realpath(source.path) == path


def _replacing(writing: Writing) -> OutputError:
    return OutputError(
        f"{writing.output} is named as an input, and results would replace it.", "Name another file: -o FILE"
    )


def named(arguments: Iterable[str], options: Reading, problem: Problem) -> Iterator[Source]:
    """The sources that arguments name, as `read` takes them: of a folder, what is called like the format that was said.

    Raises InputError for a format that is none.
    """
    if options.input_format == "auto":
        return brat.without_texts(sources(arguments, READABLE, problem, lambda folder: _of_folder(folder) is not None))
    form = _forced(options.input_format)
    found = sources(arguments, form.suffixes or _JSON, problem, lambda _: form.folder)
    return brat.without_texts(found) if form.read is brat.read else found


def documents(source: Source, options: Reading, problem: Problem) -> Iterator[Document]:
    """The documents of one source: for callers that draw its `position`."""
    try:
        read_source = cast(Reader, input_format(source, options).read)
        yield from read_source(source, options, problem)
    except InputError as error:
        problem(error.about(os.fsencode(source.name), ".files"))
    except MissingExtraError as error:  # others of a folder may need none
        problem(InputError(error.message, error.hint).about(os.fsencode(source.name), ".files"))


def input_format(source: Source, options: Reading) -> Format:
    """How a source is read: as it was said, by its suffix, or by what it begins with. Raises InputError if unknown."""
    if options.input_format != "auto":
        return _forced(options.input_format)
    form = _of_folder(source.path) if source.path and os.path.isdir(source.path) else None
    if form := form or _READ_BY_SUFFIX.get(source.suffix):
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


def _of_folder(folder: str | Path) -> Format | None:
    return next((form for form in _TABLE if form.is_in and form.is_in(folder)), None)


def _forced(name: str) -> Format:
    form = FORMATS.get(name)
    if form is None or form.read is None:
        known = [form.name for form in _TABLE if form.read]
        raise InputError(
            f"{name!r} is no format that can be read; known are {_listed(known)}.",
            f"{meant(name, known)}Choose one: --from text",
        )
    return form


def write(documents: Iterable[Document], options: Writing) -> None:
    """Write documents where and as the options say: a file is there when it is whole, or not at all."""
    form = output_format(options)
    if options.redact or options.redact_map:
        documents = redacted.documents(documents, options.redact_map)
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
        known = list(_WRITTEN_BY_SUFFIX) if name == "auto" else [form.name for form in _TABLE if form.written]
        wanted = target.suffix if target and name == "auto" else name
        raise OutputError(
            f"{said} that can be written; known are {_listed(known)}.", f"{meant(wanted, known)}Say --format jsonl"
        )
    if form.name == "text" and name == "auto" and not options.redact:
        raise OutputError(
            f"{target} would be the texts alone, without what was found.",
            "Name another, as out.jsonl, or say --to text",
        )
    if form.write is None and target is None:
        raise OutputError(f"{form.name} cannot go to standard output.", f"Name where it goes: -o NAME --to {form.name}")
    return form


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
