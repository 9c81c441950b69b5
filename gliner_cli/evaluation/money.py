"""What answers cost, and a purse that is never overdrawn."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass

from gliner_cli.errors import InputError


@dataclass(frozen=True)
class Price:
    """Money for a million tokens, in any one currency."""

    prompt: float
    completion: float

    def of(self, prompt: int, completion: int) -> float:
        """What so many tokens cost."""
        return (prompt * self.prompt + completion * self.completion) / 1e6


def price(text: str) -> Price:
    """The price from `in=0.15,out=0.60`. Raises InputError."""
    number = r"(\d+(?:\.\d*)?|\.\d+)"
    match = re.fullmatch(rf"\s*in={number}\s*,\s*out={number}\s*", text)
    if match is None:
        raise InputError(f"--price is {text!r}; what a million tokens cost was expected.", "--price in=0.15,out=0.60")
    return Price(float(match[1]), float(match[2]))


class Purse:
    """A budget that several threads spend from: each request is covered before it is sent, or is not sent.

    Where money for a request is lacking only because others are under way, whose cost is not known yet, it waits for
    them. Once a request was not covered, none is: a run ends at one place, not in tatters.
    """

    def __init__(self, price: Price | None, budget: float | None) -> None:
        self.price, self.budget = price or Price(0, 0), budget
        self.spent, self.empty = 0.0, False
        self._held: list[float] = []
        self._settled = threading.Condition()

    def hold(self, prompt: int, completion: int) -> float | None:
        """Set aside what a request may cost at most; None if there is not as much."""
        most = self.price.of(prompt, completion)
        with self._settled:
            while not self._covers(most) and self._held and not self.empty:
                self._settled.wait()
            self.empty = self.empty or not self._covers(most)
            if self.empty:
                self._settled.notify_all()
                return None
            self._held.append(most)
            return most

    def settle(self, held: float, cost: float) -> None:
        """What a request did cost, in place of what was set aside for it."""
        with self._settled:
            self._held.remove(held)
            self.spent += cost
            self._settled.notify_all()

    def _covers(self, amount: float) -> bool:
        return self.budget is None or self.spent + sum(self._held) + amount <= self.budget
