"""Rows of words and spans: every form they are published in, and what is wrong in them said by place."""

from __future__ import annotations

import json

import pytest

from gliner_cli.formats import rows
from gliner_cli.formats.sources import Source

OURS = {"tokens": ["Ada", "Byron", "met", "Lena", "."], "spans": [[0, 1, "person"], [3, 3, "person"]]}
THEIRS = {"tokenized_text": OURS["tokens"], "ner": OURS["spans"], "negatives": ["city"]}


def source(tmp_path, content: str) -> Source:
    path = tmp_path / "gold.jsonl"
    path.write_text(content, encoding="utf-8")
    return Source(str(path), path)


@pytest.mark.parametrize(
    "content",
    [
        f"\ufeff{json.dumps(OURS)}\n\n{json.dumps(THEIRS)}\n",
        json.dumps([OURS, THEIRS]),
        json.dumps([THEIRS, OURS], indent=2),
    ],
)
def test_every_form(tmp_path, content):
    given = source(tmp_path, content)
    assert rows.holds_rows(given)
    problems = []
    for document in rows.read(given, problems.append):
        assert document.text == "Ada Byron met Lena ."
        assert [(e.start, e.end, e.label, e.text) for e in document.entities] == [
            (0, 9, "person", "Ada Byron"), (14, 18, "person", "Lena"),
        ]  # fmt: skip
        assert [document.text[a:b] for a, b in zip(document.words.starts, document.words.ends, strict=True)] == OURS[
            "tokens"
        ]
    assert not problems
    assert len({document.id for document in rows.read(given, problems.append)}) == 2


def test_words_keep_their_white_space(tmp_path):
    given = source(
        tmp_path, json.dumps({"tokens": ["1\u00a0000", "a\u2028b"], "spans": [[0, 1, "sum"]]}, ensure_ascii=False)
    )
    (document,) = rows.read(given, print)
    assert document.entities[0].text == "1\u00a0000 a\u2028b"


def test_no_words(tmp_path):
    (document,) = rows.read(source(tmp_path, '{"tokens": [], "spans": []}'), print)
    assert (document.text, document.entities, len(document.words)) == ("", (), 0)


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ({"tokens": ["a"], "spans": [[0, 1, "x"]]}, "does not fit its 1 words"),
        ({"tokens": ["a"], "spans": [[-1, 0, "x"]]}, "does not fit"),
        ({"tokens": ["a", "b"], "spans": [[1, 0, "x"]]}, "does not fit"),
        ({"tokens": ["a"], "spans": [[0, 0, ""]]}, "does not fit"),
        ({"tokens": ["a"], "spans": [[0, 0]]}, "does not fit"),
        ({"tokens": ["a", ""], "spans": []}, "no row of words"),
        ({"tokens": "a b", "spans": []}, "no row of words"),
        ({"tokens": ["a"], "spans": None}, "no row of words"),
        ({"text": "a"}, "no row of words"),
        (["a"], "no row of words"),
    ],
)
def test_what_is_no_row_is_said_and_the_rest_still_comes(tmp_path, row, what):
    problems = []
    found = list(
        rows.read(source(tmp_path, f"{json.dumps(OURS)}\n{json.dumps(row)}\n{json.dumps(OURS)}"), problems.append)
    )
    assert len(found) == 2
    (problem,) = problems
    assert what in problem.message
    assert "gold.jsonl:2" in problem.message


@pytest.mark.parametrize("content", ["", "\n", "{", '{"text": "a", "entities": []}', "[]", "[1]", "plain text"])
def test_what_does_not_begin_with_a_row(tmp_path, content):
    assert not rows.holds_rows(source(tmp_path, content))
