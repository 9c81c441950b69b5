"""Weights in the order in which the processor multiplies by them: oneDNN's own, made once.

torch's linear layers hand their weights over as they lie, to be put in order at every call. In order, and with the
activation or the residual connection done while a result is still in a register, the layers of our encoders take a
sixth to a third less time; every product is the same sum in another order.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gliner_cli.network.derived import Deriving, sharing_copy
from gliner_cli.network.span_head import Folded
from gliner_cli.network.transformer import Layer, Residual


class PrepackedLinear(nn.Module):
    """A linear layer, and GELU behind it if `activation` says so: x (…, in) -> (…, out), float32 on the CPU."""

    def __init__(self, layer: nn.Linear, activation: str = "none") -> None:
        super().__init__()
        self.activation = activation
        self.bias = None if layer.bias is None else layer.bias.detach()
        self.weight = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach(), None)

    def forward(self, x: Tensor) -> Tensor:
        one = torch.ops.mkldnn._linear_pointwise
        return one(x, self.weight, self.bias, self.activation, [], "none")  # type: ignore[no-any-return]


def runs_here(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether this torch has the operations, which it made for its own compiler and promises nobody."""
    there = all(hasattr(torch.ops.mkldnn, name) for name in ("_reorder_linear_weight", "_linear_pointwise"))
    return there and device.type == "cpu" and dtype == torch.float32 and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]


def prepacked(network: nn.Module) -> nn.Module:
    """A network that shares this one's parameters and multiplies by packed copies of them; for inference only."""
    made = sharing_copy(network)
    for layer in [module for module in made.modules() if isinstance(module, Layer)]:
        if layer.activation is functional.gelu:
            layer.intermediate["dense"] = PrepackedLinear(layer.intermediate["dense"], "gelu")  # type: ignore[arg-type]
            layer.activation = nn.Identity()
    for holder in list(_holders(made)):
        for name, held in list(holder.items()):
            if type(held) is nn.Linear:
                holder[name] = PrepackedLinear(held)
    return made


def _holders(network: nn.Module) -> Iterator[MutableMapping[str, Any]]:
    """What holds linear layers that are called; others are there for their weights, which stay in torch's order."""
    for module in network.modules():
        if isinstance(module, Deriving):
            yield module.derived
        if isinstance(module, Residual):
            yield module._modules
        if isinstance(module, Folded):
            yield from (module.project_start._modules, module.project_end._modules)
