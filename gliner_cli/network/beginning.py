"""How the heads of a new network begin: near the identity.

Random heads throw away what a pretrained encoder knows until they have learned to pass it on. Here they pass it on from
the first step: the vector of a stretch is the mean of the states at its two ends, that of a label is its marker's
state, and a score is their inner product over the root of their size. Noise on all weights lets the rest be learned.
This is our own; the figures are in `CHANGELOG.md`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gliner_cli.network.gliner import Gliner
from gliner_cli.network.span_head import Folded, SpanHead

_NOISE = 0.02
# The states are lifted by so much before the relu in front of `out_project`, and lowered behind it: a shift of some
# three standard deviations of a normed state, so that little is cut off.
_LIFT = 1.5


def begin_near_identity(network: Gliner) -> None:
    """Set the weights of a `markerV0` head so; any other head keeps its random ones."""
    head = network.head
    if not (isinstance(head, SpanHead) and isinstance(head.spans, Folded) and head.spans.context is None):
        return
    spans = head.spans
    identity = torch.eye(len(spans.out_project[3].bias))  # type: ignore[arg-type]
    for ends in (spans.project_start, spans.project_end):
        _pass_on(ends, identity, after=_LIFT)
    _pass_on(spans.out_project, torch.cat([identity, identity], dim=1) / 2, before=-_LIFT)
    _pass_on(head.label_projection, identity / len(identity) ** 0.5)


@torch.no_grad()
def _pass_on(perceptron: nn.Sequential, matrix: Tensor, before: float = 0.0, after: float = 0.0) -> None:
    """Make Linear-ReLU-Linear compute matrix @ x + before + after, by relu(y) - relu(-y) = y, and a little noise."""
    inner, outer = (layer for layer in perceptron if isinstance(layer, nn.Linear))
    size = len(matrix)
    for layer in (inner, outer):
        layer.weight.normal_(0, _NOISE)
        layer.bias.zero_()
    for first, sign in ((0, 1), (size, -1)):
        rows = slice(first, first + size)
        inner.weight[rows] += sign * matrix
        inner.bias[rows] += sign * before
        outer.weight[:, rows] += sign * torch.eye(size)
    outer.bias.add_(after)
