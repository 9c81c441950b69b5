"""Documents that hypothesis makes, and mutations of files, for the tests of all formats of JSON and of annotation tools."""

import random

from hypothesis import strategies as st

from gliner_cli.types import Document, Entity

# Any Unicode and lone surrogates, but no pair of them: JSON has one spelling for a pair and for the character it means.
ANY = st.text(st.characters(codec=None), max_size=30).map(
    lambda text: text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.integers(-(2**80), 2**80) | ANY,
    lambda value: st.lists(value, max_size=3) | st.dictionaries(ANY, value, max_size=3),
    max_leaves=6,
)
OURS = ("id", "source", "text", "entities", "label", "labels", "meta", "spans", "tokens", "answer")


def fields(ours):
    """Fields of a source's own: any but these."""
    return st.dictionaries(ANY.filter(lambda name: name not in ours), VALUES, max_size=3)


META = fields(OURS)
SCORES = st.none() | st.floats(0, 1)


@st.composite
def documents(draw, scores=SCORES, text=ANY, label=ANY, meta=META):
    """Nested, overlapping and doubled entities too."""
    text = draw(text)
    places = draw(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=5))
    entities = tuple(
        Entity(start, end, draw(label), text[start:end], draw(scores))
        for start, end in places
        if start < end <= len(text)
    )
    return Document(text, draw(ANY), draw(ANY), entities, draw(meta))


def mutated(content: bytes, count: int = 50):
    """Copies of a file, each with a few bytes changed, left out, doubled or replaced by something nasty."""
    chance = random.Random(7)
    nasty = [
        b"[" * 100_000,
        b"9" * 5000,
        b"NaN",
        b"null",
        b'"',
        b"\\ud800",
        b"\xff",
        b"{}",
        b"[]",
        b"-1",
        b"1e999",
        b"true",
    ]
    for _ in range(count):
        bad = bytearray(content)
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(bad))
            end = at + chance.choice([0, 1, 1, 5, 40])
            bad[at:end] = chance.choice(
                [b"", bytes([chance.randrange(256)]), bytes(bad[at : at + 30]), chance.choice(nasty)]
            )
        yield bytes(bad)
