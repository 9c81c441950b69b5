"""Which types are asked, how often, and what a lesson says of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import chain
from types import SimpleNamespace

import pytest
import torch

from gliner_cli.inference.prompt import PieceMaker
from gliner_cli.training.lessons import Asked, lesson
from gliner_cli.types import Document, Entity
from tests.training import toys

TYPES = [f"type {number}" for number in range(60)]


def of_types(*types: str, **meta: object) -> Document:
    """A document with one word of each of these types."""
    return toys.marked(*(("rain", name) for name in types), meta=meta)


def many(least: int = 3, most: int = 6, **meta: object) -> list[Document]:
    """120 documents with so many of the 60 types."""
    counts = [least + n % (most - least + 1) for n in range(120)]
    return [of_types(*(TYPES[(7 * n + 13 * k) % 60] for k in range(count)), **meta) for n, count in enumerate(counts)]


def drawn(teacher, steps=30, batch=100) -> list[Asked]:
    """What so many steps ask. Prompts are not made: how long they are is no question of what is asked."""
    teacher.maker = SimpleNamespace(prompt=list, longest_row=10**6)
    return [one for step in range(steps) for group in teacher.lessons(step, batch, 10_000) for one in group]


def share_of_negatives(asked: list[Asked]) -> float:
    shares = [sum(name not in one.passage.types for name in one.types) / len(one.types) for one in asked]
    return sum(shares) / len(shares)


@pytest.mark.parametrize("negatives", [0.0, 0.3, 0.5, 0.7])
@pytest.mark.parametrize(("least", "most"), [(1, 1), (3, 6)])
@pytest.mark.parametrize("annotated", [TYPES, []], ids=["closed", "open"])
def test_the_mean_share_of_negatives_is_as_ordered(read_only, annotated, negatives, least, most):
    teacher = toys.teacher(many(least, most), read_only, annotated, negatives=negatives, drop=0.0, max_types=50)
    assert share_of_negatives(drawn(teacher)) == pytest.approx(negatives, abs=0.02)


def test_types_that_are_said_to_be_absent_come_first_among_the_negatives(read_only):
    documents = many(negatives=["absent one", "absent two", "absent three"])
    asked = drawn(toys.teacher(documents, read_only, drop=0.0, max_types=50), 10)
    assert share_of_negatives(asked) == pytest.approx(0.5, abs=0.02)
    with_some = [one for one in asked if set(one.types) - set(one.passage.types)]
    with_own = [one for one in with_some if any(name.startswith("absent") for name in one.types)]
    assert len(with_own) > 0.7 * len(with_some)


def test_of_a_closed_set_only_its_types_are_asked(read_only):
    documents = [of_types("city"), of_types("city", labels=["city", "river"]), of_types("boat", negatives=["tree"])]
    asked = drawn(toys.teacher(documents, read_only, ["city", "boat"]), 20, 30)
    seen = {one.passage.annotated: set[str]() for one in asked}
    for one in asked:
        seen[one.passage.annotated] |= set(one.types)
    assert seen == {
        ("city", "boat"): {"city", "boat"},
        ("city", "river"): {"city", "river"},
        (): {"city", "boat", "tree"},
    }


@pytest.mark.parametrize("annotated", [TYPES, []], ids=["closed", "open"])
def test_what_is_there_is_never_asked_as_if_it_were_not(read_only, annotated):
    """Also where a document calls a type absent that it holds, and where types in it are left out."""
    documents = [*many(), *many(negatives=TYPES[:30])]
    teacher = toys.teacher(documents, read_only, annotated, negatives=0.8, drop=0.9)
    maker = teacher.maker
    for one in drawn(teacher, 10):
        asked = lesson(0, [one], maker)
        said = {one.types[label] for label in asked.gold.label.tolist()}
        assert said == set(one.types) & set(one.passage.types)
        assert len(set(one.types)) == len(one.types)


def unlearnable() -> list[Document]:
    text = "the co-operation went on"
    inside = Document(text, entities=(Entity(7, 16, "work", "operation"), Entity(0, 3, "article", "the")))
    long = " ".join(["rain"] * 62 + ["over", "Lake", "Tarn", "again"])
    at = long.index("Lake")
    return [inside, Document(long, entities=(Entity(at, at + 9, "work", "Lake Tarn"), Entity(0, 4, "article", "rain")))]


def test_what_cannot_be_learned_is_not_taught_to_be_absent(read_only):
    for document in unlearnable():
        teacher = toys.teacher([document], read_only, ["work", "article"], negatives=0.8)
        assert {name for one in drawn(teacher, 20, 10) for name in one.types} == {"article"}


def test_at_most_so_many_types(read_only):
    documents = [of_types(*TYPES[:40]), of_types("city")]
    for most in (1, 7, None):
        asked = drawn(toys.teacher(documents, read_only, TYPES, max_types=most, negatives=0.9), 10)
        longest = max(len(one.types) for one in asked)
        assert longest == (most or read_only.config.max_types)
        assert min(len(one.types) for one in asked) >= 1


def test_types_are_left_out_as_often_as_ordered(read_only):
    for drop in (0.0, 0.4, 1.0):
        teacher = toys.teacher([of_types(*TYPES[:8])], read_only, TYPES[:8], negatives=0.0, drop=drop)
        counts = Counter(len(one.types) for one in drawn(teacher, 20, 50))
        # All of 8 is one of the 8 numbers that may be left.
        assert 1 - counts[8] / counts.total() == pytest.approx(drop * 7 / 8, abs=0.05)
        assert not drop or set(counts) == set(range(1, 9))


def test_a_text_without_any_type_is_asked_for_some_that_are_absent(read_only):
    documents = [of_types("city"), toys.marked("rain"), toys.marked("snow", meta={"negatives": ["tree"]})]
    for annotated in (["city", "boat"], []):
        asked = drawn(toys.teacher(documents, read_only, annotated), 5, 30)
        assert all(one.types for one in asked)
        assert {one.passage.text for one in asked} == {"rain", "snow"}


def test_types_come_in_any_order(read_only):
    asked = drawn(
        toys.teacher([of_types("city", "boat", "tree")], read_only, ["city", "boat", "tree"], drop=0.0), 5, 60
    )
    assert len({one.types for one in asked}) == 6


def said(teacher, step):
    return [[(one.passage.text, one.types) for one in group] for group in teacher.lessons(step, 16, 300)]


@pytest.mark.parametrize("annotated", [TYPES, []], ids=["closed", "open"])
def test_the_same_seed_is_the_same_lessons_whoever_asks_and_when(read_only, annotated):
    one = toys.teacher(many(), read_only, annotated)
    other = toys.teacher(many(), read_only, annotated)
    lessons = [said(one, step) for step in range(20)]
    assert [said(other, step) for step in (7, 3, 19, 3)] == [lessons[step] for step in (7, 3, 19, 3)]
    other.seed = 1
    assert [said(other, step) for step in range(20)] != lessons


def test_every_passage_comes_once_an_epoch(read_only):
    documents = [toys.marked(f"{'ha ' * (n % 5)}Porto", ("Okafor", "person"), str(n)) for n in range(33)]
    teacher = toys.teacher(documents, read_only, ["person"])
    order = [one.passage.text for one in chain.from_iterable(teacher.lessons(0, 33 * 3, 10**6))]
    assert set(Counter(order).values()) == {3}
    # Cut into steps of 10 it is the same order, 33 of them at a time, each epoch another one.
    steps = [
        Counter(one.passage.text for group in teacher.lessons(step, 10, 500) for one in group) for step in range(33)
    ]
    for epoch in range(10):
        whole = sum((steps[step] for step in range(-(-33 * epoch // 10), 33 * (epoch + 1) // 10)), Counter[str]())
        assert set(whole.values()) == {1}
    assert len({tuple(sorted(step)) for step in steps}) > 30


@pytest.mark.parametrize("most", [1, 60, 150, 10_000])
def test_groups_keep_to_the_budget_and_lose_nothing(read_only, bi_folder, most):
    for of in (read_only, toys.checkpoint(bi_folder)):
        teacher = toys.teacher([*toys.invented(40), toys.marked("ha " * 60)], of, ("person", "city", "boat"))
        groups = teacher.lessons(0, 41, most)
        assert sum(map(len, groups)) == 41
        for group in groups:
            made = lesson(0, group, teacher.maker, of.labels_tokenizer)
            assert len(group) == 1 or made.batch.pieces.numel() <= most
        assert len(groups) == {1: 41, 10_000: 1}.get(most, len(groups))


def gold_of(made, types) -> list[set[tuple[int, int, str]]]:
    """The gold of a lesson by row, types by name."""
    rows = [set[tuple[int, int, str]]() for _ in range(len(made.batch.pieces))]
    columns = (made.gold.row, made.gold.start, made.gold.stop, made.gold.label)
    for row, start, stop, label in zip(*(column.tolist() for column in columns), strict=True):
        rows[row].add((start, stop, types[row][label]))
    return rows


def expected(group) -> list[set[tuple[int, int, str]]]:
    return [{span for span in one.passage.gold if span[2] in one.types} for one in group]


def test_a_lesson_is_its_passages(read_only):
    teacher = toys.teacher(toys.invented(30), read_only, ("person", "city", "boat", "moon"))
    (group,) = teacher.lessons(0, 30, 10_000)
    made = lesson(5, group, teacher.maker)
    batch = made.batch
    assert (made.number, made.pieces) == (
        5,
        int((torch.arange(batch.pieces.shape[1]) < batch.piece_counts[:, None]).sum()),
    )
    assert gold_of(made, [one.types for one in group]) == expected(group)
    assert made.asked.tolist() == [[c < len(one.types) for c in range(made.asked.shape[1])] for one in group]
    assert torch.equal(made.asked, batch.label_at >= 0)
    assert batch.word_counts.tolist() == [one.passage.stop - one.passage.first for one in group]
    for row, one in enumerate(group):
        alone = teacher.maker.prompt(one.types).around(one.passage.pieces, one.passage.first, one.passage.stop)
        assert batch.pieces[row, : batch.piece_counts[row]].tolist() == alone.pieces.tolist()
        at = batch.label_at[row, : len(one.types)]
        assert (batch.pieces[row, at] == read_only.config.class_token_index).all()


def test_a_bi_encoders_rows_answer_for_their_own_types_only(bi_folder):
    of = toys.checkpoint(bi_folder)
    teacher = toys.teacher(toys.invented(30), of)
    group = list(chain.from_iterable(teacher.lessons(0, 30, 10_000)))[:6]
    group = [
        replace(one, types=types)
        for one, types in zip(group, [("city",), ("boat", "person"), ("moon", "city")] * 2, strict=True)
    ]
    made = lesson(0, group, teacher.maker, of.labels_tokenizer)
    types = ("city", "boat", "person", "moon")
    rows = [row[:count].tolist() for row, count in zip(made.label_pieces, made.label_counts, strict=True)]
    assert rows == [of.labels_tokenizer.encode(name).ids for name in types]
    assert made.asked.tolist() == [[name in one.types for name in types] for one in group]
    assert gold_of(made, [types] * 6) == expected(group)
    plain = PieceMaker(of).prompt(()).around(group[0].passage.pieces, group[0].passage.first, group[0].passage.stop)
    assert made.batch.pieces[0, : made.batch.piece_counts[0]].tolist() == plain.pieces.tolist()
