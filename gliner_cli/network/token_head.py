"""The token head: every word as the start, the end and the inside of every label; spans of any width.

Logits are (B, W, C, 3): start, end, inside. The published scorer is

    out_mlp([ t0 ; l0 ; t1 * l1 ])      (t0, t1) = proj_token(word), (l0, l1) = proj_label(label)

Its first layer is linear in three parts, so the part of the word and the part of the label are computed once each, and
for the product the label goes into the weight: (C diag(l1)) t1. The same number at a third of the multiplications.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from gliner_cli.network.dropout import Dropout
from gliner_cli.network.tensors import Candidates


class TokenHead(nn.Module):
    """Words (B, W, D) and label vectors (B, C, D) to logits (B, W, C, 3); -inf behind the end of a row."""

    def __init__(self, size: int, dropout: float) -> None:
        super().__init__()
        self.proj_token = nn.Linear(size, 2 * size)
        self.proj_label = nn.Linear(size, 2 * size)
        self.out_mlp = nn.Sequential(nn.Linear(3 * size, 4 * size), Dropout(dropout), nn.ReLU(), nn.Linear(4 * size, 3))

    def forward(self, words: Tensor, counts: Tensor, labels: Tensor) -> Tensor:
        word, word_factor = self.proj_token(words).chunk(2, dim=-1)
        label, label_factor = self.proj_label(labels).chunk(2, dim=-1)
        inner, dropout, _, outer = self.out_mlp
        of_word, of_label, of_product = inner.weight.chunk(3, dim=1)  # type: ignore[operator]
        word = functional.linear(word, of_word, inner.bias)  # type: ignore[arg-type]
        label = functional.linear(label, of_label)
        scores = []
        for c in range(labels.shape[1]):  # a label at a time: the (B, W, C, 4 D) tensor never exists
            weight = of_product * label_factor[:, c].unsqueeze(1)  # (B, 4 D, D)
            hidden = torch.baddbmm(word + label[:, c].unsqueeze(1), word_factor, weight.transpose(1, 2))
            scores.append(outer(dropout(hidden).relu()))
        logits = torch.stack(scores, dim=2)
        behind = torch.arange(words.shape[1]) >= counts.cpu().unsqueeze(1)
        return logits.masked_fill(behind[..., None, None].to(logits.device), float("-inf"))

    def propose(self, logits: Tensor, thresholds: Tensor) -> Candidates:
        """The candidates in logits (B, W, C, 3), given the threshold of each label (C,).

        As in the reference since 0.2.17: start and end above the threshold, every word between (and both ends) inside
        by at least the threshold; the score is the least of all of these. All spans grow a word at a time, so the work
        is theirs and not that of all pairs of a start and an end.
        """
        scores = torch.sigmoid(logits.float())
        length = scores.shape[1]
        starts, ends = scores[..., 0], scores[..., 1]
        inside = torch.where(scores[..., 2] >= thresholds, scores[..., 2], -1.0)
        row, start, label = (starts > thresholds).nonzero(as_tuple=True)
        least = starts[row, start, label]
        found: list[tuple[Tensor, ...]] = []
        last = start.clone()
        while len(row):
            least = torch.minimum(least, inside[row, last, label])
            alive = least >= 0
            row, start, label, last, least = (values[alive] for values in (row, start, label, last, least))
            end = ends[row, last, label]
            closing = end > thresholds[label]
            score = torch.minimum(least, end)
            found.append(tuple(values[closing] for values in (row, start, last + 1, label, score)))
            last = last + 1
            within = last < length
            row, start, label, last, least = (values[within] for values in (row, start, label, last, least))
        if not found:
            return Candidates(row, start, start, label, least)
        return Candidates(*(torch.cat(parts) for parts in zip(*found, strict=True)))

    def targets(self, gold: Candidates, logits: Tensor) -> Tensor:
        """What the logits (B, W, C, 3) should say of the gold spans: 1 at a start, an end, and every word inside."""
        target = torch.zeros_like(logits)
        target[gold.row, gold.start, gold.label, 0] = 1
        target[gold.row, gold.stop - 1, gold.label, 1] = 1
        lengths = gold.stop - gold.start
        row, label = gold.row.repeat_interleave(lengths), gold.label.repeat_interleave(lengths)
        first = gold.start.repeat_interleave(lengths)
        within = torch.arange(len(first), device=first.device) - (lengths.cumsum(0) - lengths).repeat_interleave(
            lengths
        )
        target[row, first + within, label, 2] = 1
        return target

    def answerable(self, logits: Tensor, asked: Tensor) -> Tensor:
        """Which logits count: inside their row, and of a label the row was asked for (B, C). NaN counts, and shows."""
        return ~torch.isneginf(logits) & asked[:, None, :, None].to(logits.device)
