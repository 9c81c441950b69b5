"""How fast: systems in turn on the same documents, A B A B, in one run; and each once more in a process of its own.

What is timed is the call of `System.extract` alone. Everything between the calls is the harness, and is reported. A
system in a process of its own has its own clock, in `usage`: what it costs to speak with it is the harness's as well.
"""

from __future__ import annotations

import gc
import json
import pickle
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from gliner_cli.errors import InputError
from gliner_cli.evaluation import machine
from gliner_cli.text.labels import Labels
from gliner_cli.text.words import words
from gliner_cli.types import Document

Seconds = float


class Timed(Protocol):
    """As much of a `System` as is timed."""

    name: str

    def extract(self, documents: Sequence[Document], labels: Labels) -> list[Document]:
        """The documents with the entities found in them."""

    def usage(self) -> dict[str, float]:
        """`seconds` and `cpu_seconds` since the beginning, if it has a clock of its own."""

    def close(self) -> None:
        """Give back what it holds."""


def clock(system: Timed) -> tuple[Seconds, Seconds]:
    """Seconds, and seconds of the processor, by the system's own clock or else by that of this process."""
    used = system.usage()
    return used.get("seconds", time.perf_counter()), used.get("cpu_seconds", time.process_time())


@dataclass(frozen=True)
class Task:
    """What is timed at once: documents of one set, and what is asked of them."""

    name: str
    documents: Sequence[Document]
    labels: Labels

    @property
    def words(self) -> int:
        """By our own rule, whatever a system makes of the text."""
        return sum(len(document.words or words(document.text)) for document in self.documents)


@dataclass
class Laps:
    """Of each system, by its name: the seconds of each task in each run, and of the processor in each run.

    `whole` is the time from the beginning of the first timed run to the end of the last, harness included.
    """

    seconds: dict[str, list[list[Seconds]]] = field(default_factory=dict)
    cpu: dict[str, list[Seconds]] = field(default_factory=dict)
    found: dict[str, list[list[Document]]] = field(default_factory=dict)
    whole: Seconds = 0.0

    def runs(self, name: str) -> list[Seconds]:
        """The seconds of each run."""
        return [sum(tasks) for tasks in self.seconds[name]]

    @property
    def harness(self) -> float:
        """The share of the measured time that was spent outside the systems."""
        inside = sum(sum(self.runs(name)) for name in self.seconds)
        return 1 - inside / self.whole if self.whole else 0.0


def laps(systems: Sequence[Timed], tasks: Sequence[Task], repeat: int, warm_up: int) -> Laps:
    """The systems in turn, `repeat` times; before that `warm_up` times without a clock."""
    done = Laps({one.name: [] for one in systems}, {one.name: [] for one in systems})
    for _ in range(warm_up):
        for system in systems:
            _lap(system, tasks)
    gc.collect()
    began = time.perf_counter()
    for _ in range(repeat):
        for system in systems:
            before = clock(system)[1]
            seconds, done.found[system.name] = _lap(system, tasks)
            done.cpu[system.name].append(clock(system)[1] - before)
            done.seconds[system.name].append(seconds)
    done.whole = time.perf_counter() - began
    return done


def _lap(system: Timed, tasks: Sequence[Task]) -> tuple[list[Seconds], list[list[Document]]]:
    seconds, found = [], []
    for task in tasks:
        taken, documents = _timed(system, task.documents, task.labels)
        seconds.append(taken)
        found.append(documents)
    return seconds, found


def _timed(system: Timed, documents: Sequence[Document], labels: Labels) -> tuple[Seconds, list[Document]]:
    before = clock(system)[0]
    found = system.extract(documents, labels)
    return clock(system)[0] - before, found


def latencies(systems: Sequence[Timed], tasks: Sequence[Task]) -> dict[str, list[Seconds]]:
    """The seconds of each document when it is given alone, the systems in turn at each."""
    taken: dict[str, list[Seconds]] = {system.name: [] for system in systems}
    for task in tasks:
        for document in task.documents:
            for system in systems:
                taken[system.name].append(_timed(system, [document], task.labels)[0])
    return taken


# --- Of many numbers few -------------------------------------------------------------------------------------------


def spread(values: Sequence[float]) -> dict[str, Any]:
    """The median, the quartiles around it, and the values themselves in their order."""
    low, median, high = np.quantile(values, [0.25, 0.5, 0.75]).tolist()
    return {"median": median, "low": low, "high": high, "runs": list(values)}


def percentiles(seconds: Sequence[Seconds]) -> dict[str, Any]:
    """p50, p95, p99: the value that so many percent do not exceed, one that was measured, never one in between."""
    at = np.quantile(seconds, [0.5, 0.95, 0.99], method="inverted_cdf").tolist()
    return {"p50": at[0], "p95": at[1], "p99": at[2], "documents": len(seconds)}


def speed(done: Laps, name: str, tasks: Sequence[Task]) -> dict[str, Any]:
    """The speed of a system, over all tasks and for each."""
    each = [
        _speed([run[place] for run in done.seconds[name]], task.words, len(task.documents))
        for place, task in enumerate(tasks)
    ]
    amount = sum(task.words for task in tasks), sum(len(task.documents) for task in tasks)
    by_set = {task.name: one for task, one in zip(tasks, each, strict=True)}
    return {**_speed(done.runs(name), *amount), "cpu": spread(done.cpu[name]), "by_set": by_set}


def _speed(runs: Sequence[Seconds], amount: int, documents: int) -> dict[str, Any]:
    """Speeds are medians of the runs' own speeds, so that their quartiles are quartiles of something measured."""
    rate = spread([amount / seconds for seconds in runs])
    a_document = spread([documents / seconds for seconds in runs])
    counted = {"words": amount, "documents": documents}
    return {**counted, "seconds": spread(runs), "words_per_second": rate, "documents_per_second": a_document}


def ratio(done: Laps, ours: str, other: str) -> dict[str, Any]:
    """How many times as fast ours is: the seconds of each run of the other by those of ours in the same turn."""
    pairs = zip(done.runs(ours), done.runs(other), strict=True)
    return {"system": ours, "against": other, **spread([b / a for a, b in pairs])}


def agreement(ours: Sequence[Document], others: Sequence[Document]) -> dict[str, Any]:
    """Whether two systems found the same: how many entities both have, how many only one, and the largest distance
    between two scores of the same entity (None where one of them gives no scores)."""
    equal, apart, distances = 0, [0, 0], []
    for a, b in zip(ours, others, strict=True):
        left, right = _places(a), _places(b)
        equal += len(left.keys() & right.keys())
        apart[0] += len(left.keys() - right.keys())
        apart[1] += len(right.keys() - left.keys())
        pairs = ((left[place], right[place]) for place in left.keys() & right.keys())
        distances += [abs(x - y) for x, y in pairs if x is not None and y is not None]
    named = {"equal": equal, "only_ours": apart[0], "only_theirs": apart[1]}
    return {**named, "largest_score_difference": max(distances, default=None)}


def _places(document: Document) -> Mapping[tuple[int, int, str], float | None]:
    return {(entity.start, entity.end, entity.label): entity.score for entity in document.entities}


# --- In a process of its own ---------------------------------------------------------------------------------------

_PROBE = "from gliner_cli.evaluation.measure import probe; probe()"


def fresh(make: Callable[[], Timed], tasks: Sequence[Task]) -> dict[str, Any]:
    """What a system takes from nothing, in a new process: seconds until it is loaded and until the first document is
    answered, both from the start of the process; and the most memory it held until all tasks were done.

    Memory cannot be told apart in a process that holds two systems. `make` is pickled: a function of a module, or a
    partial of one. Raises InputError if the process fails.
    """
    handed = pickle.dumps((time.time(), make, tasks))
    done = subprocess.run([sys.executable, "-c", _PROBE], input=handed, capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        raise InputError(
            f"A system could not be measured in a process of its own: {said[-1]}", "Leave its speed out: --quality"
        )
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def probe() -> None:
    """What the new process does; its last line on standard output is the answer."""
    began, make, tasks = pickle.load(sys.stdin.buffer)  # noqa: S301  from the process that started this one
    system = make()
    loaded = time.time() - began
    system.extract(tasks[0].documents[:1], tasks[0].labels)
    first = time.time() - began
    for task in tasks:
        system.extract(task.documents, task.labels)
    own = getattr(system, "peak_memory", None)  # of a system in a process of its own, that process's
    memory = {"memory": own or machine.peak_memory(), "gpu_memory": None if own else machine.graphics_peak()}
    system.close()
    print("\n" + json.dumps({"loaded": loaded, "first": first, **memory}))
