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
    """The job was asked to stop by a signal, its argument: once, and what was begun is finished; or twice."""


class Stopping:
    """Listens to the signals while it is entered. `asked` is the one that came, or 0; `cut`, whether it left parts."""

    def __init__(self) -> None:
        self.asked, self.cut = 0, False
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
        if again:
            raise Stopped(number)
        if self._waiting:  # the input may never come
            raise KeyboardInterrupt
        note_from_a_signal("finishing what is begun; once more to leave now")

    def until(self, parts: Iterable[_T]) -> Iterator[_T]:
        """The parts until a signal comes; one that comes while a part is waited for ends them at once.

        A signal behind the last part cuts nothing, unless nobody asked whether there is another.
        """
        waited = iter(parts)
        while not self.asked:
            try:
                self._waiting = True
                part = next(waited, None)
            except KeyboardInterrupt:
                break
            finally:
                self._waiting = False
            if part is None:
                return
            yield part
        self.cut = True

    def said(self, results: Iterable[_T]) -> Iterator[_T]:
        """The results; raises Stopped behind the last if they are not all there are."""
        yield from results
        if self.cut:
            raise Stopped(self.asked)
