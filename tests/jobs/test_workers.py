"""Several processes: the same documents, the same scores, and none lost when one dies."""

import multiprocessing
import os
import signal
from dataclasses import replace

import pytest
from torch import nn

from gliner_cli.checkpoint.folder import load
from gliner_cli.checkpoint.hub import located
from gliner_cli.errors import DeviceError
from gliner_cli.inference.counts import Counts
from gliner_cli.inference.extractor import Extractor
from gliner_cli.jobs.chunks import Chunk, chunks, one_by_one
from gliner_cli.jobs.workers import Workers, _Task
from gliner_cli.options import Computing, Extraction
from gliner_cli.text.labels import labels
from gliner_cli.types import Document
from tests import tiny

ASKED, LOW = labels(tiny.LABELS), Extraction(threshold=0.3)
DEADLY = "Rain . " * 60


class Deadly(nn.Module):
    """An encoder that ends its process, without a word, at a row that is too long for it; or always."""

    def __init__(self, encoder, longest):
        super().__init__()
        self.encoder, self.longest = encoder, longest

    def forward(self, pieces, counts, wanted):
        if counts.max() > self.longest:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.encoder(pieces, counts, wanted)


@pytest.fixture
def extractor(tmp_path):
    return Extractor(load(located(str(tiny.checkpoint_folder(tmp_path, "bert")))), Computing(threads=2))


def mixed(count):
    return [Document(f"{tiny.TEXTS[i % 7]} {i}", str(i)) for i in range(count)]  # the eighth is a long one


def answers(extractor, documents, count=2, counts=None):
    with Workers(extractor, ASKED, LOW, count, counts or Counts()) as workers:
        return [entities for chunk in workers.extract(chunks(documents)) for entities in chunk.entities]


def alone(extractor, documents):
    plan = extractor.plan(ASKED, LOW)
    extract = one_by_one(lambda given: extractor.run(plan, given))
    return [entities for chunk in extract(chunks(documents)) for entities in chunk.entities]


def test_workers_give_what_one_process_gives_in_its_order(extractor):
    counts = Counts()
    found = answers(extractor, mixed(300), counts=counts)
    one_thread = Extractor(extractor.checkpoint, Computing(threads=1))
    assert found == alone(one_thread, mixed(300))
    assert sum(map(len, found)) > 300
    assert counts.documents == 300
    assert not multiprocessing.active_children()


def test_a_worker_that_is_killed_is_replaced_and_nothing_is_lost(extractor):
    with Workers(extractor, ASKED, LOW, 2, Counts()) as workers:
        answered = workers.extract(chunks(mixed(200)))
        found = [*next(answered).entities]
        for child in multiprocessing.active_children():
            child.kill()
        found += [entities for chunk in answered for entities in chunk.entities]
    assert found == alone(Extractor(extractor.checkpoint, Computing(threads=1)), mixed(200))


def test_a_document_that_ends_its_worker_is_set_aside_and_the_others_are_done(extractor):
    documents = [*mixed(11), Document(DEADLY, "deadly"), *mixed(9)]
    expected = alone(Extractor(extractor.checkpoint, Computing(threads=1)), documents)
    network = extractor.checkpoint.network
    network.encoder = Deadly(network.encoder, 120)
    found = answers(extractor, documents)
    assert [place for place, entities in enumerate(found) if entities is None] == [11]
    kept = [[(e.start, e.end, e.label) for e in entities or ()] for entities in found]
    assert kept == [
        [] if place == 11 else [(e.start, e.end, e.label) for e in entities] for place, entities in enumerate(expected)
    ]


def test_workers_that_die_at_everything_end_the_job(extractor):
    network = extractor.checkpoint.network
    network.encoder = Deadly(network.encoder, 0)
    with pytest.raises(DeviceError, match="one document after the other"):
        answers(extractor, mixed(40), count=1)


@pytest.mark.parametrize("deaths", [0, 1])
def test_a_chunk_is_done_whole_after_one_death(deaths):
    task = _Task(Chunk(mixed(3)))
    for _ in range(deaths):
        task.died(task.units.popleft())
    unit = task.units.popleft()
    assert list(unit) == [0, 1, 2]
    task.answered(unit, [(), (), ()])
    assert task.done
    assert list(task.answer().entities) == [(), (), ()]


def test_a_chunk_whose_documents_are_harmless_alone_is_done_whole_again():
    task = _Task(Chunk(mixed(3)))
    for _ in range(2):
        task.died(task.units.popleft())
    for _ in range(3):
        task.answered(task.units.popleft(), [()])
    assert not task.done
    unit = task.units.popleft()
    assert list(unit) == [0, 1, 2]
    task.died(unit)
    task.answered(task.units.popleft() if task.units else unit, [(), (), ()])
    assert task.done or task.units


def test_a_chunk_that_goes_on_killing_ends_the_job():
    task = _Task(Chunk(mixed(2)))
    with pytest.raises(DeviceError, match="at none alone"):
        for _ in range(20):
            unit = task.units.popleft()
            if len(unit) == 1:
                task.answered(unit, [()])
            else:
                task.died(unit)


def test_all_documents_deadly():
    task = _Task(Chunk(mixed(2)))
    while task.units:
        task.died(task.units.popleft())
    assert list(replace(task.answer()).entities) == [None, None]
