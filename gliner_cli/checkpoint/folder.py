"""A checkpoint's folder to a `Checkpoint`: configuration, tokenizer and network, ready to run; and back.

What it looks for, and where the backbone's own files may lie, is REFERENCE of the published format: a checkpoint may
leave its tokenizer and its encoder's configuration to the backbone's repository.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer
from torch import Tensor

from gliner_cli.checkpoint.cache import Located
from gliner_cli.checkpoint.files import CONFIG_FILE, WEIGHT_FILES, read_json
from gliner_cli.checkpoint.tokenizer import FILES as TOKENIZER_FILES
from gliner_cli.checkpoint.tokenizer import has_tokenizer, load_tokenizer, piece_limit
from gliner_cli.checkpoint.weights import Unfilled, fill, published_weights, read_weights, weight_file
from gliner_cli.errors import CheckpointError
from gliner_cli.network.config import NetworkConfig, refuse_unsupported
from gliner_cli.network.gliner import Gliner, gliner, lstm_layers

# Absolute positions are learned up to a number; encoders with relative or rotary ones go on.
_ABSOLUTE = {"albert", "bert", "camembert", "distilbert", "electra", "longformer", "mpnet", "roberta", "xlm-roberta"}
_EMBEDDINGS = (
    "embeddings.word_embeddings.weight", "embeddings.tok_embeddings.weight", "shared.weight",
    "encoder.embed_tokens.weight",
)  # fmt: skip


@dataclass(frozen=True)
class Checkpoint:
    """Everything needed to run one: the network is in evaluation mode, on the CPU.

    `piece_limit` (and `labels_piece_limit`) is the longest input of the backbone, special pieces included, or None.
    """

    name: str
    folder: Path
    config: NetworkConfig
    network: Gliner
    tokenizer: Tokenizer
    piece_limit: int | None
    labels_tokenizer: Tokenizer | None = None
    labels_piece_limit: int | None = None


def load(place: Located, lean: bool = False) -> Checkpoint:
    """The checkpoint in a folder, in float32, its weights mapped from the file where they are of this type already.

    `lean`, to compute with and nothing else: the table of words stays in 16 bits if it is stored so, and the encoder is
    one of our own.

    Raises CheckpointError (UnsupportedError for kinds we do not run, before any weight is read).
    """
    config = _with_backbones(read_config(place.folder), place)
    homes = tokenizer_homes(place, config)
    tokenizer = load_tokenizer(homes[0])
    weights = read_weights(weight_file(place.folder))
    config = _sized(with_label_token(config, tokenizer), tokenizer, weights)
    with torch.device("meta"), Unfilled():
        network = gliner(config, lstm_layers(weights))
    fill(network, weights, lean)
    limit = longest_input(homes[0], config.backbone)
    found = Checkpoint(place.name, place.folder, config, network.eval(), tokenizer, limit)
    if len(homes) == 1:
        return found
    labels_limit = longest_input(homes[1], config.labels_backbone)
    return replace(found, labels_tokenizer=load_tokenizer(homes[1]), labels_piece_limit=labels_limit)


def read_config(folder: Path) -> NetworkConfig:
    """The network configuration of a checkpoint's folder."""
    path = folder / CONFIG_FILE
    if path.is_file():
        return NetworkConfig.from_dict(read_json(path))
    if (folder / "config.json").is_file():
        refuse_unsupported(read_json(folder / "config.json"))
    present = ", ".join(sorted(entry.name for entry in folder.iterdir())[:8]) or "nothing"
    raise CheckpointError(
        f"{folder} is no GLiNER checkpoint: it has no {CONFIG_FILE} (it has {present}).",
        f"A checkpoint is a folder with {CONFIG_FILE}, {' or '.join(WEIGHT_FILES)}, and a tokenizer.",
    )


def tokenizer_homes(place: Located, config: NetworkConfig) -> list[Path]:
    """Where the tokenizer lies, and for a bi-encoder that of its labels too."""
    homes = [_home(place.folder, place.backbone, config.backbone_name)]
    if config.labels == "encoder":
        homes.append(_home(place.folder / "labels_tokenizer", place.labels_backbone, str(config.labels_backbone_name)))
    return homes


def _home(own: Path, fallback: Path | None, name: str) -> Path:
    for folder in (own, fallback):
        if folder is not None and has_tokenizer(folder):
            return folder
    raise CheckpointError(
        f"{own} has no tokenizer and that of its backbone {name} is not on this machine.",
        "Fetch the checkpoint with everything it needs: gliner pull NAME",
    )


def _with_backbones(config: NetworkConfig, place: Located) -> NetworkConfig:
    backbone = config.backbone or _backbone_config(place.backbone, config.backbone_name)
    if config.labels == "prompt" or config.labels_backbone:
        return replace(config, backbone=backbone)
    labels_backbone = _backbone_config(place.labels_backbone, str(config.labels_backbone_name))
    return replace(config, backbone=backbone, labels_backbone=labels_backbone)


def _backbone_config(folder: Path | None, name: str) -> Mapping[str, Any]:
    if folder is None or not (folder / "config.json").is_file():
        raise CheckpointError(
            f"The checkpoint leaves its encoder's configuration to {name}, which is not on this machine.",
            "Fetch the checkpoint with everything it needs: gliner pull NAME",
        )
    return read_json(folder / "config.json")


def with_label_token(config: NetworkConfig, tokenizer: Tokenizer) -> NetworkConfig:
    """The configuration with the number of its label marker, the markers being added where the tokenizer lacks them.

    Published checkpoints add `[FLERT]`, `<<ENT>>`, `<<SEP>>` in this order, the newer ones without `[FLERT]`; the
    number in the configuration, where there is one, says which.
    """
    known = tokenizer.token_to_id(config.ent_token)
    if known is None and config.labels == "prompt":
        size = tokenizer.get_vocab_size()
        markers = [config.ent_token, config.sep_token]
        if config.class_token_index != size:
            markers.insert(0, "[FLERT]")
        tokenizer.add_tokens([AddedToken(token, special=True, normalized=False) for token in markers])
        known = tokenizer.token_to_id(config.ent_token)
    if known is None or config.class_token_index in (-1, known):
        return replace(config, class_token_index=-1 if known is None else known)
    raise CheckpointError(
        f"gliner_config.json gives the label marker {config.ent_token} the number {config.class_token_index}, "
        f"the tokenizer gives it {known}.",
        "The tokenizer belongs to another checkpoint; fetch this one again: gliner pull NAME",
    )


def _sized(config: NetworkConfig, tokenizer: Tokenizer, weights: Mapping[str, Tensor]) -> NetworkConfig:
    """The configuration with the vocabulary sizes that the weights really have."""
    rows = _embedding_rows(weights, "token_rep_layer.bert_layer.model.")
    if rows is not None and tokenizer.get_vocab_size() > rows and config.class_token_index >= rows:
        raise CheckpointError(
            f"The tokenizer has {tokenizer.get_vocab_size()} pieces, the weights only {rows} of them."
        )
    config = replace(config, backbone=_resized(config.backbone, rows))
    labels_rows = _embedding_rows(weights, "token_rep_layer.labels_encoder.model.")
    return replace(config, labels_backbone=_resized(config.labels_backbone, labels_rows))


def _embedding_rows(weights: Mapping[str, Tensor], prefix: str) -> int | None:
    return next((len(weights[prefix + name]) for name in _EMBEDDINGS if prefix + name in weights), None)


def _resized(backbone: Mapping[str, Any] | None, rows: int | None) -> Mapping[str, Any] | None:
    return {**backbone, "vocab_size": rows} if backbone and rows else backbone


def longest_input(tokenizer_home: Path, backbone: Mapping[str, Any] | None) -> int | None:
    """The longest input: the tokenizer's limit, or the number of learned positions, whichever is less."""
    limits = [piece_limit(tokenizer_home)]
    if backbone and backbone["model_type"] in _ABSOLUTE:
        reserved = 2 if backbone["model_type"] in ("camembert", "longformer", "roberta", "xlm-roberta", "mpnet") else 0
        limits.append(int(backbone.get("max_position_embeddings", 512)) - reserved)
    return min((limit for limit in limits if limit), default=None)


def save(checkpoint: Checkpoint, folder: Path) -> None:
    """Write a self-contained folder in the published layout: it loads here and in the reference package.

    Written beside the target and renamed onto it, so that a folder is either whole or not there.
    """
    from safetensors.torch import save_file

    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    config = _published_config(checkpoint)
    (partial / CONFIG_FILE).write_text(json.dumps(config, indent=2, ensure_ascii=False), encoding="utf-8")
    save_file(published_weights(checkpoint.network), partial / "model.safetensors", metadata={"format": "pt"})
    _save_tokenizers(checkpoint, partial)
    os.replace(partial, folder)


def _published_config(checkpoint: Checkpoint) -> dict[str, Any]:
    """What was loaded, with what had to be looked up elsewhere filled in."""
    config = checkpoint.config
    vocabulary = dict(config.backbone or {}).get("vocab_size", -1)
    filled = {
        "encoder_config": config.backbone,
        "class_token_index": config.class_token_index,
        "vocab_size": vocabulary,
    }
    if config.labels == "encoder":
        filled["labels_encoder_config"] = config.labels_backbone
    # The reference has run an LSTM by this number since 0.2.23; older files do not name it.
    filled["num_rnn_layers"] = checkpoint.network.lstm_layers
    return {**config.published, **filled}


def _save_tokenizers(checkpoint: Checkpoint, folder: Path) -> None:
    checkpoint.tokenizer.save(str(folder / "tokenizer.json"))
    _copy_settings(checkpoint.folder, folder)
    if checkpoint.labels_tokenizer:
        (folder / "labels_tokenizer").mkdir()
        checkpoint.labels_tokenizer.save(str(folder / "labels_tokenizer" / "tokenizer.json"))
        _copy_settings(checkpoint.folder / "labels_tokenizer", folder / "labels_tokenizer")


def _copy_settings(source: Path, target: Path) -> None:
    for name in TOKENIZER_FILES[1:]:
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)
