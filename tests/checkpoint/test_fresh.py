"""A new checkpoint on a bare encoder: the encoder is that of the folder, and everything that loads it can be trained."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from gliner_cli.checkpoint.folder import save
from gliner_cli.checkpoint.fresh import fresh
from gliner_cli.checkpoint.tokenizer import load_tokenizer
from gliner_cli.errors import CheckpointError
from gliner_cli.inference.extractor import Extractor
from gliner_cli.network.encoder import backbone
from gliner_cli.training.finetune import Step
from gliner_cli.training.finished import save_all
from gliner_cli.training.outcome import outcome
from gliner_cli.types import Document
from tests import tiny
from tests.training import toys

SLOWLY = {"encoder_rate": 3e-4, "head_rate": 3e-4}


def bare(folder, kind="bert", prefix="", **changed):
    """A folder as encoders are published: no markers in the tokenizer, no GLiNER anywhere."""
    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiny, "MARKERS", [])
        made = tiny.tokenizer(tiny.TOKENIZER_OF.get(kind, "wordpiece"))
    tiny.save_tokenizer(made, folder, 512)
    config = {"model_type": kind, "vocab_size": made.get_vocab_size(), **tiny.BACKBONES[kind], **changed}
    (folder / "config.json").write_text(json.dumps({**config, "_name_or_path": "x", "architectures": ["ForMaskedLM"]}))
    network = backbone(config)
    tiny.randomize(network)
    save_file(
        {prefix + name: value.clone() for name, value in network.state_dict().items()}, folder / "model.safetensors"
    )
    return folder


@pytest.mark.parametrize(
    ("kind", "prefix"),
    [
        ("bert", ""),
        ("bert", "bert."),
        ("deberta-v2", "deberta."),
        pytest.param("electra", "electra.", marks=pytest.mark.slow),
    ],
)
def test_the_encoder_is_that_of_the_folder(tmp_path, kind, prefix):
    folder = bare(tmp_path / "encoder", kind, prefix)
    given = {name.removeprefix(prefix): value for name, value in load_file(folder / "model.safetensors").items()}
    made = fresh(folder, "owner/encoder")
    ours = made.network.encoder.backbone.state_dict()
    assert ours.keys() == given.keys()
    for name, value in ours.items():
        assert torch.equal(value[: len(given[name])], given[name]), name
    pieces = torch.tensor([[1, 9, 8, 7, 2]])
    theirs = backbone(json.loads((folder / "config.json").read_text()))
    theirs.load_state_dict(given)
    with torch.no_grad():
        expected = theirs.eval()(pieces, torch.tensor([5]))[0]
        torch.testing.assert_close(made.network.encoder(pieces, torch.tensor([5])), expected)


def test_markers_get_rows_like_the_others(tmp_path):
    made = fresh(bare(tmp_path / "encoder"), "owner/encoder")
    table = made.network.encoder.backbone.state_dict()["embeddings.word_embeddings.weight"]
    size = made.tokenizer.get_vocab_size()
    assert len(table) == size == made.config.vocab_size == made.config.backbone["vocab_size"]
    markers = [made.tokenizer.token_to_id(name) for name in ("<<ENT>>", "<<SEP>>")]
    assert markers == [size - 2, size - 1]
    assert made.config.class_token_index == markers[0]
    old, new = table[: size - 2], table[size - 2 :]
    assert (new - old.mean(0)).abs().max() < 6 * old.std(0).max()
    assert not torch.equal(new[0], new[1])


def test_markers_that_a_tokenizer_has_stay_where_they_are(tmp_path):
    folder = bare(tmp_path / "encoder")
    with_markers = load_tokenizer(folder)
    with_markers.add_special_tokens(["<<SEP>>", "<<ENT>>", "other"])
    with_markers.save(str(folder / "tokenizer.json"))
    made = fresh(folder, "owner/encoder")
    assert made.config.class_token_index == with_markers.token_to_id("<<ENT>>") == made.tokenizer.get_vocab_size() - 2
    assert made.tokenizer.get_vocab() == with_markers.get_vocab()


def test_it_is_saved_and_loaded_as_any_checkpoint(tmp_path):
    made = fresh(bare(tmp_path / "encoder", "deberta-v2"), "owner/encoder", max_width=7, span_mode="marker")
    assert (made.config.max_width, made.config.span_mode, made.network.lstm) == (7, "marker", None)
    save(made, tmp_path / "saved")
    there = toys.checkpoint(tmp_path / "saved")
    assert toys.equal(dict(there.network.state_dict()), dict(made.network.state_dict()))
    documents = [Document(text) for text in tiny.TEXTS]
    found = [list(Extractor(one).extract(documents, tiny.LABELS, threshold=0.3)) for one in (made, there)]
    assert found[0] == found[1]
    assert json.loads((tmp_path / "saved" / "gliner_config.json").read_text())["model_name"] == "owner/encoder"


def test_a_run_from_a_bare_encoder(tmp_path):
    folder = bare(tmp_path / "encoder")
    torch.manual_seed(0)
    run = toys.a_run(fresh(folder, str(folder)), tmp_path / "out", from_backbone=str(folder), steps=48, **SLOWLY)
    losses = [event.loss for event in run.events() if isinstance(event, Step)]
    assert losses[0] < 0.3, "what is rare begins as rare"
    assert sum(losses[-4:]) < 0.9 * sum(losses[:4])
    save_all(outcome(run, None), tmp_path / "out", str(folder), half=True)
    there = toys.checkpoint(tmp_path / "out")
    assert list(Extractor(there).extract(toys.invented(3), ["city"]))
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (report["before"], report["difference"], report["other_labels"]) == (None, None, None)


@pytest.mark.parametrize(("ordered", "asked"), [(None, 0.5), (0.3, 0.3)])
def test_a_new_network_is_asked_for_as_many_types_that_are_there_as_not(tmp_path, ordered, asked):
    folder = bare(tmp_path / "encoder")
    run = toys.a_run(
        fresh(folder, str(folder)), tmp_path / "out", from_backbone=str(folder), annotation="closed", negatives=ordered
    )
    assert run.closed
    assert run.teacher.options.negatives == asked


@pytest.mark.slow
def test_the_reference_package_finds_the_same_in_it(tmp_path):
    gliner = pytest.importorskip("gliner", reason="the reference package is not installed: pip install '.[dev]'")
    folder = bare(tmp_path / "encoder")
    run = toys.a_run(fresh(folder, str(folder)), tmp_path / "out", from_backbone=str(folder), steps=6)
    list(run.events())
    save_all(outcome(run, None), tmp_path / "out", str(folder), half=False)
    theirs = gliner.GLiNER.from_pretrained(str(tmp_path / "out"), local_files_only=True).eval()
    ours = Extractor(toys.checkpoint(tmp_path / "out"))
    for text in tiny.TEXTS:
        rows = theirs.predict_entities(text, tiny.LABELS, threshold=0.02)
        assert [(row["start"], row["end"], row["label"]) for row in rows] == [
            (e.start, e.end, e.label) for e in ours(text, tiny.LABELS, threshold=0.02)
        ]


def test_a_folder_without_an_encoder_is_refused(tmp_path):
    empty = bare(tmp_path / "encoder")
    (empty / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="has no weights"):
        fresh(empty, "x")
    other = bare(tmp_path / "other")
    save_file({"conv.weight": torch.zeros(3)}, other / "model.safetensors")
    with pytest.raises(CheckpointError, match="no encoder that we know"):
        fresh(other, "x")
    lacking = bare(tmp_path / "lacking")
    tensors = load_file(lacking / "model.safetensors")
    gone = next(name for name in tensors if "query" in name)
    save_file({name: value for name, value in tensors.items() if name != gone}, lacking / "model.safetensors")
    with pytest.raises(CheckpointError, match=gone):
        fresh(lacking, "x")
    misshapen = bare(tmp_path / "misshapen")
    save_file(
        {name: value[:5] if name == gone else value for name, value in tensors.items()}, misshapen / "model.safetensors"
    )
    with pytest.raises(CheckpointError, match=gone):
        fresh(misshapen, "x")
    with pytest.raises(CheckpointError, match=r"config\.json"):
        fresh(tmp_path, "x")
