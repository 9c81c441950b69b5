"""A checkpoint's network in eight bits, watched by the network itself."""

from __future__ import annotations

from threading import Lock
from typing import cast

import torch
from torch import Tensor

from gliner_cli.errors import DeviceError
from gliner_cli.inference.torch_backend import TorchBackend
from gliner_cli.network.gliner import Gliner
from gliner_cli.network.int8 import left_alone, quantised
from gliner_cli.network.tensors import Batch

# On these the layers are judged: always the same, so that every run of a checkpoint computes alike.
SAMPLE_LABELS = ("person", "organization", "location", "date", "disease", "product", "law", "amount of money")
SAMPLE = (
    "Ingrid Solheim left the Norwegian Polar Institute in Tromsø on 3 March 2019 and joined Kvamme Energi for a salary "
    "of 1.2 million kroner, while her brother went on writing the history of the Sami Act.",
    "The patient, a teacher from Gdańsk with type 2 diabetes and asthma, was given 500 mg metformin twice daily.",
    "ordered the Zephyr X2 headphones last tuesday, $89.99, still nothing!! @northmarket pls help",
)
# From which score on a candidate is looked at.
_NOTICED = 0.1
# How far the scores of noticed candidates may move on average: beyond it, other entities come out.
_TOLERATED = 0.1


class Int8Backend(TorchBackend):
    """The network of another backend in eight bits.

    The first batch, or one of the first side by side, is computed in float32 as well; `drift` is how far the scores of
    what was nearly or clearly found moved on average, None as long as nothing was.
    """

    def __init__(self, exact: TorchBackend, sample: Batch) -> None:
        if exact.device.type != "cpu":
            raise DeviceError(
                f"int8 is computed on the CPU only, not on {exact.device}.", "--device cpu, or --precision bf16"
            )
        self.device, self._exact = exact.device, exact
        self.drift: float | None = None
        self._judging = Lock()
        with torch.no_grad():
            network, errors = quantised(exact.network, lambda network: network(sample))
        self.network = cast(Gliner, network)
        self.layers, self.left_alone = len(errors), left_alone(errors)

    @torch.no_grad()
    def logits(self, batch: Batch) -> Tensor:
        """See `Backend.logits`. Raises DeviceError where scores move too far for the answers to be the checkpoint's."""
        logits = super().logits(batch)
        if self.drift is None:
            drift = _drift(self._exact.logits(batch).sigmoid(), logits.sigmoid())
            with self._judging:
                self.drift = drift if self.drift is None else self.drift
        if self.drift is not None and self.drift > _TOLERATED:
            raise DeviceError(
                f"In int8 the scores of the first documents are off by {self.drift:.2f} on average; "
                f"more than {_TOLERATED:g} makes other entities of them.",
                "--precision fp32, or bf16 where the processor has it",
            )
        return logits


def _drift(exact: Tensor, ours: Tensor) -> float | None:
    noticed = torch.maximum(exact, ours) > _NOTICED
    return float((exact - ours)[noticed].abs().mean()) if noticed.any() else None
