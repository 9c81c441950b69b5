from __future__ import annotations

import pytest

from gliner_cli.evaluation.alignment import aligned
from gliner_cli.types import Document, Words


def found(text, mentions, rule="all", nested=False, words=None):
    document = Document(text, words=Words.of(words) if words else None)
    result = aligned(document, mentions, rule, nested)
    assert all(text[e.start : e.end] == e.text for e in result.entities)
    return [(e.start, e.end, e.label) for e in result.entities], result.hallucinated, result.duplicates


def test_a_string_is_at_all_its_occurrences():
    text = "Ada saw Ada and Adamant Bob."
    assert found(text, [("Ada", "person")]) == ([(0, 3, "person"), (8, 11, "person")], 0, 0)


def test_or_each_mention_at_the_next():
    text = "Washington was in Washington, Washington."
    mentions = [("Washington", "person"), ("Washington", "city")]
    assert found(text, mentions, "order") == ([(0, 10, "person"), (18, 28, "city")], 0, 0)
    assert found("Washington!", mentions, "order") == ([(0, 10, "person")], 0, 1)


def test_a_part_of_a_longer_mention_is_taken_only_where_it_stands_alone_nowhere():
    text = "New York is not York."
    mentions = [("York", "city"), ("New York", "city")]
    assert found(text, mentions)[0] == [(0, 8, "city"), (16, 20, "city")]
    assert found("New York", mentions)[0] == [(0, 8, "city"), (4, 8, "city")]
    assert found(text, mentions, nested=True)[0] == [(0, 8, "city"), (4, 8, "city"), (16, 20, "city")]


def test_two_labels_of_one_string_are_two_entities():
    assert found("Paris", [("Paris", "city"), ("Paris", "person")])[0] == [(0, 5, "city"), (0, 5, "person")]


@pytest.mark.parametrize("said", ["Grace Hopper", "", "   ", "Ada Byron", ".*"])
def test_what_is_not_in_the_text_is_counted_and_found_nowhere(said):
    assert found("Ada Lovelace", [(said, "person"), ("Ada", "person")]) == ([(0, 3, "person")], 1, 0)


def test_saying_the_same_again_is_counted():
    assert found("Ada", [("Ada", "person")] * 3) == ([(0, 3, "person")], 0, 2)


@pytest.mark.parametrize(
    ("text", "said", "place"),
    [
        ("at McDonald 's today", "McDonald's", (3, 14)),  # cut into words by the corpus, put right by the model
        ("the u.s. army", "U.S.", (4, 8)),
        ("in New\nYork .", "New York", (3, 11)),
        ("on 東京タワー there", "東京タワー", (3, 8)),
        ("東京と京都", "京都", (3, 5)),  # a word in a script without spaces
        ("a Berlin-based firm", "Berlin", (2, 8)),  # inside a word: there, but nothing of ours could find it
        ("an AND gate", "AND", (3, 6)),  # as written before with other capitals
        ("(x+y)", "x+y", (1, 4)),
    ],
)
def test_where_a_string_is_found(text, said, place):
    assert found(text, [(said, "x")]) == ([(*place, "x")], 0, 0)


def test_a_document_with_words_of_its_own_is_read_by_them():
    assert found("isn't it", [("n't", "x"), ("is", "x")], words=[(0, 2), (2, 5), (6, 8)])[0] == [
        (0, 2, "x"),
        (2, 5, "x"),
    ]
