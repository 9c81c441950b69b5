"""A language model behind an OpenAI-compatible address, as a system: documents in, documents out.

Every document is accounted for. One that was not asked about, or whose answer never came, comes back with the reason in
its `meta` under `UNANSWERED`, and is counted; so are malformed answers, and strings that are not in the text.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from gliner_cli.evaluation.alignment import Mention, aligned
from gliner_cli.evaluation.asking import Asker, Asking
from gliner_cli.evaluation.prompts import Question, Reading, questions, read
from gliner_cli.text.labels import Labels
from gliner_cli.types import Document

UNANSWERED = "unanswered"
_COUNTS = ("requests", "retries", "failed", "refused", "malformed", "cut", "hallucinated", "duplicates", "unasked",
           "unanswered", "uncounted", "prompt_tokens", "completion_tokens")  # fmt: skip


class Endpoint:
    """See `systems.System`. `latencies` are the seconds of each answered request, waiting and failed tries left out."""

    def __init__(self, model: str, asking: Asking) -> None:
        self.name = f"openai:{model}"
        self._asker = Asker(model, asking)
        self._seconds = 0.0

    @property
    def latencies(self) -> list[float]:
        """In the order in which the answers came."""
        return self._asker.latencies

    def extract(self, documents: Sequence[Document], labels: Labels) -> list[Document]:
        """See `System.extract`. Raises GlinerError if nothing at all was answered."""
        began = time.perf_counter()
        asked = questions(documents, labels, self._asker.asking.prompt)
        readings = self._readings(asked, labels)
        self._asker.check()
        found = list(self._answered(documents, asked, readings))
        self._seconds += time.perf_counter() - began
        return found

    def about(self) -> dict[str, Any]:
        """See `System.about`."""
        one = "one question for all labels" if self._asker.asking.prompt == "json" else "one question a label (UniNER)"
        protocol = f"{one}; strings found again in the text; no scores; {UNANSWERED} documents count as found nothing"
        return {"system": self.name, **self._asker.about(), "protocol": protocol}

    def usage(self) -> dict[str, float]:
        """See `System.usage`: of all calls so far. `unanswered` counts documents, `hallucinated` strings."""
        counts = {name: float(self._asker.counts[name]) for name in _COUNTS}
        return {**counts, "cost": self._asker.purse.spent, "seconds": self._seconds}

    def close(self) -> None:
        """See `System.close`."""
        self._asker.close()

    def _readings(self, asked: Sequence[Question], labels: Labels) -> list[Reading | None]:
        with ThreadPoolExecutor(max_workers=self._asker.asking.concurrency) as threads:
            try:
                return list(threads.map(lambda question: self._reading(question, labels), asked))
            except BaseException:  # Ctrl-C too: what waits in the queue must not be asked, and paid for, any more
                self._asker.stop("the run was ended")
                raise

    def _reading(self, question: Question, labels: Labels) -> Reading | None:
        completion = self._asker.completion(question, labels)
        if completion is None:
            return None
        reading = read(completion.content, question, labels)
        self._asker.count(malformed=reading.malformed, cut=reading.cut, unasked=reading.unasked)
        return reading

    def _answered(
        self, documents: Sequence[Document], asked: Sequence[Question], readings: Sequence[Reading | None]
    ) -> Iterator[Document]:
        mentions: list[list[Mention]] = [[] for _ in documents]
        lacking = set()
        for question, reading in zip(asked, readings, strict=True):
            if reading is None:
                lacking.add(question.document)
            else:
                mentions[question.document] += reading.mentions
        self._asker.count(unanswered=len(lacking))
        for number, document in enumerate(documents):
            reason = {UNANSWERED: self._asker.stopped or "no answer came"} if number in lacking else {}
            yield self._with_entities(document, mentions[number], reason)

    def _with_entities(self, document: Document, mentions: Sequence[Mention], reason: dict[str, str]) -> Document:
        found = aligned(document, mentions, self._asker.asking.align, self._asker.asking.nested)
        self._asker.count(hallucinated=found.hallucinated, duplicates=found.duplicates)
        return replace(document, entities=found.entities, meta={**document.meta, **reason})
