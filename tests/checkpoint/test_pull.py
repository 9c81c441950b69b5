"""`pull` against a real server that misbehaves as real ones do."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import constants, hf_api

from gliner_cli.checkpoint import bundle, hub
from gliner_cli.checkpoint.folder import load
from gliner_cli.errors import CheckpointError, GlinerError, HubError, UnsupportedError
from tests import tiny
from tests.checkpoint.hub_server import COMMIT, Hub, serving

NAME, BACKBONE = "someone/gliner_tiny", "microsoft/tiny-backbone"


@pytest.fixture(scope="session")
def repositories(tmp_path_factory):
    """A checkpoint that leaves tokenizer and encoder configuration to its backbone's repository, as urchade's do."""
    folder = tiny.checkpoint_folder(tmp_path_factory.mktemp("tiny"), "deberta-v2")
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    config = json.loads(files.pop("gliner_config.json"))
    encoder = config.pop("encoder_config")
    config = {**config, "model_name": BACKBONE, "encoder_config": None}
    own = {"gliner_config.json": json.dumps(config).encode(), "model.safetensors": files.pop("model.safetensors"),
           "README.md": b"# card", "onnx/model.onnx": b"o" * 20_000, "../evil": b"x"}  # fmt: skip
    backbone = {"config.json": json.dumps(encoder).encode(), "pytorch_model.bin": b"w" * 20_000, **files}
    return {NAME: own, BACKBONE: backbone}


@pytest.fixture
def server(repositories, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "_PAUSE", 0.01)
    with serving(Hub({name: dict(files) for name, files in repositories.items()})) as running:
        monkeypatch.setattr(constants, "ENDPOINT", running.url)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", running.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(hf_api.HfApi, "__init__", _at(running.url))
        yield running


def _at(url):
    original = hf_api.HfApi.__init__

    def init(self, endpoint=None, **rest):
        original(self, endpoint=endpoint or url, **rest)

    return init


def test_everything_that_is_needed_and_nothing_else(server, monkeypatch):
    pulled = hub.pull(f"{NAME}@main")
    assert (pulled.place.name, pulled.place.commit, pulled.licence) == (NAME, COMMIT, "apache-2.0")
    assert {"model.safetensors", "tokenizer.json", "config.json", "README.md"} <= server.asked.keys()
    assert not {"onnx/model.onnx", "pytorch_model.bin", "../evil"} & server.asked.keys()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    for name, revision in ((NAME, None), (NAME, "main"), (f"{NAME}@{COMMIT}", None)):
        assert load(hub.located(name, revision)).network is not None
    assert list(bundle.problems(hub.located(NAME))) == []
    assert [place.name for place in bundle.local_checkpoints()] == [NAME]


def test_a_bundle_is_whole_by_itself_and_verified(server, tmp_path, monkeypatch):
    folder = bundle.bundle(hub.pull(NAME), tmp_path / "bundle")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "another machine"))
    place = hub.located(str(folder))
    assert load(place).tokenizer is not None
    assert list(bundle.problems(place)) == []
    weights = folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    (folder / "README.md").unlink()
    assert list(bundle.problems(place)) == ["missing: README.md", "changed: model.safetensors has another SHA-256"]


@pytest.mark.parametrize(
    ("field", "said"),
    [({"relations_layer": "x"}, "relation"), ({"labels_decoder": "gpt2"}, "decoder"), ({"post_fusion_schema": "l2l"}, "poly"),
     ({"model_type": "gliner_streaming_span"}, "streaming"), ({"span_mode": "new"}, "span_mode")],
)  # fmt: skip
def test_what_we_cannot_run_is_refused_before_its_weights(server, field, said):
    files = server.repositories[NAME]
    files["gliner_config.json"] = json.dumps({**json.loads(files["gliner_config.json"]), **field}).encode()
    with pytest.raises(UnsupportedError, match=said):
        hub.pull(NAME)
    assert server.asked["model.safetensors"] == 0


def test_gliner2_is_refused_by_name(server):
    server.repositories["x/two"] = {"config.json": b'{"model_type": "extractor"}', "model.safetensors": b"w"}
    with pytest.raises(UnsupportedError, match="GLiNER2"):
        hub.pull("x/two")


@pytest.mark.parametrize("fault", [429, 500, 503])
def test_a_busy_hub_is_asked_again(server, fault):
    server.faults = {"model.safetensors": [fault, fault], "api": [fault]}
    assert hub.pull(NAME).files["model.safetensors"] > 0


def test_a_cut_connection_is_resumed(server, monkeypatch):
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1024)  # written chunk by chunk: what came is kept
    server.faults = {"model.safetensors": ["cut"]}
    hub.pull(NAME)
    begins = [begin for file, begin in server.sent if file == "model.safetensors"]
    assert begins[0] == 0
    assert begins[-1] > 0, "the second half only"


def test_other_content_than_stated_is_an_error(server):
    server.faults = {"model.safetensors": ["other content"]}
    with pytest.raises(HubError, match="not what the hub says"):
        hub.pull(NAME)
    assert hub.pull(NAME).place.commit == COMMIT  # and the bad file is gone


def said(call) -> GlinerError:
    with pytest.raises(GlinerError) as caught:
        call()
    return caught.value


def test_refusals_are_told_apart(server, monkeypatch):
    assert "knows no" in said(lambda: hub.pull("urchade/gliner_smal-v2.1")).message
    assert "urchade/gliner_small-v2.1" in said(lambda: hub.pull("urchade/gliner_smal-v2.1")).hint
    server.gated.add("x/gated")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    gated = said(lambda: hub.pull("x/gated"))
    assert "gated" in gated.message
    assert "hf auth login" in gated.hint
    assert "hf_secret" not in str(gated)
    assert "no such revision" in said(lambda: hub.pull(f"{NAME}@v9")).message
    assert "revisions" in said(lambda: hub.pull(f"{NAME}@a", "b")).message
    server.faults = {"api": [403]}
    assert said(lambda: hub.pull(NAME)).hint


def test_no_network(server, monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(hf_api.HfApi, "__init__", _at("http://127.0.0.1:9"))
    assert "does not answer" in said(lambda: hub.pull(NAME)).message
    missing = said(lambda: hub.located(NAME))
    assert missing.hint == f"Fetch it once: gliner pull {NAME}"


def test_a_full_disk(server, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", full)
    assert said(lambda: hub.pull(NAME)).message == "The disk is full."


def test_names_that_are_none(tmp_path):
    (tmp_path / "file").write_text("x")
    assert "is a file" in said(lambda: hub.located(str(tmp_path / "file"))).message
    assert isinstance(said(lambda: hub.located("./nowhere")), CheckpointError)


def test_a_bundle_never_replaces_what_is_not_ours(server, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years")
    pulled = hub.pull(NAME)
    assert "not empty" in said(lambda: bundle.bundle(pulled, Path(tmp_path / "mine"))).message
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years"
