"""Rows of words and spans: every form they are published in, and what is wrong in them said by place."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gliner_cli.errors import OutputError
from gliner_cli.formats import rows
from gliner_cli.types import Document, Entity
from tests.formats.made import ANY, META, mutated
from tests.formats.reading import read, written

OURS = {"tokens": ["Ada", "Byron", "met", "Lena", "."], "spans": [[0, 1, "person"], [3, 3, "person"]]}
THEIRS = {"tokenized_text": OURS["tokens"], "ner": OURS["spans"], "negatives": ["city"]}


@pytest.fixture
def read_text(tmp_path):
    def of(content, **options):
        (tmp_path / "gold.jsonl").write_text(content, encoding="utf-8")
        return read(tmp_path / "gold.jsonl", **options)

    return of


@pytest.mark.parametrize("options", [{}, {"input_format": "rows"}])
@pytest.mark.parametrize(
    "content",
    [
        f"\ufeff{json.dumps(OURS)}\n\n{json.dumps(THEIRS)}\n",
        json.dumps([OURS, THEIRS]),
        json.dumps([THEIRS, OURS], indent=2),
    ],
)
def test_every_form(content, options, read_text):
    found, problems = read_text(content, **options)
    for document in found:
        assert document.text == "Ada Byron met Lena ."
        assert [(e.start, e.end, e.label, e.text) for e in document.entities] == [
            (0, 9, "person", "Ada Byron"), (14, 18, "person", "Lena"),
        ]  # fmt: skip
        places = zip(document.words.starts, document.words.ends, strict=True)
        assert [document.text[a:b] for a, b in places] == OURS["tokens"]
    assert not problems
    assert len({document.id for document in found}) == 2
    assert {"negatives": ["city"]} in [document.meta for document in found]


def test_words_keep_their_white_space(read_text):
    row = {"tokens": ["1\u00a0000", "a\u2028b"], "spans": [[0, 1, "sum"]]}
    (document,), _ = read_text(json.dumps(row, ensure_ascii=False))
    assert document.entities[0].text == "1\u00a0000 a\u2028b"


def test_no_words(read_text):
    (document,), _ = read_text('{"tokens": [], "spans": []}')
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
        (["a"], "is a list; an object"),
    ],
)
def test_what_is_no_row_is_said_and_the_rest_still_comes(row, what, read_text):
    found, (problem,) = read_text(f"{json.dumps(OURS)}\n{json.dumps(row)}\n{json.dumps(OURS)}")
    assert len(found) == 2
    assert what in problem.message
    assert "gold.jsonl:2" in problem.message


@st.composite
def documents(draw):
    words = draw(st.lists(st.text(min_size=1, max_size=5), max_size=6))
    ends = st.integers(0, max(len(words) - 1, 0))
    spans = draw(st.lists(st.tuples(ends, ends, st.text(min_size=1, max_size=4)), max_size=4)) if words else []
    made = rows.document((words, [span for span in spans if span[0] <= span[1]]), draw(ANY), draw(ANY))
    return Document(made.text, made.id, made.source, made.entities, draw(META), made.words)


@given(st.lists(documents(), max_size=3))
@settings(max_examples=20)
def test_what_is_written_is_read_back(tmp_path_factory, given):
    path = tmp_path_factory.mktemp("rows") / "a.jsonl"
    path.write_bytes(written("rows", given))
    assert read(path) == (given, [])


def test_text_is_written_by_words_and_an_entity_has_all_of_the_words_it_touches():
    row = json.loads(written("rows", [Document("Bob met Ada.", "1", None, (Entity(1, 5, "x", "ob m"),), {"text": 1})]))
    assert row == {
        "id": "1",
        "source": None,
        "tokenized_text": ["Bob", "met", "Ada", "."],
        "ner": [[0, 1, "x"]],
        "text_": 1,
    }


@pytest.mark.parametrize(("entity", "said"), [((3, 4, "x"), "covers no word"), ((0, 3, ""), "has no label")])
def test_what_rows_cannot_hold(entity, said):
    start, end, label = entity
    with pytest.raises(OutputError, match=f"entities of letter 7.*{said}"):
        written("rows", [Document("Bob met", "letter 7", entities=(Entity(start, end, label, "Bob met"[start:end]),))])


def test_mutations_are_problems_and_no_tracebacks(tmp_path):
    content = b"\n".join(json.dumps(row).encode() for row in (OURS, THEIRS, OURS))
    for bad in mutated(content):
        (tmp_path / "a.jsonl").write_bytes(bad)
        read(tmp_path / "a.jsonl", input_format="rows")
