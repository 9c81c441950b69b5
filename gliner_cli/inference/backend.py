"""Where logits come from. A backend knows nothing of text, labels or thresholds."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from gliner_cli.network.tensors import Batch


class Backend(Protocol):
    """Computes a checkpoint's network, in whatever way; on a CPU for several threads at a time."""

    device: torch.device

    def logits(self, batch: Batch) -> Tensor:
        """Float32 logits of a batch, (B, W, K, C) or (B, W, C, 3), on the device that they were computed on."""

    def label_vectors(self, pieces: Tensor, counts: Tensor) -> Tensor:
        """A bi-encoder's vectors (C, D) of labels, given as pieces (C, P) and their counts (C,)."""
