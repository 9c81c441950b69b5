"""Some of the documents, for a first look. The same ones each time, so that a job can be resumed."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from itertools import islice

from gliner_cli.options import Job
from gliner_cli.types import Document


def chosen(documents: Iterable[Document], options: Job) -> Iterator[Document]:
    """The documents that `--limit` and `--sample` leave, in their order; with both, a sample of the first."""
    first = islice(documents, options.limit)
    return iter(_sample(first, options.sample)) if options.sample else first


def _sample(documents: Iterable[Document], count: int) -> list[Document]:
    """Each subset of `count` documents with the same probability: reservoir sampling (Vitter 1985, algorithm R)."""
    chance = random.Random(0)  # noqa: S311
    kept: dict[int, tuple[int, Document]] = {}
    for number, document in enumerate(documents):
        place = number if number < count else chance.randrange(number + 1)
        if place < count:
            kept[place] = number, document
    return [document for _, document in sorted(kept.values(), key=lambda one: one[0])]
