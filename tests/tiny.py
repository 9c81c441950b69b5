"""Tiny checkpoints made in code: every kind, a few thousand random weights, a tokenizer of a few hundred pieces."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import nn

MARKERS = ["[FLERT]", "<<ENT>>", "<<SEP>>"]
TEXTS = [
    "Marta Silva opened a small bakery in Porto in 2011 .",
    "The ferry Oriana left Genoa at dawn , bound for Tunis , with 312 passengers and a cargo of oranges .",
    "Dr. Okafor gave the patient 20 mg of furosemide ; the swelling went down within a day .",
    "Rain .",
    "Yuki Tanaka and Lena Vogel wrote the compiler in Rust at the University of Graz , then sold it to Brightwell .",
    "At 7:45 the train to Zürich was cancelled - again - and nobody at the desk of Alpina Rail said why .",
    "naïve café co-operation x_y 3.14 e-mail: info@example.org !?",
    "Under the old bridge near Lake Tarn we found a silver coin , two bronze rings and a letter from 1743 signed by "
    "Countess Amalia of Westerhold , who had asked her brother for help against the bank of Lisbon .",
]
LABELS = ["person", "city", "organization", "musical instrument", "date"]


_SPECIAL = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"]


def tokenizer(kind: str) -> Tokenizer:
    """A tokenizer of our own making: `wordpiece` as BERT's, `unigram` as DeBERTa's and T5's, `bytes` as RoBERTa's.

    Its pieces are counted out, not trained: the trainers of `tokenizers` break ties differently from run to run.
    """
    made = {"wordpiece": _wordpiece, "unigram": _unigram, "bytes": _bytes}[kind]()
    ends = [(token, made.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    made.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    made.add_special_tokens(_SPECIAL)
    made.add_tokens([AddedToken(token, special=True, normalized=False) for token in MARKERS])
    return made


def _beginnings(words: list[str]) -> list[str]:
    """Letters, and the first two and three letters of every word."""
    parts = {letter for word in words for letter in word} | {word[:n] for word in words for n in (2, 3)}
    return sorted(parts)


def _wordpiece() -> Tokenizer:
    words = [part for text in [*TEXTS, *LABELS] for part in text.lower().split()]
    parts = _beginnings(words)
    vocabulary = [*_SPECIAL, *parts, *(f"##{part}" for part in parts if len(part) < 3)]
    made = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(vocabulary)}, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return made


def _unigram() -> Tokenizer:
    parts = _beginnings([f"▁{part}" for text in [*TEXTS, *LABELS] for part in text.split()])
    scored = [(piece, 0.0) for piece in _SPECIAL] + [(piece, -5.0 + len(piece)) for piece in parts]
    made = Tokenizer(models.Unigram(scored, unk_id=_SPECIAL.index("[UNK]")))
    made.normalizer = normalizers.NFKC()
    made.pre_tokenizer = pre_tokenizers.Metaspace("▁", prepend_scheme="always")
    return made


def _bytes() -> Tokenizer:
    parts = _beginnings([f"Ġ{part}" for text in [*TEXTS, *LABELS] for part in text.split() if part.isascii()])
    merges = [(part[:-1], part[-1]) for part in parts if len(part) > 1]
    vocabulary = dict.fromkeys([*_SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet()), *parts])
    made = Tokenizer(models.BPE({piece: i for i, piece in enumerate(vocabulary)}, merges))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    return made


def save_tokenizer(made: Tokenizer, folder: Path, limit: int | None = None) -> None:
    """Write a tokenizer as a folder that transformers' AutoTokenizer reads, too."""
    folder.mkdir(parents=True, exist_ok=True)
    made.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": limit or int(1e30), "pad_token": "[PAD]",
        "cls_token": "[CLS]", "sep_token": "[SEP]", "unk_token": "[UNK]", "mask_token": "[MASK]",
    }  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


TOKENIZER_OF = {
    "roberta": "bytes",
    "modernbert": "bytes",
    "deberta-v2": "unigram",
    "mt5": "unigram",
    "albert": "unigram",
}

_COMMON = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48,
    "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1, "pad_token_id": 0,
}  # fmt: skip
_DEBERTA = {
    "relative_attention": True, "share_att_key": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 16,
    "norm_rel_ebd": "layer_norm", "position_biased_input": False, "type_vocab_size": 0, "max_position_embeddings": 512,
}  # fmt: skip
BACKBONES: Mapping[str, Mapping[str, Any]] = {
    "deberta-v2": _COMMON | _DEBERTA,
    "bert": _COMMON | {"max_position_embeddings": 512},
    "roberta": _COMMON | {"max_position_embeddings": 514, "type_vocab_size": 1, "pad_token_id": 1},
    "albert": _COMMON | {"embedding_size": 16, "max_position_embeddings": 512},
    "electra": _COMMON | {"embedding_size": 16, "max_position_embeddings": 512},
    "modernbert": {
        "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48,
        "max_position_embeddings": 512, "local_attention": 16, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
        "cls_token_id": 1, "sep_token_id": 2,
    },
    "mt5": {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4, "pad_token_id": 0},
}  # fmt: skip


def published_config(folder: Path, backbone: str = "deberta-v2", **fields: Any) -> dict[str, Any]:
    """A `gliner_config.json` for a tiny checkpoint whose tokenizers are written into a folder."""
    made = tokenizer(TOKENIZER_OF.get(backbone, "wordpiece"))
    save_tokenizer(made, folder, 512 if backbone in ("bert", "albert", "electra", "roberta") else None)
    size = made.get_vocab_size()
    config = {
        "model_name": str(folder), "span_mode": "markerV0", "hidden_size": 32, "max_width": 5, "max_len": 64,
        "max_types": 25, "dropout": 0.1, "num_rnn_layers": 1, "vocab_size": size,
        "class_token_index": made.token_to_id("<<ENT>>"),
        "encoder_config": {"model_type": backbone, "vocab_size": size, **BACKBONES[backbone]},
    }  # fmt: skip
    return {**config, **fields}


def with_label_encoder(config: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The configuration made a bi-encoder's: its labels have a small BERT of their own."""
    made = tokenizer("wordpiece")
    save_tokenizer(made, folder)
    encoder = {"model_type": "bert", "vocab_size": made.get_vocab_size(), **BACKBONES["bert"], "hidden_size": 16}
    return {**config, "labels_encoder": str(folder), "labels_encoder_config": encoder}


def randomize(network: nn.Module, seed: int = 0) -> None:
    """Weights that make scores spread over 0 to 1, most of them clearly away from the ends."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in sorted(network.named_parameters()):
        noise = torch.randn(parameter.shape, generator=generator)
        if parameter.dim() > 1:
            parameter.data = noise / parameter[0].numel() ** 0.5
        elif "norm" in name.lower() and name.endswith("weight"):
            parameter.data = 1 + 0.1 * noise
        else:
            parameter.data = 0.1 * noise


def checkpoint_folder(folder: Path, backbone: str = "deberta-v2", seed: int = 0, **fields: Any) -> Path:
    """A whole random checkpoint in the published layout, made without the reference package."""
    from safetensors.torch import save_file

    from gliner_cli.checkpoint.weights import published_weights
    from gliner_cli.network.config import NetworkConfig
    from gliner_cli.network.gliner import gliner

    config = published_config(folder, backbone, **fields)
    if fields.get("labels_encoder"):
        config = with_label_encoder(config, folder / "labels_tokenizer")
    (folder / "gliner_config.json").write_text(json.dumps(config))
    network = gliner(NetworkConfig.from_dict(config), config["num_rnn_layers"])
    randomize(network, seed)
    save_file(published_weights(network), folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def combinations() -> Iterator[dict[str, Any]]:
    """Every kind × span mode × backbone, and the options that change the computation."""
    from gliner_cli.network.config import SPAN_MODES, TOKEN_MODE

    for backbone in BACKBONES:
        for labels in ("prompt", "encoder"):
            for mode in (*SPAN_MODES, TOKEN_MODE):
                yield {"labels": labels, "backbone": backbone, "span_mode": mode}
    for backbone in ("deberta-v2", "bert", "modernbert"):
        for options in (
            {"hidden_size": 24}, {"num_rnn_layers": 0}, {"num_rnn_layers": 2}, {"fuse_layers": True},
            {"embed_ent_token": False}, {"subtoken_pooling": "last"}, {"max_width": 1}, {"max_width": 12},
        ):  # fmt: skip
            for mode in ("markerV0", "marker", TOKEN_MODE):
                yield {"labels": "prompt", "backbone": backbone, "span_mode": mode, **options}
