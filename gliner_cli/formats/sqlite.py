"""SQLite: what a query selects are documents; results go into a table, all of them in one transaction, or none.

A source is opened read-only and never changed. What is written lies in a database of its own beside the output until
it is whole: nobody else's database is locked while a long run goes on, not even the one that is read from. A value that
SQLite has no type for is kept as text: lists and objects as JSON, NaN, and whole numbers beyond 64 bits.
"""

from __future__ import annotations

import math
import os
import shutil
import sqlite3
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from gliner_cli.errors import InputError, OutputError
from gliner_cli.formats.compression import compression
from gliner_cli.formats.decoding import LONGEST, encodable
from gliner_cli.formats.json_rows import Row, documents
from gliner_cli.formats.output import check, partial, put
from gliner_cli.formats.sources import Problem, Source
from gliner_cli.formats.tables import cell, made, need_text, ours, rows, unique
from gliner_cli.options import Reading, Writing
from gliner_cli.types import Document

SUFFIXES = (".sqlite", ".sqlite3", ".db")
BEGINNING = b"SQLite format 3"

# The last three: NUL and surrogates in a query, and values that a function made too large.
_FAILURES = (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError, MemoryError)
_TABLES = r"SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY name"
_TYPES = {"start": "INTEGER", "end": "INTEGER", "score": "REAL"}  # all others of ours are text
_AT_ONCE = 1000  # rows in a transaction of the database that is not whole yet


def read(source: Source, options: Reading, problem: Problem) -> Iterator[Document]:
    """The documents that the query selects, or those of the only table, as they come.

    Raises InputError for what is no database, a query that fails, and where it is not clear what to read.
    """
    with source.file() as path, closing(_read_only(path)) as connection:
        cursor = _selected(connection, source.name, options)
        names = unique(column[0] for column in cursor.description)
        need_text(names, source.name, options)
        found = enumerate(_values(cursor, source.name), start=1)
        placed = ((dict(zip(names, values, strict=True)), f"{source.name}:{number}") for number, values in found)
        yield from documents(((Row(*one, source.name, options), made) for one in placed), problem)


def _read_only(path: Path) -> sqlite3.Connection:
    """Documents may be asked for by another thread than the first; SQLite itself has no objection."""
    place = f"file:{quote(os.fsencode(path))}?mode=ro"
    try:
        connection = sqlite3.connect(place, uri=True, check_same_thread=False)
    except sqlite3.Error as error:
        raise _unreadable(str(path), error) from error
    connection.text_factory = _text
    if sys.version_info >= (3, 11):  # a generated column can be a gigabyte in a file of some kilobytes
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST)
    return connection


def _text(content: bytes) -> str | bytes:
    """Text that is not in UTF-8 stays bytes: it costs its document only where it is the text."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content


def _selected(connection: sqlite3.Connection, name: str, options: Reading) -> sqlite3.Cursor:
    try:
        connection.set_authorizer(_allowed)
        connection.execute("PRAGMA query_only = ON")  # mode=ro is of this database only, not of temporary tables
        connection.execute("PRAGMA trusted_schema = OFF")
        cursor = connection.execute(options.query or _everything(_only_table(connection, name)))
    except _FAILURES as error:
        raise _unreadable(name, error, options.query) from error
    if cursor.description is None:
        raise InputError(f"The query selects nothing: {options.query}", "For example: --query 'SELECT * FROM docs'")
    return cursor


def _only_table(connection: sqlite3.Connection, name: str) -> str:
    tables = [table for (table,) in connection.execute(_TABLES)]
    if len(tables) == 1:
        return str(tables[0])
    example = str(tables[0]) if tables else "docs"
    raise InputError(
        f"{name} has {len(tables)} tables{': ' if tables else ''}{', '.join(map(repr, tables))}; one was expected.",
        f"Say what to read: --query '{_everything(example)}'",
    )


def _everything(table: str) -> str:
    return f"SELECT * FROM {_quoted(table)}"  # noqa: S608 (quoted)


def _values(cursor: sqlite3.Cursor, name: str) -> Iterator[tuple[Any, ...]]:
    try:
        while (values := cursor.fetchone()) is not None:  # `yield from` would close it once more, after its connection
            yield values
    except _FAILURES as error:
        raise _unreadable(name, error) from error


def _allowed(action: int, *_: str | None) -> int:
    """No other database may be opened: `VACUUM INTO` makes its file before it is told that it may not write."""
    return sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_ATTACH else sqlite3.SQLITE_OK


def _unreadable(name: str, error: Exception, query: str | None = None) -> InputError:
    hint = f"Check the query: {query}" if query else "A SQLite database was expected; if it is another format: --from"
    return InputError(f"{name} cannot be read: {str(error).rstrip('.')}.", hint)


def _quoted(name: str) -> str:
    """A name that cannot be anything else in SQL."""
    return '"' + name.replace('"', '""') + '"'


def write_to(documents: Iterable[Document], path: Path, options: Writing) -> None:
    """Documents, or with `long` their entities, into the table `options.table` of a new or an existing database.

    A table of that name is replaced if it is one of ours. Raises OutputError for any other, and it stays as it is.
    """
    _check(path)
    if _exists(path):
        with _blaming(path), closing(sqlite3.connect(path)) as connection:
            _check_table(connection, path, options.table)
    unfinished = partial(path)
    with _blaming(path):
        for name in (unfinished, Path(f"{unfinished}-journal")):
            name.unlink(missing_ok=True)
        if _exists(path):
            unfinished.touch()
            shutil.copymode(path, unfinished)
        connection = sqlite3.connect(unfinished)
    with closing(connection):
        table = _Table(connection, options, path)
        for document in documents:
            for row in rows(document, options.long):
                table.add(row)
        table.finish()
    with _blaming(path):
        if _exists(path):
            _copy(unfinished, path, options.table)
        else:
            _sync(unfinished)
            put(unfinished, path)


def _exists(path: Path) -> bool:
    return os.path.exists(path) and os.path.getsize(path) > 0


def _check(path: Path) -> None:
    if compression(path.name):
        raise OutputError(f"{path} cannot be written: a database is not compressed.", f"-o {path.with_suffix('')}")
    check(path)
    if os.path.exists(path) and not os.path.isfile(path):
        raise OutputError(f"{path} cannot be written: it is no file.", "Name a file: -o results.sqlite")


def _check_table(connection: sqlite3.Connection, path: Path, table: str) -> None:
    """Raises OutputError for a table that we did not make: ours begin with our columns, declared as we do."""
    known = "SELECT sql FROM sqlite_master WHERE name = ? COLLATE NOCASE"
    for (sql,) in connection.execute(known, (table,)):
        if not str(sql).startswith((_begun(table, long=True), _begun(table, long=False))):
            raise OutputError(
                f"{path} has a table {table!r} already, which is not one of results.", "Name another: --table results"
            )


def _begun(table: str, long: bool) -> str:
    """How we create a table, up to the columns that others may follow."""
    columns = ", ".join(f"{_quoted(name)} {_TYPES.get(name, 'TEXT')}" for name in ours(long))
    return f"CREATE TABLE {_quoted(table)} ({columns}"


class _Table:
    """The table while it fills. A field that no row had before becomes a column of it."""

    def __init__(self, connection: sqlite3.Connection, options: Writing, path: Path) -> None:
        self._connection, self._name, self._path, self._rows = connection, _quoted(options.table), path, 0
        self._columns = {name.lower() for name in ours(options.long)}
        with _blaming(path):
            connection.execute("PRAGMA synchronous = OFF")  # it is put on the disk when it is whole
            connection.execute(f"{_begun(options.table, options.long)})")

    def add(self, row: Mapping[str, Any]) -> None:
        """Write a row through, or let it be with the next ones."""
        values = _free(row)
        with _blaming(self._path):
            for name in values:
                if name.lower() not in self._columns:
                    self._connection.execute(f"ALTER TABLE {self._name} ADD COLUMN {_quoted(name)}")
                    self._columns.add(name.lower())
            names, places = ", ".join(map(_quoted, values)), ", ".join("?" * len(values))
            self._connection.execute(
                f"INSERT INTO {self._name} ({names}) VALUES ({places})",  # noqa: S608 (quoted)
                list(map(_stored, values.values())),
            )
        self._rows += 1
        if self._rows % _AT_ONCE == 0:
            self.finish()

    def finish(self) -> None:
        """Write through what was added."""
        with _blaming(self._path):
            self._connection.commit()


def _free(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row, under names that differ for SQLite too, which takes `Text` and `text` for the same."""
    found: dict[str, Any] = {}
    taken: set[str] = set()
    for name, value in row.items():
        free = encodable(name)
        while free.lower() in taken:
            free += "_"
        taken.add(free.lower())
        found[free] = value
    return found


def _stored(value: Any) -> Any:
    match value:
        case None | bytes() | bool():
            return value
        case int() if -(2**63) <= value < 2**63:
            return value
        case float() if not math.isnan(value):  # SQLite makes NULL of it
            return value
    return encodable(cell(value))


def _copy(unfinished: Path, path: Path, table: str) -> None:
    """The table into a database that is there already: all of it, or nothing if we are killed meanwhile."""
    name = _quoted(table)
    with closing(sqlite3.connect(path, timeout=60, isolation_level=None)) as connection:
        connection.execute("ATTACH ? AS done", (str(unfinished),))
        connection.execute("BEGIN IMMEDIATE")
        _check_table(connection, path, table)
        ((sql,),) = connection.execute("SELECT sql FROM done.sqlite_master")
        connection.execute(f"DROP TABLE IF EXISTS main.{name}")
        connection.execute(sql)
        connection.execute(f"INSERT INTO main.{name} SELECT * FROM done.{name}")  # noqa: S608 (quoted)
        connection.execute("COMMIT")
    unfinished.unlink()


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


@contextmanager
def _blaming(path: Path) -> Iterator[None]:
    try:
        yield
    except (*_FAILURES, OSError) as error:
        raise OutputError(
            f"{path} cannot be written: {error}.", "Check its rights and the room that is left."
        ) from error
