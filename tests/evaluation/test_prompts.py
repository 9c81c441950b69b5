from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gliner_cli.evaluation.prompts import Reading, questions, read, schema
from gliner_cli.text.labels import labels
from gliner_cli.types import Document

LABELS = labels({"person": "a human being", "city": None})
(ALL,) = questions([Document("Ada lives in Paris.")], LABELS, "json")
ONE, _ = questions([Document("Ada lives in Paris.")], LABELS, "uniner")


def items(*pairs):
    return json.dumps({"entities": [{"text": text, "label": label} for text, label in pairs]})


def test_one_question_for_all_labels_or_one_for_each():
    documents = [Document("Ada"), Document(" \n"), Document("Bob")]
    assert [(q.document, q.label) for q in questions(documents, LABELS, "json")] == [(0, None), (2, None)]
    each = questions(documents, LABELS, "uniner")
    assert [(q.document, q.label) for q in each] == [(0, "person"), (0, "city"), (2, "person"), (2, "city")]
    assert each[0].messages[-1]["content"] == "What describes a human being in the text?"
    assert each[1].messages[-1]["content"] == "What describes city in the text?"
    assert "- person: a human being\n- city\n" in ALL.messages[0]["content"]
    assert ALL.messages[1] == {"role": "user", "content": ALL.text}


def test_the_schema_allows_the_labels_and_nothing_else():
    item = schema(LABELS)["properties"]["entities"]["items"]
    assert item["properties"]["label"]["enum"] == ["person", "city"]
    assert item["additionalProperties"] is False
    assert item["required"] == ["text", "label"]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (items(("Ada", "person"), ("Paris", "City ")), Reading((("Ada", "person"), ("Paris", "city")))),
        (items(("Ada", "human"), ("Paris", "city")), Reading((("Paris", "city"),), unasked=1)),
        (items(), Reading()),
        ("```json\n" + items(("Ada", "person")) + "\n```\nAnything else?", Reading((("Ada", "person"),))),
        (items(("Ada", "person"), ("Paris", "city"))[:-9], Reading((("Ada", "person"),), cut=True)),
        (items(("Ada", "person"))[:-2], Reading((("Ada", "person"),), cut=True)),
        (items(("Ada", "person"))[:15], Reading(cut=True)),
        ("There are none.", Reading(malformed=True)),
        ("", Reading(malformed=True)),
        ('{"entities": null}', Reading(malformed=True)),
        ('{"entities": [{"text": "Ada"}]}', Reading(malformed=True)),
        ('{"entities": ["Ada"]}', Reading(malformed=True)),
        (
            '{"entities": [{"text": "Ada", "label": "person"} {"text": "Bob", "label": "person"}]}',
            Reading(malformed=True),
        ),
        ("{'entities': [{'text': 'Ada', 'label': 'person'}]}", Reading(malformed=True)),
    ],
)
def test_answers_about_all_labels(answer, expected):
    assert read(answer, ALL, LABELS) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ('["Ada", "Bob [junior]"]', Reading((("Ada", "person"), ("Bob [junior]", "person")))),
        ("[1984, 2.5]", Reading((("1984", "person"), ("2.5", "person")))),
        ('["Ada", "Bo', Reading((("Ada", "person"),), cut=True)),
        ("[]", Reading()),
        ("[true]", Reading(malformed=True)),
        ('[["Ada"]]', Reading(malformed=True)),
        ('["Ada"', Reading((("Ada", "person"),), cut=True)),
        ('["Ada",', Reading((("Ada", "person"),), cut=True)),
    ],
)
def test_answers_about_one_label(answer, expected):
    assert read(answer, ONE, LABELS) == expected


@given(st.text() | st.text('[]{}",: \\ab1\n'))
def test_no_answer_is_an_error(answer):
    for question in (ALL, ONE):
        read(answer, question, LABELS)


@given(st.lists(st.text()), st.integers(0, 200))
def test_a_list_cut_anywhere_is_read_as_far_as_it_is_whole(strings, length):
    answer = json.dumps(strings)
    cut = answer[: max(1, length)]
    reading = read(cut, ONE, LABELS)
    if "]" not in cut:
        assert reading.cut
        assert not reading.malformed
    got = [text for text, _ in reading.mentions]
    assert got == strings[: len(got)]
