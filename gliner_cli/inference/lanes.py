"""Batches side by side on a CPU, each in a lane of its own, in place of one after the other by all of torch's threads.

Threads that share a matrix product wait for each other behind it, and much that is no product is done by one of them.
The starter on two cores takes 0.85 of the time for sentences and 0.83 to 0.87 for a long document (five runs in turn).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier
from typing import Any, TypeVar

import torch

In = TypeVar("In")
Out = TypeVar("Out")

# More lanes than this would hold more memory than most have a mind to give; beyond, each gets several threads. A guess:
# no machine with so many cores was there to measure.
_MOST = 8


@contextmanager
def one_thread() -> Iterator[None]:
    """Within it torch has one thread, and all is computed in the caller's own."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class Lanes:
    """Threads that compute side by side, each with its share of torch's. A context, at whose end they are gone.

    On other devices than a CPU, or where torch has one thread, there is one lane, and nothing is started.
    """

    def __init__(self, device: torch.device) -> None:
        self._all = torch.get_num_threads() if device.type == "cpu" else 1
        self._each = -(-self._all // _MOST)
        self.count = self._all // self._each
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> Lanes:
        return self

    def __exit__(self, *error: Any) -> None:
        if self._pool:
            self._pool.shutdown(cancel_futures=True)

    def fit(self, batches: int) -> bool:
        """Whether so many batches are done sooner side by side: a last one that is left over takes one thread long."""
        return self.count > 1 and batches >= 2 * self.count

    def computed(self, compute: Callable[[In], Out], given: Iterable[In]) -> Iterator[Out]:
        """What comes of each, in their order; no more than two of a lane are begun and not taken."""
        pool, begun = self._started(), deque[Future[Out]]()
        for one in given:
            begun.append(pool.submit(compute, one))
            if len(begun) == 2 * self.count:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()

    def _started(self) -> ThreadPoolExecutor:
        if self._pool is None:
            ready = Barrier(self.count + 1)
            self._pool = ThreadPoolExecutor(self.count, "gliner-lane", _take, (self._each,))
            try:
                for _ in range(self.count):
                    self._pool.submit(ready.wait)
                ready.wait()
            except BaseException:
                ready.abort()  # who waits already would wait for ever
                raise
            finally:
                torch.set_num_threads(self._all)  # what one thread is set to is the default of all that come later
        return self._pool


def _take(threads: int) -> None:
    """Set how many of torch's threads this one has."""
    torch.get_num_threads()  # the first call of a thread sets it to the default, so what is set before it is lost
    torch.set_num_threads(threads)
