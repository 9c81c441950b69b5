"""One run of a job as it goes: how many documents, words and entities there were, and what failed."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from gliner_cli.errors import GlinerError, InputError
from gliner_cli.formats.jsonl import line
from gliner_cli.formats.sources import Problem
from gliner_cli.inference.counts import Counts
from gliner_cli.jobs.chunks import Chunk
from gliner_cli.jobs.record import now
from gliner_cli.types import Document

_MOST_FAILURES = 1000  # told in the record; all are counted


@dataclass
class Run:
    """`counts` are what was computed in this run; `documents` and `entities` also count what a journal knew."""

    problem: Problem
    counts: Counts = field(default_factory=Counts)
    documents: int = 0
    entities: Counter[str] = field(default_factory=Counter)
    failed_parts: int = 0
    failures: list[str] = field(default_factory=list)  # the first of them
    started: str = field(default_factory=now)
    _began: float = field(default_factory=time.perf_counter)

    def begin(self) -> None:
        """All is loaded: seconds count from now."""
        self._began = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.perf_counter() - self._began

    def failed(self, error: GlinerError) -> None:
        """Take note of what could not be read or done, and pass it on."""
        self.failed_parts += 1
        if len(self.failures) < _MOST_FAILURES:
            self.failures.append(error.message)
        self.problem(error)

    def done(self, answered: Iterable[Chunk]) -> Iterator[Document]:
        """The documents of chunks; those that could not be done are named."""
        for chunk in answered:
            for document, entities in zip(chunk.documents, chunk.entities, strict=True):
                if entities is None:
                    self.failed(_deadly(document))
                else:
                    self.documents += 1
                    self.entities.update(entity.label for entity in entities)
                    yield replace(document, entities=entities)

    def record(self, settings: Mapping[str, Any], command: list[str], state: str) -> dict[str, Any]:
        """The run as it is written beside its output; `state` is done, stopped or failed."""
        return {
            "state": state,
            "command": command,
            "started": self.started,
            "ended": now(),
            "seconds": round(self.seconds, 3),
            "documents": self.documents,
            "computed": asdict(self.counts),
            "entities": dict(self.entities.most_common()),
            "failed_parts": self.failed_parts,
            "failures": self.failures,
            "settings": settings,
        }


def _deadly(document: Document) -> InputError:
    error = InputError(
        f"{document.id} ended the process that computed it, twice; it is left out.",
        "Look at its text; try it alone with --window words=100",
    )
    return error.about(line(document), ".jsonl")
