"""The clock: who is timed when, what becomes of the numbers, and what a process of its own takes."""

from __future__ import annotations

import math
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from gliner_cli.checkpoint.cache import located
from gliner_cli.checkpoint.folder import load
from gliner_cli.errors import InputError
from gliner_cli.evaluation import growth, machine, measure, ours
from gliner_cli.evaluation.measure import Task
from gliner_cli.evaluation.suites import from_documents
from gliner_cli.evaluation.systems import Ours
from gliner_cli.inference.extractor import Extractor
from gliner_cli.options import Extraction
from gliner_cli.text.labels import labels
from gliner_cli.text.words import words
from gliner_cli.types import Document, Entity
from tests import tiny
from tests.evaluation import fakes
from tests.evaluation.fakes import Fake

GOLD = fakes.gold()
TASK = Task("concerts", GOLD.documents, GOLD.labels)


class Slow(Fake):
    """Takes its time, the first time even more."""

    def extract(self, documents, labels):
        time.sleep(0.05 if self.calls else 0.3)
        return super().extract(documents, labels)


class Distant(Fake):
    """Has a clock of its own, by which every call takes 3 seconds, 2 of them computing."""

    def usage(self):
        return {"seconds": 3.0 * len(self.calls), "cpu_seconds": 2.0 * len(self.calls)}


def test_systems_take_turns_and_warm_up_is_not_timed():
    calls: list[tuple[str, int]] = []
    a, b = Slow("a", calls=calls), Slow("b", calls=calls)
    done = measure.laps([a, b], [TASK, TASK], repeat=3, warm_up=1)
    assert [name for name, _ in calls] == ["a", "a", "b", "b"] * 4
    assert {name: np.shape(seconds) for name, seconds in done.seconds.items()} == {"a": (3, 2), "b": (3, 2)}
    assert all(0.05 <= seconds < 0.3 for run in done.seconds["a"] for seconds in run)
    assert done.runs("a") == [sum(run) for run in done.seconds["a"]]


def test_the_harness_is_what_is_not_in_the_systems():
    done = measure.laps([Slow("a"), Slow("b")], [TASK], repeat=3, warm_up=1)
    assert 0 <= done.harness < 0.03
    assert done.whole >= sum(done.runs("a")) + sum(done.runs("b"))
    half = measure.Laps({"a": [[1.0], [2.0]], "b": [[1.0], [1.0]]}, whole=10.0)
    assert half.harness == 0.5


def test_a_system_elsewhere_is_timed_by_its_own_clock():
    done = measure.laps([Distant("far")], [TASK, TASK], repeat=2, warm_up=1)
    assert done.seconds["far"] == [[3.0, 3.0], [3.0, 3.0]]
    assert done.cpu["far"] == [4.0, 4.0]
    assert measure.latencies([Distant("far")], [TASK])["far"] == [3.0] * len(GOLD.documents)


def test_ratios_are_of_the_same_turn():
    done = measure.Laps({"a": [[1.0], [2.0], [4.0]], "b": [[3.0], [4.0], [20.0]]})
    ratio = measure.ratio(done, "a", "b")
    assert ratio == {"system": "a", "against": "b", "median": 3, "low": 2.5, "high": 4, "runs": [3, 2, 5]}


def test_of_many_numbers_few():
    assert measure.spread([4, 1, 3, 2, 5]) == {"median": 3, "low": 2, "high": 4, "runs": [4, 1, 3, 2, 5]}
    seconds = [number / 100 for number in range(1, 101)]
    assert measure.percentiles(seconds[::-1]) == {"p50": 0.5, "p95": 0.95, "p99": 0.99, "documents": 100}
    assert measure.percentiles([2.0]) == {"p50": 2, "p95": 2, "p99": 2, "documents": 1}


def test_speeds_add_up():
    done = measure.Laps({"a": [[1.0, 1.0], [2.0, 2.0], [3.0, 1.0]]}, {"a": [1.0, 1.0, 1.0]})
    other = Task("more", GOLD.documents * 2, GOLD.labels)
    said = measure.speed(done, "a", [TASK, other])
    count = sum(len(one.text.split()) for one in GOLD.documents)
    assert TASK.words == count
    assert (said["words"], said["documents"], said["seconds"]["median"]) == (3 * count, 12, 4)
    assert said["words_per_second"]["runs"] == [3 * count / 2, 3 * count / 4, 3 * count / 4]
    assert said["by_set"]["more"]["documents_per_second"]["median"] == 8


def test_agreement_is_by_place_and_label():
    a, b = Entity(0, 3, "x", "Ada", 0.9), Entity(4, 5, "y", "B", 0.5)
    far = Entity(0, 3, "z", "Ada", 0.9)
    one, other = [Document("Ada B", entities=(a, b))], [Document("Ada B", entities=(far, Entity(4, 5, "y", "B", 0.25)))]
    assert measure.agreement(one, other) == {
        "equal": 1, "only_ours": 1, "only_theirs": 1, "largest_score_difference": 0.25,
    }  # fmt: skip
    nameless = [Document("Ada B", entities=(Entity(4, 5, "y", "B"),))]
    assert measure.agreement(one, nameless)["largest_score_difference"] is None


# --- A process of its own ------------------------------------------------------------------------------------------


@pytest.fixture
def importable(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[2]))


def test_a_process_of_its_own_tells_memory_apart(importable):
    lean, fat = (measure.fresh(partial(fakes.hungry, size), [TASK]) for size in (1, 301))
    assert 0 < lean["loaded"] <= lean["first"]
    assert 250e6 < fat["memory"] - lean["memory"] < 350e6
    assert lean["gpu_memory"] is None or lean["gpu_memory"] == 0


def test_what_fails_in_a_process_of_its_own_is_said(importable):
    with pytest.raises(InputError, match="The strings are off"):
        measure.fresh(fakes.broken, [TASK])


def test_the_card_says_where_this_was():
    card = machine.card("gliner bench")
    assert card["command"] == "gliner bench"
    assert card["cores"] >= 1
    assert card["versions"].keys() >= {"gliner-cli", "torch", "tokenizers"}
    assert card["memory"] is None or card["memory"] > machine.peak_memory() > 10e6
    assert machine.matmul_speed(size=64, seconds=0.01) > 1e6


# --- How cost grows ------------------------------------------------------------------------------------------------


def test_axes_of_a_sweep():
    assert growth.axes("labels=1,25  words=32") == {"labels": [1, 25], "words": [32]}
    for wrong in ("", "labels", "labels=", "labels=0", "labels=1,x", "depth=3", "words=1.5"):
        with pytest.raises(InputError, match="--sweep"):
            growth.axes(wrong)


@pytest.mark.parametrize("length", [1, 7, 300, 5000])
def test_documents_have_exactly_so_many_words(length):
    texts = [one.text for one in GOLD.documents] + ["她在 Tallinn 唱歌。"]
    made = growth.cut(texts, length)
    assert {len(words(one.text)) for one in made} == {length}
    assert len(made) * length >= min(2048, length)


def test_there_are_always_enough_labels():
    assert growth.enough(["a", "b"], 5) == ["a", "b", "a 2", "b 2", "a 3"]
    assert growth.enough(["a", "b"], 1) == ["a"]


def test_growth_has_a_row_for_each_value_and_system():
    a, b = Slow("a"), Fake("b")
    asked = {"labels": [1, 3], "batch-tokens": [8]}
    rows = list(growth.growth([a, b], [TASK], asked, lambda one, size: a if one is a else None, 2, 0))
    assert [(row["axis"], row["value"], row["system"]) for row in rows] == [
        ("labels", 1, "a"), ("labels", 1, "b"), ("labels", 3, "a"), ("labels", 3, "b"), ("batch-tokens", 8, "a"),
    ]  # fmt: skip
    assert all(math.isclose(row["document"], row["seconds"]["median"] / row["documents"]) for row in rows)


# --- What can be told of ours --------------------------------------------------------------------------------------

_SPAN = {"span_mode": "markerV0"}
_TOKEN = {"span_mode": "token_level"}


def system(folder: Path, threshold: float, fields=_SPAN) -> Ours:
    extractor = Extractor(load(located(str(tiny.checkpoint_folder(folder, **fields)))))
    return Ours(extractor, Extraction(threshold=threshold))


def marked_up(one: Ours):
    """A gold set of what the system itself finds at a low threshold, with other labels than it asks."""
    texts = [Document(text, id=str(number)) for number, text in enumerate(tiny.TEXTS)]
    return from_documents("tiny", one.at(0.2).extract(texts, labels(tiny.LABELS)), labels(tiny.LABELS))


def places(documents):
    return [[(e.start, e.end, e.label, e.score) for e in one.entities] for one in documents]


@pytest.mark.parametrize("threshold", [0.3, 0.4, 0.5])
def test_one_run_at_a_low_threshold_tells_what_others_find(tmp_path, threshold):
    one = system(tmp_path, threshold)
    gold = marked_up(one)
    answer = ours.answered(one, gold)
    assert answer.floor is not None
    assert sum(map(len, places(answer.wide))) > sum(map(len, places(answer.found))) > 0
    assert places(answer.found) == places(one.extract(gold.documents, gold.labels))


@pytest.mark.parametrize("own", [True, False], ids=["own thresholds", "token head"])
def test_where_one_run_does_not_tell_it_is_not_asked_to(tmp_path, own):
    one = system(tmp_path, 0.5, _SPAN if own else _TOKEN)
    gold = marked_up(one)
    asked = labels(dict.fromkeys(tiny.LABELS, None) | ({"person": 0.8} if own else {}))
    answer = ours.answered(one, from_documents("tiny", gold.documents, asked))
    assert answer.floor is None
    assert places(answer.found) == places(one.extract(gold.documents, asked))


def test_nested_gold_is_looked_for_nested(tmp_path):
    one = system(tmp_path, 0.2)
    wide = Ours(one.extractor, Extraction(threshold=0.2, nested=True))
    texts = [Document(text) for text in tiny.TEXTS]
    gold = from_documents("tiny", wide.extract(texts, labels(tiny.LABELS)), labels(tiny.LABELS))
    assert gold.nested
    assert places(ours.answered(one, gold).found) == places(gold.documents)


def test_other_batches_same_answers(tmp_path):
    one = system(tmp_path, 0.3)
    texts = [Document(text) for text in tiny.TEXTS]
    small = ours.resized(one, 64)
    assert small is not None
    assert small.extractor.computing.batch_tokens == 64 != one.extractor.computing.batch_tokens
    found = [[place[:3] for place in row] for row in places(small.extract(texts, labels(tiny.LABELS)))]
    assert found == [[place[:3] for place in row] for row in places(one.extract(texts, labels(tiny.LABELS)))]
    assert ours.resized(Fake(), 64) is None


def test_operations_grow_with_the_work(tmp_path):
    one = system(tmp_path, 0.3)
    few = [Task("few", [Document(tiny.TEXTS[0])], labels(tiny.LABELS))]
    one.extract(few[0].documents, few[0].labels)  # what is computed once is not of the work
    told, more = ours.inside(one, few, 1.0), ours.inside(one, few * 3, 1.0)
    assert more["operations"] == 3 * told["operations"] > 10_000
    assert more["pieces"] == 3 * told["pieces"] > len(tiny.TEXTS[0].split())
    assert told["share_of_matmul"] == told["operations"] / told["matmul"]
    assert ours.inside(Fake(), few, 1.0) == {}
