"""How far a job is: documents, words, bytes of its sources, and how long the rest will take.

What a resumed job knew already is done, but says nothing about how fast it goes. Bytes count when the document that was
read from them goes through the network, not when the reader, which is ahead, has taken them.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gliner_cli.errors import GlinerError
from gliner_cli.formats.sources import Source
from gliner_cli.options import Job, Reading
from gliner_cli.types import Document

if TYPE_CHECKING:
    from gliner_cli.jobs.chunks import Chunk
    from gliner_cli.jobs.run import Run


@dataclass(frozen=True)
class Moment:
    """How far a job is at one moment. `seconds` are of computing alone; `size` is None where nobody knows it."""

    documents: int
    words: int
    seconds: float
    read: int
    known: int
    size: int | None
    share: float | None

    @property
    def speed(self) -> float:
        """Words a second."""
        return self.words / max(self.seconds, 1e-3)

    @property
    def left(self) -> float | None:
        """Seconds that the rest will take at the speed of what was computed."""
        if not self.size or self.read <= self.known:
            return None
        return (self.size - self.read) * self.seconds / (self.read - self.known)

    @property
    def facts(self) -> dict[str, Any]:
        """For programs."""
        left, share = self.left, self.share
        return {
            "documents": self.documents,
            "words": self.words,
            "words_per_second": round(self.speed, 1),
            "bytes": self.read,
            "of_bytes": self.size,
            "percent": None if share is None else round(100 * share, 1),
            "seconds_left": None if left is None else round(left, 1),
        }

    def __str__(self) -> str:
        parts = [f"{self.documents:,} documents"]
        if self.words:
            parts += [f"{self.words:,} words", f"{self.speed:,.0f} words/s"]
        if self.size:
            parts.append(f"{self.read / 1e6:,.1f} of {self.size / 1e6:,.1f} MB")
        if self.share is not None:
            parts.append(f"{self.share:.0%}")
        if self.left is not None:
            parts.append(f"{_clock(self.left)} left")
        return "  ".join(parts)


class Watch:
    """Sees documents read and chunks done; `now` may be called from another thread, and from one only."""

    def __init__(self, run: Run, job: Job, size: Callable[[], int | None], begun: Callable[[], float]) -> None:
        self._run, self._wanted, self._size = run, job.sample or job.limit, size
        self._clock = begun
        self._began = begun()
        self._source: Source | None = None
        self._before = 0  # bytes of the sources that are finished
        self._read: deque[tuple[int, int]] = deque()  # documents read so far, and the bytes they took
        self._numbered = self._out = self._known = 0
        self._at = self._known_at = 0
        self._total: int | None = None
        self._measured = False

    def source(self, source: Source) -> None:
        """A source begins: the one before has ended, whatever of it was read."""
        if self._source:
            self._before += self._source.size or 0
        self._source = source

    def documents(self, documents: Iterable[Document]) -> Iterator[Document]:
        """The documents as they are read."""
        for document in documents:
            self._numbered += 1
            self._read.append((self._numbered, self._position()))
            yield document

    def chunks(self, answered: Iterable[Chunk]) -> Iterator[Chunk]:
        """The chunks as they are done. Before anything was computed they come from a journal."""
        for chunk in answered:
            self._out += len(chunk.documents)
            if not self._run.counts.documents:
                self._known, self._began = self._out, self._clock()
            yield chunk

    def now(self) -> Moment:
        """This moment."""
        if not self._measured:
            self._total, self._measured = self._size(), True
        done = max(self._out, self._known + self._run.counts.documents)
        while self._read and self._read[0][0] <= done:
            number, self._at = self._read.popleft()
            if number <= self._known:
                self._known_at = self._at
        read = min(self._at, self._total) if self._total else self._at
        seconds = self._clock() - self._began
        words = self._run.counts.words
        return Moment(self._run.documents, words, seconds, read, self._known_at, self._total, self._share(read))

    def _share(self, read: int) -> float | None:
        by_bytes = read / self._total if self._total else None
        if not self._wanted:
            return by_bytes
        return min(1.0, max(self._run.documents / self._wanted, 0 if self._run.counts.documents else by_bytes or 0))

    def _position(self) -> int:
        source = self._source
        return self._before + (min(source.position, source.size or 0) if source else 0)


def watch(run: Run, job: Job, names: list[str], reading: Reading) -> Watch:
    """The watch over a job. How large its sources are is found out when that is first asked: folders may be deep."""
    return Watch(run, job, lambda: total(names, reading), time.perf_counter)


def total(names: list[str], reading: Reading) -> int | None:
    """The bytes of all sources; None if that is not known of one, as of a pipe."""
    from gliner_cli import formats

    sizes = 0
    with suppress(GlinerError):
        for source in formats.named(names, reading, lambda _: None):
            if source.size is None:
                return None
            sizes += source.size
    return sizes


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
