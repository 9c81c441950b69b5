import itertools
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import tracemalloc
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gliner_cli import formats
from gliner_cli.errors import OutputError
from gliner_cli.options import Reading, Writing
from gliner_cli.types import Document, Entity
from tests.formats.reading import read
from tests.formats.table_documents import ANY, TEXT, documents, fields_of

ADA = Document("Ada met Bob.", "1", "a.txt", (Entity(0, 3, "person", "Ada", 0.5), Entity(8, 11, "person", "Bob")))
VALUES = [TEXT | st.none() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.binary(max_size=5)]
NAME = ANY.filter(lambda name: "\0" not in name and name.lower() not in ("id", "source", "text", "entities"))


def write(path, documents, **options):
    formats.write(documents, Writing(output=path, **options))


def run(path, *statements):
    """All rows of the last statement, by sqlite3 itself."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            rows = connection.execute(statement).fetchall()
    return rows


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.sqlite"


@settings(max_examples=25)
@given(given_documents=documents(fields_of(VALUES, NAME)))
def test_what_is_written_is_read_back(tmp_path_factory, given_documents):
    path = tmp_path_factory.mktemp("table") / "a.sqlite"
    write(path, given_documents)
    assert read(path) == (given_documents, [])


def test_sqlite_reads_what_we_write(path):
    write(path, [Document("a\0b", "é", None, meta={"n": 1.5, "list": [1, "é"], "yes": True})])
    assert run(path, "SELECT id, source, hex(text), entities, n, list, yes FROM entities") == [
        ("é", None, "610062", "[]", 1.5, '[1, "é"]', 1)
    ]
    assert run(path, "PRAGMA integrity_check") == [("ok",)]
    assert os.listdir(path.parent) == ["a.sqlite"]


def test_a_row_an_entity(path):
    write(path, [Document("none", "0"), ADA], long=True, table="found")
    assert run(path, "SELECT * FROM found ORDER BY start") == [
        ("1", "a.txt", 0, 3, "Ada", "person", 0.5),
        ("1", "a.txt", 8, 11, "Bob", "person", None),
    ]


def test_fields_may_come_late_and_differ_in_case_only(path):
    write(path, [Document("a", "1"), Document("b", "2", meta={"Text": "T", "n": 1, "N": 2}), Document("c", "3")])
    assert [dict(document.meta) for document in read(path)[0]] == [
        {"Text_": None, "n": None, "N_": None},
        {"Text_": "T", "n": 1, "N_": 2},
        {"Text_": None, "n": None, "N_": None},
    ]


def test_values_that_sqlite_has_no_type_for_are_kept_as_text(path):
    write(
        path,
        [Document("a\ud800", "1", meta={"big": 2**70, "nan": float("nan"), "inf": float("inf"), "\ud800": "\ud800"})],
    )
    ((document,), _) = read(path)
    assert document.text == "a\ufffd"
    assert document.meta == {"big": str(2**70), "nan": "NaN", "inf": float("inf"), "\ufffd": "\ufffd"}


@pytest.mark.parametrize("table", ['a"b; DROP TABLE docs; --', "select", "'", "é b", "x)"])
def test_names_are_only_names(path, table):
    run(path, "CREATE TABLE docs (x)")
    for _ in range(2):
        write(path, [Document("a", "1", meta={'n"), (': 1, "select": 2, "": 3})], table=table)
    assert run(path, "SELECT count(*) FROM docs") == [(0,)]
    quoted = table.replace('"', '""')
    ((document,), _) = read(path, query=f'SELECT * FROM "{quoted}"')
    assert document.meta == {'n"), (': 1, "select": 2, "": 3}


def test_a_table_of_ours_is_replaced_and_another_is_not(path):
    write(path, [ADA, ADA])
    run(path, "CREATE TABLE docs (id, text)")
    write(path, [ADA], long=True)
    write(path, [Document("b", "2", meta={"n": 1})])
    assert run(path, "SELECT text FROM entities") == [("b",)]
    before = path.read_bytes()
    for table in ("docs", "DOCS", "sqlite_master"):
        with pytest.raises(OutputError, match=r"a\.sqlite ") as caught:
            write(path, [ADA], table=table)
        assert caught.value.hint
    assert path.read_bytes() == before


def test_the_database_that_is_read_can_be_written(path):
    run(path, "CREATE TABLE docs (id, text)",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) INSERT INTO docs SELECT i, 'Ada ' || i FROM n")  # fmt: skip
    reading, writing = Reading(query="SELECT * FROM docs"), Writing(output=path)
    documents = formats.read([str(path)], reading, pytest.fail, writing=writing)
    formats.write(documents, writing)
    assert run(path, "SELECT count(*), min(text) FROM entities") == [(5000, "Ada 1")]


def test_others_may_write_while_we_are_at_it(path):
    run(path, "CREATE TABLE docs (id)")

    def slow():
        yield ADA
        run(path, "INSERT INTO docs VALUES (7)")
        yield ADA

    write(path, slow())
    assert run(path, "SELECT (SELECT count(*) FROM docs), (SELECT count(*) FROM entities)") == [(1, 2)]


def test_a_query_chooses_columns(path):
    run(
        path,
        "CREATE TABLE docs (n INTEGER, body TEXT, when_ REAL)",
        "INSERT INTO docs VALUES (7, 'a', 1.5), (8, 'b', 2)",
    )
    ((document,), problems) = read(path, query="SELECT n AS id, body AS text, when_, n FROM docs WHERE n = 7")
    assert (document, problems) == (Document("a", "7", str(path), (), {"when_": 1.5, "n": 7}), [])
    found, _ = read(path, text_field="body", id_field="n")
    assert [(document.id, dict(document.meta)) for document in found] == [("7", {"when_": 1.5}), ("8", {"when_": 2.0})]


def test_rows_without_a_text_cost_only_themselves(path):
    run(
        path,
        "CREATE TABLE docs (text)",
        "INSERT INTO docs VALUES ('a'), (NULL), (7), (x'ff'), (CAST(x'ff' AS TEXT)), ('b')",
    )
    found, problems = read(path)
    assert [(document.text, document.id) for document in found] == [("a", f"{path}:1"), ("b", f"{path}:6")]
    assert [problem.message.removeprefix(f"{path}:").partition(";")[0] for problem in problems] == [
        "2 has null as its 'text'",
        "3 has a number as its 'text'",
        "4 has bytes as its 'text'",
        "5 has bytes as its 'text'",
    ]


@pytest.mark.parametrize(
    ("statements", "query", "said"),
    [
        ([], None, "has 0 tables; one was expected"),
        (["CREATE TABLE a (text)", "CREATE TABLE b (text)"], None, "has 2 tables: 'a', 'b'; one was expected"),
        (["CREATE TABLE a (body, n)"], None, "has no column 'text'; its columns are 'body', 'n'"),
        (["CREATE TABLE a (text)"], "SELECT * FROM b", "cannot be read: no such table: b"),
        (["CREATE TABLE a (text)"], "SELECT", "cannot be read: incomplete input"),
        (["CREATE TABLE a (text)"], "SELECT 1; SELECT 2", "cannot be read: You can only execute one statement"),
        (["CREATE TABLE a (text)"], "DELETE FROM a", "cannot be read: attempt to write a readonly database"),
        (["CREATE TABLE a (text)"], "BEGIN", "The query selects nothing: BEGIN"),
        (["CREATE TABLE a (text)"], "SELECT '\0'", "cannot be read"),
        (["CREATE TABLE a (text)"], "SELECT '\ud800'", "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_one_error(path, statements, query, said):
    run(path, *statements or ["VACUUM"])
    before = path.read_bytes()
    found, (problem,) = read(path, query=query)
    assert not found
    assert said in problem.message
    assert problem.hint
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["a.sqlite"]


def test_a_query_cannot_write_elsewhere(path):
    other = path.with_name("other.sqlite")
    run(other, "CREATE TABLE a (text)")
    run(path, "CREATE TABLE a (text)")
    before = other.read_bytes()
    for query in (
        f"ATTACH '{other}' AS other",
        "DROP TABLE a",
        "CREATE TABLE b (text)",
        "PRAGMA user_version = 7",
        f"VACUUM INTO '{path.with_name('x.db')}'",
    ):
        assert not read(path, query=query)[0]
    assert other.read_bytes() == before
    assert sorted(os.listdir(path.parent)) == ["a.sqlite", "other.sqlite"]


def test_odd_names_of_files_and_content_without_a_suffix(tmp_path):
    for name in ("a?mode=rw&x=%20#.sqlite", "no suffix"):
        write(tmp_path / "new.sqlite", [ADA])
        (tmp_path / "new.sqlite").rename(tmp_path / name)
        assert read(tmp_path / name)[0] == [ADA]


def test_documents_may_be_asked_for_by_another_thread(path):
    write(path, [ADA] * 3)
    documents, found = formats.read([str(path)], Reading(), pytest.fail), []
    found.append(next(documents))
    thread = threading.Thread(target=lambda: found.extend(documents))
    thread.start()
    thread.join()
    assert found == [ADA] * 3


def test_places_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "folder.sqlite").mkdir()
    os.mkfifo(tmp_path / "pipe.sqlite")
    (tmp_path / "text.sqlite").write_text("this is text and no database " * 100)
    for name, said in [
        ("folder.sqlite", "it is a folder"),
        ("pipe.sqlite", "it is no file"),
        ("no/a.sqlite", "there is no folder"),
        ("text.sqlite", "file is not a database"),
        ("a.sqlite.gz", "not compressed"),
    ]:
        with pytest.raises(OutputError, match=said) as caught:
            write(tmp_path / name, [ADA])
        assert caught.value.hint
    with pytest.raises(OutputError, match="cannot be written"):
        write(tmp_path / "a.sqlite", [ADA], table="a\0b")
    write(tmp_path / "locked.sqlite", [ADA])
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(OutputError, match="write-protected"):
        write(tmp_path / "locked.sqlite", [ADA])


def test_a_locked_database_is_said_and_the_results_are_kept(path, monkeypatch):
    write(path, [ADA])
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *given, **options: connect(*given, **{**options, "timeout": 0.1}))
    with closing(connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(OutputError, match="database is locked"):
            write(path, [ADA, ADA])
        other.execute("COMMIT")
    assert run(path, "SELECT count(*) FROM entities") == [(1,)]
    assert run(f"{path}.partial", "SELECT count(*) FROM entities") == [(2,)]


def test_a_disk_that_fills_up_leaves_the_database_as_it_was(path):
    resource = pytest.importorskip("resource")
    write(path, [ADA])
    before, limits = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.raises(OutputError, match="cannot be written"):
            write(path, [Document("x" * 10_000, "1")] * 20)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before


def test_errors_of_the_documents_are_not_errors_of_the_database(path):
    def failing():
        yield ADA
        raise ZeroDivisionError

    write(path, [ADA])
    with pytest.raises(ZeroDivisionError):
        write(path, failing())
    assert run(path, "SELECT count(*) FROM entities") == [(1,)]


KILLED = """
import sys
from pathlib import Path
from gliner_cli import formats
from gliner_cli.options import Writing
from gliner_cli.types import Document
formats.write((Document(f"text {n}", str(n)) for n in range(60_000)), Writing(output=Path(sys.argv[1])))
"""


def test_a_killed_run_leaves_the_database_as_it_was(path):
    run(path, "CREATE TABLE docs (id)", "INSERT INTO docs VALUES (7)")
    write(path, [ADA])
    chance = random.Random(7)
    for _ in range(5):
        process = subprocess.Popen([sys.executable, "-c", KILLED, str(path)])
        while process.poll() is None and not os.path.exists(f"{path}.partial"):
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 1))
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert run(path, "PRAGMA integrity_check") == [("ok",)]
        assert run(path, "SELECT * FROM docs") == [(7,)]
        assert run(path, "SELECT count(*) FROM entities") in ([(1,)], [(60_000,)])
    write(path, [ADA, ADA])
    assert run(path, "SELECT count(*) FROM entities") == [(2,)]


def test_a_table_of_two_hundred_thousand_rows_is_not_held(path):
    run(path, "CREATE TABLE docs (text)", "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000)"
        " INSERT INTO docs SELECT 'word word word word word ' || i FROM n")  # fmt: skip
    documents = formats.read([str(path)], Reading(), pytest.fail)
    tracemalloc.start()
    try:
        assert sum(1 for _ in itertools.islice(documents, 5_000)) == 5_000
        assert tracemalloc.get_traced_memory()[1] < 500_000
    finally:
        tracemalloc.stop()


def test_changed_files_raise_nothing(path):
    write(path, [Document(ADA.text * 9, str(n), "a", ADA.entities, {"n": n}) for n in range(60)])
    chance, content = random.Random(7), path.read_bytes()
    for _ in range(60):
        changed = bytearray(content)
        for _ in range(chance.randint(1, 6)):
            changed[chance.choice([chance.randrange(len(changed)), chance.randrange(200)])] = chance.randrange(256)
        path.write_bytes(changed[: chance.choice([len(changed), chance.randint(1, len(changed))])])
        found, _ = read(path)
        assert all(isinstance(document, Document) for document in found)


def test_rows_keep_their_order_where_a_field_is_called_rowid(path):
    run(path, "CREATE TABLE docs (x)")
    write(path, [Document(text, text, meta={"rowid": number}) for text, number in [("a", 3), ("b", 1), ("c", 2)]])
    assert run(path, "SELECT id, rowid FROM entities") == [("a", 3), ("b", 1), ("c", 2)]
