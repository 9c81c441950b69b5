"""Ctrl-C and SIGTERM: once, and what is begun is finished; twice, and it ends now."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import Any, TypeVar

from gliner_cli.cli.console import note_from_a_signal

_T = TypeVar("_T")
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(KeyboardInterrupt):
    """The job was asked to stop by a signal, its argument, and all it had begun is finished."""


class Stopping:
    """Listens to the signals while it is entered. `asked` is the one that came, or 0."""

    def __init__(self) -> None:
        self.asked = 0
        self._waiting = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Stopping:
        self._before = {number: signal.signal(number, self._heard) for number in _SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _heard(self, number: int, _frame: FrameType | None) -> None:
        again, self.asked = bool(self.asked), number
        if again or self._waiting:  # the input may never come
            raise KeyboardInterrupt
        note_from_a_signal("finishing what is begun; once more to leave now")

    def until(self, parts: Iterable[_T]) -> Iterator[_T]:
        """The parts until a signal comes; one that comes while a part is waited for ends them at once."""
        waited = iter(parts)
        while not self.asked:
            try:
                self._waiting = True
                part = next(waited, None)
            except KeyboardInterrupt:
                return
            finally:
                self._waiting = False
            if part is None:
                return
            yield part

    def said(self, results: Iterable[_T]) -> Iterator[_T]:
        """The results; raises Stopped behind the last if they are not all there are."""
        yield from results
        if self.asked:
            raise Stopped(self.asked)
