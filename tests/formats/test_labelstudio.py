import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gliner_cli.types import Document, Entity
from tests.formats.made import documents, mutated
from tests.formats.reading import read, written


def region(start, end, text, *labels, **others):
    value = {"start": start, "end": end, "text": text, "labels": list(labels)}
    return {"id": "x", "from_name": "label", "to_name": "text", "type": "labels", "value": value, **others}


TASK = {
    "id": 12, "data": {"text": "Ada met Bob.", "page": 3}, "predictions": [], "project": 1,
    "annotations": [{"id": 1, "was_cancelled": False, "result": [region(0, 3, "Ada", "person", "writer")]}],
}  # fmt: skip
MIN = {
    "id": 12, "text": "Ada met Bob.", "page": 3, "annotator": 1, "annotation_id": 5, "created_at": "2024", "lead_time": 1.5,
    "label": [{"start": 0, "end": 3, "text": "Ada", "labels": ["person", "writer"]}],
}  # fmt: skip


@pytest.fixture
def read_tasks(tmp_path):
    def of(*tasks, **options):
        (tmp_path / "a.json").write_text(json.dumps(tasks))
        return read(tmp_path / "a.json", **options)

    return of


def found_in(document):
    return [(entity.text, entity.label) for entity in document.entities]


@given(st.lists(documents(), max_size=3))
@settings(max_examples=20)
def test_what_is_written_is_read_back(tmp_path_factory, given):
    path = tmp_path_factory.mktemp("studio") / "a.json"
    path.write_bytes(written("label-studio", given))
    assert read(path) == (given, [])


@pytest.mark.parametrize("options", [{}, {"input_format": "label-studio"}])
@pytest.mark.parametrize("task", [TASK, MIN])
def test_exports(task, options, read_tasks):
    (document,), problems = read_tasks(task, **options)
    assert not problems
    assert (document.text, document.id, document.meta) == ("Ada met Bob.", "12", {"page": 3})
    assert found_in(document) == [("Ada", "person"), ("Ada", "writer")]


def test_which_annotation_counts(read_tasks):
    def annotation(text, **others):
        return {"result": [region(0, 3, "Ada", text)], **others}

    tasks = [
        [annotation("a", updated_at="2024-02"), annotation("b", updated_at="2024-01")],
        [annotation("a", updated_at="2024-02"), annotation("b", ground_truth=True)],
        [annotation("a", was_cancelled=True), annotation("b")],
        [annotation("a", was_cancelled=True)],
        [],
    ]
    predictions = [{"result": [region(8, 11, "Bob", "model", score=0.5)]}]
    found, _ = read_tasks(*({**TASK, "annotations": one, "predictions": predictions} for one in tasks))
    assert [found_in(document) for document in found] == [
        [("Ada", "a")], [("Ada", "b")], [("Ada", "b")], [("Bob", "model")]
    ]  # fmt: skip
    assert found[-1].entities[0].score == 0.5


def test_the_only_string_is_the_text(read_tasks):
    (document,), _ = read_tasks({**TASK, "data": {"review": "Ada met Bob.", "n": 1}})
    assert (document.text, document.meta) == ("Ada met Bob.", {"n": 1})
    _, (problem,) = read_tasks({**TASK, "data": {"a": "A", "b": "B"}})
    assert "has no field 'text'; it has 'a', 'b'" in problem.message
    assert "--text-field" in problem.hint


def test_places_of_browsers_and_line_breaks(read_tasks):
    result = [region(3, 6, "Ada", "person"), region(3, 10, "Ada\\nBob", "pair")]
    (document,), problems = read_tasks({**TASK, "data": {"text": "😀 Ada\nBob"}, "annotations": [{"result": result}]})
    assert not problems
    assert found_in(document) == [("Ada", "person"), ("Ada\nBob", "pair")]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ([region(0, 99, "Ada", "x")], "has the entity"),
        ([region(4, 7, "Ada", "x")], "has the entity"),
        ([region(0, 3, "Ada", 5)], "has the entity"),
        ([{"type": "labels"}], "has the entity"),
        ([{**region(0, 3, "Ada", "x"), "type": "hypertextlabels"}], "has a region of the type 'hypertextlabels'"),
        ([7], "has a number in its 'result'"),
        (7, "has a number as its 'result'"),
    ],
)
def test_what_does_not_fit_is_said(wrong, said, read_tasks):
    found, (problem,) = read_tasks(TASK, {**TASK, "annotations": [{"result": wrong}]})
    assert len(found) == 1
    assert f"a.json[1] {said}" in problem.message


def test_choices_and_regions_without_a_label_are_no_entities(read_tasks):
    result = [{"type": "choices", "value": {"choices": ["a"]}}, {"type": "labels", "value": {"start": 0, "end": 3}}]
    (document,), problems = read_tasks({**TASK, "annotations": [{"result": result}]})
    assert (document.entities, problems) == ((), [])


def test_scored_entities_are_predictions_and_others_annotations():
    entity = Entity(0, 3, "person", "Ada", 0.5)
    scored, plain = json.loads(
        written(
            "label-studio",
            [Document("Ada", "1", None, (entity,)), Document("Ada", "2", None, (Entity(0, 3, "x", "Ada"),))],
        )
    )
    assert scored["predictions"][0]["result"][0]["score"] == 0.5
    assert (scored["annotations"], plain["predictions"]) == ([], [])
    assert plain["annotations"][0]["result"][0]["value"] == {"start": 0, "end": 3, "text": "Ada", "labels": ["x"]}


@pytest.mark.parametrize(
    "row", [{"text": "a", "data": {"text": "b"}, "annotations": []}, {"text": "a", "annotator": 1}]
)
def test_documents_of_ours_with_fields_of_that_name_stay_ours(row, read_tasks):
    (document,), problems = read_tasks(row)
    assert (document.text, document.meta, problems) == ("a", {k: v for k, v in row.items() if k != "text"}, [])


def test_mutations_are_problems_and_no_tracebacks(tmp_path):
    for bad in mutated(json.dumps([TASK, MIN, TASK]).encode()):
        (tmp_path / "a.json").write_bytes(bad)
        read(tmp_path / "a.json", input_format="label-studio")


@pytest.mark.parametrize("score", [10**400, float("nan"), True, "1"], ids=["huge", "nan", "true", "text"])
def test_a_score_is_a_number_as_programs_have_them(score, read_tasks):
    found, (problem,) = read_tasks(
        {"data": {"text": "Ada"}, "predictions": [{"result": [region(0, 3, "Ada", "x", score=score)]}]}
    )
    assert not found
    assert "does not fit" in problem.message


def test_the_places_of_a_long_text_are_counted_once(read_tasks):
    names = [f"A{number:05}" for number in range(20_000)]
    regions = [
        region(10 * at, 10 * at + 6, name, "x") for at, name in enumerate(names)
    ]  # nine characters are ten there
    ((document,), problems) = read_tasks(
        {"data": {"text": "".join(f"{name} 😀 " for name in names)}, "predictions": [{"result": regions}]}
    )
    assert not problems
    assert [(entity.start, entity.text) for entity in document.entities] == [
        (9 * at, name) for at, name in enumerate(names)
    ]


@pytest.mark.parametrize("end", [9, 10**6])
def test_a_place_beyond_the_text_is_none(end, read_tasks):
    found, (problem,) = read_tasks(
        {"data": {"text": "Ada 😀"}, "predictions": [{"result": [region(0, end, None, "x")]}]}
    )
    assert not found
    assert "does not fit" in problem.message
