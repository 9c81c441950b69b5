"""A network made faster, for inference on the CPU.

Its weights lie as the processor likes to multiply by them; as published they are turned around at every call. Every
product is the same sum in another order.

With AVX-512 that is oneDNN's own order, and GELU is done in the same step: the layers of our encoders take a sixth to a
third less time. Without, MKL is faster by plain transposed weights: with oneDNN's order sentences take 1.17 times as
long (1.14 to 1.21, nine pairs, starter, 2 cores), a long document 1.13 times as long and 17 MB more.
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


class OneDnnLinear(nn.Module):
    """A linear layer, and GELU behind it if `gelu` says so, by oneDNN: x (…, in) -> (…, out), float32 on the CPU."""

    def __init__(self, layer: nn.Linear, gelu: bool = False) -> None:
        super().__init__()
        self.activation = "gelu" if gelu else "none"
        self.bias = None if layer.bias is None else layer.bias.detach()
        self.weight = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach(), None)

    def forward(self, x: Tensor) -> Tensor:
        one = torch.ops.mkldnn._linear_pointwise
        return one(x, self.weight, self.bias, self.activation, [], "none")  # type: ignore[no-any-return]


class TransposedLinear(nn.Module):
    """The same by a plain matrix product, in which the weight is (in, out)."""

    def __init__(self, layer: nn.Linear, gelu: bool = False) -> None:
        super().__init__()
        self.gelu = gelu
        self.bias = None if layer.bias is None else layer.bias.detach()
        self.weight = layer.weight.detach().t().clone(memory_format=torch.contiguous_format)

    def forward(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])
        y = rows @ self.weight if self.bias is None else torch.addmm(self.bias, rows, self.weight)
        return (torch.ops.aten.gelu_(y) if self.gelu else y).view(*x.shape[:-1], y.shape[-1])


Faster = type[OneDnnLinear] | type[TransposedLinear]


def fastest() -> Faster | None:
    """What is known to be faster than torch's linear layers on this processor; None where nothing is."""
    if torch.backends.cpu.get_cpu_capability() == "AVX512" and has_onednn():
        return OneDnnLinear
    return TransposedLinear if torch.backends.mkl.is_available() else None  # type: ignore[no-untyped-call]


def has_onednn() -> bool:
    """Whether this torch has the operations, which it made for its own compiler and promises nobody."""
    there = all(hasattr(torch.ops.mkldnn, name) for name in ("_reorder_linear_weight", "_linear_pointwise"))
    return there and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]


def prepacked(network: nn.Module, linear: Faster, sole: bool = False) -> nn.Module:
    """A network that computes the same, with such layers, made of copies of this one's weights, where they are faster.

    For inference only, in float32 on the CPU. `sole`: nobody will compute with the given one, and what was copied is
    taken out of it.
    """
    made = sharing_copy(network)
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


def _with_gelu(module: nn.Module, linear: Faster) -> list[nn.Module]:
    """Pack the layer before a GELU together with it; the layers that were replaced, as from those below."""
    if not isinstance(module, Layer) or module.activation is not functional.gelu:
        return []
    dense = module.intermediate["dense"]
    module.intermediate["dense"] = linear(dense, gelu=True)  # type: ignore[arg-type]
    module.activation = nn.Identity()
    return [dense]


def _packed(module: nn.Module, linear: Faster) -> list[nn.Module]:
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
