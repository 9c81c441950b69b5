"""BERT, equal to transformers' `BertModel` without its pooler, over packed rows with fused projections.

The starter checkpoint runs on it without transformers being imported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from gliner_cli.network.dropout import dropout
from gliner_cli.network.transformer import ACTIVATIONS, Layers, Projections, Run, joined, packed

# transformers' BertConfig
DEFAULTS: Mapping[str, Any] = {
    "vocab_size": 30522, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
    "intermediate_size": 3072, "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1,
    "max_position_embeddings": 512, "type_vocab_size": 2, "layer_norm_eps": 1e-12, "pad_token_id": 0,
}  # fmt: skip


def runs_here(config: Mapping[str, Any]) -> bool:
    """Whether this module computes what a BERT configuration describes."""
    absolute = config.get("position_embedding_type", "absolute") == "absolute" and not config.get("is_decoder")
    return absolute and config.get("hidden_act", "gelu") in ACTIVATIONS


class Bert(nn.Module):
    """Pieces (B, P) and their counts (B,) to states (B, P, D): those after the last layer, or after every layer.

    Given `wanted` (B, P) bool, no others are computed in the last layer; they come back as zeros.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        config = {**DEFAULTS, **config}
        self.embeddings = Embeddings(config)
        self.encoder = Layers(("query", "key", "value"), config)
        self.attend = ScaledDotProduct(config["num_attention_heads"], config["attention_probs_dropout_prob"])

    def forward(
        self, pieces: Tensor, counts: Tensor, every_layer: bool = False, wanted: Tensor | None = None
    ) -> list[Tensor]:
        ids, places, real = packed(pieces, counts)
        x = self.embeddings(ids, places)
        return self.encoder(x, self.attend, counts.tolist(), real, every_layer, wanted)  # type: ignore[no-any-return]


class Embeddings(nn.Module):
    """Word, position and (always the first) segment embeddings, normed: ids and positions (N,) -> (N, D).

    The table of words may have fewer bits than the rest: what is looked up gets the others' type.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        size = config["hidden_size"]
        self.word_embeddings = nn.Embedding(config["vocab_size"], size, padding_idx=config["pad_token_id"])
        self.position_embeddings = nn.Embedding(config["max_position_embeddings"], size)
        self.token_type_embeddings = nn.Embedding(config["type_vocab_size"], size)
        self.LayerNorm = nn.LayerNorm(size, config["layer_norm_eps"])
        self.dropout = config["hidden_dropout_prob"]

    def forward(self, ids: Tensor, places: Tensor) -> Tensor:
        x = self.word_embeddings(ids).to(self.LayerNorm.weight.dtype)
        x = x + self.position_embeddings(places) + self.token_type_embeddings.weight[0]
        return dropout(self.LayerNorm(x), self.dropout, self.training)


@dataclass(frozen=True)
class ScaledDotProduct:
    """Plain attention, by whichever fused kernel torch has for the device."""

    heads: int
    dropout: float

    def __call__(self, projections: Projections, x: Tensor, rows: list[Run], training: bool) -> Tensor:
        projected = projections(x)
        attend = self._dropping if training and self.dropout else functional.scaled_dot_product_attention
        attended = (self._row(projected[first : first + n * size], n, size, attend) for first, n, size in rows)
        return joined(attended, projected)

    def _row(self, projected: Tensor, n: int, length: int, attend: Callable[..., Tensor]) -> Tensor:
        q, k, v = projected.view(n, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        return attend(q, k, v).transpose(1, 2).reshape(n * length, -1)

    def _dropping(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        weights = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1)
        return dropout(weights, self.dropout, True).to(v.dtype) @ v
