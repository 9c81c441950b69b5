"""Against forgetting: the weights of the end mixed with those of the beginning.

On a line between the two the network does what it has learned nearly as well as at its end, often better, and what it
knew before far better (WiSE-FT, Wortsman et al. 2022, https://arxiv.org/abs/2109.01903).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor, nn

from gliner_cli.training.state import weights

# Dev F1 that going back may cost.
_TOLERATED = 0.005
# How much further back each time, and how far, where too much was forgotten.
_BACK, _FURTHEST = 0.15, 0.25


def go_back(
    network: nn.Module,
    beginning: Mapping[str, Tensor],
    least: float,
    learned: float,
    f1: Callable[[], float],
    remembers: Callable[[], bool],
) -> float:
    """Put the smallest share of what was learned into the network that is about as good on the dev data; that share.

    `beginning` lies on the CPU. `least` is the smallest share tried, `learned` the F1 of the network as it is, `f1`
    measures it again. Where the network does not then remember what it should, less is put in until it does, whatever
    the dev data says.
    """
    end = weights(network)
    scores = {1.0: learned}
    for share in ((1 + least) / 2, least):
        network.load_state_dict(_mixed(beginning, end, share))
        scores[share] = f1()
    chosen = min(share for share, score in scores.items() if score >= max(scores.values()) - _TOLERATED)
    network.load_state_dict(_mixed(beginning, end, chosen))
    while not remembers() and chosen > _FURTHEST:
        chosen = max(round(chosen - _BACK, 2), _FURTHEST)
        network.load_state_dict(_mixed(beginning, end, chosen))
    return chosen


def _mixed(beginning: Mapping[str, Tensor], end: Mapping[str, Tensor], share: float) -> dict[str, Tensor]:
    return {
        name: beginning[name].lerp(tensor, share) if tensor.is_floating_point() else tensor
        for name, tensor in end.items()
    }
