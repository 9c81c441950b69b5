import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gliner_cli.types import Document, Entity
from tests.formats.made import documents, mutated
from tests.formats.reading import read, written

ROW = {"id": 3, "text": "Ada met Bob.", "label": [[0, 3, "person"], [8, 11, "person"]], "Comments": []}


@pytest.fixture
def read_rows(tmp_path):
    def of(*rows, **options):
        (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
        return read(tmp_path / "a.jsonl", **options)

    return of


@given(st.lists(documents(scores=st.none()), max_size=3))
@settings(max_examples=20)
def test_what_is_written_is_read_back(tmp_path_factory, given):
    path = tmp_path_factory.mktemp("doccano") / "a.jsonl"
    path.write_bytes(written("doccano", given))
    assert read(path, input_format="doccano") == (given, [])


@pytest.mark.parametrize("field", ["label", "labels", "entities"])
@pytest.mark.parametrize("options", [{}, {"input_format": "doccano"}])
def test_every_name_of_the_field(field, options, read_rows):
    row = {field if name == "label" else name: value for name, value in ROW.items()}
    (document,), problems = read_rows(row, **options)
    assert [(e.text, e.label) for e in document.entities] == [("Ada", "person"), ("Bob", "person")]
    assert (document.id, document.meta, problems) == ("3", {"Comments": []}, [])


def test_an_export_with_relations(read_rows):
    entities = [{"id": 1, "label": "person", "start_offset": 0, "end_offset": 3, "Comments": []}]
    (document,), _ = read_rows({"id": 1, "text": "Ada met Bob.", "entities": entities, "relations": []})
    assert document.entities == (Entity(0, 3, "person", "Ada"),)


def test_the_first_row_with_an_entity_decides(read_rows):
    found, (problem,) = read_rows({"text": "a", "label": []}, ROW, {"text": "a", "label": [[0, 9, "x"]]}, ROW)
    assert [len(document.entities) for document in found] == [0, 2, 2]
    assert "a.jsonl:3 has the entity [0, 9, 'x']" in problem.message


@pytest.mark.parametrize(
    "row",
    [
        {"text": "abc", "labels": ["person", "city"]},
        {"text": "abc", "label": "spam"},
        {"text": "abc", "label": [[0, 1]]},
        {"text": "abc", "label": [[0, 1, "x"]], "entities": []},
        {"text": "abc", "label": [[0, 1, "x"]], "entities": [{"start": 0, "end": 1, "label": "y"}]},
    ],
)
def test_documents_of_ours_with_fields_of_that_name_stay_ours(row, read_rows):
    (document,), problems = read_rows(row)
    assert not problems
    assert document.meta == {name: value for name, value in row.items() if name not in ("text", "entities")}
    assert [entity.label for entity in document.entities] == (["y"] if row.get("entities") else [])


@pytest.mark.parametrize(
    "wrong", [[0, 99, "x"], [2, 2, "x"], [0, True, "x"], [0, 1, 2], ["0", 1, "x"], {"start": 0}, None]
)
def test_what_does_not_fit_is_said(wrong, read_rows):
    found, (problem,) = read_rows({**ROW, "label": [wrong]}, ROW, input_format="doccano")
    assert len(found) == 1
    assert ":1 has the entity" in problem.message


def test_fields_called_like_theirs_are_kept_beside():
    row = json.loads(written("doccano", [Document("a", "1", "s", (), {"label": 1, "labels": ["x"]})]))
    assert row == {"id": "1", "source": "s", "text": "a", "label": [], "label_": 1, "labels_": ["x"]}


def test_mutations_are_problems_and_no_tracebacks(tmp_path):
    for bad in mutated(b"\n".join([json.dumps(ROW).encode()] * 3)):
        (tmp_path / "a.jsonl").write_bytes(bad)
        read(tmp_path / "a.jsonl", input_format="doccano")
        read(tmp_path / "a.jsonl")
