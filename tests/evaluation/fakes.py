"""Systems that find what they are told to, in the time they are told to take."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from gliner_cli.errors import InputError
from gliner_cli.evaluation.bench import Request, grown
from gliner_cli.evaluation.endpoint import UNANSWERED
from gliner_cli.evaluation.suites import GoldSet, from_documents
from gliner_cli.options import Timing
from gliner_cli.types import Document, Entity

SENTENCES = [
    ("Ada Sorel sings in Tallinn .", ["Ada Sorel=singer", "Tallinn=city"]),
    ("Nobody came .", []),
    ("The Brightwell trio left Porto for Tallinn .", ["Brightwell trio=band", "Porto=city", "Tallinn=city"]),
    ("Okafor bought a cello , Ines Roth a lute .", ["Okafor=singer", "cello=thing", "Ines Roth=singer", "lute=thing"]),
]


def document(text: str, marked: list[str], number: int = 0) -> Document:
    """A document in which every "words=label" is an entity."""
    entities = []
    for one in marked:
        words, _, label = one.rpartition("=")
        start = text.index(words)
        entities.append(Entity(start, start + len(words), label, words))
    return Document(text, id=str(number), entities=tuple(entities))


def gold(name: str = "concerts", sentences: Any = SENTENCES, repeat: int = 1) -> GoldSet:
    return from_documents(name, [document(*one, number) for number, one in enumerate(sentences * repeat)])


@dataclass
class Fake:
    """Finds all gold entities but every `misses`th, and in their place, if `wrong`, the same under another label."""

    name: str = "fake"
    misses: int = 0
    wrong: str = ""
    unanswered: bool = False
    used: dict[str, float] = field(default_factory=dict)
    calls: list[tuple[str, int]] = field(default_factory=list)
    seen: int = 0
    score: float | None = 0.9

    def extract(self, documents, labels):
        self.calls.append((self.name, len(documents)))
        self.used = {name: value + 1 for name, value in self.used.items()}
        self.seen = 0
        return [self._answered(one) for one in documents]

    def _answered(self, one):
        if self.unanswered and one.id != "0":
            return replace(one, entities=(), meta={UNANSWERED: "too slow"})
        return replace(one, entities=tuple(e for e in map(self._found, one.entities) if e))

    def _found(self, entity):
        self.seen += 1
        if self.misses and self.seen % self.misses == 0:
            return replace(entity, label=self.wrong, score=0.55) if self.wrong else None
        return replace(entity, score=None if self.score is None else self.score - entity.start / 1000)

    def about(self):
        return {"system": self.name, "checkpoint": f"checkpoint of {self.name}", "misses": self.misses}

    def usage(self):
        return dict(self.used)

    def close(self):
        self.calls.append((self.name, -1))


def hungry(megabytes: int) -> Fake:
    """A system that holds so much memory."""
    fake = Fake()
    fake.held = bytearray(megabytes * 1_000_000)  # type: ignore[attr-defined]
    return fake


def broken() -> Fake:
    raise InputError("The strings are off.")


def given(fake: Fake) -> Fake:
    return fake


def request(*fakes: Fake, sets: Any = None, **more: Any) -> Request:
    timing = more.pop("timing", Timing(repeat=2, quality=True))
    settings = {"benching": {"suite": ["concerts"]}, "extraction": {"threshold": 0.5}}
    makers = [partial(given, fake) for fake in fakes]
    return Request(makers, sets or [gold()], timing, "gliner bench --suite concerts", settings, **more)


def report(*fakes: Fake, **more: Any) -> dict[str, Any]:
    """The report of a whole bench of these."""
    *_, last = grown(request(*fakes, **more))
    return last
