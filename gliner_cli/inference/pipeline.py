"""Documents to the same documents with entities: windows, rows, batches, candidates, and one settlement each.

Everything flows: at most `_IN_FLIGHT` rows are held at a time, however many documents or words there are. Documents
come out in the order they went in.

One thing after the other, but for the batches of a flight, which a CPU computes side by side (`lanes.py`): with the
starter all but the network is 3 % of the time. A thread that prepared the next flight meanwhile lost: 0.97 of the speed
(median of 7 pairs, 2 cores), and a ready result must not wait for a slow source.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from gliner_cli.inference.backend import Backend
from gliner_cli.inference.batching import Budget, Row, batches, padded
from gliner_cli.inference.counts import Counts
from gliner_cli.inference.lanes import Lanes
from gliner_cli.inference.prompt import Encoded, PieceMaker, Prompt, WordPieces
from gliner_cli.network.tensors import Candidates
from gliner_cli.options import Extraction
from gliner_cli.text.labels import Labels
from gliner_cli.text.spans import Spans, settled
from gliner_cli.text.windows import Window, sentences_within, windows
from gliner_cli.text.words import sentence_starts, words
from gliner_cli.types import Document, Entity, Words

# Rows gathered before batches are made of them: enough that batches hold rows of one length. It starts small, so that
# the first results of a long run, or of a slow stream, come at once.
_IN_FLIGHT = 512
_FIRST_FLIGHT = 16


class Head(Protocol):
    """The side of a head that reads logits."""

    def propose(self, logits: Tensor, thresholds: Tensor) -> Candidates:
        """The candidates in logits, given the threshold of each label (C,)."""


class Witness(Protocol):
    """Sees what comes near to being an entity: candidates above `least`, in place of the labels' thresholds."""

    least: float

    def saw(self, window: Window, near: Spans, candidates: Spans) -> None:
        """One row: its spans above `least`, and among them those that are candidates, owned by the window or not."""


@dataclass(frozen=True)
class Plan:
    """What is asked, each label with its threshold, and how documents are cut for it."""

    labels: Labels
    prompts: Sequence[tuple[Labels, Prompt]]
    label_vectors: Tensor | None
    options: Extraction
    most_words: int
    most_pieces: int
    overlap: int
    batch_pieces: int

    def thresholds(self, prompt: int) -> Tensor:
        """The threshold of each label of a prompt."""
        labels, _ = self.prompts[prompt]
        return torch.tensor(labels.thresholds, dtype=torch.float32)

    @property
    def label_offsets(self) -> list[int]:
        """The number, among all labels, of each prompt's first."""
        sizes = [len(part) for part, _ in self.prompts]
        return [sum(sizes[:i]) for i in range(len(sizes))]


@dataclass
class _Open:
    """A document some of whose windows are still under way."""

    document: Document
    words: Words
    spans: list[Spans] = field(default_factory=list)
    complete: bool = False


@dataclass(frozen=True)
class _Asked:
    """One row under way: a window of a document with one of the prompts. The last of a document completes it."""

    of: _Open
    window: Window
    prompt: int
    encoded: Encoded
    last: bool


def extracted(
    documents: Iterable[Document],
    plan: Plan,
    maker: PieceMaker,
    backend: Backend,
    head: Head,
    counts: Counts | None = None,
    witness: Witness | None = None,
) -> Iterator[Document]:
    """The documents with the entities that were found, in their order; entities they came with are replaced.

    A witness changes nothing.
    """
    opened: deque[_Open] = deque()
    counts = counts or Counts()
    asked = _rows(documents, plan, maker, opened, counts)
    soon = not isinstance(documents, Sequence)  # of a list nobody waits for the first result
    with Lanes(backend.device) as lanes:
        least = witness.least if witness else None
        network = _Network(plan, backend, head, least, Budget(plan.batch_pieces), lanes)
        for flight in _flights(asked, _FIRST_FLIGHT if soon else _IN_FLIGHT):
            _compute(flight, network, witness)
            while opened and opened[0].complete:
                yield _with_entities(opened.popleft(), plan)
    yield from (_with_entities(left, plan) for left in opened)


def _rows(
    documents: Iterable[Document], plan: Plan, maker: PieceMaker, opened: deque[_Open], counts: Counts
) -> Iterator[_Asked]:
    for number, document in enumerate(documents):
        cut = document.words or words(document.text, plan.options.words)
        of = _Open(document, cut, complete=not len(cut))
        opened.append(of)
        counts.documents += 1
        counts.words += len(cut)
        pieces = WordPieces(maker, document.text, cut)
        for window in _windows(number, document.text, cut, pieces, plan):
            counts.windows += 1
            for which, (_, prompt) in enumerate(plan.prompts):
                encoded = prompt.around(pieces, window.first, window.stop)
                last = window.stop == len(cut) and which == len(plan.prompts) - 1
                yield _Asked(of, window, which, encoded, last)


def _windows(number: int, text: str, cut: Words, pieces: WordPieces, plan: Plan) -> Iterator[Window]:
    def fits(first: int) -> int:
        return pieces.fits(first, plan.most_words, plan.most_pieces)

    if plan.options.window == "sentences":
        whole = sentences_within(sentence_starts(text, cut), len(cut), fits)
        return windows(number, len(cut), whole, plan.overlap)
    return windows(number, len(cut), fits, plan.overlap)


def _flights(asked: Iterator[_Asked], size: int) -> Iterator[list[_Asked]]:
    while flight := list(islice(asked, size)):
        yield flight
        size = min(2 * size, _IN_FLIGHT)


@dataclass(frozen=True)
class _Proposed:
    """What the head makes of a batch: its candidates, and those that a witness sees if there is one."""

    batch: Sequence[Row]
    candidates: Candidates
    near: Candidates | None


@dataclass(frozen=True)
class _Network:
    """Rows to what their head proposes, whatever room the device has. `least`: see `Witness`."""

    plan: Plan
    backend: Backend
    head: Head
    least: float | None
    budget: Budget
    lanes: Lanes

    def proposed(self, rows: Sequence[Row]) -> Iterator[_Proposed]:
        """The rows batch by batch; side by side, if there are enough of them."""
        waiting = deque(batches(rows, self.budget.pieces))
        if self.lanes.fit(len(waiting)):
            yield from self.lanes.computed(self._computed, waiting)
        else:
            yield from self._one_by_one(waiting)

    def _one_by_one(self, waiting: deque[list[Row]]) -> Iterator[_Proposed]:
        """What is proposed for each batch, in turn.

        One that does not fit into a CUDA device's memory is computed in smaller ones, as are all that come after it.
        (Other devices have no error of their own for it.)
        """
        while waiting:
            batch = waiting.popleft()
            done = self._tried(batch)
            if done is None:
                self.budget.halve(batch)
                waiting = deque(batches(chain(batch, *waiting), self.budget.pieces))
            else:
                yield done

    def _tried(self, batch: Sequence[Row]) -> _Proposed | None:
        """What is proposed; None where memory was not enough. (Logits that there was room for, and the error, which
        holds on to more, must be gone before the next try.)"""
        try:
            return self._computed(batch)
        except torch.OutOfMemoryError:
            return None

    def _computed(self, batch: Sequence[Row]) -> _Proposed:
        prompt = batch[0].prompt
        logits = self.backend.logits(padded([row.encoded for row in batch], self.plan.label_vectors))
        thresholds = self.plan.thresholds(prompt).to(logits.device)
        near = None if self.least is None else self.head.propose(logits, torch.full_like(thresholds, self.least))
        return _Proposed(batch, self.head.propose(logits, thresholds), near)


def _compute(flight: Sequence[_Asked], network: _Network, witness: Witness | None) -> None:
    """Run the rows of a flight and leave what they propose with their documents."""
    rows = [Row(place, asked.prompt, asked.encoded) for place, asked in enumerate(flight)]
    offsets = network.plan.label_offsets
    for proposed in network.proposed(rows):
        of_batch = [flight[row.place] for row in proposed.batch]
        first_label = offsets[proposed.batch[0].prompt]
        dealt = list(_dealt(proposed.candidates, of_batch, first_label))
        for one, spans in dealt:
            one.of.spans.append(spans[one.window.owns(spans.starts, spans.stops)])
        if witness and proposed.near is not None:
            for (one, spans), (_, wider) in zip(dealt, _dealt(proposed.near, of_batch, first_label), strict=True):
                witness.saw(one.window, wider, spans)
    for asked in flight:
        asked.of.complete |= asked.last


def _dealt(candidates: Candidates, asked: Sequence[_Asked], first_label: int) -> Iterator[tuple[_Asked, Spans]]:
    """Each row with its candidates, as spans of its document."""
    order = torch.argsort(candidates.row, stable=True)
    row, start, stop, label, score = (
        values[order].cpu().numpy()
        for values in (candidates.row, candidates.start, candidates.stop, candidates.label, candidates.score)
    )
    edges = np.searchsorted(row, np.arange(len(asked) + 1))
    for number, one in enumerate(asked):
        own = slice(edges[number], edges[number + 1])
        first = one.window.first
        yield one, Spans(start[own] + first, stop[own] + first, label[own] + first_label, score[own])


def _with_entities(done: _Open, plan: Plan) -> Document:
    spans = settled(Spans.joined(done.spans), plan.options.nested, plan.options.multi_label)
    found = zip(*(values.tolist() for values in (spans.starts, spans.stops, spans.labels, spans.scores)), strict=True)
    entities = (_entity(done, start, stop, plan.labels.names[label], score) for start, stop, label, score in found)
    return replace(done.document, entities=tuple(entities))


def _entity(done: _Open, start: int, stop: int, label: str, score: float) -> Entity:
    first, last = done.words.starts[start], done.words.ends[stop - 1]
    return Entity(first, last, label, done.document.text[first:last], score)
