"""Tables: a row is a document, one column its text, another its name, and all others are kept in their order.

What all tables share, and CSV and TSV. These know only strings: a field that is none is written as JSON has it, and
None as nothing. They are written as RFC 4180 says, and read back as they were: the column `entities` is JSON.

With `--long` there is a row for each entity, and none for a document without. That table is made for people, who open
it in a spreadsheet, which runs cells as formulas: a cell of text that begins with one of = + - @ TAB CR, and is no
number, gets a ' before it (OWASP, "CSV Injection"). The table of documents is made for programs and changes nothing:
a spreadsheet should be given the long one.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Any, BinaryIO

from gliner_cli.errors import InputError, OutputError
from gliner_cli.formats.decoding import LONGEST, Part, decoded, encodable, lines
from gliner_cli.formats.json_rows import Row, beside, documents, entity_row
from gliner_cli.formats.json_values import as_text
from gliner_cli.formats.sources import Problem, Source
from gliner_cli.options import Reading, Writing
from gliner_cli.types import Document

CSV_SUFFIXES, TSV_SUFFIXES = (".csv",), (".tsv", ".tab")
NESTED = ("id", "source", "text", "entities")
LONG = ("id", "source", "start", "end", "text", "label", "score")

_FORMULA = re.compile(r"[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+)*(?:[eE][+-]?[0-9]+)?%?")
_BY_JSON = (bool, int, float, list, tuple, dict)
_ENTITIES = 'Expected a list: [{"start": 0, "end": 3, "label": "person"}]. If the column is something else, rename it.'


def made(row: Row) -> Document:
    """The document of a row. Entities may be a list, or JSON text of one."""
    for name in {row.options.id_field, "source"} & row.fields.keys():
        row = _with(row, name, _name(row.fields[name]))
    if isinstance(row.fields.get(row.options.text_field), bytes):
        raise InputError(f"{row.place} has bytes as its {row.options.text_field!r}; text in UTF-8 was expected.")
    row = _with(row, "entities", _listed(row))
    text = row.text
    found = [row.entity(value, text) for value in row.listed("entities", _ENTITIES)]
    return row.document(text, found, ["entities"])


def _with(row: Row, name: str, value: Any) -> Row:
    return Row({**row.fields, name: value}, row.place, row.source, row.options)


def _name(value: Any) -> str | None:
    return None if value is None else cell(value)


def _listed(row: Row) -> Any:
    value = row.fields.get("entities")
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value) if value.strip() else None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{row.place} has no JSON in its column 'entities': {value[:80]!r}.", _ENTITIES) from error


def unique(names: Iterable[str]) -> list[str]:
    """Names of columns; one that was there before becomes one that is free, `text_` for `text`."""
    found: dict[str, None] = {}
    for name in names:
        free = name
        while free in found:
            free += "_"
        found[free] = None
    return list(found)


def need_text(names: Sequence[str], source: str, options: Reading) -> None:
    """Raises InputError where none of the columns is the one of the text."""
    if options.text_field not in names:
        there = ", ".join(map(repr, names)) or "none"
        raise InputError(
            f"{source} has no column {options.text_field!r}; its columns are {there}.",
            "Name the column that holds the text: --text-field NAME",
        )


def rows(document: Document, long: bool) -> Iterator[dict[str, Any]]:
    """A document as a row, or each of its entities as one; our columns go first, and all rows have the same."""
    name = {"id": document.id, "source": document.source}
    if not long:
        found = [entity_row(entity) for entity in document.entities]
        yield beside({**name, "text": document.text, "entities": found}, document.meta)
        return
    for entity in document.entities:
        yield beside({**name, **entity_row(entity), "score": entity.score}, document.meta)


def ours(long: bool) -> tuple[str, ...]:
    """The columns that every table has."""
    return LONG if long else NESTED


def cell(value: Any) -> str:
    """A value as text."""
    match value:
        case None:
            return ""
        case str():
            return value
        case _ if isinstance(value, _BY_JSON):
            return json.dumps(value, ensure_ascii=False, default=as_text)
    return as_text(value)


def late_column(name: str, document: Document, form: str) -> OutputError:
    """The error for a field that the table has no column for."""
    return OutputError(
        f"{form} gets its columns from the documents that come first, and {document.id} has a field that these have"
        f" not: {name!r}.",
        "Use --format jsonl or sqlite, which take any fields.",
    )


class _Rows:
    """The rows of a text with the line that each begins on; what is none raises InputError, and the next one comes.

    A line that is not in its encoding is read all the same, with replacements, and costs only the row it is part of.
    """

    def __init__(self, parts: Iterator[Part], source: str, delimiters: str, text_field: str) -> None:
        self._source, self._wrong, self._taken = source, list[InputError](), list[bytes]()
        text = self._text(parts)
        first = next(text, "")
        likely = max(delimiters, key=lambda one: len(_split(first, one)))  # only for telling which columns are there
        delimiter = next((one for one in delimiters if text_field in _split(first, one)), likely)
        self._reader = csv.reader(chain([first], text), delimiter=delimiter, strict=True)
        self.suffix = (TSV_SUFFIXES if delimiter == "\t" else CSV_SUFFIXES)[0]

    def _text(self, parts: Iterator[Part]) -> Iterator[str]:
        for part in parts:
            self._taken.append(part.content)
            try:
                yield decoded(part, f"{self._source}:{part.line}")
            except InputError as error:
                self._wrong.append(error)
                yield part.content.decode(errors="replace")

    def __iter__(self) -> _Rows:
        return self

    def __next__(self) -> tuple[int, list[str]]:
        cells: list[str] = []
        while not cells:  # blank lines
            line = self._reader.line_num + 1
            if line > 1:  # the first was taken when the delimiter was told by it
                self._taken.clear()
            try:
                cells = next(self._reader)
            except csv.Error as error:
                self._wrong = []
                raise InputError(f"{self._source}:{line} begins a row that is none: {error}.", _QUOTES) from error
            if self._wrong:
                wrong, self._wrong = self._wrong[0], []
                raise wrong
        return line, cells

    @property
    def raw(self) -> bytes:
        """The lines of the row that came last, as they are."""
        return b"".join(self._taken)


_QUOTES = 'A cell that holds the delimiter, a quote or a line break is quoted, and a quote in it doubled: "5"" disks"'


def _split(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []


def _read(source: Source, options: Reading, problem: Problem, delimiters: str) -> Iterator[Document]:
    """The documents, as they come; a row that is none is reported. Raises InputError where no column is the text."""
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST))  # of all the process: csv has no other
    with source.opened() as stream:
        found = _Rows(lines(stream, source.name, options.encoding), source.name, delimiters, options.text_field)
        _, header = next(found, (0, None))
        if header is None:
            return
        names = unique(header)
        need_text(names, source.name, options)
        fitting = (Row(*placed, source.name, options) for placed in _fields(found, names, source.name, problem))
        yield from documents(((row, made) for row in fitting), problem)


def _fields(found: _Rows, names: list[str], source: str, problem: Problem) -> Iterator[tuple[dict[str, Any], str]]:
    """The fields of each row and its place; what is no row is reported, with the header that it needs to be read."""
    header = found.raw
    while True:
        try:
            line, cells = next(found)
        except StopIteration:
            return
        except InputError as error:
            problem(error.about(found.raw, found.suffix, header))
            continue
        place = f"{source}:{line}"
        if len(cells) == len(names):
            yield dict(zip(names, cells, strict=True)), place
        else:
            what = f"{place} has {len(cells)} cells; {len(names)} were expected, as in the header."
            problem(InputError(what, _QUOTES).about(found.raw, found.suffix, header))


def _write(documents: Iterable[Document], stream: BinaryIO, options: Writing, delimiter: str) -> None:
    """A header, and each document written through at once. The fields of the first one that is written are the columns.

    Raises OutputError for a field that comes later.
    """
    header: list[str] = []
    for document in documents:
        for row in rows(document, options.long):
            if not header:
                header = list(row)
                stream.write(_line(header, delimiter, options.long))
            if late := next((name for name in row if name not in header), None):
                raise late_column(late, document, "A table")
            stream.write(_line([row.get(name) for name in header], delimiter, options.long))
        stream.flush()
    if not header:
        stream.write(_line(ours(options.long), delimiter, options.long))


def _line(values: Sequence[Any], delimiter: str, harmless: bool) -> bytes:
    text = io.StringIO(newline="")
    cells = [_harmless(value) if harmless and isinstance(value, str) else cell(value) for value in values]
    csv.writer(text, delimiter=delimiter, lineterminator="\r\n").writerow(cells)
    return encodable(text.getvalue()).encode()


def _harmless(text: str) -> str:
    """Text that a spreadsheet shows and does not run."""
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


# Where a comma is the decimal sign, what spreadsheets call CSV has semicolons: what makes the text a column is it.
read_csv, write_csv = partial(_read, delimiters=",;\t"), partial(_write, delimiter=",")
read_tsv, write_tsv = partial(_read, delimiters="\t"), partial(_write, delimiter="\t")
