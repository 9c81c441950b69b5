"""What our own encoders share: post-norm layers over *packed* rows.

The rows of a batch lie end to end in one (N, D) matrix, with hardly any padding. Linear layers, norms and activations
see little else than real pieces; attention goes run by run (`tensors.runs`) over rows of one length, so that no mask is
needed. Batches are sorted by length, so a run is long. Behind its attention the last layer computes only the pieces
that are wanted.

Parameters carry the names that transformers gives them; `checkpoint/weights.py` needs no table for what is inside a
backbone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from gliner_cli.network.derived import MAKING, Deriving, Parts
from gliner_cli.network.dropout import dropout
from gliner_cli.network.tensors import runs, step

ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "gelu": functional.gelu,
    "gelu_new": lambda x: functional.gelu(x, approximate="tanh"),
    "gelu_pytorch_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "relu": functional.relu,
    "silu": functional.silu,
}
Run = tuple[int, int, int]


class Projections(Deriving):
    """Queries, keys and values in one matrix multiplication: (N, D) -> (N, 3 D).

    `names` are the published names of the three layers. They stay separate parameters; without gradients their storage
    is joined once and each becomes a view of its part, so nothing is held twice.
    """

    def __init__(self, names: tuple[str, str, str], size: int) -> None:
        super().__init__()
        self.names = names
        for name in names:
            self.add_module(name, nn.Linear(size, size))
        self._constant: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        return self.multiplied("all", x)

    def constant(self, x: Tensor) -> Tensor:
        """The projections of something that does not depend on the text, kept while the weights are."""
        if torch.is_grad_enabled():
            return self(x)  # type: ignore[no-any-return]
        with MAKING:
            if self._constant is None:
                self._constant = self(x)
            return self._constant

    def parts(self) -> Parts:
        layers = self.sources()
        return {"all": (torch.cat([layer.weight for layer in layers]), torch.cat([layer.bias for layer in layers]))}

    def derive(self) -> dict[str, nn.Linear]:
        derived = super().derive()
        parts = zip(self.sources(), derived["all"].weight.chunk(3), derived["all"].bias.chunk(3), strict=True)
        for layer, own_weight, own_bias in parts:
            layer.weight.data, layer.bias.data = own_weight, own_bias
        return derived

    def forget(self) -> None:
        super().forget()
        self._constant = None

    def sources(self) -> list[nn.Linear]:
        return [self.get_submodule(name) for name in self.names]  # type: ignore[misc]


class Residual(nn.Module):
    """LayerNorm(x + dense(y))."""

    def __init__(self, inner: int, size: int, eps: float, dropout: float) -> None:
        super().__init__()
        self.dense = nn.Linear(inner, size)
        self.LayerNorm = nn.LayerNorm(size, eps)
        self.dropout = dropout

    def forward(self, y: Tensor, x: Tensor) -> Tensor:
        y = self.dense(y)
        if self.training:
            return self.LayerNorm(dropout(y, self.dropout, True) + x)  # type: ignore[no-any-return]
        return self.LayerNorm(y.add_(x) if not torch.is_grad_enabled() else y + x)  # type: ignore[no-any-return]


class Attend(Protocol):
    """How the pieces of a row look at each other; holds no parameters."""

    def __call__(self, projections: Projections, x: Tensor, runs: list[Run], training: bool) -> Tensor:
        """Attention within each row: x (N, D) -> (N, D)."""


class Layer(nn.Module):
    """One post-norm transformer layer around any way to attend."""

    def __init__(self, names: tuple[str, str, str], config: Mapping[str, Any]) -> None:
        super().__init__()
        size, inner = config["hidden_size"], config["intermediate_size"]
        eps, dropout = config["layer_norm_eps"], config["hidden_dropout_prob"]
        self.attention = nn.ModuleDict({"self": Projections(names, size), "output": Residual(size, size, eps, dropout)})
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(size, inner)})
        self.output = Residual(inner, size, eps, dropout)
        self.activation = ACTIVATIONS[config["hidden_act"]]

    def forward(self, x: Tensor, attend: Attend, rows: list[Run], wanted: Tensor | None = None) -> Tensor:
        """The next states of x (N, D); or, given the places `wanted` (M,), of those pieces alone (M, D)."""
        projections: Projections = self.attention["self"]  # type: ignore[assignment]
        attended = attend(projections, x, rows, self.training)
        if wanted is not None:
            attended, x = attended[wanted], x[wanted]
        x = self.attention["output"](attended, x)
        return self.output(self.activation(self.intermediate["dense"](x)), x)  # type: ignore[no-any-return]


class Layers(nn.Module):
    """A stack of layers, under its published name `layer`."""

    def __init__(self, names: tuple[str, str, str], config: Mapping[str, Any]) -> None:
        super().__init__()
        self.layer = nn.ModuleList(Layer(names, config) for _ in range(config["num_hidden_layers"]))
        self.recompute = False  # layers are computed a second time in the backward pass instead of being remembered

    def forward(
        self, x: Tensor, attend: Attend, counts: list[int], real: Tensor, every_layer: bool, wanted: Tensor | None
    ) -> list[Tensor]:
        """The states (B, P, D) after the last layer, or after every layer, of packed rows x (N, D) of these lengths.

        `real` (B, P) bool says where they lie; the last layer computes those of them that are `wanted` (B, P) bool.
        What `packed` filled up with has no place there and is cut off.
        """
        rows, states = runs(counts), list[Tensor]()
        for layer in self.layer[:-1]:
            x = self._computed(layer, x, attend, rows)
            if every_layer:
                states.append(padded(x, real))
        last, places = real, None
        if wanted is not None:
            last, places = real & wanted, filled(wanted[real].nonzero().squeeze(1))
        return [*states, padded(self._computed(self.layer[-1], x, attend, rows, places), last)]

    def _computed(self, layer: nn.Module, *given: Any) -> Tensor:
        if self.recompute and torch.is_grad_enabled():
            return checkpoint(layer, *given, use_reentrant=False)  # type: ignore[no-any-return]
        return layer(*given)  # type: ignore[no-any-return]


def packed(pieces: Tensor, counts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The real pieces end to end (N,), the place of each in its row (N,), and the mask (B, P) of where they were.

    On a CPU and without gradients the first piece of a vocabulary, in no place of the mask, fills up N, so that batches
    of many sizes have few shapes. oneDNN keeps what it makes for a shape, and keeps it between our tensors: a document
    of 40,000 words took 720 MB, and 481 filled up (without oneDNN 403 and 394, and 1.015 of the time).
    """
    real = torch.arange(pieces.shape[1], device=pieces.device) < counts.to(pieces.device).unsqueeze(1)
    places = torch.cat([torch.arange(count) for count in counts.tolist()])
    return filled(pieces[real]), filled(places.to(pieces.device)), real


def filled(numbers: Tensor) -> Tensor:
    """Numbers (N,) with zeros behind, by which N has five binary digits; as they are on a GPU and with gradients."""
    return functional.pad(numbers, (0, -len(numbers) % step(len(numbers)))) if _sparing(numbers) else numbers


def _sparing(x: Tensor) -> bool:
    """Whether shapes and tensors should be few: on a CPU, whose heap they would split up, and without gradients."""
    return x.device.type == "cpu" and not torch.is_grad_enabled()


def padded(x: Tensor, real: Tensor) -> Tensor:
    """Packed vectors (N, D) back in their rows (B, P, D), zero in the padding."""
    x = x[: int(real.sum())]
    if len(x) == real.numel():
        return x.view(*real.shape, -1)
    rows = x.new_zeros(*real.shape, x.shape[-1])
    rows[real] = x
    return rows


def joined(parts: Iterable[Tensor], projected: Tensor) -> Tensor:
    """What attention made of projected rows (N, 3 D), parts (n, D), end to end; zeros behind where they are filled up.

    On a CPU and without gradients each part is let go before the next is made.
    """
    if not _sparing(projected):
        return torch.cat(list(parts))
    count, width = projected.shape
    whole, first = projected.new_empty(count, width // 3), 0
    for part in parts:
        whole[first : first + len(part)] = part
        first += len(part)
    whole[first:] = 0
    return whole
