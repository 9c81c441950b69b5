"""What the logits should be: targets are the inverse of `propose`; the loss, cell by cell; gradients as by definition."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from gliner_cli.network.span_head import SpanHead
from gliner_cli.network.tensors import Candidates
from gliner_cli.network.token_head import TokenHead
from gliner_cli.training.losses import Loss

ROWS, LENGTH, LABELS, WIDTH = 3, 9, 4, 5


def candidates(spans) -> Candidates:
    row, start, stop, label = torch.tensor(sorted(spans), dtype=torch.long).view(-1, 4).unbind(1)
    return Candidates(row, start, stop, label, torch.ones(len(row)))


def spans_of(found: Candidates) -> list[tuple[int, ...]]:
    return sorted(zip(*(c.tolist() for c in (found.row, found.start, found.stop, found.label)), strict=True))


@st.composite
def gold(draw, widest: int, apart: bool):
    """Word counts of the rows, and spans inside of them; `apart`: those of one label do not touch."""
    counts = draw(st.lists(st.integers(1, LENGTH), min_size=ROWS, max_size=ROWS))
    spans = set()
    for _ in range(draw(st.integers(0, 8))):
        row, label = draw(st.integers(0, ROWS - 1)), draw(st.integers(0, LABELS - 1))
        start = draw(st.integers(0, counts[row] - 1))
        stop = draw(st.integers(start + 1, min(counts[row], start + widest)))
        near = any((r, n) == (row, label) and s <= stop and start <= e for r, s, e, n in spans)
        if not (apart and near):
            spans.add((row, start, stop, label))
    return torch.tensor(counts), spans


def behind(logits, counts):
    """The logits with -inf in what does not end inside its row."""
    words = torch.arange(LENGTH)
    last = words[:, None] + torch.arange(WIDTH) if logits.shape[2] == WIDTH else words[:, None]
    return logits.masked_fill((last >= counts[:, None, None])[..., None], -math.inf)


HALF = torch.full((LABELS,), 0.5)


@given(gold(widest=WIDTH, apart=False))
@settings(max_examples=60)
def test_a_span_heads_targets_are_what_it_proposes(drawn):
    counts, spans = drawn
    head = SpanHead("markerV0", 8, WIDTH, 0.0)
    logits = behind(torch.zeros(ROWS, LENGTH, WIDTH, LABELS), counts)
    target = head.targets(candidates(spans), logits)
    assert target.sum() == len(spans)
    assert spans_of(head.propose(behind((2 * target - 1) * 10, counts), HALF)) == sorted(spans)


@given(gold(widest=LENGTH, apart=True))
@settings(max_examples=60)
def test_a_token_heads_targets_are_what_it_proposes(drawn):
    counts, spans = drawn
    head = TokenHead(8, 0.0)
    logits = torch.zeros(ROWS, LENGTH, LABELS, 3).masked_fill(
        (torch.arange(LENGTH) >= counts[:, None])[..., None, None], -math.inf
    )
    target = head.targets(candidates(spans), logits)
    assert spans_of(head.propose((2 * target - 1) * 10 + logits, HALF)) == sorted(spans)


def test_spans_that_touch_are_all_among_what_a_token_head_proposes():
    spans = {(0, 1, 3, 2), (0, 3, 4, 2), (0, 2, 4, 1)}
    head = TokenHead(8, 0.0)
    target = head.targets(candidates(spans), torch.zeros(1, LENGTH, LABELS, 3))
    assert set(spans_of(head.propose((2 * target - 1) * 10, HALF))) == {*spans, (0, 1, 4, 2)}


def test_a_span_wider_than_the_head_has_no_target():
    head = SpanHead("markerV0", 8, WIDTH, 0.0)
    target = head.targets(candidates({(0, 0, WIDTH + 1, 0), (0, 0, WIDTH, 1)}), torch.zeros(1, LENGTH, WIDTH, LABELS))
    assert target.nonzero().tolist() == [[0, 0, WIDTH - 1, 1]]


@pytest.mark.parametrize("head", [SpanHead("markerV0", 8, WIDTH, 0.0), TokenHead(8, 0.0)], ids=["span", "token"])
def test_cells_outside_a_row_or_not_asked_are_not_answerable(head):
    counts = torch.tensor([9, 2, 1])
    logits = head(torch.randn(ROWS, LENGTH, 8), counts, torch.randn(ROWS, LABELS, 8))
    asked = torch.tensor([[True, True, False, False], [True, False, True, False], [False] * 4])
    cells = head.answerable(logits, asked)
    by_row = [9 + 8 + 7 + 6 + 5, 2 + 1, 1] if logits.shape[2] == WIDTH else [3 * 9, 3 * 2, 3]
    assert cells.flatten(1).sum(1).tolist() == [2 * by_row[0], 2 * by_row[1], 0]


@pytest.mark.parametrize("head", [SpanHead("markerV0", 8, WIDTH, 0.0), TokenHead(8, 0.0)], ids=["span", "token"])
def test_logits_that_are_no_numbers_count(head):
    """Otherwise the loss of a network that has gone to NaN is a number, and a small one."""
    words, labels = torch.full((ROWS, LENGTH, 8), math.nan), torch.randn(ROWS, LABELS, 8)
    logits = head(words, torch.tensor([9, 2, 1]), labels)
    asked = torch.ones(ROWS, LABELS, dtype=torch.bool)
    assert head.answerable(logits, asked).any()


# --- The loss -------------------------------------------------------------------------------------------------------


def one_by_one(loss: Loss, logits, target, counted) -> float:
    """Focal loss as in its paper, a cell at a time, in double precision."""
    total = 0.0
    for logit, gold_cell, counts in zip(
        logits.flatten().tolist(), target.flatten().tolist(), counted.flatten(), strict=True
    ):
        if counts:
            right = 1 / (1 + math.exp(-logit if gold_cell else logit))
            weight = loss.positive_weight if gold_cell else 1.0
            total -= weight * (1 - right) ** loss.focus * math.log(right)
    return total


LOSSES = [Loss(), Loss(3.0), Loss(1.0, 1.0), Loss(3.0, 2.0), Loss(0.5, 0.5), Loss(0.0, 3.0)]


def cells(dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    logits = 4 * torch.randn(2, 5, 3, 2, generator=generator, dtype=dtype)
    counted = torch.rand(logits.shape, generator=generator) < 0.8
    target = (torch.rand(logits.shape, generator=generator) < 0.2).to(dtype) * counted
    return logits, target, counted


@pytest.mark.parametrize("loss", LOSSES)
def test_the_loss_is_the_sum_over_the_cells(loss):
    logits, target, counted = cells()
    assert float(loss(logits, target, counted)) == pytest.approx(one_by_one(loss, logits, target, counted), rel=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_its_gradient_is_the_slope(loss):
    logits, target, counted = cells()
    logits.requires_grad_()
    loss(logits, target, counted).backward()
    for place in range(0, logits.numel(), 3):
        slope = 0.0
        for sign in (1, -1):
            moved = logits.detach().double().clone()
            moved.view(-1)[place] += sign * 1e-5
            slope += sign * one_by_one(loss, moved, target, counted) / 2e-5
        assert float(logits.grad.view(-1)[place]) == pytest.approx(slope, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_what_does_not_count_changes_nothing(loss):
    logits, target, counted = cells()
    sums, gradients = [], []
    for elsewhere in (0.0, 50.0, -math.inf, math.inf):
        own = logits.masked_fill(~counted, elsewhere).requires_grad_()
        one = loss(own, target, counted)
        one.backward()
        sums.append(one.item())
        gradients.append(own.grad)
    assert len(set(sums)) == 1
    assert all(torch.equal(gradients[0], other) for other in gradients[1:])
    assert not gradients[0][~counted].any()


@pytest.mark.parametrize("loss", [Loss(3.0, focus) for focus in (0.0, 0.5, 1.0, 2.0)])
def test_a_confident_mistake_keeps_its_gradient_and_a_confident_truth_has_none(loss):
    logits = torch.tensor([200.0, -200.0, 200.0, -200.0], requires_grad=True)
    loss(logits, torch.tensor([0.0, 1.0, 1.0, 0.0]), torch.ones(4, dtype=torch.bool)).backward()
    torch.testing.assert_close(logits.grad, torch.tensor([1.0, -3.0, 0.0, 0.0]))


# --- The folded head ------------------------------------------------------------------------------------------------


def unfolded(head: SpanHead, words, labels):
    """As in the paper's code: a vector for every stretch, then its product with the labels. Stretches that leave the
    batch are zero."""
    spans, length = head.spans, words.shape[1]
    starts, ends = spans.project_start(words), spans.project_end(words)
    padded = nn.functional.pad(ends, (0, 0, 0, WIDTH - 1))
    reached = torch.stack([padded[:, k : k + length] for k in range(WIDTH)], 2)
    pairs = torch.cat([starts.unsqueeze(2).expand_as(reached), reached], -1)
    return torch.einsum("bwkd,bcd->bwkc", spans.out_project(pairs.relu()), head.label_projection(labels))


@pytest.mark.parametrize("loss", [Loss(), Loss(3.0, 1.0)])
def test_gradients_of_the_folded_head_are_those_of_the_published_one(loss):
    torch.manual_seed(0)
    head = SpanHead("markerV0", 8, WIDTH, 0.0).double()
    counts, asked = torch.tensor([9, 4, 1]), torch.rand(ROWS, LABELS) < 0.7
    gold_spans = candidates({(0, 2, 5, 1), (1, 0, 1, 0), (2, 0, 1, 3)})
    found = []
    for of in ("folded", "unfolded"):
        words = torch.randn(ROWS, LENGTH, 8, generator=torch.Generator().manual_seed(1)).double().requires_grad_()
        labels = torch.randn(ROWS, LABELS, 8, generator=torch.Generator().manual_seed(2)).double().requires_grad_()
        logits = head(words, counts, labels) if of == "folded" else behind(unfolded(head, words, labels), counts)
        counted, target = head.answerable(logits, asked), head.targets(gold_spans, logits)
        one = loss(logits, target, counted)
        leaves = [words, labels, *head.parameters()]
        found.append([one.detach(), *torch.autograd.grad(one, leaves)])
    for ours, published in zip(*found, strict=True):
        torch.testing.assert_close(ours, published, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("gradients", [True, False])
def test_no_tensor_of_all_stretches_is_made(gradients):
    """Neither in the forward pass nor kept for the backward pass is there one of (B, W, K, 4 D) floats."""
    size = 64
    head = SpanHead("markerV0", size, 12, 0.0)
    words, labels = torch.randn(4, 100, size), torch.randn(4, 3, size)
    sizes = []

    class Watching(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function, types, arguments=(), named=None):
            made = function(*arguments, **(named or {}))
            sizes.extend(one.numel() for one in torch.utils._pytree.tree_leaves(made) if isinstance(one, torch.Tensor))
            return made

    with Watching(), torch.set_grad_enabled(gradients):
        head(words, torch.tensor([100, 25, 7, 1]), labels)
    assert max(sizes) < 4 * 100 * 12 * 4 * size / 4
