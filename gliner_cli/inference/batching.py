"""Rows to batches: of like length, within a budget of pieces, padded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from gliner_cli.inference.prompt import Encoded
from gliner_cli.network.tensors import Batch


@dataclass(frozen=True)
class Row:
    """An encoded window and where it comes from: a place among the rows in flight and the number of its prompt."""

    place: int
    prompt: int
    encoded: Encoded


def batches(rows: Sequence[Row], most_pieces: int) -> Iterator[list[Row]]:
    """The rows in batches: of one prompt, sorted by length, at most so many pieces with their padding."""
    batch: list[Row] = []
    for row in sorted(rows, key=lambda row: (row.prompt, len(row.encoded), row.place)):
        # Ascending, so the row to come is the longest of its batch.
        full = (len(batch) + 1) * len(row.encoded) > most_pieces
        if batch and (full or batch[-1].prompt != row.prompt):
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def padded(rows: Sequence[Encoded], label_vectors: torch.Tensor | None = None) -> Batch:
    """One batch of these rows; they ask for the same labels."""
    return Batch(
        pieces=_stacked([row.pieces for row in rows], 0),
        piece_counts=torch.tensor([len(row.pieces) for row in rows]),
        word_at=_stacked([row.word_at for row in rows], -1),
        word_counts=torch.tensor([len(row.word_at) for row in rows]),
        label_at=None if label_vectors is not None else _stacked([row.label_at for row in rows], -1),
        label_vectors=label_vectors,
    )


def _stacked(rows: Sequence[NDArray[np.int64]], padding: int) -> torch.Tensor:
    stacked = np.full((len(rows), max(map(len, rows))), padding, np.int64)
    for number, row in enumerate(rows):
        stacked[number, : len(row)] = row
    return torch.from_numpy(stacked)
