"""A network made faster, for inference on the CPU.

Weights are in the order in which the processor multiplies by them, made once. torch's linear layers hand their weights
over as they lie, to be put in order at every call. Every product is the same sum in another order.

With AVX-512 the order is oneDNN's own, with the activation in the same step: the layers of our encoders take a sixth to
a third less time. Without, MKL multiplies faster by transposed weights than oneDNN by its own: sentences take 1.17
times as long with those (1.14 to 1.21, nine pairs, starter, 2 cores), a long document 1.13 times and 17 MB more.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gliner_cli.errors import CheckpointError
from gliner_cli.network.derived import Deriving, sharing_copy
from gliner_cli.network.span_head import Folded
from gliner_cli.network.transformer import Layer, Residual


class PrepackedLinear(nn.Module):
    """A linear layer, and GELU behind it if `gelu` says so: x (…, in) -> (…, out), float32 on the CPU."""

    def __init__(self, layer: nn.Linear, gelu: bool = False) -> None:
        super().__init__()
        self.gelu = gelu
        self.bias = None if layer.bias is None else layer.bias.detach()
        self.weight = self.packed(layer.weight.detach())

    def packed(self, weight: Tensor) -> Tensor:
        """The weight (out, in) in an order of its own."""
        raise NotImplementedError


class OneDnnLinear(PrepackedLinear):
    """By oneDNN."""

    def packed(self, weight: Tensor) -> Tensor:
        return torch.ops.mkldnn._reorder_linear_weight(weight, None)  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        one, activation = torch.ops.mkldnn._linear_pointwise, "gelu" if self.gelu else "none"
        return one(x, self.weight, self.bias, activation, [], "none")  # type: ignore[no-any-return]


class TransposedLinear(PrepackedLinear):
    """By whichever library torch has for plain matrix products."""

    def packed(self, weight: Tensor) -> Tensor:
        return weight.t().contiguous()

    def forward(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])
        y = rows @ self.weight if self.bias is None else torch.addmm(self.bias, rows, self.weight)
        return (torch.ops.aten.gelu_(y) if self.gelu else y).view(*x.shape[:-1], y.shape[-1])


def fastest() -> type[PrepackedLinear]:
    """The faster of the two on this processor. (torch made oneDNN's for its own compiler and promises it to nobody.)"""
    there = all(hasattr(torch.ops.mkldnn, name) for name in ("_reorder_linear_weight", "_linear_pointwise"))
    wide = torch.backends.cpu.get_cpu_capability() == "AVX512"
    return OneDnnLinear if wide and there and torch.backends.mkldnn.is_available() else TransposedLinear  # type: ignore[no-untyped-call]


def prepacked(network: nn.Module, sole: bool = False, linear: type[PrepackedLinear] | None = None) -> nn.Module:
    """A network that computes the same, with copies of this one's weights where that is faster.

    For inference only, in float32 on the CPU. `sole`: nobody will compute with the given one, and what was copied is
    taken out of it. `linear` is what its layers become, the fastest if not given.
    """
    made, linear = sharing_copy(network), linear or fastest()
    for module in made.modules():
        copied = [*_with_gelu(module, linear), *_packed(module, linear)]
        if sole:
            for layer in copied:
                layer.weight.data = layer.weight.new_empty(0)  # type: ignore[operator]
    return made


def refuse_emptied(network: nn.Module) -> None:
    """Raise CheckpointError where weights were taken out: it can be neither computed with nor saved.

    Such a weight has shape (0,); the matrix of a layer that never had a number (fusion of a single layer) has not.
    """
    weights = (value for name, value in network.named_parameters() if name.endswith("weight"))
    if any(weight.shape == (0,) for weight in weights):
        raise CheckpointError(
            "The weights of this checkpoint were given up, to take less memory, when it was loaded to extract.",
            "Load it once more, to keep them: gliner_cli.load(MODEL, sole=False)",
        )


def _with_gelu(module: nn.Module, linear: type[PrepackedLinear]) -> list[nn.Module]:
    """Pack the layer before a GELU together with it; the layers that were replaced, as from those below."""
    if not isinstance(module, Layer) or module.activation is not functional.gelu:
        return []
    dense = module.intermediate["dense"]
    module.intermediate["dense"] = linear(dense, gelu=True)  # type: ignore[arg-type]
    module.activation = nn.Identity()
    return [dense]


def _packed(module: nn.Module, linear: type[PrepackedLinear]) -> list[nn.Module]:
    replaced = []
    for holder in _holders(module):
        for name, held in list(holder.items()):
            if type(held) is nn.Linear:
                holder[name] = linear(held)
                replaced.append(held)
    return [*replaced, *(module.sources() if isinstance(module, Deriving) else ())]


def _holders(module: nn.Module) -> Iterator[MutableMapping[str, Any]]:
    """What holds linear layers that are called; others are there for their weights, which stay in torch's order."""
    if isinstance(module, Deriving):
        yield module.derived
    if isinstance(module, Residual):
        yield module._modules
    if isinstance(module, Folded):
        yield from (module.project_start._modules, module.project_end._modules)
