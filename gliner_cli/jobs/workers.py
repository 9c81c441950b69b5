"""Processes that share the work of a job and one copy of the weights.

The documents keep their order and, as chunks are never mixed, their scores. A worker that dies is replaced and its
chunk done again; a chunk that ends a second worker is tried document by document, and those that end a worker alone are
set aside: they get None for their entities.
"""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from multiprocessing import connection
from typing import Any

import torch
from torch import multiprocessing

from gliner_cli.checkpoint.folder import Checkpoint
from gliner_cli.errors import DeviceError, GlinerError
from gliner_cli.inference.counts import Counts
from gliner_cli.inference.extractor import Extractor
from gliner_cli.jobs.chunks import Chunk
from gliner_cli.jobs.job import threads
from gliner_cli.network.prepacked import refuse_emptied
from gliner_cli.options import Computing, Extraction
from gliner_cli.text.labels import Labels
from gliner_cli.types import Document, Entity

_READY = "ready"
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_AHEAD = 2  # chunks begun for each worker, so that none waits for the reader
_MOST_IN_A_ROW = 25  # deaths of workers without an answer in between: then it is not the documents
_MOST_DEATHS = 3  # of workers that did nothing yet, or of a chunk whose documents are harmless alone

Found = list[tuple[Entity, ...]]


class Workers:
    """`count` processes. Use as a context: they are gone behind it."""

    def __init__(self, extractor: Extractor, asked: Labels, extraction: Extraction, count: int, counts: Counts) -> None:
        computing = replace(extractor.computing, threads=threads(extractor.computing, count))
        refuse_emptied(extractor.checkpoint.network)
        try:
            extractor.checkpoint.network.share_memory()
        except RuntimeError as error:
            raise DeviceError(
                f"The weights cannot be shared among processes: {error}.",
                "In a container give it shared memory (docker run --shm-size 2g), or leave out --workers.",
            ) from error
        self._setup = (extractor.checkpoint, computing, asked, extraction)
        self._counts = counts
        self._idle: list[_Worker] = []
        self._busy: dict[connection.Connection, tuple[_Worker, _Task, Sequence[int]]] = {}
        self._count, self._in_a_row = count, 0

    def __enter__(self) -> Workers:
        self._idle = [_Worker(self._setup) for _ in range(self._count)]
        return self

    def __exit__(self, *_: object) -> None:
        for worker in [*self._idle, *(worker for worker, *_ in self._busy.values())]:
            worker.end()

    def extract(self, asked: Iterator[Chunk], more: Callable[[], bool] = lambda: True) -> Iterator[Chunk]:
        """The chunks with their entities, in their order. Raises what a worker raised, and DeviceError if they die.

        `more` says whether another chunk would come at once; where it does not, those that are begun go first.
        """
        begun: deque[_Task] = deque()
        ended = False
        while begun or not ended:
            while not ended and len(begun) < _AHEAD * self._count and (not begun or more()):
                chunk = next(asked, None)
                ended = chunk is None
                if chunk is not None:
                    begun.append(_Task(chunk))
            self._deal(begun)
            if self._busy and begun and not begun[0].done:
                for ready in connection.wait(list(self._busy)):
                    self._hear(ready)  # type: ignore[arg-type]
            while begun and begun[0].done:
                yield begun.popleft().answer()

    def _deal(self, begun: deque[_Task]) -> None:
        for task in begun:
            while task.units and self._idle:
                worker, unit = self._idle.pop(), task.units.popleft()
                self._busy[worker.pipe] = worker, task, unit
                worker.ask([task.chunk.documents[place] for place in unit])

    def _hear(self, pipe: connection.Connection) -> None:
        worker, task, unit = self._busy.pop(pipe)
        try:
            answer = pipe.recv()
        except (EOFError, OSError):
            self._replace(worker, task, unit)
            return
        if answer == _READY:
            worker.ready = True
            self._busy[pipe] = worker, task, unit
            return
        self._idle.append(worker)
        if isinstance(answer, GlinerError):
            raise answer
        found, counts = answer
        self._in_a_row = 0
        self._counts.add(counts)
        task.answered(unit, found)

    def _replace(self, dead: _Worker, task: _Task, unit: Sequence[int]) -> None:
        """One that died before it was ready did not die of its documents."""
        dead.end()
        self._in_a_row += 1
        if dead.ready:
            task.died(unit)
        else:
            task.units.appendleft(unit)
        if self._in_a_row > (_MOST_IN_A_ROW if dead.ready else _MOST_DEATHS * self._count):
            when = "at one document after the other" if dead.ready else "before they begin"
            raise DeviceError(
                f"The processes of --workers end {when} (exit code {dead.process.exitcode}).",
                "Is there memory for them? Try fewer: --workers 1, or none.",
            )
        self._idle.append(_Worker(self._setup))


@dataclass
class _Task:
    """A chunk under way. `units` are the places of documents that are to go through together."""

    chunk: Chunk
    units: deque[Sequence[int]] = field(default_factory=deque)
    entities: list[tuple[Entity, ...] | None] = field(default_factory=list)
    deaths: int = 0
    done: bool = False
    _alone: set[int] = field(default_factory=set)  # documents that are still to be tried alone
    _left: list[int] = field(default_factory=list)  # those that have ended no worker

    def __post_init__(self) -> None:
        self._left = list(range(len(self.chunk.documents)))
        self.entities = [None] * len(self._left)
        if self._left:
            self.units.append(self._left)
        self.done = not self._left

    def answered(self, unit: Sequence[int], found: Found) -> None:
        """A unit went well. Of documents tried alone only that is kept: they are done again with the others."""
        if self._alone:
            self._tried(unit[0])
            return
        for place, entities in zip(unit, found, strict=True):
            self.entities[place] = entities
        self.done = True

    def died(self, unit: Sequence[int]) -> None:
        """A unit ended its worker."""
        if self._alone:
            self._left.remove(unit[0])
            self._tried(unit[0])
            self.done = not (self._alone or self._left)
            return
        self.deaths += 1
        if self.deaths > _MOST_DEATHS:
            raise DeviceError(
                f"The processes of --workers end at {self.chunk.documents[0].id} and what follows, but at none alone.",
                "Is there memory for so many at once? Try fewer: --workers 1, or --batch-tokens 1024.",
            )
        if self.deaths < 2:
            self.units.append(self._left)
        else:
            self._alone = set(self._left)
            self.units.extend([place] for place in self._left)

    def _tried(self, place: int) -> None:
        self._alone.discard(place)
        if self._left and not self._alone:
            self.units.append(list(self._left))

    def answer(self) -> Chunk:
        """The chunk with its entities."""
        return replace(self.chunk, entities=self.entities)


class _Worker:
    """A process and the pipe to it. `ready` once it has loaded what it needs."""

    def __init__(self, setup: tuple[Any, ...]) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=_work, args=(other, *setup), daemon=True)
        with _deaf():
            self.process.start()
        other.close()
        self.ready = False

    def ask(self, documents: list[Document]) -> None:
        """Send work; that it is dead shows when its answer is read."""
        with suppress(OSError):
            self.pipe.send([replace(document, meta={}) for document in documents])

    def end(self) -> None:
        """Make it be gone."""
        self.pipe.close()
        self.process.kill()
        self.process.join()


@contextmanager
def _deaf() -> Iterator[None]:
    """Signals go to all processes of a terminal or a service; the first one decides. A child that is born in here hears
    none of them, not even while it imports.
    """
    before = {number: signal.signal(number, signal.SIG_IGN) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _work(
    pipe: connection.Connection, checkpoint: Checkpoint, computing: Computing, asked: Labels, extraction: Extraction
) -> None:
    """The life of a worker: documents in, their entities out, until nobody is there any more."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    torch.set_num_threads(computing.threads or 1)
    extractor = Extractor(checkpoint, computing)
    plan = extractor.plan(asked, extraction)
    pipe.send(_READY)
    while True:
        try:
            documents = pipe.recv()
        except EOFError:
            return
        counts = Counts()
        try:
            found: Any = [document.entities for document in extractor.run(plan, documents, counts)], counts
        except GlinerError as error:
            found = error
        pipe.send(found)
