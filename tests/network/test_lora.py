"""Low-rank adapters: nothing at first, W + 2 B A afterwards, and merged the same numbers."""

from __future__ import annotations

import pytest
import torch

from gliner_cli.inference.extractor import Extractor
from gliner_cli.network import lora
from gliner_cli.types import Document
from tests import tiny
from tests.training import toys

BATCH = ["deberta-v2", "bert", pytest.param("electra", marks=pytest.mark.slow)]  # the last one is transformers'


@pytest.fixture(scope="module", params=BATCH)
def folder(request, tmp_path_factory):
    return tiny.checkpoint_folder(tmp_path_factory.mktemp("c"), request.param, num_rnn_layers=0)


def adapted(folder, rank=3):
    """A checkpoint with adapters, and the weights it had without them."""
    of = toys.without_dropout(toys.checkpoint(folder))
    before = {name: value.clone() for name, value in of.network.state_dict().items()}
    torch.manual_seed(0)
    lora.add(of.network.encoder.backbone, rank)
    return of, before


def found(of):
    """Every score, so to say: nearly all that there are."""
    return list(Extractor(of).extract([Document(text) for text in tiny.TEXTS], tiny.LABELS, threshold=0.05))


def linears(network):
    return {name for name, part in network.named_modules() if isinstance(part, torch.nn.Linear)}


def test_it_starts_as_the_network_was(folder):
    of, _ = adapted(folder)
    assert found(of) == found(toys.checkpoint(folder))
    one = toys.lessons(of, toys.invented(6))[0]
    of.network.train()
    plain = toys.without_dropout(toys.checkpoint(folder)).network.train()
    assert torch.equal(of.network(one.batch), plain(one.batch))


def test_only_adapters_learn_in_the_encoder(folder):
    of, before = adapted(folder)
    learner = toys.learner(of, warmup=0.0, lora=3)
    for step in range(3):
        learner.learn(toys.lessons(of, toys.invented(12), step))
    after = of.network.state_dict()
    for name, value in before.items():
        if name.startswith("encoder.backbone."):
            held = name.replace(".weight", ".parametrizations.weight.original")
            assert torch.equal(after[held if held in after else name], value), name
    learning = {name for name, p in of.network.named_parameters() if p.requires_grad and "backbone" in name}
    assert {name.rsplit(".", 1)[1] for name in learning} == {"A", "B"}
    assert len(learning) == 2 * len(linears(toys.checkpoint(folder).network.encoder.backbone))
    assert all(value.abs().sum() > 0 for name, value in lora.adapters(of.network).items())
    assert not torch.equal(after["head.label_projection.0.weight"], before["head.label_projection.0.weight"])


def test_merged_is_the_sum_and_equals_the_adapted(folder):
    of, before = adapted(folder)
    generator = torch.Generator().manual_seed(1)
    for _, part in of.network.named_modules():
        if isinstance(part, lora.LowRank):
            part.B.data = 0.3 * torch.randn(part.B.shape, generator=generator)
    apart, adapters = found(of), lora.adapters(of.network)
    lora.merge(of.network)
    of.network.eval()
    assert of.network.state_dict().keys() == before.keys()
    for name, value in of.network.state_dict().items():
        layer = name.removesuffix(".weight")
        more = 2 * adapters[f"{layer}.B"] @ adapters[f"{layer}.A"] if f"{layer}.A" in adapters and name != layer else 0
        torch.testing.assert_close(value, before[name] + more, atol=1e-6, rtol=1e-5)
    merged = found(of)
    assert [[(e.start, e.end, e.label) for e in row.entities] for row in merged] == [
        [(e.start, e.end, e.label) for e in row.entities] for row in apart
    ]
    for one, other in zip(merged, apart, strict=True):
        assert [e.score for e in one.entities] == pytest.approx([e.score for e in other.entities], abs=1e-5)
    assert merged != found(toys.checkpoint(folder))
    assert lora.adapters(of.network) == {}


def test_adapters_have_their_rank(folder):
    of, _ = adapted(folder, rank=2)
    for name, value in lora.adapters(of.network).items():
        assert min(value.shape) == 2, name
        assert value.shape[0 if name.endswith(".A") else 1] == 2
