"""New heads near the identity: vectors of stretches are what the encoder says, scores are rare and tell labels apart."""

from __future__ import annotations

import pytest
import torch

from gliner_cli.network import beginning
from gliner_cli.network.beginning import begin_near_identity
from gliner_cli.network.config import NetworkConfig
from gliner_cli.network.gliner import Gliner, gliner
from tests import tiny

SIZE, WIDTH = 192, 5


def network(**fields: object) -> Gliner:
    encoder = {"model_type": "bert", "vocab_size": 50, **tiny.BACKBONES["bert"]}
    config = {
        "encoder_config": encoder,
        "hidden_size": SIZE,
        "max_width": WIDTH,
        "dropout": 0.0,
        "num_rnn_layers": 0,
        **fields,
    }
    torch.manual_seed(0)
    return gliner(NetworkConfig.from_dict(config), 0).eval()


def states(seed: int = 1):
    """States of words and of labels at the scale of MiniLM's, neither of them around the origin."""
    generator = torch.Generator().manual_seed(seed)
    centres = 0.1 * torch.randn(2, 1, SIZE, generator=torch.Generator().manual_seed(0))
    words = centres[0] + 0.4 * torch.randn(400, SIZE, generator=generator)
    labels = centres[1] + 0.4 * torch.randn(60, SIZE, generator=generator)
    return words, labels


@torch.no_grad()
def test_without_noise_a_vector_is_the_mean_of_the_ends_and_a_label_its_state(monkeypatch):
    monkeypatch.setattr(beginning, "_NOISE", 0.0)
    words, labels = states()
    made = network()
    begin_near_identity(made, words, labels)
    rows = words[:20].unsqueeze(0)
    logits = made.head(rows, torch.tensor([20]), labels.unsqueeze(0))[0]
    centred, named = words - words.mean(0), labels - labels.mean(0)
    spread = float((centred @ named.t()).std())
    spans = made.head.spans
    shared = made.head.label_projection(labels) - named / spread
    torch.testing.assert_close(shared, shared[:1].expand_as(shared), atol=1e-4, rtol=1e-4)
    assert float(shared[0].norm()) == pytest.approx(1, abs=1e-4)
    for first, stop in ((0, 0), (3, 5), (10, 14)):
        # The lift keeps nearly all of a state from the relu; what is below it is cut, as in any such head.
        ends = torch.stack(
            [project(rows[0, at]) for project, at in ((spans.project_start, first), (spans.project_end, stop))]
        )
        lift = beginning._LIFT * float(centred.std())
        kept = (torch.stack([centred[first], centred[stop]]) + lift).clamp(min=0) - lift
        torch.testing.assert_close(ends.clamp(min=0) - lift, kept, atol=1e-3, rtol=1e-3)
        vector = kept.mean(0) + beginning._RARE * shared[0]
        expected = vector @ (named / spread + shared[:1]).t()
        torch.testing.assert_close(logits[first, stop - first], expected, atol=2e-3, rtol=2e-3)


def scores(monkeypatch, noise: float) -> torch.Tensor:
    """Scores of other words and labels than those the heads were set by."""
    monkeypatch.setattr(beginning, "_NOISE", noise)
    made = network()
    begin_near_identity(made, *states())
    words, labels = states(seed=2)
    logits = made.head(words[:300].view(10, 30, SIZE), torch.full((10,), 30), labels[:25].expand(10, -1, -1))
    return logits.detach()[torch.isfinite(logits)]


def test_scores_begin_rare_and_spread_by_about_one(monkeypatch):
    plain = scores(monkeypatch, 0.0)
    assert float(plain.mean()) == pytest.approx(-4, abs=0.5)
    assert float(plain.std()) == pytest.approx(1, abs=0.5)


def test_the_noise_leaves_what_is_passed_on(monkeypatch):
    noisy = scores(monkeypatch, beginning._NOISE)
    assert float(torch.corrcoef(torch.stack([scores(monkeypatch, 0.0), noisy]))[0, 1]) > 0.8
    assert float(noisy.std()) < 2


def test_what_is_like_a_label_scores_higher(monkeypatch):
    monkeypatch.setattr(beginning, "_NOISE", 0.002)
    words, labels = states()
    made = network()
    begin_near_identity(made, words, labels)
    alike = words.mean(0) + labels[:10] - labels.mean(0)
    found = made.head(alike.unsqueeze(0), torch.tensor([10]), labels[:10].unsqueeze(0)).detach()[0, :, 0]
    others = found[~torch.eye(10, dtype=torch.bool)]
    assert float(found.diag().min()) > float(others.max())


def test_all_weights_can_be_learned():
    made = network()
    begin_near_identity(made, *states())
    words, labels = states(seed=2)
    logits = made.head(words[:50].unsqueeze(0), torch.tensor([50]), labels[:8].unsqueeze(0))
    logits.nan_to_num(neginf=0).square().sum().backward()
    for name, parameter in made.head.named_parameters():
        assert (parameter.grad != 0).float().mean() > 0.5, name


@pytest.mark.parametrize("mode", ["marker", "markerV1", "token_level", "query"])
def test_other_heads_keep_their_weights(mode):
    made = network(span_mode=mode)
    before = {name: value.clone() for name, value in made.state_dict().items()}
    begin_near_identity(made, *states())
    assert all(torch.equal(before[name], value) for name, value in made.state_dict().items())
