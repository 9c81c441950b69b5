"""Other packages as systems, each in a process of its own: in this environment, or in that of another Python.

What it costs to speak with a process is not in its `seconds`, and its memory is its own. What is said over the pipes is
described in `peer_worker.py`.
"""

from __future__ import annotations

import copy
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gliner_cli.errors import GlinerError, LabelError, MissingExtraError
from gliner_cli.evaluation.program import Json, Program
from gliner_cli.options import UNTUNED, Computing, Extraction
from gliner_cli.text.labels import Labels
from gliner_cli.types import Document, Entity

WORKER = Path(__file__).with_name("peer_worker.py")
BATCH_SIZES = (1, 4, 8, 16, 32)
_TRIED = 64  # documents on which the fastest batch size is found
_ANSWERING, _EACH = 300.0, 15.0  # seconds within which it must answer, and how many more for each document
_INSTALL = {
    "gliner": "pip install gliner",
    "gliner-onnx": "pip install 'gliner[onnx]'",
    "gliner2": "pip install 'gliner2[local]'",
    "fast-gliner": "pip install fast-gliner",
    "spacy": "pip install spacy",
}
_PROTOCOL = {
    "gliner": "the reference package's inference(); it cuts texts at the checkpoint's max_len words",
    "gliner-onnx": "the reference package's inference() on its own ONNX export",
    "gliner2": "GLiNER2's batch_extract_entities(), which lets entities of different labels overlap",
    "fast-gliner": "fast_gliner's predict_entities() on the reference's ONNX export; threshold 0.5 and its own threads",
    "spacy": "the pipeline's own labels, under those asked that mean the same; no threshold, no scores",
}


@dataclass
class Peer:
    """See `systems.System`. With `batch_size` None the fastest of BATCH_SIZES is found at the first call."""

    name: str
    program: Program
    extraction: Extraction
    batch_size: int | None
    described: Json
    totals: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def extract(self, documents: Sequence[Document], labels: Labels) -> list[Document]:
        """See `System.extract`. Raises GlinerError if the other package fails."""
        if self.batch_size is None:
            self.batch_size = self._fastest(documents[:_TRIED], labels)
        began = time.perf_counter()
        answer = self._answer(documents, labels, self.batch_size)
        self.totals["seconds"] += _number(answer, "seconds", time.perf_counter() - began)
        self.totals["cpu_seconds"] += _number(answer, "cpu_seconds", 0.0)
        rows = answer.get("entities")
        if not isinstance(rows, list) or len(rows) != len(documents):
            count = len(rows) if isinstance(rows, list) else "no"
            raise self._wrong(f"answered for {count} documents; {len(documents)} were asked about")
        return [replace(one, entities=self._entities(one, row)) for one, row in zip(documents, rows, strict=True)]

    def at(self, threshold: float) -> Peer:
        """The same process asked with another threshold."""
        other = copy.copy(self)
        other.extraction = replace(self.extraction, threshold=threshold)
        return other

    @property
    def peak_memory(self) -> int | None:
        """The most bytes that the process held at once, as it said itself in its last answer."""
        return int(self.totals["peak_memory"]) or None

    def about(self) -> dict[str, Any]:
        """See `System.about`."""
        versions = {"versions": self.program.greeting.get("versions", {})}
        return {"system": self.name, **versions, **self.described, **self._settings(), "batch_size": self.batch_size}

    def usage(self) -> dict[str, float]:
        """See `System.usage`: by the other process's own clock; of the processor only if it is a program of ours."""
        names = ("seconds", "cpu_seconds") if self.program.greeting else ("seconds",)
        return {name: float(self.totals[name]) for name in names}

    def close(self) -> None:
        """See `System.close`."""
        self.program.close()

    def asked(self, request: Mapping[str, Any], documents: Sequence[Document], labels: Labels) -> Json:
        """The answer to a request about documents, `request` being what it holds besides."""
        if any(own is not None for own in labels.thresholds):
            raise LabelError(f"{self.name} knows no thresholds of single labels.", "Leave them out: -l person -l drug")
        rows = [{"text": document.text, "words": _places(document)} for document in documents]
        pairs = list(zip(labels.names, labels.descriptions, strict=True))
        whole = {"documents": rows, "labels": pairs, **self._settings(), **request}
        answer = self.program.ask(whole, _ANSWERING + _EACH * len(documents))
        self.totals["peak_memory"] = answer.get("peak_memory") or 0
        return answer

    def _fastest(self, few: Sequence[Document], labels: Labels) -> int:
        self._answer(few, labels, BATCH_SIZES[0])  # the first answer of all is slower than any other
        return min(BATCH_SIZES, key=lambda size: _number(self._answer(few, labels, size), "seconds", 0.0))

    def _settings(self) -> Json:
        own = self.extraction
        threshold = UNTUNED if own.threshold is None else own.threshold
        return {"threshold": threshold, "nested": own.nested, "multi_label": own.multi_label}

    def _answer(self, documents: Sequence[Document], labels: Labels, batch_size: int) -> Json:
        return self.asked({"batch_size": batch_size}, documents, labels)

    def _entities(self, document: Document, rows: Any) -> tuple[Entity, ...]:
        if not isinstance(rows, list):
            raise self._wrong(f"answered {str(rows)[:80]} for a document")
        return tuple(self._entity(document.text, row) for row in rows)

    def _entity(self, text: str, row: Any) -> Entity:
        match row:
            case [int(start), int(end), str(label), *score] if 0 <= start < end <= len(text) and _is_score(*score):
                return Entity(start, end, label, text[start:end], score[0] if score else None)
        raise self._wrong(f"answered {str(row)[:80]}, which is no entity of a text of {len(text)} characters")

    def _wrong(self, what: str) -> GlinerError:
        expected = "For each document a list of [start, end, label, score] was expected."
        return GlinerError(f"{self.name} {what}.", expected)


def _is_score(score: object = None, *more: object) -> bool:
    """Whether an entity's score is one: none at all, or a number from 0 to 1."""
    return not more and (score is None or (isinstance(score, int | float) and 0 <= score <= 1))


def _number(answer: Json, name: str, otherwise: float) -> float:
    value = answer.get(name)
    return value if isinstance(value, (int, float)) else otherwise


def _places(document: Document) -> list[tuple[int, int]] | None:
    return list(zip(document.words.starts, document.words.ends, strict=True)) if document.words else None


@dataclass(frozen=True)
class Reference:
    """What the reference package counts itself, unrounded."""

    precision: float
    recall: float
    f1: float


def reference_evaluator(peer: Peer, gold: Sequence[Document], labels: Labels, batch_size: int = 8) -> Reference:
    """The reference's own `evaluate` on gold documents: the judge of our counting.

    Of documents that have words it gets these (its `tokenized_text`), of the others it makes its own. It asks all
    labels at once, which ours does only up to the number that the checkpoint was trained with.
    """
    rows = [{"text": one.text, "words": _places(one), "gold": _gold(one)} for one in gold]
    answer = peer.asked({"evaluate": True, "batch_size": batch_size, "documents": rows}, gold, labels)
    return Reference(answer["precision"], answer["recall"], answer["f1"])


def _gold(document: Document) -> list[tuple[int, int, str]]:
    return [(entity.start, entity.end, entity.label) for entity in document.entities]


def peer(
    kind: str,
    checkpoint: str,
    extraction: Extraction,
    computing: Computing,
    python: Path | None = None,
    batch_size: int | None = 8,
    name: str = "",
) -> Peer:
    """A package of the table in `peer_worker.py`, loaded: with the Python given, or else with this one.

    Where ours is in int8 they are in fp32: none of them does it by itself. Raises MissingExtraError if neither has it.
    """
    first = {
        "load": kind, "checkpoint": checkpoint, "device": computing.device,
        "precision": "fp32" if computing.precision == "int8" else computing.precision, "threads": computing.threads,
    }  # fmt: skip
    described = {**first, "protocol": _PROTOCOL[kind]}
    pythons = [*([str(python)] if python else []), sys.executable]
    for own in pythons:
        program = Program(kind, [own, str(WORKER)], first, computing.threads)
        program.start()
        if "missing" not in program.greeting:
            described["device"] = program.greeting["device"]
            return Peer(name or kind, program, extraction, batch_size, described)
        program.close()
    raise MissingExtraError(
        f"{kind} needs {program.greeting['missing']}, which {' and '.join(pythons)} have not installed.",
        f"{_INSTALL[kind]}, or --python PATH of an environment that has it",
    )
