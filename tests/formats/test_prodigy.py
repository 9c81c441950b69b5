import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gliner_cli.types import Document, Entity, Words
from tests.formats.made import documents, mutated
from tests.formats.reading import read, written

TOKENS = [
    {"text": "Ada", "start": 0, "end": 3, "id": 0, "ws": True},
    {"text": "met", "start": 4, "end": 7, "id": 1, "ws": True},
    {"text": "\n", "start": 8, "end": 9, "id": 2, "ws": False},
]
ROW = {
    "text": "Ada met \n", "_input_hash": -7, "_task_hash": 9, "meta": {"source": "news", "pattern": "1"}, "tokens": TOKENS,
    "spans": [{"start": 0, "end": 3, "token_start": 0, "token_end": 0, "label": "person"}], "answer": "accept",
}  # fmt: skip


@pytest.fixture
def read_rows(tmp_path):
    def of(*rows, **options):
        (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
        return read(tmp_path / "a.jsonl", **options)

    return of


@given(st.lists(documents(), max_size=3))
@settings(max_examples=20)
def test_what_is_written_is_read_back(tmp_path_factory, given):
    path = tmp_path_factory.mktemp("prodigy") / "a.jsonl"
    path.write_bytes(written("prodigy", given))
    assert read(path, input_format="prodigy") == (given, [])


@pytest.mark.parametrize("options", [{}, {"input_format": "prodigy"}])
def test_an_export(options, read_rows):
    (document,), problems = read_rows(ROW, **options)
    assert not problems
    assert document.entities == (Entity(0, 3, "person", "Ada"),)
    assert document.words == Words.of([(0, 3), (4, 7)])
    assert (document.source, document.meta) == ("news", {"_input_hash": -7, "_task_hash": 9, "pattern": "1"})
    assert read_rows(*[json.loads(written("prodigy", [document]))], **options)[0] == [
        Document(document.text, document.id, "news", document.entities, document.meta, document.words)
    ] or document.id.endswith(":1")


def test_only_what_was_accepted_is_a_document(read_rows):
    rows = [{**ROW, "id": answer, "answer": answer} for answer in ("accept", "reject", "ignore", "perhaps")]
    found, (problem,) = read_rows(*rows)
    assert [document.id for document in found] == ["accept"]
    assert "a.jsonl:4 has the answer 'perhaps'" in problem.message


@pytest.mark.parametrize(
    "row",
    [
        {"text": "abc", "spans": []},
        {"text": "abc", "spans": [{"start": 0}]},
        {"text": "abc", "spans": [[0, 1, "x"]], "tokens": ["abc"]},
        {"text": "abc", "answer": "reject"},
        {"text": "abc", "spans": [{"start": 0, "end": 1, "label": "x"}], "entities": []},
    ],
)
def test_documents_of_ours_with_fields_of_that_name_stay_ours(row, read_rows):
    (document,), problems = read_rows(row)
    assert (document.entities, problems) == ((), [])
    assert document.meta == {name: value for name, value in row.items() if name not in ("text", "entities")}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"spans": [{"start": 0, "end": 99, "label": "x"}]}, "has the entity"),
        ({"spans": [{"start": 0, "end": 3}]}, "has the entity"),
        ({"spans": 7}, "has a number as its 'spans'"),
        ({"tokens": ["Ada"]}, "has tokens"),
        ({"tokens": TOKENS[::-1]}, "has tokens"),
        ({"tokens": [{"start": -1, "end": 2}]}, "has tokens"),
        ({"answer": None}, "has the answer"),
        ({"text": None}, "has null as its 'text'"),
    ],
)
def test_what_does_not_fit_is_said(wrong, said, read_rows):
    found, (problem,) = read_rows(ROW, {**ROW, **wrong})
    assert len(found) == 1
    assert f"a.jsonl:2 {said}" in problem.message


def test_words_are_written_as_tokens():
    document = Document("Ada met \n", "1", None, words=Words.of([(0, 3), (4, 7)]))
    assert json.loads(written("prodigy", [document]))["tokens"] == TOKENS[:2]


def test_mutations_are_problems_and_no_tracebacks(tmp_path):
    for bad in mutated(b"\n".join([json.dumps(ROW).encode()] * 3)):
        (tmp_path / "a.jsonl").write_bytes(bad)
        read(tmp_path / "a.jsonl", input_format="prodigy")
