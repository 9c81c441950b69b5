"""Linear layers in eight bits: weights once, with a scale for each output; what they multiply as it comes.

A layer whose answers would change too much stays as it is. How much they change is measured, layer by layer, on rows
that the caller gives: the same rows, the same layers, whatever is computed later.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor, nn

from gliner_cli.network.derived import Deriving, sharing_copy

# ‖what a layer gives in eight bits - what it gives‖ over ‖what it gives‖, above which it stays as it is.
_TOLERATED = 0.05
_TINY = 1e-12


def quantised(network: nn.Module, run: Callable[[nn.Module], object]) -> tuple[nn.Module, dict[str, float]]:
    """A network that shares this one's parameters and computes in eight bits where it can, and each layer's error.

    `run` calls it on the rows by which layers are judged. Those above the tolerated error are as they were, and so are
    those that `run` did not reach. It must stay where it is: layers in eight bits do not go to another device or type.
    """
    made = sharing_copy(network)
    layers = {name: (holder, key) for name, holder, key in _linear_layers(made)}
    judges = {name: _Judge() for name in layers}
    hooks = [holder[key].register_forward_hook(judges[name]) for name, (holder, key) in layers.items()]
    run(made)
    for hook in hooks:
        hook.remove()
    for name, (holder, key) in layers.items():
        replacement = judges[name].replacement
        if replacement and judges[name].error <= _TOLERATED:
            holder[key] = replacement
    return made, {name: judge.error for name, judge in judges.items() if judge.replacement}


def left_alone(errors: dict[str, float]) -> list[str]:
    """The layers of these that stay as they are."""
    return [name for name, error in errors.items() if error > _TOLERATED]


def _linear_layers(network: nn.Module) -> Iterator[tuple[str, MutableMapping[str, nn.Module], str]]:
    """Every linear layer: its name, what holds it, and the key it is held by."""
    for name, module in network.named_modules():
        holders = [module._modules, *([module.derived] if isinstance(module, Deriving) else [])]
        for holder in holders:
            for key, child in list(holder.items()):
                if type(child) is nn.Linear:
                    yield f"{name}.{key}", holder, key


class _Judge:
    """Called with all that a layer gives: what would replace it, and the largest error of that."""

    def __init__(self) -> None:
        self.replacement: Int8Linear | None = None
        self.error = 0.0

    def __call__(self, layer: nn.Module, given: tuple[Tensor], exact: Tensor) -> None:
        self.replacement = self.replacement or Int8Linear(cast(nn.Linear, layer))
        error = float((self.replacement(given[0]) - exact).norm() / exact.norm().clamp(min=_TINY))
        self.error = max(self.error, error)


class Int8Linear(nn.Module):
    """A linear layer over eight bits: x (…, in) in float32 -> (…, out) in float32.

    The kernel has one scale for all of x, and a single piece with large values (the first and the last of a row have
    them) would leave few of the 256 steps to the others. So every vector is scaled to its own largest value before, and
    its answer back after.
    """

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.engine, self.narrow = _engine()
        self.bias = layer.bias
        # Without numbers: T5 asks every layer for the type of its weights before it gives it anything.
        self.weight = torch.empty_like(layer.weight, dtype=torch.int8, device="meta")
        weight = layer.weight.detach()
        scales = (weight.abs().amax(1) / 127).clamp(min=_TINY)
        with _using(self.engine), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # torch means to replace this, and has nothing as fast yet
            whole = torch.quantize_per_channel(weight, scales, torch.zeros_like(scales).long(), 0, torch.qint8)
            self.packed = torch.ops.quantized.linear_prepack(whole, None)

    def forward(self, x: Tensor) -> Tensor:
        # In two passes: torch's norm of order infinity takes twenty times as long.
        largest = torch.maximum(x.amax(-1, keepdim=True), -x.amin(-1, keepdim=True)).clamp_(min=_TINY)
        y = torch.ops.quantized.linear_dynamic(x / largest, self.packed, self.narrow).mul_(largest)
        return y if self.bias is None else y.add_(self.bias)  # type: ignore[no-any-return]


def _engine() -> tuple[str, bool]:
    """Which of torch's engines multiplies eight bits fastest here, and whether it needs one of the bits for itself:
    products of pairs overflow 16 bits where the processor adds them up there (before VNNI)."""
    known = torch.backends.quantized.supported_engines
    if "onednn" in known and torch.cpu._is_vnni_supported():  # torch has no public probe
        return "onednn", False
    return ("fbgemm", True) if "fbgemm" in known else ("qnnpack", False)


@contextmanager
def _using(engine: str) -> Iterator[None]:
    before = torch.backends.quantized.engine
    torch.backends.quantized.engine = engine
    try:
        yield
    finally:
        torch.backends.quantized.engine = before
