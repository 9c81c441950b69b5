"""Batches side by side: the same answers, and nothing of it is left."""

import threading

import pytest
import torch

from gliner_cli.checkpoint.cache import located
from gliner_cli.checkpoint.folder import load
from gliner_cli.inference.extractor import Extractor
from gliner_cli.inference.lanes import Lanes
from gliner_cli.network.config import TOKEN_MODE
from gliner_cli.options import Computing, Extraction
from gliner_cli.text.labels import labels
from gliner_cli.types import Document
from tests import tiny

CPU = torch.device("cpu")
DOCUMENTS = [Document(text, id=str(i)) for i, text in enumerate(tiny.TEXTS * 5)]


@pytest.fixture(autouse=True)
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def alive():
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("gliner-lane")]


@pytest.mark.parametrize(
    ("threads", "count", "each"), [(1, 1, 1), (2, 2, 1), (8, 8, 1), (9, 4, 2), (12, 6, 2), (16, 8, 2), (64, 8, 8)]
)
def test_lanes_share_the_threads(threads, count, each):
    torch.set_num_threads(threads)
    lanes = Lanes(CPU)
    assert lanes.count == count
    assert Lanes(torch.device("cuda")).count == 1
    with lanes:
        assert set(lanes.computed(lambda _: torch.get_num_threads(), range(20))) == {each}
        assert torch.get_num_threads() == threads


def test_side_by_side_where_there_are_two_batches_for_each_lane():
    assert [Lanes(CPU).fit(batches) for batches in range(8)] == [False] * 6 + [True] * 2
    torch.set_num_threads(1)
    assert not Lanes(CPU).fit(1000)


def test_in_their_order_and_no_further_than_two_of_a_lane():
    begun, released = [], threading.Event()

    def given():
        for number in range(30):
            begun.append(number)
            yield number

    def compute(number):
        if number == 1:
            assert released.wait(10)
        return number

    with Lanes(CPU) as lanes:
        results = lanes.computed(compute, given())
        assert next(results) == 0
        assert len(begun) == 6
        released.set()
        assert list(results) == list(range(1, 30))


def test_a_thread_that_comes_later_has_all_of_torchs_threads():
    found = []
    with Lanes(CPU) as lanes:
        list(lanes.computed(abs, range(4)))
        later = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
        later.start()
        later.join()
    assert found == [3]


def test_an_error_of_a_lane_is_told_and_the_threads_are_gone():
    def compute(number):
        if number == 5:
            raise ArithmeticError("five")
        return number

    with pytest.raises(ArithmeticError, match="five"), Lanes(CPU) as lanes:
        assert not alive(), "nothing is started that is not needed"
        for _ in lanes.computed(compute, range(20)):
            assert len(alive()) == 3
    assert not alive()


KINDS = (
    {"backbone": "bert"},
    {"backbone": "deberta-v2"},
    {"backbone": "modernbert"},
    {"backbone": "bert", "span_mode": TOKEN_MODE},
    {"backbone": "bert", "labels_encoder": "bert"},
)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(kind.values()))
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_the_same_entities_side_by_side(tmp_path, kind, precision):
    checkpoint = load(located(str(tiny.checkpoint_folder(tmp_path, **kind))))
    computing = Computing(precision=precision, batch_tokens=60)

    def found(threads):
        torch.set_num_threads(threads)
        extractor, lanes = Extractor(checkpoint, computing), set()
        logits = extractor.backend.logits

        def noting(batch):
            lanes.add(threading.current_thread().name)
            return logits(batch)

        extractor.backend.logits = noting
        return list(extractor.extract(DOCUMENTS, tiny.LABELS, threshold=0.3)), lanes

    (alone, one), (together, lanes) = found(1), found(3)
    assert len(one) == 1
    assert len(lanes) == 3
    places = [[(e.start, e.end, e.label) for e in document.entities] for document in alone]
    assert sum(map(len, places)) > 20
    assert places == [[(e.start, e.end, e.label) for e in document.entities] for document in together]
    pairs = zip(alone, together, strict=True)
    scores = [(a.score, b.score) for x, y in pairs for a, b in zip(x.entities, y.entities, strict=True)]
    assert max(abs(a - b) for a, b in scores) < 1e-5


def test_threads_that_cannot_be_started_are_an_error(monkeypatch):
    start, started = threading.Thread.start, []

    def failing(thread):
        if started:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", failing)
    with pytest.raises(RuntimeError, match="can't start"), Lanes(CPU) as lanes:
        list(lanes.computed(abs, range(9)))
    assert not alive()
    assert torch.get_num_threads() == 3


def test_a_witness_sees_rows_in_which_nothing_is_near(tmp_path):
    class Seeing:
        least = 0.9999999
        rows = 0

        def saw(self, window, near, candidates):
            self.rows += 1

    extractor = Extractor(load(located(str(tiny.checkpoint_folder(tmp_path, "bert")))), Computing(batch_tokens=60))
    plan, witness = extractor.plan(labels(tiny.LABELS), Extraction(threshold=0.9999999)), Seeing()
    list(extractor.run(plan, DOCUMENTS, witness=witness))
    assert witness.rows == len(DOCUMENTS)


def test_who_stops_early_leaves_no_thread(tmp_path):
    extractor = Extractor(load(located(str(tiny.checkpoint_folder(tmp_path, "bert")))), Computing(batch_tokens=60))
    found = extractor.extract(DOCUMENTS, tiny.LABELS)
    next(found)
    assert alive()
    found.close()
    assert not alive()
