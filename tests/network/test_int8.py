import pytest
import torch
from torch import nn

from gliner_cli.checkpoint.folder import load
from gliner_cli.checkpoint.hub import located
from gliner_cli.errors import DeviceError
from gliner_cli.inference import int8_backend
from gliner_cli.inference.extractor import Extractor
from gliner_cli.network.int8 import Int8Linear, left_alone, quantised
from gliner_cli.options import Computing
from gliner_cli.types import Document
from tests import tiny


def chance(seed=0):
    return torch.Generator().manual_seed(seed)


def off(made, exact):
    return float((made - exact).norm() / exact.norm())


@pytest.mark.parametrize("bias", [True, False])
def test_a_layer_is_nearly_the_same_whatever_the_size_of_its_vectors(bias):
    layer = nn.Linear(64, 96, bias=bias).requires_grad_(False)
    x = torch.randn(5, 7, 64, generator=chance())
    x[0, 0] *= 1000  # as the first piece of a row is larger than the others
    x[1, 1] = 0
    made = Int8Linear(layer)(x)
    assert made.shape == (5, 7, 96)
    assert off(made[1:], layer(x)[1:]) < 0.015
    torch.testing.assert_close(made[1, 1], layer(x)[1, 1])


def test_layers_that_do_not_bear_it_stay_and_the_network_is_as_it_was():
    network = nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 8)).requires_grad_(False)
    x = torch.randn(20, 64, generator=chance())
    x[:, 0] *= 1000  # in every vector, and the layer does not care: the steps are too wide for the rest
    network[0].weight[:, 0] = 0
    before = network(x)
    made, errors = quantised(network, lambda network: network(x))
    assert left_alone(errors) == [".0"]
    assert [type(part) for part in made] == [nn.Linear, nn.Tanh, Int8Linear]
    assert torch.equal(network(x), before)
    assert made[0].weight is network[0].weight
    assert 0 < off(made(x), before) < 0.03


@pytest.fixture(params=[*tiny.BACKBONES, "labels with an encoder", "token"])
def folder(request, tmp_path):
    fields = {"labels with an encoder": {"labels_encoder": "x"}, "token": {"span_mode": "token_level"}}
    backbone = request.param if request.param in tiny.BACKBONES else "bert"
    return located(str(tiny.checkpoint_folder(tmp_path, backbone, **fields.get(request.param, {}))))


def extracted(extractor):
    documents = extractor.extract(map(Document, tiny.TEXTS), tiny.LABELS, threshold=0.02, nested=True, multi_label=True)
    rows = [(number, e) for number, document in enumerate(documents) for e in document.entities]
    return {(number, e.start, e.end, e.label): e.score for number, e in rows}


def test_scores_are_near_those_of_float32(folder):
    checkpoint = load(folder)
    exact, ours = Extractor(checkpoint), Extractor(checkpoint, Computing(precision="int8"))
    before = extracted(exact)
    found = extracted(ours)
    assert ours.backend.layers - len(ours.backend.left_alone) > 8
    moved = [abs(score - found.get(place, 0.0)) for place, score in before.items()]
    assert len(moved) > 50
    assert 0 < sum(moved) / len(moved) < 0.05
    assert 0 < ours.backend.drift < 0.05
    assert extracted(exact) == before


def test_it_refuses_where_scores_move_too_far(tmp_path, monkeypatch):
    monkeypatch.setattr(int8_backend, "_TOLERATED", 1e-5)
    folder = located(str(tiny.checkpoint_folder(tmp_path)))
    ours = Extractor(load(folder), Computing(precision="int8"))
    for _ in range(2):
        with pytest.raises(DeviceError, match=r"In int8 the scores .* off by") as raised:
            extracted(ours)
    assert "--precision fp32" in str(raised.value.hint)
