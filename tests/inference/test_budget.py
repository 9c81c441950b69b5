"""How much is computed at once: by the network's width, and less where memory ends."""

import weakref

import pytest
import torch
import typer
from typer.testing import CliRunner

from gliner_cli.checkpoint.cache import located
from gliner_cli.checkpoint.folder import load
from gliner_cli.cli.flags import expanded
from gliner_cli.errors import DeviceError
from gliner_cli.inference.batching import Budget, Row, batches, pieces_at_once, widest
from gliner_cli.inference.counts import Counts
from gliner_cli.inference.extractor import Extractor
from gliner_cli.options import Computing, Extraction, size_or_auto
from gliner_cli.text.labels import labels
from gliner_cli.types import Document
from tests import tiny

DOCUMENTS = [Document(text, id=str(i)) for i, text in enumerate(tiny.TEXTS * 3)]


@pytest.fixture(scope="module")
def extractor(tmp_path_factory):
    return Extractor(load(located(str(tiny.checkpoint_folder(tmp_path_factory.mktemp("c"), "bert")))))


class Small:
    """A GPU whose memory ends at so many pieces; it notes what it computed, and how often it could not."""

    device = torch.device("cuda")

    def __init__(self, backend, most):
        self.backend, self.most = backend, most
        self.done, self.failed = [], 0

    def logits(self, batch):
        if batch.pieces.numel() > self.most:
            self.failed += 1
            raise torch.OutOfMemoryError("no memory")
        self.done += [tuple(row[:count].tolist()) for row, count in zip(batch.pieces, batch.piece_counts, strict=True)]
        return self.backend.logits(batch)


def on(extractor, backend, asked=tiny.LABELS, documents=DOCUMENTS):
    plan = extractor.plan(labels(asked), Extraction())
    whole, extractor.backend = extractor.backend, backend
    try:
        return list(extractor.run(plan, documents))
    finally:
        extractor.backend = whole


def places(documents):
    return [(d.id, [(e.start, e.end, e.label) for e in d.entities]) for d in documents]


@pytest.mark.parametrize("most", [60, 200, 500])
@pytest.mark.parametrize("asked", [tiny.LABELS, [f"{name} {i}" for i in range(7) for name in tiny.LABELS]])
def test_out_of_memory_goes_on_with_smaller_batches(extractor, most, asked):
    expected = list(extractor.extract(DOCUMENTS, asked))
    longest = max(len(row) for row in _rows(extractor, asked))
    small = Small(extractor.backend, max(most, longest))
    assert places(on(extractor, small, asked)) == places(expected)
    assert small.failed > 0
    assert sorted(small.done) == sorted(_rows(extractor, asked)), "each row once"


def _rows(extractor, asked):
    all_of_them = Small(extractor.backend, 10**9)
    on(extractor, all_of_them, asked)
    return all_of_them.done


def test_what_was_learned_of_memory_is_kept(extractor):
    """Of a stream's two flights the second, which would not have fitted either, does not fail again."""
    first, both = Small(extractor.backend, 400), Small(extractor.backend, 400)
    on(extractor, first, documents=iter(DOCUMENTS[:16]))
    found = on(extractor, both, documents=iter(DOCUMENTS))
    assert places(found) == places(extractor.extract(DOCUMENTS, tiny.LABELS))
    assert both.failed == first.failed > 0
    rest = Small(extractor.backend, 400)
    on(extractor, rest, documents=DOCUMENTS[16:])
    assert rest.failed > 0


def test_a_row_that_does_not_fit_says_what_to_type(extractor):
    with pytest.raises(DeviceError, match=r"single row of \d+ pieces") as error:
        on(extractor, Small(extractor.backend, 10))
    assert "--window" in error.value.hint


def test_other_errors_are_not_taken_for_lack_of_memory(extractor):
    class Broken(Small):
        def logits(self, batch):
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        on(extractor, Broken(extractor.backend, 0))


def test_logits_that_there_was_room_for_are_gone_before_the_next_try(extractor, monkeypatch):
    class Remembering(Small):
        made, left = None, 0

        def logits(self, batch):
            self.left += self.failed == 1 and self.made() is not None
            logits = super().logits(batch)
            self.made = weakref.ref(logits)
            return logits

    backend, head = Remembering(extractor.backend, 10**9), extractor.checkpoint.network.head
    propose = head.propose

    def first_failing(logits, thresholds):
        if not backend.failed:
            backend.failed += 1
            raise torch.OutOfMemoryError("no memory")
        backend.failed += 1
        return propose(logits, thresholds)

    expected = places(extractor.extract(DOCUMENTS, tiny.LABELS))
    monkeypatch.setattr(head, "propose", first_failing)
    assert places(on(extractor, backend)) == expected
    assert backend.failed > 1
    assert backend.left == 0


def test_the_longest_come_first(extractor):
    prompt = extractor.plan(labels(tiny.LABELS), Extraction()).prompts[0][1]
    pieces = extractor.pieces(DOCUMENTS[1], Extraction())
    rows = [Row(i, i % 2, prompt.around(pieces, 0, 1 + i % 7)) for i in range(30)]
    most = 2 * max(len(row.encoded) for row in rows) + 1
    made = list(batches(rows, most))
    lengths = [(row.prompt, -len(row.encoded)) for batch in made for row in batch]
    assert lengths == sorted(lengths)
    assert len(lengths) == len(rows)
    for batch in made:
        assert len({row.prompt for row in batch}) == 1
        assert len(batch) == 1 or len(batch) * len(batch[0].encoded) <= most


def test_halving(extractor):
    plan = extractor.plan(labels(tiny.LABELS), Extraction())
    pieces = extractor.pieces(DOCUMENTS[1], Extraction())
    rows = [Row(i, 0, plan.prompts[0][1].around(pieces, 0, 5 + i)) for i in range(8)]
    budget = Budget(100_000)
    for expected in (2, 4, 8):
        (failed, *_) = batches(rows, budget.pieces)
        budget.halve(failed)
        assert len(list(batches(rows, budget.pieces))) >= expected
    assert Budget(100).pieces == 100


def test_the_budget_by_width(extractor):
    cpu = torch.device("cpu")
    config = extractor.checkpoint.config
    assert widest(config, 5) == 48 == config.backbone["intermediate_size"]
    assert widest(config, 1000) == 1000 * config.max_width
    assert pieces_at_once(cpu, 1536) == 672
    assert pieces_at_once(cpu, 1 << 30) < pieces_at_once(cpu, 1800) < pieces_at_once(cpu, 1536) < pieces_at_once(cpu, 1)
    many = [f"label {i}" for i in range(25)]
    assert extractor.plan(labels(many), Extraction()).batch_pieces == pieces_at_once(cpu, widest(config, 25))


def test_a_given_budget_is_taken(extractor):
    extractor.computing = Computing(batch_tokens=77)
    assert extractor.plan(labels(tiny.LABELS), Extraction()).batch_pieces == 77
    extractor.computing = Computing()
    assert size_or_auto("auto") is None
    assert size_or_auto("77") == 77
    for wrong in ("0", "-1", "many", ""):
        with pytest.raises(ValueError, match="neither auto"):
            size_or_auto(wrong)


def test_how_a_budget_is_typed():
    app, got = typer.Typer(), []

    @app.command()
    @expanded
    def extract(computing: Computing) -> None:
        got.append(computing.batch_tokens)

    def run(*typed):
        return CliRunner().invoke(app, typed, env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"})

    for typed in ([], ["--batch-tokens", "auto"], ["--batch-tokens", "77"]):
        assert run(*typed).exit_code == 0
    assert got == [None, None, 77]
    wrong = run("--batch-tokens", "many")
    assert wrong.exit_code == 2
    assert "Invalid value for '--batch-tokens': 'many' is neither auto nor" in wrong.output
    (line,) = (line for line in run("--help").output.splitlines() if "--batch-tokens" in line)
    assert "auto|N" in line
    assert "default: (auto)" in line


def test_what_torch_keeps_for_the_next_tensor_is_free(monkeypatch):
    """A budget is asked for at each call; what the call before left in torch's cache must not make it smaller."""
    device, allocated = torch.device("cuda"), 1 << 30
    found = []
    for cached in (0, 1 << 30, 5 << 30):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _, cached=cached: ((6 << 30) - cached, 8 << 30))
        monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _, cached=cached: allocated + cached)
        monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: allocated)
        found.append(pieces_at_once(device, 4096))
    assert found == [(3 << 30) // (4 * 4096 * 8)] * 3


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_the_budget_by_free_memory():
    assert pieces_at_once(torch.device("cuda"), 1 << 24) < pieces_at_once(torch.device("cuda"), 1536)


def test_a_consumer_that_stops_early_reads_no_further(extractor):
    read = []

    def endless():
        while True:
            read.append(1)
            yield DOCUMENTS[len(read) % len(DOCUMENTS)]

    counts = Counts()
    stream = extractor.extract(endless(), tiny.LABELS, counts=counts)
    assert next(stream).entities is not None
    assert len(read) <= 17, "the first result of an endless stream comes at once"
    stream.close()
    assert len(read) == counts.documents
