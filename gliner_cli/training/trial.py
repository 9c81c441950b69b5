"""How good a network is on documents with known entities, in the middle of learning or at its end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from gliner_cli.checkpoint.folder import Checkpoint
from gliner_cli.evaluation.calibration import above
from gliner_cli.evaluation.scoring import tallies, total
from gliner_cli.inference.extractor import Extractor
from gliner_cli.options import UNTUNED, Computing
from gliner_cli.types import Document

# Candidates are kept down to this score, so that thresholds can be chosen without a second run.
LOW = 0.05


@dataclass(frozen=True)
class Trial:
    """Documents with gold entities, asked for `labels`; where there are none, each for its own types and those it
    says are absent."""

    documents: tuple[Document, ...]
    labels: tuple[str, ...] = ()

    def found(self, checkpoint: Checkpoint, computing: Computing, threshold: float | None = LOW) -> list[Document]:
        """What the network finds in them; with a threshold of None, at those that the checkpoint was tuned to."""
        extractor = Extractor(checkpoint, computing)
        if self.labels:
            return list(extractor.extract(self.documents, self.labels, threshold=threshold))
        rows = [(document, _asked_of(document)) for document in self.documents]
        found: list[Document] = []
        for asked, group in groupby(rows, key=lambda row: row[1]):
            documents = [document for document, _ in group]
            found += extractor.extract(documents, asked, threshold=threshold) if asked else _empty(documents)
        return found

    def f1(self, found: Sequence[Document]) -> float:
        """Micro F1, exact spans, at the usual threshold."""
        return total(tallies(self.documents, above(found, UNTUNED))).f1


def _asked_of(document: Document) -> tuple[str, ...]:
    absent = document.meta.get("negatives") or document.meta.get("labels") or ()
    return tuple(dict.fromkeys([*(entity.label for entity in document.entities), *map(str, absent)]))


def _empty(documents: Iterable[Document]) -> list[Document]:
    return [replace(document, entities=()) for document in documents]
