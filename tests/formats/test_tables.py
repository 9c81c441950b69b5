import csv
import io
import itertools
import random
import sys
import tracemalloc

import pytest
from hypothesis import given, settings

from gliner_cli import formats
from gliner_cli.errors import OutputError
from gliner_cli.formats import tables
from gliner_cli.options import Reading, Writing
from gliner_cli.types import Document, Entity
from tests.formats.reading import read, stdin
from tests.formats.table_documents import TEXT, documents, fields_of

ADA = Document("Ada met Bob.", "1", "a.txt", (Entity(0, 3, "person", "Ada", 0.5), Entity(8, 11, "person", "Bob")))


def written(documents, name="csv", **options):
    stream = io.BytesIO()
    formats.FORMATS[name].write(documents, stream, Writing(**options))
    return stream.getvalue()


@pytest.fixture
def read_table(tmp_path):
    def table(content, name="a.csv", **options):
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        found, problems = read(tmp_path / name, **options)
        return found, [problem.message.removeprefix(f"{tmp_path}/") for problem in problems]

    return table


@pytest.mark.parametrize("name", ["csv", "tsv"])
@settings(max_examples=25)
@given(given_documents=documents(fields_of([TEXT])))
def test_what_is_written_is_read_back(tmp_path_factory, name, given_documents):
    path = tmp_path_factory.mktemp("table") / f"a.{name}"
    path.write_bytes(written(given_documents, name))
    assert read(path) == (given_documents, [])


def test_pandas_reads_what_we_write(tmp_path):
    pandas = pytest.importorskip("pandas")
    odd = Document('a "b",\n\r\nc', "007", "=x", (), {"é": "\ttab", "n": "1"})
    (tmp_path / "a.csv").write_bytes(written([odd, ADA]))
    frame = pandas.read_csv(tmp_path / "a.csv", dtype=str, keep_default_na=False)
    assert frame.to_dict("records") == [
        {"id": "007", "source": "=x", "text": 'a "b",\n\r\nc', "entities": "[]", "é": "\ttab", "n": "1"},
        {"id": "1", "source": "a.txt", "text": ADA.text, "entities": frame.entities[1], "é": "", "n": ""},
    ]


def test_a_row_an_entity():
    meta = {"year": 1815, "deep": {"a": [None, "é"]}, "text": "T"}
    documents = [Document("none", "0"), Document(ADA.text, "1", "a.txt", ADA.entities, meta)]
    assert written(documents, long=True).decode() == (
        "id,source,start,end,text,label,score,year,deep,text_\r\n"
        '1,a.txt,0,3,Ada,person,0.5,1815,"{""a"": [null, ""é""]}",T\r\n'
        '1,a.txt,8,11,Bob,person,,1815,"{""a"": [null, ""é""]}",T\r\n'
    )
    assert written([Document("none")], "tsv", long=True) == b"id\tsource\tstart\tend\ttext\tlabel\tscore\r\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("+1+cmd", "'+1+cmd"),
        ("-2+3", "'-2+3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("-5", "-5"),
        ("+49", "+49"),
        ("-1,234.5e-3", "-1,234.5e-3"),
        ("a=1", "a=1"),
        ("", ""),
    ],
)
def test_formulas_are_shown_where_people_look_and_kept_where_programs_do(text, shown, read_table):
    document = Document(text or "x", text, text, (Entity(0, 1, text, (text or "x")[0]),), {"note": text})
    (_, row) = csv.reader(io.StringIO(written([document], long=True).decode(), newline=""))
    assert (row[0], row[1], row[5], row[7]) == (shown, shown, shown, shown)
    assert read_table(written([document]))[0] == [document]
    header = next(
        csv.reader(
            io.StringIO(
                written([Document("x", entities=document.entities, meta={text: 1})], long=True).decode(), newline=""
            )
        )
    )
    assert header[7] == shown


def test_a_field_that_comes_late_is_an_error_and_one_that_is_missing_is_empty(read_table):
    found, problems = read_table(
        written([Document("a", "1", "s", meta={"n": "x", "m": "y"}), Document("b", "2", "s", meta={"m": "z"})])
    )
    assert ([dict(document.meta) for document in found], problems) == ([{"n": "x", "m": "y"}, {"n": "", "m": "z"}], [])
    with pytest.raises(OutputError, match="and 2 has a field that these have not: 'n'") as caught:
        written([Document("a", "1"), Document("b", "2", meta={"n": 1})])
    assert "jsonl" in caught.value.hint


def test_lone_surrogates_are_replaced_one_for_one(read_table):
    document = Document("a\ud800b", "\udfff", "s", (Entity(1, 2, "\ud800", "\ud800"),))
    assert read_table(written([document])) == (
        [Document("a\ufffdb", "\ufffd", "s", (Entity(1, 2, "\ufffd", "\ufffd"),))],
        [],
    )


def test_columns_are_chosen_and_others_kept_in_their_order(read_table):
    content = "z,name,body,text,a,a\n1,n1,B,T,2,3\n"
    ((document,), problems) = read_table(content, text_field="body", id_field="name")
    assert (document.text, document.id, list(document.meta.items()), problems) == (
        "B", "n1", [("z", "1"), ("text", "T"), ("a", "2"), ("a_", "3")], [],
    )  # fmt: skip


def test_what_names_a_document_that_has_no_name(read_table):
    found, _ = read_table('text\r\n\r\n"a\n\nb"\r\nc\r\n')
    assert [(d.text, d.id.rpartition("/")[2], d.source.rpartition("/")[2]) for d in found] == [
        ("a\n\nb", "a.csv:3", "a.csv"),
        ("c", "a.csv:6", "a.csv"),
    ]


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.csv", "id;text\n1;a, b\n"), ("a.csv", 'id\ttext\n1\t"a, b"\n'), ("a.tsv", "id\ttext\n1\ta, b"), ("a.csv", '\ufeffid,text\r\n1,"a, b"\r\n')],
)  # fmt: skip
def test_delimiters_and_marks(name, content, read_table):
    ((document,), problems) = read_table(content, name)
    assert (document.text, document.id, problems) == ("a, b", "1", [])


def test_another_encoding(read_table):
    assert read_table("text\ncafé\n".encode("utf-16"), encoding="utf-16")[0][0].text == "café"


@pytest.mark.parametrize("content", ["", "\n\n", "text\n", "id,text"])
def test_nothing_in_it(content, read_table):
    assert read_table(content) == ([], [])


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_missing_column_is_said_once_with_those_that_are_there(delimiter, tmp_path):
    (tmp_path / "a.csv").write_text("id,body\n1,a\n2,b\n".replace(",", delimiter))
    found, (problem,) = read(tmp_path / "a.csv")
    assert not found
    assert problem.message.endswith("a.csv has no column 'text'; its columns are 'id', 'body'.")
    assert "--text-field" in problem.hint


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (b"7", "a.csv:3 has 1 cells; 2 were expected"),
        (b"7,a,b", "a.csv:3 has 3 cells; 2 were expected"),
        (b'7,"a"b', "a.csv:3 begins a row that is none: ',' expected after '\"'"),
        (b"7,\xff", "a.csv:3 is not utf-8: byte 14 is 0xff"),
        (b'7,"a\n\xff\nb"', "a.csv:4 is not utf-8: byte 17 is 0xff"),
        (b"7,a\rb", "a.csv:3 begins a row that is none: new-line character"),
    ],
)
def test_a_row_that_is_none_is_named_and_costs_only_itself(row, said, read_table):
    found, (problem,) = read_table(b"id,text\n1,a\n" + row + b"\n2,b\n")
    assert [document.text for document in found] == ["a", "b"]
    assert problem.startswith(said)


def test_a_quote_that_is_not_closed_is_named_where_it_opens(read_table):
    found, problems = read_table('text\na\n"b\nc\nd\n')
    assert [document.text for document in found] == ["a"]
    assert [problem.partition(" ")[0] for problem in problems] == ["a.csv:3"]
    assert "unexpected end of data" in problems[0]


def test_a_cell_larger_than_the_limit_is_said(read_table, monkeypatch):
    monkeypatch.setattr(tables, "LONGEST", 1000)
    before = csv.field_size_limit(1000)
    try:
        found, problems = read_table('text\na\n"' + "b\n" * 600 + '"\nc\n')
    finally:
        csv.field_size_limit(before)
    assert [document.text for document in found][0] == "a"
    assert problems[0].startswith("a.csv:3 begins a row that is none: field larger than field limit")


def test_a_cell_of_two_megabytes(read_table):
    document = Document("word\n" * 400_000, "1", "s")
    assert read_table(written([document]))[0] == [document]


@pytest.mark.parametrize("entities", ["", " ", "[]", "null"])
def test_no_entities(entities, read_table):
    ((document,), problems) = read_table(f"text,entities\na,{entities}\n")
    assert (document.entities, document.meta, problems) == ((), {}, [])


@pytest.mark.parametrize("entities", ["Ada", "5", "{}", "[5]", '[{"start": 0, "end": 9, "label": "x"}]', "[" * 100_000])
def test_entities_that_are_none_are_named(entities, read_table):
    content = io.StringIO()
    csv.writer(content).writerows([("text", "entities"), ("a", entities), ("b", "")])
    ((document,), (problem,)) = read_table(content.getvalue())
    assert document.text == "b"
    assert problem.startswith("a.csv:2 has ")


def test_documents_come_while_the_stream_goes_on(monkeypatch):
    rows = itertools.chain([b"id,text\n"], (b'%d,"a\nb"\n' % number for number in itertools.count()))
    monkeypatch.setattr(sys, "stdin", stdin(rows))
    endless = formats.read(["-"], Reading(input_format="csv"), pytest.fail)
    assert [document.text for document in itertools.islice(endless, 1000)] == ["a\nb"] * 1000


def test_a_table_of_two_hundred_thousand_rows_is_not_held(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("id,text\n" + "".join(f"{number},{'word ' * 10}\n" for number in range(200_000)))
    documents = formats.read([str(path)], Reading(), pytest.fail)
    tracemalloc.start()
    try:
        assert sum(1 for _ in itertools.islice(documents, 5_000)) == 5_000
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_changed_files_raise_nothing(read_table):
    chance, content = random.Random(7), written([ADA] * 5)
    for _ in range(200):
        changed = bytearray(content)
        for _ in range(chance.randint(1, 8)):
            changed[chance.randrange(len(changed))] = chance.choice(b'",\r\n\t\0\xff[]{}09a')
        found, problems = read_table(bytes(changed[: chance.randint(1, len(changed))]))
        assert all(isinstance(document, Document) for document in found)
        assert all(problems)


def test_values_that_are_no_strings_are_text():
    values = [None, True, 1, 0.1, float("nan"), b"\xff", (1, "a"), {"a": b"\x01"}]
    assert list(map(tables.cell, values)) == ["", "true", "1", "0.1", "NaN", "ff", '[1, "a"]', '{"a": "01"}']
