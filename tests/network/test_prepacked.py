import pytest
import torch

from gliner_cli.errors import CheckpointError
from gliner_cli.network import bert, deberta
from gliner_cli.network.encoder import LayerFusion
from gliner_cli.network.prepacked import (
    OneDnnLinear,
    TransposedLinear,
    fastest,
    has_onednn,
    prepacked,
    refuse_emptied,
)
from gliner_cli.network.span_head import SpanHead
from tests.network.test_equal_by_algebra import COUNTS, PIECES, REAL
from tests.tiny import BACKBONES, randomize

no_onednn = pytest.mark.skipif(not has_onednn(), reason="this torch has no oneDNN")
KINDS = [pytest.param(OneDnnLinear, marks=no_onednn), TransposedLinear]


@pytest.mark.parametrize("linear", KINDS)
@pytest.mark.parametrize("activation", ["gelu", "gelu_new", "relu"])
@pytest.mark.parametrize("kind", ["bert", "deberta-v2"])
@torch.no_grad()
def test_an_encoder_says_the_same(kind, activation, linear):
    make = {"bert": bert.Bert, "deberta-v2": deberta.Deberta}[kind]
    network = make({"vocab_size": 100, **BACKBONES[kind], "hidden_act": activation}).eval()
    randomize(network)
    made = prepacked(network, linear)
    before = network(PIECES, COUNTS)[0]
    torch.testing.assert_close(made(PIECES, COUNTS)[0][REAL], before[REAL], atol=2e-5, rtol=1e-5)
    assert torch.equal(network(PIECES, COUNTS)[0], before)
    layers = BACKBONES[kind]["num_hidden_layers"]
    assert packings(made, linear) == layers * (4 if activation == "gelu" else 3)
    assert packings(network, linear) == 0


@pytest.mark.parametrize("linear", KINDS)
@pytest.mark.parametrize("mode", ["markerV0", "markerV1", "markerV2", "marker", "mlp"])
@torch.no_grad()
def test_a_head_says_the_same(mode, linear):
    head = SpanHead(mode, 16, 4, 0.1).eval()
    randomize(head)
    given = torch.randn(2, 9, 16), torch.tensor([9, 9]), torch.randn(2, 3, 16)
    made = prepacked(head, linear)
    first = made(*given)
    inside = ~torch.isneginf(first)
    torch.testing.assert_close(first[inside], head(*given)[inside], atol=1e-5, rtol=1e-5)
    assert (packings(made, linear) > 0) == mode.startswith("markerV")


@pytest.mark.parametrize("linear", KINDS)
@torch.no_grad()
def test_what_was_packed_is_not_held_twice(linear):
    whole = torch.nn.ModuleDict(
        {"head": SpanHead("markerV0", 16, 4, 0.1), "encoder": bert.Bert({"vocab_size": 100, **BACKBONES["bert"]})}
    ).eval()
    randomize(whole)
    given = torch.randn(2, 9, 16), torch.tensor([9, 9]), torch.randn(2, 3, 16)
    expected = whole["encoder"](PIECES, COUNTS)[0], whole["head"](*given)
    kept = prepacked(whole, linear)
    assert all(parameter.numel() for parameter in whole.parameters()), "they may learn"
    made = prepacked(whole, linear, sole=True)
    for one in (kept, made):
        torch.testing.assert_close(one["encoder"](PIECES, COUNTS)[0][REAL], expected[0][REAL], atol=2e-5, rtol=1e-5)
        torch.testing.assert_close(one["head"](*given), expected[1], atol=1e-5, rtol=1e-5)
    left = {name for name, parameter in whole.named_parameters() if parameter.dim() > 1}
    assert left == {name for name in left if "embeddings" in name or "label" in name or "out_project.3" in name}


@pytest.mark.parametrize(
    ("capability", "onednn", "mkl", "kind"),
    [
        ("AVX512", True, True, OneDnnLinear),
        ("AVX512", False, True, TransposedLinear),
        ("AVX2", True, True, TransposedLinear),
        ("DEFAULT", True, False, None),
    ],
)
def test_the_fastest_depends_on_the_processor(monkeypatch, capability, onednn, mkl, kind):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: onednn)
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: mkl)
    assert fastest() is kind


@pytest.mark.parametrize("linear", KINDS)
@pytest.mark.parametrize("bias", [True, False])
@torch.no_grad()
def test_a_layer_takes_any_number_of_dimensions(linear, bias):
    layer = torch.nn.Linear(5, 7, bias)
    for shape in ((5,), (3, 5), (2, 3, 5), (2, 0, 5), (0, 5)):
        x = torch.randn(shape)
        torch.testing.assert_close(linear(layer)(x), layer(x))
        torch.testing.assert_close(linear(layer, gelu=True)(x), torch.nn.functional.gelu(layer(x)))


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_what_never_had_weights_has_not_given_them_up():
    fusion = LayerFusion(1, 8)
    assert not fusion.W1.weight.numel()
    refuse_emptied(fusion)
    fusion.squeeze.weight.data = torch.empty(0)
    with pytest.raises(CheckpointError, match="given up"):
        refuse_emptied(fusion)


def packings(network, kind):
    derived = [one for part in network.modules() for one in (getattr(part, "_derived", None) or {}).values()]
    return sum(isinstance(part, kind) for part in [*network.modules(), *derived])
