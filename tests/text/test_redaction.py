"""Redaction: nothing that was found is left, and it can be undone to the letter."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gliner_cli.text.redaction import redacted, restored
from gliner_cli.types import Document, Entity


def document(text, *found):
    return Document(
        text, entities=tuple(Entity(start, end, label, text[start:end], 0.9) for start, end, label in found)
    )


def test_the_same_name_has_the_same_placeholder():
    text = "Mara Holt wrote to Ivo; MARA  HOLT waits in Ulm."
    without, _ = redacted(
        document(text, (0, 9, "person"), (19, 22, "person"), (24, 34, "person"), (44, 47, "home town"))
    )
    assert without.text == "[PERSON_1] wrote to [PERSON_2]; [PERSON_1] waits in [HOME_TOWN_1]."
    assert [(one.text, one.label) for one in without.entities][-1] == ("[HOME_TOWN_1]", "home town")
    assert all(without.text[one.start : one.end] == one.text for one in without.entities)


def test_entities_that_overlap_are_replaced_as_one():
    text = "the Bank of Graz burnt"
    without, _ = redacted(document(text, (4, 16, "bank"), (12, 16, "city"), (8, 22, "event")))
    assert without.text == "the [EVENT_1]"


def test_a_placeholder_that_is_in_the_text_is_not_used_again():
    text = "[PERSON_1] is a placeholder, Mara is not"
    without, replacements = redacted(document(text, (29, 33, "person")))
    assert without.text == "[PERSON_1] is a placeholder, [PERSON_2] is not"
    assert restored(without.text, replacements) == text


def test_pages_begin_where_they_began():
    text = "Ada of Rom\n\nBob of Ulm\n\nMara Holt\n\nend"
    pages = [0, 12, 24, 29, 35]  # the fourth begins within a name
    given = document(text, (0, 3, "x"), (12, 15, "x"), (24, 33, "x"))
    without, _ = redacted(replace(given, meta={"pages": pages, "n": 1}))
    assert without.text == "[X_1] of Rom\n\n[X_2] of Ulm\n\n[X_3]\n\nend"
    assert without.meta == {"pages": [0, 14, 28, 33, 35], "n": 1}


@pytest.mark.parametrize("pages", ["12", [3, 5], [0, "a"], [0, 5, 3], [True], None, []])
def test_pages_that_are_somebody_elses_stay(pages):
    without, _ = redacted(replace(document("Ada here", (0, 3, "x")), meta={"pages": pages}))
    assert without.meta == {"pages": pages}


@given(st.data())
def test_it_can_be_undone(data):
    text = data.draw(st.text(min_size=1, max_size=60))
    places = st.tuples(st.integers(0, len(text) - 1), st.integers(1, len(text)), st.text(max_size=6))
    found = [(start, end, label) for start, end, label in data.draw(st.lists(places, max_size=8)) if start < end]
    without, replacements = redacted(document(text, *found))
    assert restored(without.text, replacements) == text
    outside = set(range(len(text))) - {i for start, end, _ in found for i in range(start, end)}
    assert len(without.text) == len(outside) + sum(one.end - one.start for one in replacements)
