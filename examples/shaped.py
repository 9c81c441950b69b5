"""A checkpoint with random weights in the shape of a published one, to measure speed where no weights are at hand:

    python examples/shaped.py TOKENIZER_FOLDER small OUTPUT

TOKENIZER_FOLDER holds DeBERTa-v3's tokenizer (spm.model, tokenizer_config.json). Scores of random weights lie anywhere
between 0 and 1: `--threshold 0.95` leaves about as many candidates as a trained checkpoint has.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from gliner_cli.checkpoint.tokenizer import load_tokenizer
from gliner_cli.checkpoint.weights import published_weights
from gliner_cli.network.config import NetworkConfig
from gliner_cli.network.gliner import gliner

# hidden size, layers, heads, size of the feed-forward block
SIZES = {"small": (768, 6, 12, 3072), "base": (768, 12, 12, 3072), "large": (1024, 24, 16, 4096)}
MARKERS = ("<<ENT>>", "<<SEP>>")


def config(size: str, vocabulary: int, marker: int) -> dict[str, object]:
    """What `gliner_config.json` of gliner_small-v2.1 and its larger siblings says."""
    width, layers, heads, inner = SIZES[size]
    encoder = {
        "model_type": "deberta-v2", "hidden_size": width, "num_hidden_layers": layers, "num_attention_heads": heads,
        "intermediate_size": inner, "hidden_act": "gelu", "vocab_size": vocabulary, "max_position_embeddings": 512,
        "relative_attention": True, "position_buckets": 256, "norm_rel_ebd": "layer_norm", "share_att_key": True,
        "pos_att_type": ["p2c", "c2p"], "type_vocab_size": 0, "position_biased_input": False, "layer_norm_eps": 1e-7,
        "attention_probs_dropout_prob": 0.1, "hidden_dropout_prob": 0.1, "max_relative_positions": -1,
    }  # fmt: skip
    return {
        "model_name": f"microsoft/deberta-v3-{size}", "name": "span level gliner", "span_mode": "markerV0",
        "hidden_size": 512, "max_width": 12, "max_len": 384, "max_types": 25, "dropout": 0.4, "num_rnn_layers": 1,
        "class_token_index": marker, "vocab_size": vocabulary, "encoder_config": encoder, "ent_token": MARKERS[0],
        "sep_token": MARKERS[1], "subtoken_pooling": "first", "embed_ent_token": True,
    }  # fmt: skip


def main(tokenizer_folder: Path, size: str, output: Path) -> None:
    """Write the checkpoint."""
    output.mkdir(parents=True)
    tokenizer = load_tokenizer(tokenizer_folder)
    tokenizer.add_special_tokens([one for one in MARKERS if tokenizer.token_to_id(one) is None])
    tokenizer.save(str(output / "tokenizer.json"))
    shutil.copy(tokenizer_folder / "tokenizer_config.json", output)
    marker = tokenizer.token_to_id(MARKERS[0])
    published = config(size, tokenizer.get_vocab_size(), marker)
    network = gliner(NetworkConfig.from_dict(published), lstm_layers=1)
    chance = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        if parameter.dim() > 1:
            parameter.data.normal_(std=parameter[0].numel() ** -0.5, generator=chance)
    save_file(published_weights(network), output / "model.safetensors", metadata={"format": "pt"})
    (output / "gliner_config.json").write_text(json.dumps(published, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
