"""Labels as vectors: read off the prompt (uni-encoder), or from an encoder of their own (bi-encoder).

Both give (B, C, D) for a batch; what comes after does not know which it was.
"""

from __future__ import annotations

from torch import Tensor, nn

from gliner_cli.network.encoder import LabelEncoder
from gliner_cli.network.tensors import Batch, rows_at


class PromptLabels(nn.Module):
    """The states of the pieces that stand for the labels in the prompt."""

    def forward(self, states: Tensor, batch: Batch) -> Tensor:
        if batch.label_at is None:
            raise ValueError("A uni-encoder needs its labels in the prompt: Batch.label_at is None.")
        return rows_at(states, batch.label_at)


class EncodedLabels(nn.Module):
    """Vectors that `encoder` made of the labels before, the same for all rows: once per run."""

    def __init__(self, encoder: LabelEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, states: Tensor, batch: Batch) -> Tensor:
        if batch.label_vectors is None:
            raise ValueError("A bi-encoder needs its labels as vectors: Batch.label_vectors is None.")
        return batch.label_vectors.expand(len(states), -1, -1)
