import json
import math
import time

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gliner_cli.errors import OutputError
from gliner_cli.types import Document, Entity
from tests.formats.made import documents, fields
from tests.formats.reading import read, written

META = fields(("id", "source", "text", "entities"))


@given(st.lists(documents(meta=META), max_size=4))
def test_what_is_written_is_read_back(tmp_path_factory, given):
    path = tmp_path_factory.mktemp("jsonl") / "a.jsonl"
    path.write_bytes(written("jsonl", given))
    assert read(path) == (given, [])


@pytest.fixture
def read_rows(tmp_path):
    def rows(*lines, **options):
        path = tmp_path / "a.jsonl"
        path.write_text("\n".join(lines), encoding="utf-8")
        return read(path, **options)

    return rows


def test_a_line_has_our_fields_first_and_a_score_only_where_there_is_one():
    entities = (Entity(0, 3, "person", "Ada", 0.123456789), Entity(0, 1, "letter", "A"))
    line = written("jsonl", [Document("Ada", "1", "a.txt", entities, {"year": 1815})])
    assert line == (
        b'{"id":"1","source":"a.txt","text":"Ada","entities":'
        b'[{"start":0,"end":3,"text":"Ada","label":"person","score":0.123456789},'
        b'{"start":0,"end":1,"text":"A","label":"letter"}],"year":1815}\n'
    )


def test_fields_called_like_ours_are_kept_beside_ours(read_rows):
    (document,), _ = read_rows(
        '{"body": "B", "text": "T", "text_": "U", "n": 7, "id": "I"}', text_field="body", id_field="n"
    )
    row = orjson.loads(written("jsonl", [document]))
    assert {**row, "source": None} == {
        "id": "7", "source": None, "text": "B", "entities": [], "text_": "T", "text__": "U", "id_": "I"
    }  # fmt: skip


@pytest.mark.parametrize("number", ["123456789012345678901234567890", "1e400", "-Infinity", "0.1"])
def test_numbers_go_out_as_they_came_in(number, read_rows):
    (document,), _ = read_rows(f'{{"text": "a", "n": {number}}}')
    assert json.loads(written("jsonl", [document]))["n"] == json.loads(number)


def test_nan_goes_through(read_rows):
    (document,), _ = read_rows('{"text": "a", "deep": [{"n": NaN}]}')
    assert math.isnan(json.loads(written("jsonl", [document]))["deep"][0]["n"])


def test_what_json_cannot_hold_is_an_error_with_a_name():
    with pytest.raises(OutputError, match="odd one"):
        written("jsonl", [Document("a", "odd one", meta={"x": {(1, 2): 3}})])


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("{text}", "is not JSON"),
        ('{"text": "a"', "is not JSON"),
        ('"text"', "is a string; an object"),
        ("7", "is a number; an object"),
        ('{"body": "b", "n": 1}', "has no field 'text'; it has 'body', 'n'"),
        ("{}", "it has no fields"),
        ('{"text": null}', "has null as its 'text'"),
        ('{"text": ["a"]}', "has a list as its 'text'"),
        ('{"text": "a", "entities": 5}', "has a number as its 'entities'"),
        ('{"text": "a", "entities": ["a"]}', "does not fit"),
        ('{"text": "\\udc00", "n": ' + "[" * 100_000, "is not JSON"),
        ('{"text": "a", "n": ' + "9" * 5000 + "}", "is not JSON"),
    ],
)
def test_a_line_that_is_none_is_named_and_costs_only_itself(row, said, read_rows):
    found, (problem,) = read_rows('{"text": "before"}', row, "", '{"text": "after"}')
    assert [document.text for document in found] == ["before", "after"]
    place, _, message = problem.message.partition(" ")
    assert place.endswith("a.jsonl:2")
    assert said in message
    assert problem.hint


@pytest.mark.parametrize(
    "wrong",
    [
        {"start": 0, "end": 4},
        {"start": -1},
        {"start": 2, "end": 2},
        {"end": "2"},
        {"text": "Bo"},
        {"score": "high"},
        {"label": 1},
    ],
)
def test_entities_that_do_not_fit_are_not_passed_over(wrong, read_rows):
    right = {"start": 0, "end": 3, "label": "person", "text": "Ada", "score": 1}
    found, problems = read_rows(*(json.dumps({"text": "Ada", "entities": [row]}) for row in (right, right | wrong)))
    assert [document.entities for document in found] == [(Entity(0, 3, "person", "Ada", 1.0),)]
    assert [":2 has the entity" in problem.message for problem in problems] == [True]


def test_a_wrong_byte_costs_only_its_line(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "a"}\n{"text": "\xff"}\n{"text": "c"}\n')
    found, (problem,) = read(tmp_path / "a.jsonl")
    assert [document.text for document in found] == ["a", "c"]
    assert "a.jsonl:2 is not utf-8: byte 24 is 0xff" in problem.message


@pytest.mark.parametrize(
    ("name", "expected"), [("null", None), ('"x"', "x"), ("7", "7"), ("7.5", "7.5"), ('{"a": "é"}', '{"a": "é"}')]
)
def test_ids_and_sources_are_strings(name, expected, read_rows):
    (document,), _ = read_rows(f'{{"text": "a", "id": {name}, "source": {name}}}')
    if expected is None:
        assert document.id == f"{document.source}:1"
        assert document.source.endswith("a.jsonl")
    else:
        assert (document.id, document.source) == (expected, expected)


def test_an_array_may_stand_in_place_of_lines(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("\n" + json.dumps([{"text": "a"}, {"body": "b"}, {"text": "c", "id": 3}], indent=1))
    found, (problem,) = read(path)
    assert [(document.text, document.id) for document in found] == [("a", f"{path}[0]"), ("c", "3")]
    assert problem.message.startswith(f"{path}[1] has no field 'text'")
    path.write_text('[\n{"text": "a"},\n{"text": }\n]')
    assert read(path)[1][0].message.startswith(f"{path}:3 is not JSON")


def test_an_object_may_be_spread_over_lines(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({"text": "a"}, indent=1))
    assert [document.text for document in read(tmp_path / "a.json")[0]] == ["a"]


def test_a_line_of_ten_megabytes(read_rows):
    began = time.perf_counter()
    (document,), _ = read_rows(json.dumps({"text": "x " * 5_000_000}))
    assert len(document.text) == 10_000_000
    assert time.perf_counter() - began < 5


@pytest.mark.parametrize(
    "score", ["1" + "0" * 400, "NaN", "-Infinity", "true", '"1"'], ids=["huge", "nan", "-inf", "true", "text"]
)
def test_a_score_is_a_number_as_programs_have_them(score, read_rows):
    row = '{"text": "Ada", "entities": [{"start": 0, "end": 3, "label": "x", "score": %s}]}'
    found, (problem,) = read_rows(row % score)
    assert not found
    assert "does not fit" in problem.message
    assert read_rows(row % 1)[0][0].entities[0].score == 1
