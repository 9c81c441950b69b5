"""Linear layers made of a module's parameters: joined or split in a way that is cheaper to multiply by.

The parameters keep their published names and shapes; what is made of them is kept as long as they do not change, and is
in no state dict.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from threading import RLock
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

Parts = Mapping[str, tuple[Tensor, "Tensor | None"]]
# Held while something is made that is then kept: batches are computed side by side, and need it at the same time.
MAKING = RLock()


class Deriving(nn.Module):
    """A module that multiplies, without gradients, by layers that are made of its parameters once."""

    def __init__(self) -> None:
        super().__init__()
        self._derived: dict[str, nn.Module] | None = None

    def parts(self) -> Parts:
        """Weights (out, in) and biases (out,) of the layers, by names of their own."""
        raise NotImplementedError

    def derive(self) -> dict[str, nn.Linear]:
        """The layers, to be kept."""
        return {name: _linear(weight.detach(), bias) for name, (weight, bias) in self.parts().items()}

    def multiplied(self, name: str, x: Tensor) -> Tensor:
        """One of the layers, of x."""
        if torch.is_grad_enabled():
            return functional.linear(x, *self.parts()[name])
        return self.derived[name](x)  # type: ignore[no-any-return]

    @property
    def derived(self) -> dict[str, nn.Module]:
        """The layers, or what was put in their place, until parameters may change: by `train`, `to` or new weights."""
        with MAKING:
            if self._derived is None:
                self._derived = {**self.derive()}
            return self._derived

    def forget(self) -> None:
        """Drop what was made of the parameters, as they may be about to change."""
        self._derived = None

    def sources(self) -> list[nn.Linear]:
        """The published layers whose weights the derived ones are made of."""
        raise NotImplementedError

    def train(self, mode: bool = True) -> Deriving:
        self.forget()
        return super().train(mode)

    def _load_from_state_dict(self, *args: Any) -> None:
        self.forget()
        super()._load_from_state_dict(*args)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Deriving:
        self.forget()
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias is not None, device="meta")
    layer.weight = nn.Parameter(weight.contiguous(), requires_grad=False)
    if bias is not None:
        layer.bias = nn.Parameter(bias.detach(), requires_grad=False)
    return layer


def sharing_copy(network: nn.Module) -> nn.Module:
    """The same network, made of modules of its own that hold the same parameters; in evaluation mode."""
    held = {id(tensor): tensor for tensor in (*network.parameters(), *network.buffers())}
    return copy.deepcopy(network, dict(held)).eval()
