"""Questions to completions: the budget kept, tried again where that helps, everything counted. For many threads."""

from __future__ import annotations

import json
import threading
from collections import Counter
from dataclasses import asdict, dataclass, replace
from typing import Any

from gliner_cli.errors import InputError
from gliner_cli.evaluation.alignment import Rule
from gliner_cli.evaluation.money import Price, Purse
from gliner_cli.evaluation.prompts import Prompt, Question, schema
from gliner_cli.evaluation.service import Completion, Dialect, Reply, failed, service
from gliner_cli.text.labels import Labels

_LONGEST_WAIT = 120.0  # seconds between two tries, whatever Retry-After says
_HOPELESS = {401, 402, 403, 404}


@dataclass(frozen=True)
class Asking:
    """How a service is asked. Money is in the currency of `price`, times are in seconds.

    `answer_tokens` limits one answer; by default it grows with the text, which is too little for models that think
    aloud first. `wait` is the pause before the second try; it doubles from try to try.
    """

    url: str | None = None
    key_env: str = "OPENAI_API_KEY"
    prompt: Prompt = "json"
    align: Rule = "all"
    nested: bool = False
    price: Price | None = None
    budget: float | None = None
    concurrency: int = 8
    retries: int = 5
    timeout: float = 60.0
    wait: float = 0.5
    answer_tokens: int | None = None


class Asker:
    """Asks one model of one service. `latencies` are the seconds of the requests that were answered.

    `stopped` says why nothing more is asked, once that is so.
    """

    def __init__(self, model: str, asking: Asking) -> None:
        if asking.budget is not None and asking.price is None:
            raise InputError("A budget was given, but not what tokens cost.", "--price in=0.15,out=0.60")
        self.model, self.asking = model, asking
        self.service = service(asking.url, asking.key_env, asking.timeout, asking.concurrency)
        self.purse = Purse(asking.price, asking.budget)
        self.counts: Counter[str] = Counter()
        self.latencies: list[float] = []
        self.stopped: str | None = None
        self._client = self.service.opened()
        self._dialect = Dialect() if asking.prompt == "json" else Dialect(formats=())
        self._served: set[str] = set()
        self._largest = 0  # tokens of the longest answer
        self._failures = 0  # in a row
        self._last: Reply | None = None
        self._lock, self._halt = threading.Lock(), threading.Event()

    def completion(self, question: Question, labels: Labels) -> Completion | None:
        """What is answered, in the end; None if nothing is. Raises GlinerError if the service cannot be used."""
        for attempt in range(self.asking.retries + 1):
            reply = None if self.stopped else self._understood(question, labels)
            if reply is None:
                return None
            if reply.completion:
                return reply.completion
            self._last = replace(reply, text=self.service.scrubbed(reply.text))
            if not reply.passing:
                self._refused(self._last)
                return None
            if attempt < self.asking.retries:
                self._rest(question, attempt, reply.wait)
        self._failed()
        return None

    def check(self) -> None:
        """Raises GlinerError if something was asked and nothing at all was answered, and not for lack of money."""
        if self._last and not self.latencies and not self.purse.empty:
            raise failed(self.model, self.service.url, self._last, self.asking.key_env)

    def stop(self, reason: str) -> None:
        """Ask nothing more."""
        self.stopped = self.stopped or reason
        self._halt.set()

    def count(self, **more: int) -> None:
        """Add to the counts."""
        with self._lock:
            self.counts.update(more)

    def about(self) -> dict[str, Any]:
        """What was asked, and of whom: the settings, and what was found out about the service."""
        return {
            **asdict(self.asking),
            "url": self.service.url,
            "served": sorted(self._served),
            "request": asdict(self._dialect),
        }

    def close(self) -> None:
        """End the connections."""
        self._client.close()

    # --- One try -----------------------------------------------------------------------------------------------

    def _understood(self, question: Question, labels: Labels) -> Reply | None:
        """A reply to the question, put more plainly each time that it is refused for how it is put."""
        dialect = self._dialect
        while True:
            reply = self._sent(question, labels, dialect)
            plainer = dialect.after(reply.text) if reply and reply.status == 400 else None
            if plainer is None:
                break
            dialect = plainer
        if reply and reply.status == 200:
            self._dialect = dialect
        return reply

    def _sent(self, question: Question, labels: Labels, dialect: Dialect) -> Reply | None:
        """One try, paid for; None if there is no money for it.

        A token is at least one byte, so that the body's length is more than its tokens; and an answer is at most as
        long as asked for, or (with services that do not obey) probably not longer than the longest so far.
        """
        tokens = self.asking.answer_tokens or 256 + 2 * len(question.text.encode("utf-8", "replace"))
        parts = dialect.options(tokens, schema(labels))
        body = json.dumps({"model": self.model, "messages": question.messages, **parts}).encode()
        limits = len(body), max(tokens, self._largest)
        held = self.purse.hold(*limits)
        if held is None:
            self.stop("the budget was spent")
            return None
        cost = held  # of a try that ends in nothing: it may have been computed, and will be on the bill
        try:
            reply = self.service.send(self._client, body)
            cost = self._booked(reply, held, limits)
        finally:
            self.purse.settle(held, cost)
        return reply

    def _booked(self, reply: Reply, held: float, limits: tuple[int, int]) -> float:
        """What a reply costs. Tokens that the service does not count are taken to be as many as they could be."""
        self.count(requests=1)
        completion = reply.completion
        if completion is None:
            return held if reply.status in (0, 200) else 0.0
        counted = completion.prompt_tokens, completion.completion_tokens
        prompt, answer = (limit if number is None else number for number, limit in zip(counted, limits, strict=True))
        self.count(prompt_tokens=prompt, completion_tokens=answer, uncounted=None in counted)
        with self._lock:
            self._failures = 0
            self._largest = max(self._largest, answer)
            self.latencies.append(reply.seconds)
            self._served.add(self.service.scrubbed(completion.model))
        return self.purse.price.of(prompt, answer)

    # --- What goes wrong ---------------------------------------------------------------------------------------

    def _rest(self, question: Question, attempt: int, wait: float | None) -> None:
        """Wait as long as the service says, or twice as long each time; not all threads to the same moment."""
        self.count(retries=1)
        seconds = self.asking.wait * 2**attempt if wait is None else wait
        apart = 1 + question.document % self.asking.concurrency / 16
        self._halt.wait(min(seconds * apart, _LONGEST_WAIT))

    def _refused(self, reply: Reply) -> None:
        """A question that will never be answered.

        What stands in the way of all ends the run at its beginning; later it must not cost the answers already had.
        """
        self.count(refused=1)
        if "insufficient_quota" in reply.text:
            self.stop("the service says that its quota is used up")
        elif reply.status in _HOPELESS and not self.latencies:
            self.check()

    def _failed(self) -> None:
        """A question that was tried often enough. After many in a row the service is taken to be gone."""
        self.count(failed=1)
        with self._lock:
            self._failures += 1
            gone = self._failures >= max(3, 2 * self.asking.concurrency)
        if gone and self._last:
            self.stop(f"the service answers no more ({self._last.text or self._last.status})")
