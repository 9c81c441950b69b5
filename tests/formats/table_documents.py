"""Documents as tables can hold them: any Unicode, overlapping and nested entities, and the same fields in all."""

from __future__ import annotations

import sys

from hypothesis import strategies as st

from gliner_cli.types import Document, Entity

OURS = {"id", "source", "text", "entities"}
# Python 3.10's csv reads no NUL.
ANY = st.text(st.characters(codec="utf-8", exclude_characters="\0" if sys.version_info < (3, 11) else ""), max_size=30)
ODD = st.sampled_from(
    ["", "'", '"', '""', ",", "\t", "\n", "\r", "\r\n", "=1+1", " a ", "a\nb", "\ufeff", "é\U0001f600"]
)
TEXT = ANY | ODD | st.builds("".join, st.lists(ODD | ANY, max_size=4))


@st.composite
def documents(draw, columns):
    """A list of documents; `columns` draws the strategies of their fields by name."""
    fields = draw(columns)
    return draw(st.lists(document(fields), max_size=4))


@st.composite
def document(draw, fields):
    text = draw(TEXT)
    places = draw(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=5))
    entities = tuple(
        Entity(start, end, draw(TEXT), text[start:end], draw(st.none() | st.floats(0, 1)))
        for start, end in places
        if start < end <= len(text)
    )
    meta = {name: draw(values) for name, values in fields.items()}
    return Document(text, draw(TEXT), draw(TEXT), entities, meta)


def names(characters=ANY):
    return st.lists(characters.filter(lambda name: name not in OURS), max_size=3, unique_by=str.lower)


def fields_of(values, characters=ANY):
    """A strategy of columns, each with one of the strategies `values` for its cells."""
    return names(characters).flatmap(
        lambda found: st.fixed_dictionaries({name: st.sampled_from(values) for name in found})
    )
