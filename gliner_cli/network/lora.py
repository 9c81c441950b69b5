"""Low-rank adapters (Hu et al. 2021, https://arxiv.org/abs/2106.09685): add, take out, merge.

The weight of a linear layer becomes W + scale B A with A (r, in) and B (out, r), W itself being fixed. It is a
parametrisation of torch's, so that whatever reads `layer.weight` sees the sum, our fused projections too.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

# alpha / r of the paper, fixed: with B at zero the beginning is the same at any scale.
_SCALE = 2.0


class LowRank(nn.Module):
    """W to W + scale B A; B begins at zero, so the network begins as it was."""

    def __init__(self, outputs: int, inputs: int, rank: int) -> None:
        super().__init__()
        self.A = nn.Parameter(torch.randn(rank, inputs) / inputs**0.5)
        self.B = nn.Parameter(torch.zeros(outputs, rank))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + _SCALE * self.B @ self.A


def add(module: nn.Module, rank: int) -> None:
    """Give every linear layer in a module an adapter; nothing else in it learns any more."""
    module.requires_grad_(False)
    for _, layer in _linears(module):
        adapter = LowRank(layer.out_features, layer.in_features, rank).to(layer.weight.device)
        parametrize.register_parametrization(layer, "weight", adapter)


def adapters(module: nn.Module) -> dict[str, Tensor]:
    """The adapters' tensors, by the layer's name in the module and `A` or `B`."""
    return {
        f"{name}.{part}": getattr(layer.parametrizations.weight[0], part).detach()  # type: ignore[union-attr, index]
        for name, layer in _linears(module)
        if parametrize.is_parametrized(layer, "weight")
        for part in ("A", "B")
    }


def merge(module: nn.Module) -> None:
    """Make the sums the weights, and the adapters go."""
    for _, layer in _linears(module):
        if parametrize.is_parametrized(layer, "weight"):
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)


def _linears(module: nn.Module) -> Iterator[tuple[str, nn.Linear]]:
    yield from ((name, part) for name, part in list(module.named_modules()) if isinstance(part, nn.Linear))
