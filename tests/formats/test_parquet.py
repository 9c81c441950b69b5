import datetime
import itertools
import json
import subprocess
import sys
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gliner_cli import formats
from gliner_cli.errors import MissingExtraError, OutputError
from gliner_cli.formats import arrow_columns, jsonl
from gliner_cli.formats import parquet as parquet_format
from gliner_cli.options import Reading, Writing
from gliner_cli.types import Document, Entity
from tests.formats.reading import read
from tests.formats.table_documents import TEXT, documents, fields_of

arrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

ADA = Document("Ada met Bob.", "1", "a.txt", (Entity(0, 3, "person", "Ada", 0.5), Entity(8, 11, "person", "Bob")))
UTC = datetime.timezone.utc
TIMES = st.datetimes(datetime.datetime(1700, 1, 1), datetime.datetime(2200, 1, 1))
VALUES = [
    TEXT,
    st.none() | TEXT,
    st.integers(-(2**63), 2**63 - 1),
    st.none() | st.floats(allow_nan=False),
    st.booleans(),
    st.binary(max_size=5),
    st.none() | TIMES,
    TIMES.map(lambda time: time.replace(tzinfo=UTC)),
    st.dates(datetime.date(1, 1, 1)),
    st.decimals(-1000, 1000, places=2),
    st.lists(st.integers(0, 9), max_size=3),
    st.fixed_dictionaries({"a": st.integers(0, 9), "b": st.lists(TEXT, max_size=2)}),
]


def write(path, documents, **options):
    formats.write(documents, Writing(output=path, **options))


def table(path):
    return parquet.read_table(path) if path.suffix == ".parquet" else arrow.ipc.open_file(path).read_all()


def put(path, given):
    """Write a table with Arrow itself."""
    if path.suffix == ".parquet":
        parquet.write_table(given, path)
    else:
        with arrow.ipc.new_file(path, given.schema) as file:
            file.write_table(given)


both = pytest.mark.parametrize("suffix", ["parquet", "arrow"])


@both
@settings(max_examples=40)
@given(given_documents=documents(fields_of(VALUES)))
def test_what_is_written_is_read_back(tmp_path_factory, suffix, given_documents):
    path = tmp_path_factory.mktemp("table") / f"a.{suffix}"
    write(path, given_documents)
    assert read(path) == (given_documents, [])


@both
def test_the_types_of_columns_go_through(tmp_path, suffix):
    columns = {
        "text": arrow.array(["a", "b"], arrow.large_string()),
        "int": arrow.array([1, None], arrow.int16()),
        "none": arrow.array([None, None], arrow.int32()),
        "float": arrow.array([0.1, float("nan")], arrow.float32()),
        "time": arrow.array([1, None], arrow.timestamp("ms", "Europe/Berlin")),
        "fine": arrow.array([1_000, None], arrow.timestamp("ns")),
        "map": arrow.array([[("k", 1)], []], arrow.map_(arrow.string(), arrow.int8())),
        "deep": arrow.array([{"a": [1]}, {"a": None}], arrow.struct([("a", arrow.list_(arrow.uint8()))])),
        "text_": arrow.array([b"\xff", None], arrow.binary()),
    }
    path, again = tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}"
    put(path, arrow.table(columns))
    found, problems = read(path)
    assert not problems
    write(again, found)
    result = table(again)
    assert result.column_names == ["id", "source", "text", "entities", *list(columns)[1:]]
    for name in list(columns)[1:]:
        assert result.schema.field(name).type == columns[name].type
        assert str(result[name].to_pylist()) == str(columns[name].to_pylist())
    assert result["id"].to_pylist() == [f"{path}:1", f"{path}:2"]


@both
def test_times_that_need_nanoseconds_are_text_and_times_again(tmp_path, suffix):
    count = 1_577_836_800_123_456_789
    columns = {
        "text": arrow.array(["a", "b", "c"]),
        "bare": arrow.array([count, None, 1_000], arrow.timestamp("ns")),
        "zone": arrow.array([1_000, count, count], arrow.timestamp("ns", "Europe/Berlin")),
        "time": arrow.array([1, 1_000, None], arrow.time64("ns")),
        "long": arrow.array([1_000, 7, None], arrow.duration("ns")),
    }
    path, again = tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}"
    put(path, arrow.table(columns))
    found, problems = read(path)
    assert not problems
    assert found[0].meta["bare"] == "2020-01-01 00:00:00.123456789"
    assert found[2].meta["bare"] == datetime.datetime(1970, 1, 1, 0, 0, 0, 1)
    assert found[1].meta["long"] == "7 ns"
    assert json.loads(jsonl.line(found[0]))["bare"] == found[0].meta["bare"]
    write(again, found)
    result = table(again)
    for name in ("bare", "zone", "time", "long"):
        assert result[name].combine_chunks() == table(path)[name].combine_chunks()


@both
def test_a_cell_longer_than_a_document_can_be_costs_its_row(tmp_path, suffix, monkeypatch):
    monkeypatch.setattr(parquet_format, "LONGEST", 100)
    texts = arrow.array(["a", "é" * 51, "b"])
    for column in (texts, texts.dictionary_encode()):
        put(tmp_path / f"a.{suffix}", arrow.table({"text": column}))
        found, (problem,) = read(tmp_path / f"a.{suffix}")
        assert [document.text for document in found] == ["a", "b"]
        assert f"a.{suffix}:2 " in problem.message


@both
def test_a_row_an_entity(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    write(path, [Document("none", "0"), Document("=a", "2", "s", (Entity(0, 2, "x", "=a"),), {"n": 7}), ADA], long=True)
    assert table(path).to_pylist() == [
        {"id": "2", "source": "s", "start": 0, "end": 2, "text": "=a", "label": "x", "score": None, "n": 7},
        {"id": "1", "source": "a.txt", "start": 0, "end": 3, "text": "Ada", "label": "person", "score": 0.5, "n": None},
        {
            "id": "1",
            "source": "a.txt",
            "start": 8,
            "end": 11,
            "text": "Bob",
            "label": "person",
            "score": None,
            "n": None,
        },
    ]


@both
def test_nothing_to_write_is_a_table_without_rows(tmp_path, suffix):
    write(tmp_path / f"a.{suffix}", [])
    assert table(tmp_path / f"a.{suffix}").column_names == ["id", "source", "text", "entities"]
    assert read(tmp_path / f"a.{suffix}") == ([], [])


def test_pandas_reads_what_we_write(tmp_path):
    pandas = pytest.importorskip("pandas")
    write(tmp_path / "a.parquet", [ADA])
    (row,) = pandas.read_parquet(tmp_path / "a.parquet").to_dict("records")
    assert (row["text"], row["entities"][1]["end"]) == (ADA.text, 11)
    pandas.DataFrame({"text": ["a", None], "when": pandas.to_datetime(["2020-01-01", None])}).to_parquet(
        tmp_path / "b.parquet"
    )
    found, (problem,) = read(tmp_path / "b.parquet")
    assert [dict(document.meta) for document in found] == [{"when": datetime.datetime(2020, 1, 1)}]
    assert "b.parquet:2 has null as its 'text'" in problem.message


@pytest.mark.parametrize(
    ("early", "late", "said"),
    [
        ({"n": 1}, {"n": "a"}, "'n'"),
        ({"n": 1}, {"n": 1.5}, "'n'"),
        ({"n": None}, {"n": 1}, "'n'"),
        ({"n": {"a": 1}}, {"n": {"b": 1}}, "not all of its values fit"),
        ({"n": datetime.date(2020, 1, 1)}, {"n": datetime.datetime(2020, 1, 1, 12)}, "'n'"),
        ({}, {"n": 1}, "and late has a field that these have not: 'n'"),
    ],
)
def test_a_field_that_changes_is_an_error_and_no_loss(tmp_path, monkeypatch, early, late, said):
    monkeypatch.setattr(arrow_columns, "_ROWS", 2)
    given_documents = [
        *[Document("a", str(number), meta=early) for number in range(4)],
        Document("b", "late", meta=late),
    ]
    with pytest.raises(OutputError, match=said) as caught:
        write(tmp_path / "a.parquet", given_documents)
    assert "jsonl" in caught.value.hint
    assert not (tmp_path / "a.parquet").exists()
    assert parquet.read_table(tmp_path / "a.parquet.partial").num_rows == 4


@pytest.mark.parametrize("values", [[1, "a"], [2**70], [{1, 2}], [{}], [object()]])
def test_what_no_type_can_hold_is_an_error(tmp_path, values):
    with pytest.raises(OutputError):
        write(tmp_path / "a.parquet", [Document("a", "1", meta={"n": value}) for value in values])


def test_float32_of_one_file_does_not_round_those_of_another(tmp_path):
    for name, kind in (("a", arrow.float32()), ("b", arrow.float64())):
        put(tmp_path / f"{name}.parquet", arrow.table({"text": ["a"], "n": arrow.array([0.1], kind)}))
    found, _ = read(tmp_path / "a.parquet", tmp_path / "b.parquet")
    write(tmp_path / "c.parquet", found)
    assert table(tmp_path / "c.parquet")["n"].to_pylist() == [document.meta["n"] for document in found]


@both
def test_lone_surrogates_are_replaced(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    write(path, [Document("a\ud800", "1", "s", (Entity(1, 2, "x", "\ud800"),), {"\udfff": ["\ud800"]})])
    assert read(path)[0] == [Document("a\ufffd", "1", "s", (Entity(1, 2, "x", "\ufffd"),), {"\ufffd": ["\ufffd"]})]


@both
def test_chosen_columns_and_wrong_ones(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    put(path, arrow.table({"body": ["a"], "n": [7], "entities": ['[{"start": 0, "end": 1, "label": "x"}]']}))
    ((document,), _) = read(path, text_field="body", id_field="n")
    assert (document.id, document.entities, document.meta) == ("7", (Entity(0, 1, "x", "a"),), {})
    assert read(path)[1][0].message == f"{path} has no column 'text'; its columns are 'body', 'n', 'entities'."
    assert "has the type int64 in its column 'n'" in read(path, text_field="n")[1][0].message


def test_rows_that_python_cannot_hold_cost_only_themselves(tmp_path):
    days = arrow.array([0, 20_000_000, 1], arrow.date32())
    fine = arrow.array([1, 2_000, 3], arrow.timestamp("ns"))
    parquet.write_table(arrow.table({"text": ["a", "b", "c"], "day": days, "fine": fine}), tmp_path / "a.parquet")
    found, (problem,) = read(tmp_path / "a.parquet")
    assert [(document.text, str(document.meta["fine"])) for document in found] == [
        ("a", "1970-01-01 00:00:00.000000001"),
        ("c", "1970-01-01 00:00:00.000000003"),
    ]
    assert "a.parquet:2 cannot be read" in problem.message


def test_columns_of_the_same_name(tmp_path):
    parquet.write_table(arrow.Table.from_arrays([["a"], [1], [2]], names=["text", "n", "n"]), tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet")[0][0].meta == {"n": 1, "n_": 2}


def test_an_arrow_stream_dictionaries_and_content_without_a_suffix(tmp_path):
    given_table = arrow.table({"text": arrow.array(["a", "b", "a"]).dictionary_encode()})
    with arrow.ipc.new_stream(tmp_path / "a.arrows", given_table.schema) as stream:
        stream.write_table(given_table)
    put(tmp_path / "b.parquet", given_table)
    (tmp_path / "b.parquet").rename(tmp_path / "b")
    put(tmp_path / "c.arrow", given_table)
    (tmp_path / "c.arrow").rename(tmp_path / "c")
    for name in ("a.arrows", "b", "c"):
        assert [document.text for document in read(tmp_path / name)[0]] == ["a", "b", "a"]


@both
@pytest.mark.parametrize("content", [b"", b"PAR1", b"ARROW1", b"text", b"\xff\xff\xff\xff\xff\xff\xff\x7f"])
def test_what_is_none_is_one_error(tmp_path, suffix, content):
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(content)
    found, problems = read(path)
    assert not found
    assert all(f"a.{suffix} is not a whole" in problem.message for problem in problems)
    assert len(problems) == (1 if content or suffix == "parquet" else len(problems))


@both
def test_a_cut_file_is_one_error(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    write(path, [ADA] * 100)
    path.write_bytes(path.read_bytes()[:-20])
    assert [problem.message.startswith(f"{path} is not a whole") for problem in read(path)[1]] == [True]


CHANGED = """
import random, sys
from gliner_cli import formats
from gliner_cli.options import Reading
path = sys.argv[1]
content, chance = open(path, "rb").read(), random.Random(7)
for number in range(150):
    changed = bytearray(content)
    for _ in range(chance.randint(1, 6)):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    with open("changed." + path.rpartition(".")[2], "wb") as file:
        file.write(changed[:chance.choice([len(changed), chance.randint(1, len(changed))])])
    problems = []
    list(formats.read([file.name], Reading(), problems.append))
"""


@both
def test_changed_files_raise_nothing(tmp_path, suffix):
    write(
        tmp_path / f"a.{suffix}",
        [Document(ADA.text, "1", "a", ADA.entities, {"n": n, "t": [str(n)]}) for n in range(20)],
    )
    done = subprocess.run(
        [sys.executable, "-c", CHANGED, f"a.{suffix}"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@both
def test_a_table_of_two_hundred_thousand_rows_is_not_held(tmp_path, suffix):
    path, texts = (
        tmp_path / f"a.{suffix}",
        arrow.table({"text": [f"{'word ' * 20}{number}" for number in range(2_000)]}),
    )
    with (
        parquet.ParquetWriter(path, texts.schema, use_dictionary=False)
        if suffix == "parquet"
        else arrow.ipc.new_file(path, texts.schema) as file
    ):
        for _ in range(100):
            file.write_table(texts)
    before = arrow.total_allocated_bytes()
    documents = formats.read([str(path)], Reading(), pytest.fail)
    tracemalloc.start()
    try:
        assert sum(1 for _ in itertools.islice(documents, 3_000)) == 3_000  # beyond the first batch
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
        assert arrow.total_allocated_bytes() - before < 3_000_000  # of 21 MB
    finally:
        tracemalloc.stop()


def test_documents_are_written_before_the_last_one_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(arrow_columns, "_ROWS", 10)
    sizes = []

    def endless():
        for number in itertools.count():
            sizes.append((tmp_path / "a.parquet.partial").stat().st_size)
            if number == 100:
                raise KeyboardInterrupt
            yield Document("a", str(number))

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "a.parquet", endless())
    assert len(set(sizes)) > 5


def test_without_pyarrow_the_extra_is_named(tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "pyarrow"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    found, (problem,) = read(tmp_path / "a.parquet")
    with pytest.raises(MissingExtraError) as caught:
        write(tmp_path / "b.parquet", [ADA])
    assert not found
    assert "gliner-cli[parquet]" in caught.value.hint
    assert problem.hint == caught.value.hint


def test_nothing_heavy_is_loaded_before_it_is_needed():
    code = "import sys, gliner_cli.formats; print({'pyarrow', 'pandas'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"
