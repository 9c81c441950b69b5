"""Which types a passage is asked for, and passages to lessons: batches with what the network should answer.

Paper, section 3: the types in the text and as many that are not, in random order, some of those in the text left out.
Everything is drawn from a generator made of the seed and the number of the step: the same seed is the same run, and a
run that goes on after a break needs no state of chance.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from tokenizers import Tokenizer
from torch import Tensor

from gliner_cli.inference.batching import padded
from gliner_cli.inference.prompt import Encoded, PieceMaker, label_rows
from gliner_cli.network.tensors import Batch, Candidates
from gliner_cli.options import Teaching
from gliner_cli.training.passages import Passage

# How often the next negative type comes from the passage's own list of absent types rather than from anywhere.
_OWN_FIRST = 0.7
# Paper: half. Few texts with a closed set of types are learned better by a trained network, and less is forgotten, the
# more of the set each is asked for, as it will be: CrossNER AI, dev F1 and F1 of other labels, 0.5: 61.7 and 68.8,
# 0.75: 62.1 and 69.6, 0.9: 61.2 and 69.5. A new network learns what a type is, from half: MiniLM in 15 minutes of
# Few-NERD, F1 of the seven OOD sets at 0.75: 27.3, at 0.5: 29.3 (gold cells weighing 3).
NEGATIVES = 0.5
_NEGATIVES_CLOSED = 0.75


@dataclass(frozen=True)
class Asked:
    """A passage and the types it is asked for, in the order of its prompt; `rehearsed`: to be answered as the network
    answered before it learned."""

    passage: Passage
    types: tuple[str, ...]
    rehearsed: bool = False


@dataclass(frozen=True)
class Lesson:
    """A batch, the spans that are there, and which types of the batch each row was asked for (B, C).

    `rehearsed`: what is asked is to be answered as before, whatever spans are there. `number` is its place among the
    lessons of its step, over all processes: chance in it (dropout) depends on that.
    `label_pieces` and `label_counts` are the types for a bi-encoder's second encoder, None for a uni-encoder.
    """

    number: int
    batch: Batch
    gold: Candidates
    asked: Tensor
    rehearsed: bool
    label_pieces: Tensor | None = None
    label_counts: Tensor | None = None

    @property
    def pieces(self) -> int:
        """How many real pieces the lesson has."""
        return int(self.batch.piece_counts.sum())


class Teacher:
    """Draws passages and types: `lessons(step)` is the same for the same seed, whoever asks and whenever.

    `rehearsed`: the network shall go on to answer as it does, whatever the passages say.
    """

    def __init__(
        self, passages: Sequence[Passage], maker: PieceMaker, options: Teaching, seed: int, rehearsed: bool = False
    ) -> None:
        self.passages = passages
        self.options = options
        self.seed = seed
        self.rehearsed = rehearsed
        self.maker = maker
        self.most = options.max_types or maker.config.max_types
        counts = Counter(label for passage in passages for label in passage.types)
        self._epoch, self._places = -1, list[int]()
        self._pool = list(counts)
        # Common types are asked more often, but far from as often as they come.
        self._weights = list(accumulate(count**0.5 for count in counts.values()))

    def lessons(self, step: int, batch: int, most_pieces: int) -> list[list[Asked]]:
        """The passages of a step with their types, in groups of like length that are computed at once."""
        chance = random.Random(f"{self.seed}/{step}")  # noqa: S311
        asked = [self._asked(passage, chance) for passage in self._drawn(step, batch)]
        return list(_grouped([one for one in asked if one.types], most_pieces, self._length))

    def _drawn(self, step: int, batch: int) -> Iterator[Passage]:
        """The passages of a step: every one once before any comes again."""
        for place in range(step * batch, (step + 1) * batch):
            epoch, within = divmod(place, len(self.passages))
            yield self.passages[self._order(epoch)[within]]

    def _order(self, epoch: int) -> list[int]:
        if self._epoch != epoch:
            self._epoch, self._places = epoch, list(range(len(self.passages)))
            random.Random(f"{self.seed}/epoch {epoch}").shuffle(self._places)  # noqa: S311
        return self._places

    def _asked(self, passage: Passage, chance: random.Random) -> Asked:
        present = list(passage.types)
        chance.shuffle(present)
        if len(present) > 1 and chance.random() < self.options.drop:
            present = present[: chance.randint(1, len(present))]
        present = present[: self.most]
        absent = self._absent(passage, self._how_many(passage, len(present), chance), chance)
        types = [*present, *absent]
        chance.shuffle(types)
        return Asked(passage, self._fitting(types), self.rehearsed)

    def _fitting(self, types: list[str]) -> tuple[str, ...]:
        """As many of the types as leave half of the longest row to the text."""
        while len(types) > 1 and len(self.maker.prompt(types)) > self.maker.longest_row // 2:
            types = types[:-1]
        return tuple(types)

    def _how_many(self, passage: Passage, present: int, chance: random.Random) -> int:
        """How many negative types: any share from 0 to 2 x `negatives`, evenly, so that the mean is `negatives`."""
        mean = self.options.negatives
        if mean is None:
            mean = _NEGATIVES_CLOSED if passage.annotated else NEGATIVES
        share = chance.uniform(max(0.0, 2 * mean - 1), min(1.0, 2 * mean))
        count = _count(share, max(present, 1), chance)
        return min(count if present else max(count, 1), self.most - present)

    def _absent(self, passage: Passage, count: int, chance: random.Random) -> list[str]:
        there = {*passage.types, *passage.unsaid}
        own = [name for name in passage.absent or passage.annotated if name not in there]
        chance.shuffle(own)
        if passage.annotated:
            return own[:count]
        found: dict[str, None] = {}
        for _ in range(4 * count):  # the pool may be small: a few tries, not as many as it takes
            if len(found) == count:
                break
            drawn = own.pop() if own and chance.random() < _OWN_FIRST else self._from_pool(chance)
            if drawn not in there:
                found[drawn] = None
        return list(found)

    def _from_pool(self, chance: random.Random) -> str:
        return chance.choices(self._pool, cum_weights=self._weights)[0]

    def _length(self, asked: Asked) -> int:
        first, stop = asked.passage.first, asked.passage.stop
        return len(asked.passage.pieces.cut(first, stop)[0]) + len(self.maker.prompt(asked.types))


def _count(share: float, present: int, chance: random.Random) -> int:
    """How many to add to `present` so that they are `share` of all: one number or the next, so that the mean is."""
    low = int(present * share / max(1 - share, 1e-3))
    below, above = low / (low + present), (low + 1) / (low + 1 + present)
    return low + (chance.random() < (share - below) / (above - below))


def _grouped(asked: list[Asked], most: int, length: Callable[[Asked], int]) -> Iterator[list[Asked]]:
    sized = sorted((length(one), place) for place, one in enumerate(asked))
    group: list[Asked] = []
    for size, place in sized:
        if group and (len(group) + 1) * size > most:
            yield group
            group = []
        group.append(asked[place])
    if group:
        yield group


# --- Lessons -------------------------------------------------------------------------------------------------------


def lesson(number: int, group: Sequence[Asked], maker: PieceMaker, labels_tokenizer: Tokenizer | None = None) -> Lesson:
    """One lesson of these passages, all of one teacher."""
    rows = [maker.prompt(one.types).around(one.passage.pieces, one.passage.first, one.passage.stop) for one in group]
    if labels_tokenizer is not None:
        return _with_label_rows(number, group, rows, labels_tokenizer)
    most = max(len(one.types) for one in group)
    asked = torch.arange(most) < torch.tensor([[len(one.types)] for one in group])
    return Lesson(number, padded(rows), _gold(group, [one.types for one in group]), asked, group[0].rehearsed)


def _with_label_rows(number: int, group: Sequence[Asked], rows: Sequence[Encoded], tokenizer: Tokenizer) -> Lesson:
    """A bi-encoder scores every row against the types of the whole batch; each row answers for its own."""
    types = tuple(dict.fromkeys(name for one in group for name in one.types))
    pieces = label_rows(tokenizer, types, None)
    counts = torch.tensor([len(row) for row in pieces])
    stacked = torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in pieces], batch_first=True)
    asked = torch.tensor([[name in one.types for name in types] for one in group])
    gold = _gold(group, [types] * len(group))
    return Lesson(number, padded(rows), gold, asked, group[0].rehearsed, stacked, counts)


def _gold(group: Sequence[Asked], types: Sequence[Sequence[str]]) -> Candidates:
    spans = [
        (row, start, stop, types[row].index(label))
        for row, one in enumerate(group)
        for start, stop, label in one.passage.gold
        if label in one.types
    ]
    row, start, stop, label = torch.tensor(spans, dtype=torch.long).view(-1, 4).unbind(1)
    return Candidates(row, start, stop, label, torch.ones(len(spans)))
