"""What is said of training data: each remark with its place and an example; and what is chosen by its size."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from gliner_cli.options import Learning
from gliner_cli.training.judging import judgement
from gliner_cli.training.passages import Remark
from gliner_cli.training.settings import chosen
from gliner_cli.types import Document, Entity
from tests.training import toys


def at(place: str, text: str, *spans: tuple[int, int, str]) -> Document:
    return Document(
        text, place, place.partition(":")[0], tuple(Entity(s, e, label, text[s:e]) for s, e, label in spans)
    )


def remarks(train, dev=(), few=False) -> list[Remark]:
    found = judgement(train, dev, [], []).remarks
    return [one for one in found if few or not one.what.startswith("fewer than")]


PORTO = at("f:1", "Porto", (0, 5, "city"))


@pytest.mark.parametrize(
    ("train", "dev", "expected"),
    [
        ([PORTO, at("f:2", "Porto", (0, 5, "city"))], [], Remark("the same text again", "f:2", "first at f:1")),
        ([PORTO, at("f:2", "Porto")], [], Remark("the same text with other entities", "f:2", "first at f:1")),
        ([PORTO], [at("f:7", "Porto")], Remark("in the training and the dev data", "f:7", "also f:1")),
        (
            [at("f:3", "Lake Tarn", (0, 9, "lake"), (5, 9, "name"))],
            [],
            Remark(
                "entities that overlap (only one of them can be found without --nested)",
                "f:3",
                "'Lake Tarn' as lake, 'Tarn' as name",
            ),
        ),
        (
            [at("f:3", "Tarn", (0, 4, "lake"), (0, 4, "name"))],
            [],
            Remark("several labels on the same words", "f:3", "'Tarn' as lake, 'Tarn' as name"),
        ),
        (
            [at("f:3", "Tarn", (0, 4, "lake"), (0, 4, "lake"))],
            [],
            Remark("the same entity twice", "f:3", "'Tarn' as lake, 'Tarn' as lake"),
        ),
        (
            [PORTO, at("f:2", "Rain Graz", (5, 9, "City"))],
            [],
            Remark("labels that differ only in spelling", "labels", "'city', 'City'"),
        ),
    ],
)
def test_each_remark_has_its_place_and_an_example(train, dev, expected):
    assert remarks(train, dev) == [expected]


def test_labels_that_are_only_in_the_dev_data_are_said():
    assert remarks([PORTO], [at("f:2", "Rain", (0, 4, "weather"))]) == [
        Remark("in the dev data only", "labels", "weather")
    ]


def test_labels_of_train_and_dev_can_differ_in_spelling():
    found = remarks([at("f:2", "Graz", (0, 4, "big city"))], [at("d:1", "Genoa", (0, 5, "big_city"))])
    assert Remark("labels that differ only in spelling", "labels", "'big city', 'big_city'") in found


def test_a_document_with_a_name_of_its_own_is_found_in_its_file():
    one, other = (replace(PORTO, id=name, source="f.jsonl") for name in ("first", "second"))
    assert remarks([one, other]) == [Remark("the same text again", "f.jsonl: second", "first at f.jsonl: first")]


def test_good_data_has_no_remarks():
    train = [at(f"f:{n}", f"Porto {n}", (0, 5, "city")) for n in range(10)]
    assert remarks(train, [at("d", "Graz", (0, 4, "city"))], few=True) == []
    assert remarks(train[:9], few=True) == [Remark("fewer than 10 examples", "labels", "city: 9")]


def test_every_pair_that_overlaps_is_remarked():
    train = [at("f:1", "Old Lake Tarn Inn", (0, 17, "inn"), (4, 8, "noun"), (9, 13, "name"))]
    assert len(remarks(train)) == 2


def test_the_counts(read_only):
    train = toys.invented(20)
    passages, made = toys.cut(train, read_only)
    judged = judgement(train, [], passages, [Remark("odd", "f:1", "x"), *made])
    labels = [e.label for document in train for e in document.entities]
    assert (judged.documents, judged.passages) == (20, len(passages))
    assert judged.labels == {label: labels.count(label) for label in labels}
    assert list(judged.labels.values()) == sorted(judged.labels.values(), reverse=True)
    assert judged.by_kind["odd"] == [Remark("odd", "f:1", "x")]


# --- Settings -------------------------------------------------------------------------------------------------------

CPU = torch.device("cpu")


def test_what_is_given_is_kept():
    given = Learning(
        steps=7, batch=3, encoder_rate=0.0, head_rate=0.5, number_format="bf16", micro_tokens=100, positive_weight=0.0
    )
    assert chosen(given, 1000, 10**7, True, CPU) == given


def test_nothing_is_left_open():
    for passages in (0, 1, 50, 5_000, 10**6):
        for encoder in (10**6, 10**8, 10**9):
            made = chosen(Learning(), passages, encoder, False, CPU)
            assert None not in (made.steps, made.batch, made.encoder_rate, made.head_rate)
            assert None not in (made.micro_tokens, made.positive_weight)
            assert made.number_format in ("fp32", "bf16")
            assert made.head_rate > made.encoder_rate > 0
            names = ("steps", "batch", "encoder_rate", "head_rate", "micro_tokens", "positive_weight")
            open_again = dict.fromkeys(names)
            assert replace(made, **open_again, number_format="auto") == Learning()


def test_more_data_is_seen_less_often_and_in_larger_batches():
    made = [chosen(Learning(), passages, 10**7, False, CPU) for passages in (50, 200, 1000, 10_000, 10**6)]
    rounds = [
        one.steps * one.batch / passages for one, passages in zip(made, (50, 200, 1000, 10_000, 10**6), strict=True)
    ]
    assert all(one.batch <= other.batch and one.steps < other.steps for one, other in pairwise(made))
    assert all(one > other for one, other in pairwise(rounds))
    assert rounds[-1] >= 2
    assert round(8 * chosen(Learning(), 100, 10**7, False, CPU).steps / 100) == 30
    assert round(rounds[-2]) == 3


def test_a_gpu_computes_more_at_once():
    given = Learning(number_format="fp32")
    made = [chosen(given, 500, 10**7, False, torch.device(kind)) for kind in ("cpu", "cuda")]
    assert [one.micro_tokens for one in made] == [2048, 6144]


def test_larger_encoders_learn_slower_and_new_heads_longer():
    rates = [chosen(Learning(), 500, encoder, False, CPU).encoder_rate for encoder in (2 * 10**7, 10**8, 4 * 10**8)]
    assert rates == sorted(rates, reverse=True)
    old, new = (chosen(Learning(), 500, 10**7, fresh, CPU) for fresh in (False, True))
    assert new.steps > old.steps
    assert (new.positive_weight, old.positive_weight) == (10, 3)
    assert new.encoder_rate > old.encoder_rate
