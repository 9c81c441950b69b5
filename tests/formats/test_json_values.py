import datetime
import io
import json
import tracemalloc
from decimal import Decimal

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gliner_cli.errors import InputError, OutputError
from gliner_cli.formats.decoding import Part
from gliner_cli.formats.json_values import _cut, line, values, write_array
from gliner_cli.formats.sources import Source
from tests.formats.made import ANY, VALUES, mutated


@pytest.fixture
def read_bytes(tmp_path):
    def of(content, encoding="utf-8"):
        path = tmp_path / "a.json"
        path.write_bytes(content)
        problems = []
        try:
            found = list(values(Source("a", path), encoding, problems.append))
        except InputError as error:
            return None, [*problems, error]
        return found, problems

    return of


@given(st.lists(VALUES | st.dictionaries(ANY, VALUES, max_size=3), max_size=5), st.sampled_from([None, 1]))
@settings(max_examples=30)
def test_the_elements_of_an_array_are_what_json_says(tmp_path_factory, given_values, indent):
    path = tmp_path_factory.mktemp("values") / "a.json"
    path.write_text(json.dumps(given_values, indent=indent))
    found = list(values(Source("a", path), "utf-8", pytest.fail))
    assert found == [(f"a[{number}]", value) for number, value in enumerate(given_values)]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_where_a_stream_is_cut_does_not_matter(size):
    rows = [{"a": 'say \\"{[ \\\\" ]}', "b": [[], {"c": "\\"}]}, {}, {"d": "é\n"}]
    content = json.dumps(rows).encode()[1:]
    parts = [Part(1, at, content[at : at + size]) for at in range(0, len(content), size)]
    cut = [part.content.strip(b" ,]") for part, closes in _cut(parts, "a") if not closes]
    assert [orjson.loads(part) for part in cut if part] == rows


def test_many_values_in_one_line_are_cut_in_one_go(tmp_path):
    class Counted(bytes):
        """Bytes that count how many of them were copied."""

        def __getitem__(self, key):
            taken = super().__getitem__(key)
            copied.append(len(taken) if isinstance(key, slice) else 1)
            return Counted(taken) if isinstance(key, slice) else taken

    copied = []
    content = Counted(b"{\n}" + b"{}" * 10_000)
    cut = list(_cut([Part(1, 0, content)], "a"))
    assert len(cut) == 10_002  # with what comes after the last: nothing
    assert [part.line for part, _ in cut[:3]] == [1, 2, 2]
    assert sum(copied) <= 2 * len(content)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32", "latin-1"])
@pytest.mark.parametrize(
    "content", ['\n [{"a": "é"},\n {"a": 2}]\n', '{"a": "é"}\n\n{"a": 2}', '{\n"a": "é"}\n{\n"a": 2}\n']
)
def test_every_layout_in_every_encoding(content, encoding, read_bytes):
    found, problems = read_bytes(content.encode(encoding), encoding)
    assert [value for _, value in found] == [{"a": "é"}, {"a": 2}]
    assert not problems


@pytest.mark.parametrize(
    ("content", "found", "said"),
    [
        (b'[{"a": 1},\n{"a": },\n{"a": 3}]', ["a[0]", "a[2]"], "a:2 is not JSON"),
        (b'[{"a": 1},\n{"a": "\xff"},\n{"a": 3}]', ["a[0]", "a[2]"], "a:2 is not utf-8: byte 18"),
        (b'[1, "x", {"a": 1}, null]', ["a[0]", "a[1]", "a[2]", "a[3]"], None),
        (b'[{"a": 1},,{"b": 2}]', ["a[0]"], "is not JSON"),
        (b'[{"a": 1}', None, "ends before its array does"),
        (b'[{"a": "1}]', None, "ends before its array does"),
        (b'[{"a": 1}] [2]', None, "goes on after the end"),
        (b'[{"a": 1}}, 3]', None, "goes on after the end"),
        (b"[]", [], None),
        (b"[ ]\n", [], None),
        (b"", [], None),
        (b'{\n"a": 1}\n}\n{\n"a": 2}', ["a:1", "a:4"], "a:3 is not JSON"),
        (b'[{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}, 2]", ["a[1]"], "brackets inside each other"),
        (b'{"a": ' + b"9" * 5000 + b'}\n{"a": 1}', ["a:2"], "a:1 is not JSON"),
    ],
)
def test_what_is_wrong_is_said_by_place(content, found, said, read_bytes):
    there, problems = read_bytes(content)
    if found is not None:
        assert [place for place, _ in there] == found
    assert any(said in problem.message for problem in problems) if said else not problems


def test_mutations_are_problems_and_no_tracebacks(read_bytes):
    content = json.dumps([{"text": f'say "{n}" \\ é', "n": [n, {"x": None}]} for n in range(4)], indent=1).encode()
    wrong = sum(bool(read_bytes(bad)[1]) for bad in mutated(content))
    assert wrong > 20


def test_memory_is_that_of_an_element(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b"[" + b",".join([orjson.dumps({"text": "x " * 2500})] * 2000) + b"]")
    tracemalloc.start()
    count = sum(1 for _ in values(Source("a", path), "utf-8", pytest.fail))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 2000
    assert peak < 2_000_000 < path.stat().st_size


def test_an_array_is_written_as_it_comes_and_is_json_at_the_end():
    stream, seen = io.BytesIO(), []

    def rows():
        for number in range(3):
            seen.append(stream.getvalue().count(b"\n"))
            yield line({"n": number}, None)

    write_array(rows(), stream)
    assert seen == [0, 1, 2]
    assert json.loads(stream.getvalue()) == [{"n": 0}, {"n": 1}, {"n": 2}]
    write_array([], empty := io.BytesIO())
    assert json.loads(empty.getvalue()) == []


@pytest.mark.parametrize("beside", [0, "\ud800", 2**70, float("nan")])
def test_what_json_has_no_type_for_is_text(beside):
    when = datetime.datetime(2020, 1, 2, 3, 4)
    given = {"n": Decimal("1.50"), "b": b"\x01\xff", "when": [when, when.date()], "long": datetime.timedelta(1)}
    said = {"n": "1.50", "b": "01ff", "when": ["2020-01-02 03:04:00", "2020-01-02"], "long": "1 day, 0:00:00"}
    assert json.loads(line({**given, "beside": [beside]}, "d")) == {
        **said,
        "beside": [beside if isinstance(beside, str) else pytest.approx(beside, nan_ok=True)],
    }


def test_what_has_no_end_is_said():
    endless = []
    endless.append(endless)
    with pytest.raises(OutputError, match="cannot hold the fields of d"):
        line({"x": endless}, "d")
