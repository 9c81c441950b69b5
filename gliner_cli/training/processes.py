"""Several processes that learn together: `accelerate launch -m gliner_cli finetune …`, or torchrun.

Each computes its share of a step's lessons; sums of losses, counts and gradients are what they exchange, so that one
process and many do the same arithmetic. Started alone, everything here does nothing.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import nn

_T = TypeVar("_T")


@dataclass(frozen=True)
class Processes:
    """This process's number and how many there are."""

    rank: int = 0
    count: int = 1

    @classmethod
    def of_environment(cls, device: torch.device) -> Processes:
        """As the launcher set them in the environment; joins the group of processes."""
        count = int(os.environ.get("WORLD_SIZE", "1"))
        if count == 1:
            return cls()
        from torch import distributed

        if device.type == "cuda":
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        if not distributed.is_initialized():
            distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        return cls(distributed.get_rank(), count)

    @property
    def first(self) -> bool:
        """Whether this is the process that prints and saves."""
        return self.rank == 0

    def share(self, items: Sequence[_T]) -> Sequence[_T]:
        """This process's part of what all have drawn alike."""
        return items[self.rank :: self.count]

    def sum(self, values: Sequence[float]) -> list[float]:
        """Numbers added up over all processes."""
        if self.count == 1:
            return list(values)
        from torch import distributed

        total = torch.tensor(values, dtype=torch.float64, device=self._device())
        distributed.all_reduce(total)
        return total.tolist()

    def largest(self, value: int) -> int:
        """The largest of all processes' numbers; none goes on before all have asked."""
        if self.count == 1:
            return value
        from torch import distributed

        largest = torch.tensor(value, device=self._device())
        distributed.all_reduce(largest, distributed.ReduceOp.MAX)
        return int(largest)

    def wait(self) -> None:
        """Until all are here."""
        self.largest(0)

    @staticmethod
    def _device() -> str:
        """Where numbers lie that are exchanged."""
        from torch import distributed

        return "cuda" if distributed.get_backend() == "nccl" else "cpu"

    def sum_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Gradients added up over all processes, in place; a process without a lesson brings zeros."""
        if self.count == 1:
            return
        from torch import distributed

        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        flat = torch.cat([parameter.grad.flatten() for parameter in parameters if parameter.grad is not None])
        distributed.all_reduce(flat)
        parts = torch.split(flat, [parameter.numel() for parameter in parameters])
        for parameter, summed in zip(parameters, parts, strict=True):
            parameter.grad = summed.view_as(parameter)
