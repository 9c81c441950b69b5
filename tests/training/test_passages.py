"""Every entity of a document is in exactly one passage, or there is a remark that says why it is in none."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gliner_cli.text.words import words
from gliner_cli.training.passages import Passage
from gliner_cli.types import Document, Entity, Words
from tests import tiny
from tests.training import toys

MISALIGNED = "not on the edges of words"
CUT = "cut by the edge of a window"
WIDE = "wider than the 5 words the network reads"

_WORDS = st.sampled_from(["rain", "Porto", "co-operation", "3.14", "of", "!", ".", "Zürich", "said", "no", "Then"])


@st.composite
def documents(draw):
    """Up to 200 words with entities anywhere: inside words, over several windows, on top of each other."""
    text = " ".join(draw(st.lists(_WORDS, min_size=1, max_size=200)))
    cut = words(text)
    entities = []
    for _ in range(draw(st.integers(0, 12))):
        first = draw(st.integers(0, len(cut) - 1))
        last = min(first + draw(st.integers(0, 8)), len(cut) - 1)
        start, end = cut.starts[first], cut.ends[last]
        start += draw(st.sampled_from([0, 0, 0, 0, 1]))
        entities.append((start, max(end, start + 1), draw(st.sampled_from(["person", "city"]))))
    return Document(
        text, "d", entities=tuple(Entity(s, e, label, text[s:e]) for s, e, label in entities if e <= len(text))
    )


def placed(passages: list[Passage]) -> Counter[tuple[int, int, str]]:
    """The gold of all passages in words of the document."""
    return Counter((p.first + start, p.first + stop, label) for p in passages for start, stop, label in p.gold)


@given(documents())
@settings(max_examples=80)
def test_every_entity_is_kept_once_or_remarked(read_only, document):
    passages, remarks = toys.cut([document], read_only)
    said = Counter(remark.what for remark in remarks)
    on_words = toys.in_words(document)
    assert said[MISALIGNED] == len(document.entities) - len(on_words)
    whole = Counter(span for span in on_words if any(p.first <= span[0] and span[1] <= p.stop for p in passages))
    assert placed(passages) == whole
    lost = len(on_words) - whole.total()
    assert (said[CUT] > 0) == (lost > 0)
    assert said[CUT] >= lost
    assert said[WIDE] == sum(stop - start > 5 for start, stop, _ in whole.elements())
    assert said.total() == said[MISALIGNED] + said[CUT] + said[WIDE]


@given(documents())
@settings(max_examples=50)
def test_the_windows_are_the_document(read_only, document):
    passages, _ = toys.cut([document], read_only)
    count = len(words(document.text))
    assert [place for p in passages for place in range(p.first, p.stop)] == list(range(count))
    assert all(p.stop - p.first <= read_only.config.max_len for p in passages)
    if count <= read_only.config.max_len:
        assert [p.text for p in passages] == [document.text]


def test_windows_end_where_sentences_do(read_only):
    document = Document(" ".join(["The ferry left Genoa at dawn ."] * 30))
    passages, remarks = toys.cut([document], read_only)
    assert {(p.first % 7, p.stop % 7) for p in passages} == {(0, 0)}
    assert [p.stop - p.first for p in passages][:-1] == [63] * (len(passages) - 1)
    assert not remarks


def test_a_passage_leaves_room_for_types_where_the_encoder_has_a_limit(tmp_path):
    bert = toys.checkpoint(tiny.checkpoint_folder(tmp_path, "bert", max_len=2000))
    passages, _ = toys.cut([Document("Brightwell " * 300)], bert)
    assert max(len(p.pieces.cut(p.first, p.stop)[0]) for p in passages) in range(240, 257)


@pytest.mark.parametrize(
    ("text", "start", "end", "kept"),
    [
        ("the co-operation of", 4, 16, True),
        ("the co-operation of", 7, 16, False),  # inside a word
        ("the co-operation of", 4, 17, False),  # the space behind it too
        ("the co-operation of", 3, 16, False),  # the space before it too
        ("Mrs. Okafor", 0, 4, True),  # the stop is a word of its own
        ("20mg", 0, 2, False),
        ("東京都", 0, 2, True),  # every character is a word
        ("a  b", 1, 2, False),  # no word at all
    ],
)
def test_entities_on_words_and_off_them(read_only, text, start, end, kept):
    document = Document(text, "file:3", entities=(Entity(start, end, "thing", text[start:end]),))
    passages, remarks = toys.cut([document], read_only)
    assert sum(len(p.gold) for p in passages) == kept
    assert [(r.what, r.where, r.example) for r in remarks] == (
        [] if kept else [(MISALIGNED, "file:3", f"{text[start:end]!r} as thing")]
    )


def test_words_that_the_source_fixed_are_kept(read_only):
    text, places = "co-operation", [(0, 2), (3, 12)]
    entity = Entity(3, 12, "thing", "operation")
    assert toys.cut([Document(text, entities=(entity,), words=Words.of(places))], read_only)[0][0].gold == (
        (1, 2, "thing"),
    )


def test_a_token_head_reads_any_width(tmp_path):
    token = toys.checkpoint(tiny.checkpoint_folder(tmp_path, span_mode="token_level"))
    passages, remarks = toys.cut([toys.marked(("a b c d e f g h", "poem"))], token)
    assert (passages[0].gold, remarks) == (((0, 8, "poem"),), [])


def test_an_entity_longer_than_a_window_is_remarked(read_only):
    text = "la " * 100
    passages, remarks = toys.cut([Document(text, entities=(Entity(0, 299, "song", text[:299]),))], read_only)
    assert sum(len(p.gold) for p in passages) == 0
    assert {remark.what for remark in remarks} == {CUT}


def test_what_a_document_says_it_was_annotated_for(read_only):
    plain = toys.marked(("Porto", "city"))
    own = replace(plain, meta={"labels": ["city", "river"]})
    partly = replace(plain, meta={"negatives": ["river"]})
    both = replace(plain, meta={"labels": ["city", "lake"], "negatives": ["river"]})
    odd = replace(plain, meta={"labels": "city", "negatives": 3})
    passages, _ = toys.cut([plain, own, partly, both, odd], read_only, ["city", "boat"])
    assert [(p.annotated, p.absent) for p in passages] == [
        (("city", "boat"), ()),
        (("city", "river"), ()),
        ((), ("river",)),
        (("city", "lake"), ("river",)),
        (("city", "boat"), ()),
    ]


def test_a_document_without_words_has_no_passage(read_only):
    assert toys.cut([Document(""), Document(" \n ")], read_only) == ([], [])
