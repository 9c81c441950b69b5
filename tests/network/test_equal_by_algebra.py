"""Our encoders equal transformers', the folded heads equal the published ones, with and without gradients."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn
from transformers import BertConfig, BertModel, DebertaV2Config, DebertaV2Model

from gliner_cli.network import bert, deberta, span_head
from gliner_cli.network.span_head import SpanHead
from gliner_cli.network.tensors import Batch
from gliner_cli.network.token_head import TokenHead
from gliner_cli.network.transformer import packed, padded
from tests.tiny import BACKBONES, randomize

COUNTS = torch.tensor([150, 150, 70, 7, 1, 200])
REAL = torch.arange(200) < COUNTS[:, None]
PIECES = torch.randint(5, 100, (6, 200), generator=torch.Generator().manual_seed(0)) * REAL


@pytest.mark.parametrize(
    "changed",
    [{}, {"position_buckets": -1}, {"position_buckets": 256}, {"pos_att_type": "c2p"}, {"pos_att_type": "p2c"},
     {"position_biased_input": True, "type_vocab_size": 2, "norm_rel_ebd": "none"}, {"max_relative_positions": 64}],
)  # fmt: skip
def test_deberta_equals_transformers(changed):
    theirs = DebertaV2Model(DebertaV2Config(vocab_size=100, **{**BACKBONES["deberta-v2"], **changed}))
    equal(theirs, deberta.Deberta(theirs.config.to_dict()))


def test_bert_equals_transformers():
    theirs = BertModel(BertConfig(vocab_size=100, **BACKBONES["bert"]), add_pooling_layer=False)
    equal(theirs, bert.Bert(theirs.config.to_dict()))


def equal(theirs: nn.Module, ours: nn.Module) -> None:
    randomize(theirs)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    with torch.no_grad():
        output = theirs.eval()(PIECES, attention_mask=REAL.long(), output_hidden_states=True)
        states = ours.eval()(PIECES, COUNTS, every_layer=True)
    for state, expected in zip(states, output.hidden_states[1:], strict=True):
        torch.testing.assert_close(state[REAL], expected[REAL], atol=2e-5, rtol=1e-5)
    wanted = REAL & (PIECES % 3 > 0)
    with torch.no_grad():
        few = ours(PIECES, COUNTS, every_layer=True, wanted=wanted)
    for state, whole in zip(few, [*states[:-1], states[-1] * wanted[..., None]], strict=True):
        torch.testing.assert_close(state, whole)
    for ours.encoder.recompute in (True, False):
        expected, found = (gradients(ours, ours(PIECES, COUNTS, wanted=some)[-1][wanted]) for some in (None, wanted))
        for name, gradient in expected.items():
            torch.testing.assert_close(found[name], gradient, atol=1e-4, rtol=1e-4, msg=name)
    with_gradients = ours(PIECES, COUNTS)[0]
    torch.testing.assert_close(with_gradients[REAL], states[-1][REAL])
    with_gradients[REAL].square().sum().backward()
    assert all(
        p.grad is not None for name, p in ours.named_parameters() if "position" not in name and "type" not in name
    )


def gradients(network: nn.Module, states: torch.Tensor) -> dict[str, torch.Tensor]:
    network.zero_grad()
    states.square().sum().backward()
    return {name: one.grad.clone() for name, one in network.named_parameters() if one.grad is not None}


def test_batches_of_many_sizes_have_few_shapes():
    def shape(count: int) -> int:
        pieces, counts = torch.ones(2, count, dtype=torch.long), torch.tensor([count, 1])
        ids, places, real = packed(pieces, counts)
        assert len(ids) == len(places)
        assert torch.equal(padded(ids.unsqueeze(1).float(), real)[..., 0], real.float())
        return len(ids)

    with torch.no_grad():
        shapes = {count: shape(count) for count in range(1, 1344)}
    assert all(1 <= filled - count <= 1 + count // 16 for count, filled in shapes.items())
    assert len({filled for count, filled in shapes.items() if count > 1024}) == 5
    assert max(shapes.values()) == 1344
    assert shape(1333) == 1334, "where gradients are kept nothing is filled up"


def test_what_fills_up_is_no_row():
    """The longest row decides how many places there are, and not how much a batch is filled up."""
    network = bert.Bert({"vocab_size": 100, **BACKBONES["bert"], "max_position_embeddings": 8}).eval()
    pieces = torch.randint(5, 100, (65, 8), generator=torch.Generator().manual_seed(0))
    counts = torch.full((65,), 8)
    seen = list[int]()
    network.encoder.layer[-1].intermediate["dense"].register_forward_hook(
        lambda _, given, __: seen.append(len(given[0]))
    )
    (expected,) = network(pieces, counts, wanted=pieces > 50)
    with torch.no_grad():
        (found,) = network(pieces, counts, wanted=pieces > 50)
    torch.testing.assert_close(found, expected)
    exact, filled = seen
    assert exact == (pieces > 50).sum()
    assert exact % 8
    assert filled == exact + -exact % 8, "the last layer is filled up too"


def test_wanted_are_words_and_labels():
    pieces, counts, word_at = torch.ones(2, 6), torch.tensor([6, 4]), torch.tensor([[3, 5], [2, -1]])
    batch = Batch(pieces, counts, word_at, torch.tensor([2, 1]), label_at=torch.tensor([[1, -1], [1, 1]]))
    expected = torch.tensor([[0, 1, 0, 1, 0, 1], [0, 1, 1, 0, 0, 0]]).bool()
    assert torch.equal(batch.wanted(), expected)
    assert torch.equal(replace(batch, label_at=None).wanted(), expected & (torch.arange(6) != 1))


def test_new_weights_are_noticed():
    network = deberta.Deberta({"vocab_size": 100, **BACKBONES["deberta-v2"]}).eval()
    with torch.no_grad():
        before = network(PIECES, COUNTS)[0]
        network.load_state_dict({name: 0.5 * value for name, value in network.state_dict().items()})
        after = network(PIECES, COUNTS)[0]
    torch.testing.assert_close(after, network(PIECES, COUNTS)[0])
    assert not torch.allclose(before, after)


def published_marker_v0(head, words, labels):
    """As in the paper's code: a vector for every stretch, then its product with the labels."""
    spans, width, length = head.spans, head.width, words.shape[1]
    starts, ends = spans.project_start(words), spans.project_end(words)
    vectors = torch.zeros(*words.shape[:2], width, words.shape[2])
    for i in range(length):
        for k in range(min(width, length - i)):
            vectors[:, i, k] = spans.out_project(torch.cat([starts[:, i], ends[:, i + k]], -1).relu())
    return torch.einsum("bwkd,bcd->bwkc", vectors, head.label_projection(labels))


@pytest.mark.parametrize("gradients", [True, False])
def test_the_folded_head_equals_the_published_one(gradients):
    torch.manual_seed(0)
    head = SpanHead("markerV0", 16, 5, 0.0).eval()
    words, labels, counts = torch.randn(3, 20, 16), torch.randn(3, 4, 16), torch.tensor([20, 3, 11])
    with torch.set_grad_enabled(gradients):
        folded = head(words, counts, labels)
    inside = folded > float("-inf")
    assert inside[1, :, :, 0].sum() == 3 + 2 + 1
    torch.testing.assert_close(folded[inside], published_marker_v0(head, words, labels)[inside], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("mode", ["markerV0", "markerV1", "markerV2"])
@torch.no_grad()
def test_rows_at_a_time_are_scored_as_together(mode, monkeypatch):
    torch.manual_seed(0)
    head = SpanHead(mode, 16, 5, 0.0).eval()
    given = torch.randn(3, 20, 16), torch.tensor([20, 3, 11]), torch.randn(3, 4, 16)
    together, counted = head(*given), list[int]()
    monkeypatch.setattr(span_head, "_OF_WORDS", 2 * 20 * 64)  # two rows, and then one
    head.spans.project_start.register_forward_hook(lambda _, words, __: counted.append(len(words[0])))
    torch.testing.assert_close(head(*given), together)
    assert counted == [2, 1]


def test_the_token_head_equals_the_published_one():
    torch.manual_seed(0)
    head = TokenHead(16, 0.0).eval()
    words, labels = torch.randn(2, 9, 16), torch.randn(2, 4, 16)
    t0, t1 = head.proj_token(words).unsqueeze(2).expand(-1, -1, 4, -1).chunk(2, -1)
    l0, l1 = head.proj_label(labels).unsqueeze(1).expand(-1, 9, -1, -1).chunk(2, -1)
    expected = head.out_mlp(torch.cat([t0, l0, t1 * l1], -1))
    torch.testing.assert_close(head(words, torch.tensor([9, 9]), labels), expected, atol=1e-5, rtol=1e-5)
