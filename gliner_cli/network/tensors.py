"""The network's two ends: `Batch` goes in, `Candidates` come out. Knows no text."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Rows (windows with their labels) padded to one length.

    pieces         (B, P) int64   ids; padding after the end of a row
    piece_counts   (B,)   int64   how many of them are real
    word_at        (B, W) int64   the place in `pieces` that stands for each word; -1 for padding and for a word that
                                  has no piece, whose vector is zero
    word_counts    (B,)   int64
    label_at       (B, C) int64   the place in `pieces` of each label's marker; None where labels are vectors already
    label_vectors  (C, D) float   the labels from an encoder of their own; None where they are in the prompt
    """

    pieces: Tensor
    piece_counts: Tensor
    word_at: Tensor
    word_counts: Tensor
    label_at: Tensor | None = None
    label_vectors: Tensor | None = None

    def wanted(self) -> Tensor:
        """The pieces that stand for a word or a label (B, P) bool; nobody reads the last states of others."""
        rows, length = self.pieces.shape
        found = torch.zeros(rows, length + 1, dtype=torch.bool, device=self.pieces.device)
        for places in (self.word_at, self.label_at):
            if places is not None:
                found.scatter_(1, places.remainder(length + 1), True)  # -1 goes into the column that is cut off
        return found[:, :length]

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device; word and piece counts stay on the processor, where loops need them."""
        moved = (None if t is None else t.to(device, non_blocking=True) for t in (self.label_at, self.label_vectors))
        pieces, word_at = self.pieces.to(device, non_blocking=True), self.word_at.to(device, non_blocking=True)
        return Batch(pieces, self.piece_counts, word_at, self.word_counts, *moved)


@dataclass(frozen=True)
class Candidates:
    """Stretches of words above their threshold: five arrays of one length.

    `row` of the batch, words `start` to `stop` of that row (half-open, inside the row), `label` number, `score` from
    0 to 1. Here the differences between architectures end.
    """

    row: Tensor
    start: Tensor
    stop: Tensor
    label: Tensor
    score: Tensor

    def __len__(self) -> int:
        return len(self.row)

    def to(self, device: torch.device) -> Candidates:
        """The same candidates on another device."""
        values = (self.row, self.start, self.stop, self.label, self.score)
        return Candidates(*(value.to(device) for value in values))


def rows_at(states: Tensor, places: Tensor) -> Tensor:
    """The vectors (B, N, D) of states (B, P, D) at places (B, N); zero where a place is -1."""
    index = places.clamp(min=0).unsqueeze(-1).expand(-1, -1, states.shape[-1])
    return states.gather(1, index).masked_fill_((places < 0).unsqueeze(-1), 0)


def step(count: int) -> int:
    """What numbers of the size of `count` are multiples of if they have five binary digits and zeros behind."""
    return 1 << max(0, count.bit_length() - 5)


def runs(counts: list[int]) -> list[tuple[int, int, int]]:
    """Neighbouring rows of one length, as (first piece, number of rows, length), for rows packed end to end."""
    found: list[tuple[int, int, int]] = []
    first = 0
    for count in counts:
        if found and found[-1][2] == count:
            found[-1] = (found[-1][0], found[-1][1] + 1, count)
        else:
            found.append((first, 1, count))
        first += count
    return found
