"""The network as it is, on whatever device torch has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor

from gliner_cli.errors import DeviceError
from gliner_cli.network.gliner import Gliner
from gliner_cli.network.label_vectors import EncodedLabels
from gliner_cli.network.prepacked import fastest, prepacked, refuse_emptied
from gliner_cli.network.tensors import Batch
from gliner_cli.options import Computing, Device, Precision

PRECISIONS: Mapping[Precision, torch.dtype] = {
    "fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16, "int8": torch.float32,  # see int8_backend.py
}  # fmt: skip


class TorchBackend:
    """A network in evaluation mode on a device, in a precision.

    `sole`: nobody else computes with the network, and weights are taken out of it; `pack=False`: it stays as it is.
    """

    def __init__(self, network: Gliner, options: Computing, sole: bool = False, pack: bool = True) -> None:
        refuse_emptied(network)
        self.device = device(options.device)
        if options.precision == "fp16" and self.device.type == "cpu":
            raise DeviceError("fp16 was asked for on the CPU, which computes it many times slower.", "--precision fp32")
        if options.threads:
            torch.set_num_threads(options.threads)
        dtype = PRECISIONS[options.precision]
        # Nothing is said of the type where it is right: that would widen words stored in 16 bits.
        network = network.to(self.device) if network.dtype == dtype else network.to(self.device, dtype)
        self.network = network.eval()
        faster = fastest() if pack and options.precision == "fp32" and self.device.type == "cpu" else None
        if faster:
            self.network = cast(Gliner, prepacked(self.network, faster, sole))

    @torch.no_grad()
    def logits(self, batch: Batch) -> Tensor:
        """See `Backend.logits`."""
        return self.network(batch.to(self.device)).float()  # type: ignore[no-any-return]

    @torch.no_grad()
    def label_vectors(self, pieces: Tensor, counts: Tensor) -> Tensor:
        """See `Backend.label_vectors`."""
        if not isinstance(self.network.labels, EncodedLabels):
            raise TypeError("The labels of a uni-encoder are in its prompt; it has no vectors of them.")
        return self.network.labels.encoder(pieces.to(self.device), counts)  # type: ignore[no-any-return]


def device(name: Device) -> torch.device:
    """The device of a name; "auto" is CUDA where there is one, otherwise the CPU.

    Raises DeviceError where it is not there.
    """
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device("cuda" if there["cuda"] else "cpu")
    if not there[name]:
        built = f"torch {torch.__version__} sees no such device"
        raise DeviceError(
            f"--device {name} was asked for, but {built}.", "Use --device auto, or install another torch."
        )
    return torch.device(name)
