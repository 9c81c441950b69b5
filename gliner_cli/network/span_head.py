"""The span heads: every stretch of up to K words against every label.

A head owns both directions of its convention: logits (B, W, K, C), where [b, i, k, c] is the stretch of k + 1 words
from word i of row b as label c, and `propose`, which reads Candidates off them.

The marker heads are computed folded. As published, `markerV0` is

    score(i, j, c) = p_c · (W2 relu(W1 [relu s_i ; relu e_j] + b1) + b2)

for start and end vectors s, e of words and label vectors p. Split W1 = [A | B] and move W2 to the labels:

    u_i = A relu(s_i) + b1     v_j = B relu(e_j)     q_c = W2ᵀ p_c     k_c = p_c · b2
    score(i, j, c) = relu(u_i + v_j) · q_c + k_c

The same number without a vector for each stretch: per word about a sixteenth of the multiplications at D = 512, K = 12.
The other span modes are rare; they are computed as published.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import product
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from gliner_cli.network.derived import Deriving, Parts
from gliner_cli.network.dropout import Dropout
from gliner_cli.network.tensors import Candidates

# Floats of relu(u + v) held at once: small enough to stay in a core's cache between its making and its use.
_AT_ONCE = 1 << 18
# Floats of u, and of v, held at once, if one row has no more: less than the widest of the encoder, and enough words to
# multiply well.
_OF_WORDS = 1 << 20


def projection(size: int, dropout: float, out: int | None = None, factor: int = 4) -> nn.Sequential:
    """The published two-layer perceptron: size -> factor * out -> out (keys `0` and `3`)."""
    out = out or size
    return nn.Sequential(
        nn.Linear(size, factor * out), nn.ReLU(inplace=True), Dropout(dropout), nn.Linear(factor * out, out)
    )


class SpanHead(nn.Module):
    """Words (B, W, D) and label vectors (B, C, D) to logits (B, W, K, C); stretches that leave the row have -inf."""

    def __init__(self, mode: str, size: int, width: int, dropout: float) -> None:
        super().__init__()
        self.width = width
        self.spans = _MODES[mode](size, width, dropout)
        self.label_projection = projection(size, dropout)

    def forward(self, words: Tensor, counts: Tensor, labels: Tensor) -> Tensor:
        logits: Tensor = self.spans(words, counts, self.label_projection(labels))
        return _inside(logits, counts)

    def propose(self, logits: Tensor, thresholds: Tensor) -> Candidates:
        """The candidates in logits (B, W, K, C) whose score is above the threshold of their label (C,).

        In the order of row, start, width, label, as the reference's `torch.where` has them.
        """
        # Nearly everything is far below; the sigmoid is taken only of what is near or above, and compared exactly.
        near = torch.logit(thresholds.double(), eps=1e-12).float() - 1e-3
        row, start, wider, label = (logits > near).nonzero(as_tuple=True)
        score = torch.sigmoid(logits[row, start, wider, label].float())
        kept = score > thresholds[label]
        row, start, wider, label, score = (values[kept] for values in (row, start, wider, label, score))
        return Candidates(row, start, start + wider + 1, label, score)

    def targets(self, gold: Candidates, logits: Tensor) -> Tensor:
        """What the logits (B, W, K, C) should say of the gold spans: 1 at each, 0 elsewhere.

        A span wider than K has no place in them; `training.judging` tells the user of those.
        """
        wider = gold.stop - gold.start - 1
        within = wider < self.width
        target = torch.zeros_like(logits)
        target[gold.row[within], gold.start[within], wider[within], gold.label[within]] = 1
        return target

    def answerable(self, logits: Tensor, asked: Tensor) -> Tensor:
        """Which logits count: inside their row, and of a label the row was asked for (B, C). NaN counts, and shows."""
        return ~torch.isneginf(logits) & asked[:, None, None, :].to(logits.device)


def _inside(logits: Tensor, counts: Tensor) -> Tensor:
    """The logits with -inf where a stretch ends behind its row."""
    length, width = logits.shape[1:3]
    last = torch.arange(length).unsqueeze(1) + torch.arange(width)  # (W, K)
    outside = last >= counts.cpu().view(-1, 1, 1)
    return logits.masked_fill(outside.unsqueeze(-1).to(logits.device), float("-inf"))


class Marker(nn.Module):
    """`marker` (v0, v1 and NuNER checkpoints): one linear layer over the two ends, so the score is a sum of two.

    With no non-linearity behind the concatenation, score(i, j, c) = start_ic + end_jc + bias_c.
    """

    def __init__(self, size: int, width: int, dropout: float) -> None:
        super().__init__()
        self.width = width
        self.project_start = projection(size, dropout, factor=2)
        self.project_end = projection(size, dropout, factor=2)
        self.out_project = nn.Linear(2 * size, size)

    def forward(self, words: Tensor, counts: Tensor, labels: Tensor) -> Tensor:
        start_weight, end_weight = self.out_project.weight.chunk(2, dim=1)
        starts = self.project_start(words).relu_() @ (labels @ start_weight).transpose(1, 2)  # (B, W, C)
        ends = self.project_end(words).relu_() @ (labels @ end_weight).transpose(1, 2)
        starts = starts + (labels @ self.out_project.bias).unsqueeze(1)
        return _by_width(starts, ends, self.width)


def _by_width(starts: Tensor, ends: Tensor, width: int) -> Tensor:
    """starts[i] + ends[i + k] as (B, W, K, C)."""
    length = starts.shape[1]
    ends = functional.pad(ends, (0, 0, 0, width - 1))
    reached = torch.stack([ends[:, k : k + length] for k in range(width)], dim=2)
    return starts.unsqueeze(2) + reached


# What every stretch of a row shares, in the modes that have such a thing: (head, words, counts) -> (B, D).
Context = Callable[["Folded", Tensor, Tensor], Tensor]


class Folded(Deriving):
    """`markerV0` (v2, v2.1, v2.5 checkpoints), folded; see the module's docstring.

    `markerV1` and `markerV2` add a third vector that is the same for the whole row, given by `context`; `extra` is the
    published name of the projection that comes with it.
    """

    def __init__(self, size: int, width: int, dropout: float, extra: str = "", context: Context | None = None) -> None:
        super().__init__()
        self.width = width
        self.context = context
        self.project_start = projection(size, dropout)
        self.project_end = projection(size, dropout)
        if extra:
            self.add_module(extra, projection(size, dropout))
        self.out_project = projection((3 if context else 2) * size, dropout, size)

    def parts(self) -> Parts:
        inner = self.out_project[0]
        assert isinstance(inner, nn.Linear)  # noqa: S101
        weights = inner.weight.chunk(3 if self.context else 2, dim=1)
        parts = zip(weights, (inner.bias, None, None), strict=False)
        return dict(zip(("start", "end", "context"), parts, strict=False))

    def sources(self) -> list[nn.Linear]:
        return [cast(nn.Linear, self.out_project[0])]

    def forward(self, words: Tensor, counts: Tensor, labels: Tensor) -> Tensor:
        inner = cast(nn.Linear, self.out_project[0]).out_features
        together = max(1, _OF_WORDS // (inner * max(1, words.shape[1])))
        if torch.is_grad_enabled() or together >= len(words):
            return self._rows(words, counts, labels)
        portions = (slice(row, row + together) for row in range(0, len(words), together))
        return torch.cat([self._rows(words[some], counts[some], labels[some]) for some in portions])

    def _rows(self, words: Tensor, counts: Tensor, labels: Tensor) -> Tensor:
        _, _, dropout, outer = self.out_project
        u = self.multiplied("start", self.project_start(words).relu_())
        v = self.multiplied("end", self.project_end(words).relu_())
        if self.context:
            u = u + self.multiplied("context", self.context(self, words, counts).relu()).unsqueeze(1)
        q = labels @ cast(Tensor, outer.weight)  # (B, C, 4 D)
        k = labels @ cast(Tensor, outer.bias)
        if torch.is_grad_enabled():
            # Dropped from q: a hidden unit is left out for all stretches of a row at once. Each score sees what it
            # would see otherwise, and the mask is as small as the labels are, not as large as the stretches.
            return cast(Tensor, _FoldedWithGradients.apply(u, v, dropout(q), k, self.width))  # type: ignore[no-untyped-call]
        return _folded(u, v, q, k, self.width)


def _mean_word(head: Folded, words: Tensor, counts: Tensor) -> Tensor:
    """`markerV1`: the mean of the row's words.

    The reference takes it over the padded length, so that its scores depend on what else is in the batch; here it is
    over the row's own words, which is what the reference gives in a batch of one. (`project_first` is in the published
    weights and nobody uses it; it is kept so that saving gives back what was loaded.)
    """
    return words.sum(1) / counts.to(words.device).unsqueeze(1)  # words behind the end of a row are zero


def _last_word(head: Folded, words: Tensor, counts: Tensor) -> Tensor:
    """`markerV2`: the projected last word of the row."""
    last = words[torch.arange(len(words)), (counts - 1).to(words.device)]
    return head.project_context(last)  # type: ignore[no-any-return, operator]


def _folded(u: Tensor, v: Tensor, q: Tensor, k: Tensor, width: int) -> Tensor:
    """relu(u_i + v_j) · q_c + k_c for all widths (B, W, K, C), of u, v (B, W, 4 D), q (B, C, 4 D) and k (B, C).

    A few rows or a few words at a time, in one reused buffer; stretches that leave the padded row are unset.
    """
    rows, length, inner = u.shape
    logits = u.new_empty(rows, length, width, q.shape[1])
    words = max(1, min(_AT_ONCE // inner, length))
    together = max(1, _AT_ONCE // (inner * words))
    buffer = u.new_empty(together * words * inner)
    for row, first in product(range(0, rows, together), range(0, length, words)):
        some = slice(row, min(row + together, rows))
        labels, constant = q[some].transpose(1, 2), k[some].unsqueeze(1)
        for w in range(min(width, length - first)):
            stop = min(first + words, length - w)
            starts, ends = u[some, first:stop], v[some, first + w : stop + w]
            hidden = torch.add(starts, ends, out=buffer[: starts.numel()].view(starts.shape)).relu_()
            logits[some, first:stop, w] = torch.baddbmm(constant, hidden, labels)
    return logits


class _FoldedWithGradients(torch.autograd.Function):
    """The same; gradients need relu(u_i + v_j), which is made again then rather than kept for every width."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, v: Tensor, q: Tensor, k: Tensor, width: int) -> Tensor:
        ctx.save_for_backward(u, v, q)
        return _folded(u, v, q, k, width)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (by_logit,), (u, v, q) = gradients, ctx.saved_tensors
        by_u, by_v, by_q = torch.zeros_like(u), torch.zeros_like(v), torch.zeros_like(q)
        length, width = by_logit.shape[1:3]
        for w in range(min(width, length)):
            starts, ends, one = slice(length - w), slice(w, length), by_logit[:, : length - w, w]
            hidden = torch.add(u[:, starts], v[:, ends]).relu_()
            by_q.baddbmm_(one.transpose(1, 2), hidden)
            by_hidden = torch.ops.aten.threshold_backward(one @ q, hidden, 0)
            by_u[:, starts] += by_hidden
            by_v[:, ends] += by_hidden
        return by_u, by_v, by_q, by_logit.sum((1, 2)), None


def _against(spans: Tensor, labels: Tensor) -> Tensor:
    return torch.einsum("bwkd,bcd->bwkc", spans, labels)


class Query(nn.Module):
    """`query`: the first word, element by element, times a learned vector for each width."""

    def __init__(self, size: int, width: int, dropout: float) -> None:
        super().__init__()
        self.query_seg = nn.Parameter(torch.empty(size, width).uniform_(-1, 1))
        self.project = nn.Sequential(nn.Linear(size, size), nn.ReLU())

    def forward(self, words: Tensor, counts: Tensor, labels: Tensor) -> Tensor:
        return _against(self.project(torch.einsum("bwd,dk->bwkd", words, self.query_seg)), labels)


class Mlp(nn.Module):
    """`mlp`: one linear layer makes the vectors of all widths from the first word."""

    def __init__(self, size: int, width: int, dropout: float) -> None:
        super().__init__()
        self.width = width
        self.mlp = nn.Linear(size, size * width)

    def forward(self, words: Tensor, counts: Tensor, labels: Tensor) -> Tensor:
        return _against(self.mlp(words).unflatten(-1, (self.width, -1)).relu(), labels)


class Cat(nn.Module):
    """`cat`: the first word beside a learned vector for the width."""

    width_size = 128

    def __init__(self, size: int, width: int, dropout: float) -> None:
        super().__init__()
        self.query_seg = nn.Parameter(torch.randn(self.width_size, width))
        self.project = nn.Sequential(nn.Linear(size + self.width_size, size), nn.ReLU())

    def forward(self, words: Tensor, counts: Tensor, labels: Tensor) -> Tensor:
        # The layer over the concatenation is a sum of a part for the word and a part for the width.
        linear, activation = self.project
        of_word, of_width = linear.weight.split([words.shape[-1], self.width_size], dim=1)  # type: ignore[operator]
        # The published code *views* its (128, K) parameter as (K, 128), which transposes nothing; so it was trained.
        widths = self.query_seg.view(-1, self.width_size)
        parts = functional.linear(words, of_word).unsqueeze(2) + functional.linear(widths, of_width)
        return _against(activation(parts + cast(Tensor, linear.bias)), labels)


class Convolution(nn.Module):
    """`conv_conv`, `conv_max`, `conv_mean`, `conv_sum`: one convolution or pooling for each width."""

    def __init__(self, size: int, width: int, over: Callable[[int, int], nn.Module]) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.ModuleDict({"conv": over(size, kernel)}) for kernel in range(2, width + 1))
        self.project = nn.Sequential(nn.ReLU(), nn.Linear(size, size))

    def forward(self, words: Tensor, counts: Tensor, labels: Tensor) -> Tensor:
        x = words.transpose(1, 2)
        kernels = enumerate(self.convs, start=1)
        wider = [block["conv"](functional.pad(x, (0, more))).transpose(1, 2) for more, block in kernels]  # type: ignore[index]
        return _against(self.project(torch.stack([words, *wider], dim=2)), labels)


class SumPool(nn.Module):
    """The sum over a window of `kernel` words."""

    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.kernel = kernel

    def forward(self, x: Tensor) -> Tensor:
        return functional.avg_pool1d(x, self.kernel, stride=1) * self.kernel


class ConvShare(nn.Module):
    """`conv_share`: one kernel, of which each width uses the beginning. (The parameter's name is as published.)"""

    def __init__(self, size: int, width: int, dropout: float) -> None:
        super().__init__()
        self.conv_weigth = nn.Parameter(nn.init.kaiming_uniform_(torch.empty(size, size, width), nonlinearity="relu"))
        self.project = nn.Sequential(nn.ReLU(), nn.Linear(size, size))

    def forward(self, words: Tensor, counts: Tensor, labels: Tensor) -> Tensor:
        x = words.transpose(1, 2)
        width = self.conv_weigth.shape[2]
        kernels = ((more, self.conv_weigth[:, :, : more + 1]) for more in range(width))
        spans = [functional.conv1d(functional.pad(x, (0, more)), kernel).transpose(1, 2) for more, kernel in kernels]
        return _against(self.project(torch.stack(spans, dim=2)), labels)


_POOLS: Mapping[str, Callable[[int, int], nn.Module]] = {
    "conv_conv": lambda size, kernel: nn.Conv1d(size, size, kernel),
    "conv_max": lambda size, kernel: nn.MaxPool1d(kernel, stride=1),
    "conv_mean": lambda size, kernel: nn.AvgPool1d(kernel, stride=1),
    "conv_sum": lambda size, kernel: SumPool(kernel),
}


def _convolution(name: str) -> Callable[[int, int, float], nn.Module]:
    return lambda size, width, dropout: Convolution(size, width, _POOLS[name])


_MODES: Mapping[str, Callable[[int, int, float], nn.Module]] = {
    "marker": Marker,
    "markerV0": Folded,
    "markerV1": partial(Folded, extra="project_first", context=_mean_word),
    "markerV2": partial(Folded, extra="project_context", context=_last_word),
    "query": Query, "mlp": Mlp, "cat": Cat, "conv_share": ConvShare,
    **{name: _convolution(name) for name in _POOLS},
}  # fmt: skip
