"""How the heads of a new network begin: near the identity, centred on what the encoder says of real text.

Random heads throw away what a pretrained encoder knows until they have learned to pass it on. Here they pass it on from
the first step. The vector of a stretch is the mean of the states at its two ends, that of a label is its state; both
less what they are on average, so that their inner product tells labels apart. Scores start around a log-odds of
`_RARE`, as candidates that are right are rare, and spread by about 1. Noise on all weights lets the rest be learned.
This is our own; the figures are in `CHANGELOG.md`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gliner_cli.network.gliner import Gliner
from gliner_cli.network.span_head import Folded, SpanHead

# At 0.02 the noise of 4 D units is as large as what is passed on: of MiniLM's scores a correlation of 0.48 was left.
_NOISE = 0.005
_RARE = -4.0
# States are lifted by so many standard deviations before the relu in front of `out_project`, and lowered behind it.
_LIFT = 4.0


@torch.no_grad()
def begin_near_identity(network: Gliner, words: Tensor, labels: Tensor) -> None:
    """Set the weights of a `markerV0` head so; any other head keeps its random ones.

    `words` (N, D) and `labels` (M, D) are states of a sample of text, in front of the head.
    """
    head = network.head
    if not (isinstance(head, SpanHead) and isinstance(head.spans, Folded) and head.spans.context is None):
        return
    word, label = words.mean(0), labels.mean(0)
    identity, lift = torch.eye(len(word)), _LIFT * float((words - word).std())
    spread = float(((words - word) @ (labels - label).t()).std())
    # One direction that all labels share carries the log-odds to begin with.
    shared = nn.functional.normalize(torch.randn_like(word), dim=0)
    spans = head.spans
    for ends in (spans.project_start, spans.project_end):
        _pass_on(ends, identity, -word, torch.full_like(word, lift))
    halves = torch.cat([identity, identity], dim=1) / 2
    _pass_on(spans.out_project, halves, torch.full_like(word, -lift), _RARE * shared)
    _pass_on(head.label_projection, identity / spread, -label / spread, shared)


def _pass_on(perceptron: nn.Sequential, matrix: Tensor, inside: Tensor, after: Tensor) -> None:
    """Make Linear-ReLU-Linear compute matrix @ x + inside + after, by relu(y) - relu(-y) = y, and a little noise."""
    inner, outer = (layer for layer in perceptron if isinstance(layer, nn.Linear))
    size = len(matrix)
    for layer in (inner, outer):
        layer.weight.normal_(0, _NOISE)
        layer.bias.zero_()
    for first, sign in ((0, 1), (size, -1)):
        rows = slice(first, first + size)
        inner.weight[rows] += sign * matrix
        inner.bias[rows].add_(inside, alpha=sign)
        outer.weight[:, rows] += sign * torch.eye(size)
    outer.bias.add_(after)
