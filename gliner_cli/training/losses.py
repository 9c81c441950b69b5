"""How far logits are from what they should say."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

# exp(-30) is nothing beside 1: a cell that is not there adds nothing to the loss, and no gradient.
_NEVER = -30.0


@dataclass(frozen=True)
class Loss:
    """Binary cross-entropy of every candidate, summed over those that count.

    `positive_weight` is the weight of a gold cell. `focus` is the gamma of the focal loss (Lin et al. 2017, equation
    4): each cell counts by (1 - p)^gamma, p being the probability given to the truth. Computed from logits, so that a
    confident mistake keeps its gradient; the reference clamps probabilities and loses it.
    """

    positive_weight: float = 1.0
    focus: float = 0.0

    def __call__(self, logits: Tensor, target: Tensor, counted: Tensor) -> Tensor:
        """The sum over the cells of one shape; `counted` says which of them there are."""
        logits = logits.float().masked_fill(~counted, _NEVER)
        each = functional.binary_cross_entropy_with_logits(logits, target.float(), reduction="none")
        if self.focus:
            # Below 1 the power's slope at 0 is infinite: the least distance from the truth is a little above.
            each = each * (target - torch.sigmoid(logits)).abs().clamp(min=1e-7) ** self.focus
        if self.positive_weight != 1:
            each = each * (1 + (self.positive_weight - 1) * target)
        return each.sum()
