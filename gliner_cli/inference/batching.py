"""Rows to batches: of like length, within a budget of pieces, padded; and how large that budget is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from gliner_cli.errors import DeviceError
from gliner_cli.inference.prompt import Encoded
from gliner_cli.network.config import NetworkConfig
from gliner_cli.network.tensors import Batch, step

# On a CPU the widest numbers of a batch, those between the two layers of a feed-forward block, fill at most this many
# bytes: 672 pieces of the starter; larger checkpoints take the least there is. Seconds of processor time for the same
# sentences, by the most pieces of a batch, with AVX-512; the starter: 256: 10.9, 512: 10.5, 1024: 10.0, 2048: 9.9,
# 4096: 10.1, 8192: 11.3, 32768: 13.3. Without it, seconds at 672 over those at 1344, in turn: sentences 0.96, a long
# document 0.97; the document takes 377 MB for 392 (one batch at a time; side by side 405).
# A rule that asked for the machine's caches would make other batches, and with them other last digits, on each machine;
# as it is those depend on the kind of processor and the number of threads.
_CPU_BYTES = 4 << 20
# On a GPU half of what is free, with this many copies of the widest numbers alive at once. A guess on the safe side:
# where it is wrong, running out of memory halves the budget.
_GPU_COPIES = 8
_LEAST, _MOST = 512, 65536


@dataclass(frozen=True)
class Row:
    """An encoded window and where it comes from: a place among the rows in flight and the number of its prompt."""

    place: int
    prompt: int
    encoded: Encoded


@dataclass
class Budget:
    """The most pieces of a batch, with their padding; halved where they did not fit into memory."""

    pieces: int

    def halve(self, failed: Sequence[Row]) -> None:
        """Ask for at most half of what a batch took that did not fit. Raises DeviceError if it was one row."""
        longest = max(len(row.encoded) for row in failed)
        if len(failed) == 1:
            raise DeviceError(
                f"A single row of {longest} pieces does not fit into the device's memory.",
                "Shorter windows, as --window words=100; or --device cpu.",
            )
        self.pieces = min(self.pieces, len(failed) * longest) // 2


def widest(config: NetworkConfig, labels: int) -> int:
    """The most numbers that a piece has at a time: inside a feed-forward block, or as scores for so many labels."""
    backbone = config.backbone or {}
    inner = backbone.get("intermediate_size") or backbone.get("d_ff") or 4 * config.hidden_size
    return max(int(inner), labels * (3 if config.head == "token" else config.max_width))


def pieces_at_once(device: torch.device, widest: int) -> int:
    """How many pieces to compute at once, where each has at most so many numbers at a time."""
    if device.type == "cuda":
        return _within(_free(device) // 2 // (4 * widest * _GPU_COPIES))
    pieces = _within(_CPU_BYTES // (4 * widest))
    return pieces - pieces % step(pieces)  # so that filling up stays within


def _free(device: torch.device) -> int:
    """The bytes that a CUDA device has for us: the driver counts as used what torch only keeps for the next tensor."""
    return torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


def _within(pieces: int) -> int:
    return max(_LEAST, min(pieces, _MOST))


def batches(rows: Iterable[Row], most_pieces: int) -> Iterator[list[Row]]:
    """The rows in batches: of one prompt, sorted by length, at most so many pieces with their padding.

    The longest come first: what is too much for a device shows early, and what the first batch has given back is room
    for most of the others.
    """
    batch: list[Row] = []
    for row in sorted(rows, key=lambda row: (row.prompt, -len(row.encoded), row.place)):
        if batch and (batch[0].prompt != row.prompt or (len(batch) + 1) * len(batch[0].encoded) > most_pieces):
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
