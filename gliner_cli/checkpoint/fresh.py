"""A new checkpoint on a pretrained encoder: what training from a bare backbone begins with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gliner_cli.checkpoint.files import files_of, read_json, weights_in
from gliner_cli.checkpoint.folder import Checkpoint, longest_input, with_label_token
from gliner_cli.checkpoint.tokenizer import load_tokenizer
from gliner_cli.checkpoint.weights import read_weights
from gliner_cli.errors import CheckpointError
from gliner_cli.network.config import NetworkConfig
from gliner_cli.network.gliner import Gliner, gliner

# What a task's head adds to an encoder's weights, in front of the names that we know.
_PREFIXES = ("", "bert.", "deberta.", "roberta.", "electra.", "albert.", "model.", "distilbert.", "encoder.")


def fresh(folder: Path, name: str, **fields: Any) -> Checkpoint:
    """A checkpoint with the encoder of a backbone's folder and heads that nobody has trained.

    `name` is what the backbone is called, on the hub if it is there. `fields` go into `gliner_config.json`:
    `span_mode`, `hidden_size` (the backbone's own if not given), `num_rnn_layers` (none), `max_width`, … Raises
    CheckpointError where the folder holds no encoder.
    """
    encoder = read_json(folder / "config.json")
    encoder = {name: value for name, value in encoder.items() if not name.startswith("_")}
    # Attention without dropout is a fused kernel; the dropout of everything else regularises enough.
    encoder |= {name: 0.0 for name in encoder if name == "attention_probs_dropout_prob"}
    size = encoder.get("hidden_size") or encoder.get("d_model") or 0
    tokenizer = load_tokenizer(folder)
    published = {"model_name": name, "name": "span level gliner", "hidden_size": size, "dropout": 0.1}
    published |= {"span_mode": "markerV0", "num_rnn_layers": 0, "encoder_config": encoder}
    # A label is read at its own first piece, which an encoder knows, rather than at a marker that it has never seen.
    published |= {"embed_ent_token": False, **fields}
    config = NetworkConfig.from_dict(published)
    if tokenizer.token_to_id(config.ent_token) is None:
        config = replace(config, class_token_index=tokenizer.get_vocab_size())
    config = with_label_token(config, tokenizer)
    weights = _encoder_weights(folder)
    rows = tokenizer.get_vocab_size()
    config = replace(config, backbone={**encoder, "vocab_size": rows}, vocab_size=rows)
    network = gliner(config, int(published["num_rnn_layers"]))
    _fill(network, weights)
    return Checkpoint(name, folder, config, network.eval(), tokenizer, longest_input(folder, config.backbone))


def _encoder_weights(folder: Path) -> Mapping[str, Tensor]:
    name = weights_in(files_of(folder))
    if name is None:
        raise CheckpointError(
            f"{folder} has no weights.", "A backbone is a folder with config.json, weights, tokenizer."
        )
    return read_weights(folder / name)


@torch.no_grad()
def _fill(network: Gliner, given: Mapping[str, Tensor]) -> None:
    """Put an encoder's weights in; new rows of its word embeddings are the mean of the others, a little apart."""
    backbone = network.encoder.backbone
    expected = backbone.state_dict()
    prefix = max(_PREFIXES, key=lambda p: sum(p + name in given for name in expected))
    missing = [name for name in expected if prefix + name not in given]
    if missing:
        raise CheckpointError(
            f"The weights are no encoder that we know; missing, of {len(expected)}: {', '.join(missing[:5])}.",
            "A backbone is a folder with config.json, weights and tokenizer, as on the hub.",
        )
    for name, tensor in expected.items():
        source = given[prefix + name].float()
        if source.shape != tensor.shape:
            source = _resized(source, tensor, name)
        tensor.copy_(source)


def _resized(source: Tensor, target: Tensor, name: str) -> Tensor:
    if source.shape[1:] != target.shape[1:] or ("embed" not in name and "shared" not in name):
        raise CheckpointError(
            f"{name} is {list(source.shape)} in the file; {list(target.shape)} was expected.",
            "Weights and configuration do not belong together; fetch both again: hf download NAME",
        )
    more = len(target) - len(source)
    if more <= 0:
        return source[: len(target)]
    mean, spread = source.mean(0), source.std(0)
    return torch.cat([source, mean + spread * torch.randn(more, len(mean))])
