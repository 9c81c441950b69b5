import json
import os
import pickle

import pytest
import torch
from safetensors.torch import load_file, save_file

from gliner_cli.checkpoint.folder import load, read_config, save
from gliner_cli.checkpoint.hub import located
from gliner_cli.errors import CheckpointError, UnsupportedError
from gliner_cli.inference.extractor import Extractor
from gliner_cli.network.config import NetworkConfig
from tests import tiny


def loaded(folder):
    return load(located(str(folder)))


def test_load_save_load(tmp_path):
    first = loaded(tiny.checkpoint_folder(tmp_path / "a"))
    save(first, tmp_path / "b")
    second = loaded(tmp_path / "b")
    ours, theirs = first.network.state_dict(), second.network.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert all(second.config.published[name] == value for name, value in first.config.published.items())
    found = [Extractor(each)(tiny.TEXTS[1], tiny.LABELS) for each in (first, second)]
    assert found[0] == found[1] != []


def test_every_real_config_is_understood(shared):
    for path in (shared / "configs").iterdir():
        assert NetworkConfig.from_dict(json.loads(path.read_text())).head == "span"


def test_weights_that_do_not_fit_are_listed(tmp_path):
    folder = tiny.checkpoint_folder(tmp_path)
    weights = load_file(folder / "model.safetensors")
    weights["stranger"] = torch.zeros(1)
    weights["prompt_rep_layer.0.bias"] = torch.zeros(3)
    del weights["rnn.lstm.bias_ih_l0"]
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(CheckpointError) as error:
        loaded(folder)
    for line in ("missing: rnn.lstm.bias_ih_l0", "unexpected: stranger", "wrong shape: prompt_rep_layer.0.bias is [3]"):
        assert line in error.value.message


def test_the_weights_decide_about_the_lstm(tmp_path):
    folder = tiny.checkpoint_folder(tmp_path, num_rnn_layers=0)
    config = json.loads((folder / "gliner_config.json").read_text())
    (folder / "gliner_config.json").write_text(json.dumps({**config, "has_rnn": True, "num_rnn_layers": 1}))
    assert loaded(folder).network.lstm is None


def test_bin_and_v0_files(tmp_path):
    folder = tiny.checkpoint_folder(tmp_path)
    expected = Extractor(loaded(folder))(tiny.TEXTS[1], tiny.LABELS)
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save({f"_orig_mod.{name}": tensor for name, tensor in weights.items()}, folder / "pytorch_model.bin")
    assert Extractor(loaded(folder))(tiny.TEXTS[1], tiny.LABELS) == expected
    (folder / "pytorch_model.bin").unlink()
    torch.save({"config": {"a": 1}, "model_weights": weights}, folder / "gliner_base.pt")
    assert Extractor(loaded(folder))(tiny.TEXTS[1], tiny.LABELS) == expected != []


class Evil:
    def __reduce__(self):
        return os.mkdir, ("EVIL",)


def test_a_pickle_that_runs_code_runs_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tiny.checkpoint_folder(tmp_path / "c")
    (folder / "model.safetensors").unlink()
    for content in (pickle.dumps(Evil()), None):
        if content:
            (folder / "pytorch_model.bin").write_bytes(content)
        else:
            torch.save({"x": Evil()}, folder / "pytorch_model.bin")
        with pytest.raises(CheckpointError):
            loaded(folder)
    assert not (tmp_path / "EVIL").exists()


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_a_truncated_file_says_so(name, tmp_path):
    folder = tiny.checkpoint_folder(tmp_path)
    if name.endswith(".bin"):
        torch.save(load_file(folder / "model.safetensors"), folder / name)
        (folder / "model.safetensors").unlink()
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match="damaged"):
        loaded(folder)


def test_folders_that_are_none(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(CheckpointError, match=r"no gliner_config.json \(it has notes.txt\)"):
        loaded(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "extractor"}')
    with pytest.raises(UnsupportedError, match="GLiNER2"):
        read_config(tmp_path)
    (tmp_path / "gliner_config.json").write_text("{")
    with pytest.raises(CheckpointError, match="not valid JSON"):
        loaded(tmp_path)
    (tmp_path / "gliner_config.json").write_text('{"hidden_size": -1}')
    with pytest.raises(CheckpointError, match="hidden_size"):
        loaded(tmp_path)


def test_a_tokenizer_of_another_checkpoint_is_noticed(tmp_path):
    folder = tiny.checkpoint_folder(tmp_path)
    config = json.loads((folder / "gliner_config.json").read_text())
    (folder / "gliner_config.json").write_text(json.dumps({**config, "class_token_index": 7}))
    with pytest.raises(CheckpointError, match="label marker"):
        loaded(folder)
