"""How cost grows with the number of labels, the length of documents and the size of batches: `--sweep`.

One thing is varied at a time; documents of an exact number of words are cut from the texts of the sets.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle
from typing import Any, cast

from gliner_cli.errors import InputError
from gliner_cli.evaluation import measure
from gliner_cli.evaluation.measure import Task, Timed
from gliner_cli.text.labels import Labels
from gliner_cli.text.words import words
from gliner_cli.types import Document

AXES = ("labels", "words", "batch-tokens")
_USUAL = {"labels": 5, "words": 64}  # of what is not varied
_AT_LEAST = 2048  # words a point, so that one is not over before a clock can tell
_HOW = "--sweep 'labels=1,5,25 words=32,512'"

Axes = dict[str, list[int]]
Resized = Callable[[Timed, int], Timed | None]


def axes(text: str) -> Axes:
    """What to vary, and over which values: "labels=1,5,25 words=32,512". Raises InputError for anything else."""
    found: Axes = {}
    for part in text.split():
        name, _, values = part.partition("=")
        if name not in AXES or not re.fullmatch(r"[1-9]\d*(,[1-9]\d*)*", values):
            raise InputError(f"--sweep has {part!r}; {', '.join(AXES)} and whole numbers were expected.", _HOW)
        found[name] = [int(value) for value in values.split(",")]
    if not found:
        raise InputError("--sweep is empty.", _HOW)
    return found


def growth(
    systems: Sequence[Timed], tasks: Sequence[Task], asked: Axes, resized: Resized, repeat: int, warm_up: int
) -> Iterator[dict[str, Any]]:
    """A row for each value of each axis and each system. `resized` gives a system with another size of batches, or
    None for one that has no such thing."""
    texts = [document.text for task in tasks for document in task.documents if len(words(document.text))]
    names = list(dict.fromkeys(name for task in tasks for name in task.labels.names))
    for axis, values in asked.items():
        for value in values:
            size = {**_USUAL, axis: value}
            task = Task(f"{axis}={value}", cut(texts, size["words"]), Labels(tuple(enough(names, size["labels"]))))
            varied = [resized(one, value) for one in systems] if axis == "batch-tokens" else list(systems)
            there = cast("list[Timed]", [system for system in varied if system])
            done = measure.laps(there, [task], repeat, warm_up)
            for system in there:
                row = measure.speed(done, system.name, [task])
                row |= {"document": row["seconds"]["median"] / row["documents"], "harness": done.harness}
                yield {"axis": axis, "value": value, "system": system.name, **size, **row}


def cut(texts: Sequence[str], length: int) -> list[Document]:
    """Documents of exactly so many words, from the texts in their order, and again from the first if they run out."""
    count = max(1, _AT_LEAST // length)
    taken, held = [], 0
    for text in cycle(texts):
        taken.append(text)
        held += len(words(text))
        if held >= count * length:
            break
    whole = "\n".join(taken)
    found = words(whole)
    edges = [(found.starts[i * length], found.ends[(i + 1) * length - 1]) for i in range(count)]
    return [Document(whole[start:end], id=str(number)) for number, (start, end) in enumerate(edges)]


def enough(names: Sequence[str], count: int) -> list[str]:
    """So many labels: those there are, and then the same with numbers."""
    rounds = -(-count // len(names))
    return [name if again == 0 else f"{name} {again + 1}" for again in range(rounds) for name in names][:count]
