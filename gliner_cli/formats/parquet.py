"""Parquet and Arrow (IPC files and streams): tables whose columns have types, read and written a batch at a time.

The column `entities` is list<struct<start, end, text, label, score>>. The types of columns that came from such a table
go through to the next one; those of other fields are told by the first rows. Python knows no nanoseconds: a time that
needs them comes as text.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from gliner_cli.errors import InputError, OutputError, needs
from gliner_cli.formats.arrow_columns import columns_of, groups_of, table
from gliner_cli.formats.arrow_values import listed
from gliner_cli.formats.decoding import LONGEST
from gliner_cli.formats.json_rows import Made, Row, documents
from gliner_cli.formats.output import opened
from gliner_cli.formats.sources import Problem, Source
from gliner_cli.formats.tables import made, need_text, unique
from gliner_cli.options import Reading, Writing
from gliner_cli.types import Document

PARQUET_SUFFIXES, ARROW_SUFFIXES = (".parquet", ".pq"), (".arrow", ".arrows", ".feather")
PARQUET, ARROW = b"PAR1", b"ARROW1"

_TEXTS = ("string", "large_string", "binary", "large_binary")
_READ = 256  # rows that are turned into documents at once


@dataclass(frozen=True, slots=True)
class Table:
    """What the rows of a table come from, how they are read, and what raises InputError for wrong columns."""

    source: str
    options: Reading
    check: Callable[[Mapping[str, Any]], None]


TypedRow = tuple[Row, Mapping[str, Any]]  # with the types of its columns


class Fields(dict[str, Any]):
    """The fields of a row, and the Arrow types of their columns, for who writes them as Arrow again."""

    types: Mapping[str, Any] = {}


def library(what: str) -> Any:
    """pyarrow, with the parts that files need. Raises MissingExtraError that says what it is needed for."""
    try:
        import pyarrow
        import pyarrow.compute
        import pyarrow.ipc
        import pyarrow.parquet
    except ImportError as error:
        raise needs("parquet", what) from error
    return pyarrow


def read_parquet(source: Source, options: Reading, problem: Problem) -> Iterator[Document]:
    """The documents of a Parquet file, as they come. Raises InputError for one that is damaged."""
    return _read(source, options, problem, "Parquet", _parquet_batches)


def read_arrow(source: Source, options: Reading, problem: Problem) -> Iterator[Document]:
    """The documents of an Arrow IPC file or stream, as they come. Raises InputError for one that is damaged."""
    return _read(source, options, problem, "Arrow", arrow_batches)


def _read(
    source: Source, options: Reading, problem: Problem, form: str, batches: Callable[[Any, Path], Iterator[Any]]
) -> Iterator[Document]:
    arrow = library(f"Reading {form}")
    with source.file() as path:
        whole = undamaged(arrow, batches(arrow, path), source.name, form)
        check = partial(need_strings, arrow, source=source.name, options=options)
        found = rows(arrow, whole, Table(source.name, options, check), problem)
        yield from typed_documents(found, made, problem)


def typed_documents(found: Iterable[TypedRow], schema: Made, problem: Problem) -> Iterator[Document]:
    """The documents of rows, whose fields know the types of their columns; a row that is none is reported."""
    for row, types in found:
        for document in documents([(row, schema)], problem):
            meta = Fields(document.meta)
            meta.types = {name: types[name] for name in meta}
            yield replace(document, meta=meta)


def _parquet_batches(arrow: Any, path: Path) -> Iterator[Any]:
    with arrow.parquet.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20) as file:
        for batch in file.iter_batches(_READ, use_threads=False):
            batch.validate()
            yield batch


def arrow_batches(arrow: Any, path: Path) -> Iterator[Any]:
    """What Arrow reads it does not check: a wrong offset would lead anywhere in memory."""
    with arrow.OSFile(str(path)) as file:
        is_file = file.read(len(ARROW)) == ARROW
        file.seek(0)
        for batch in _ipc_file(arrow, file) if is_file else arrow.ipc.open_stream(file):
            batch.validate(full=True)
            yield from (batch.slice(start, _READ) for start in range(0, batch.num_rows, _READ))


def _ipc_file(arrow: Any, file: Any) -> Iterator[Any]:
    reader = arrow.ipc.open_file(file)
    return (reader.get_batch(number) for number in range(reader.num_record_batches))


def undamaged(arrow: Any, batches: Iterator[Any], name: str, form: str) -> Iterator[Any]:
    """The batches of a file. Raises InputError for one that Arrow cannot make sense of."""
    try:
        yield from batches
    except (arrow.ArrowException, OSError, MemoryError, ValueError, OverflowError, TypeError, KeyError) as error:
        said = str(error).strip().partition("\n")[0][:200] or type(error).__name__
        raise InputError(
            f"{name} is not a whole {form} file: {said.rstrip('.')}.", "Fetch or write it again; another format: --from"
        ) from error


def rows(arrow: Any, batches: Iterator[Any], table: Table, problem: Problem) -> Iterator[TypedRow]:
    """The rows with the types of their columns; one that Python cannot hold is reported."""
    number, types = 0, dict[str, Any]()
    for batch in batches:
        if not types:
            types = dict(zip(unique(batch.schema.names), batch.schema.types, strict=True))
            table.check(types)
        for values in _values(arrow, batch):
            number += 1
            place = f"{table.source}:{number}"
            if isinstance(values, Exception):
                error = InputError(f"{place} cannot be read: {values}.", "Leave the column out, or mend the row.")
                problem(error.about(os.fsencode(table.source), ".files"))
            else:
                yield Row(dict(zip(types, values, strict=True)), place, table.source, table.options), types


def need_strings(arrow: Any, types: Mapping[str, Any], source: str, options: Reading) -> None:
    """Raises InputError where no column is the one of the text, or it is none of strings."""
    need_text(list(types), source, options)
    kind = types[options.text_field]
    bare = kind.value_type if arrow.types.is_dictionary(kind) else kind
    if str(bare) not in ("string", "large_string", "string_view", "null"):
        raise InputError(
            f"{source} has the type {kind} in its column {options.text_field!r}; strings were expected.",
            "Name the column that holds the text: --text-field NAME",
        )


def _values(arrow: Any, batch: Any) -> Iterator[tuple[Any, ...] | Exception]:
    """The values of each row; the error of one that Python cannot hold, such as a date in the year 50,000.

    A text that is longer than any should be is no value either.
    """
    try:
        for column in batch.columns:
            _check_length(arrow, column)
        found = list(zip(*(listed(arrow, column) for column in batch.columns), strict=True))
    except (ValueError, OverflowError, arrow.ArrowException) as error:
        if batch.num_rows == 1:
            yield error
            return
        for row in range(batch.num_rows):
            yield from _values(arrow, batch.slice(row, 1))
    else:
        yield from found


def _check_length(arrow: Any, column: Any) -> None:
    """Raises ValueError for a text too long. Before they are turned into Python's, of which each is a copy."""
    is_dictionary = arrow.types.is_dictionary(column.type)
    texts = column.dictionary if is_dictionary else column
    if str(texts.type) in _TEXTS:
        lengths = arrow.compute.binary_length(texts)
        longest = arrow.compute.max(lengths.take(column.indices) if is_dictionary else lengths).as_py() or 0
        if longest > LONGEST:
            raise ValueError(f"{longest >> 20} MB in one cell, which is more than one can be")


def write_parquet(documents: Iterable[Document], path: Path, options: Writing) -> None:
    """A row group for some thousand rows. Raises OutputError for a field whose type changes, or that comes late."""
    arrow = library("Writing Parquet")
    write_as(arrow, documents, path, options, arrow.parquet.ParquetWriter)


def write_arrow(documents: Iterable[Document], path: Path, options: Writing) -> None:
    """An Arrow IPC file. Raises OutputError for a field whose type changes, or that comes late."""
    arrow = library("Writing Arrow")
    write_as(arrow, documents, path, options, arrow.ipc.new_file)


def write_as(
    arrow: Any,
    documents: Iterable[Document],
    path: Path,
    options: Writing,
    writer: Callable[[Any, Any], AbstractContextManager[Any]],
) -> None:
    """Write documents as one table with the writer that a stream and a schema make."""
    with opened(path) as stream, _held(arrow, path):
        groups = groups_of(documents, options.long)
        first = next(groups, [])
        columns = columns_of(arrow, first, options.long)
        with writer(_Seen(stream), arrow.schema(columns.values())) as file:
            file.write_table(table(arrow, first, columns))
            for group in groups:
                file.write_table(table(arrow, group, columns))


@contextmanager
def _held(arrow: Any, path: Path) -> Iterator[None]:
    """What Arrow can hold and a file of this format cannot, such as an object without any field."""
    try:
        yield
    except arrow.ArrowException as error:
        raise OutputError(
            f"{path} cannot be written: {error}", "Use --format jsonl, which takes any values."
        ) from error


class _Seen:
    """A stream with as much more as Arrow asks for."""

    closed = False

    def __init__(self, stream: BinaryIO) -> None:
        self.write, self.flush = stream.write, stream.flush
