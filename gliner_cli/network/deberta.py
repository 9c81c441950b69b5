"""DeBERTa-v2 and -v3, equal to transformers' `DebertaV2Model`, with everything constant computed once.

He et al. 2021, https://arxiv.org/abs/2006.03654: the score of query q and key k is content to content, plus content to
position (the query with the embedding of their distance), plus position to content. Three things differ from the usual
implementation, none of them changes a result:

- the projections of the 2 S position embeddings do not depend on the text and are kept from batch to batch;
- no gather: the scores against the distances -(L-1) … L-1 are computed in the order of distance, and a strided view
  of them *is* the (L, L) matrix of every query and key (each row of it begins one distance later);
- rows are packed end to end (see `transformer.py`), so there is no mask.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from gliner_cli.network.dropout import dropout
from gliner_cli.network.transformer import ACTIVATIONS, Layers, Projections, Run, joined, packed

# transformers' DebertaV2Config
DEFAULTS: Mapping[str, Any] = {
    "vocab_size": 128100, "hidden_size": 1536, "num_hidden_layers": 24, "num_attention_heads": 24,
    "intermediate_size": 6144, "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1,
    "max_position_embeddings": 512, "type_vocab_size": 0, "layer_norm_eps": 1e-7, "relative_attention": False,
    "max_relative_positions": -1, "position_buckets": -1, "pad_token_id": 0, "position_biased_input": True,
    "pos_att_type": None, "share_att_key": False, "norm_rel_ebd": "none", "conv_kernel_size": 0,
}  # fmt: skip

# Scores against positions held at once, in floats: about what a core's cache holds.
_SCORES_AT_ONCE = 4_000_000


def runs_here(config: Mapping[str, Any]) -> bool:
    """Whether this module computes what a DeBERTa-v2 configuration describes.

    It does what every v3 and mDeBERTa model is. The convolution of the v2 xlarge models, embeddings narrower than the
    hidden size, and position projections of their own are left to transformers.
    """
    config = {**DEFAULTS, **config}
    plain = config["relative_attention"] and config["share_att_key"] and not config["conv_kernel_size"]
    narrow = config.get("embedding_size", config["hidden_size"]) != config["hidden_size"]
    own_heads = "attention_head_size" in config
    return bool(plain and not narrow and not own_heads and config["hidden_act"] in ACTIVATIONS)


class Deberta(nn.Module):
    """Pieces (B, P) and their counts (B,) to states (B, P, D): those after the last layer, or after every layer.

    Given `wanted` (B, P) bool, no others are computed in the last layer; they come back as zeros.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        config = {**DEFAULTS, **config}
        self.config = config
        self.distances = Distances.of(config)
        self.embeddings = Embeddings(config)
        self.encoder = Layers(("query_proj", "key_proj", "value_proj"), config)
        self.encoder.rel_embeddings = nn.Embedding(2 * self.distances.span, config["hidden_size"])
        if "layer_norm" in str(config["norm_rel_ebd"]).lower():
            self.encoder.LayerNorm = nn.LayerNorm(config["hidden_size"], config["layer_norm_eps"])

    def forward(
        self, pieces: Tensor, counts: Tensor, every_layer: bool = False, wanted: Tensor | None = None
    ) -> list[Tensor]:
        ids, places, real = packed(pieces, counts)
        x = self.embeddings(ids, places)
        attend = Disentangled.of(self.config, self.distances, self._relative_embeddings())
        return self.encoder(x, attend, counts.tolist(), real, every_layer, wanted)  # type: ignore[no-any-return]

    def _relative_embeddings(self) -> Tensor:
        weight = self.encoder.get_submodule("rel_embeddings").weight
        assert isinstance(weight, Tensor)  # noqa: S101
        if hasattr(self.encoder, "LayerNorm"):
            weight = self.encoder.get_submodule("LayerNorm")(weight)
        return dropout(weight, self.config["hidden_dropout_prob"], self.training)


class Embeddings(nn.Module):
    """Word (and, in some models, position and segment) embeddings, normed: ids and positions (N,) -> (N, D).

    The table of words may have fewer bits than the rest: what is looked up gets the others' type.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        size = config["hidden_size"]
        self.word_embeddings = nn.Embedding(config["vocab_size"], size, padding_idx=config["pad_token_id"])
        if config["position_biased_input"]:
            self.position_embeddings = nn.Embedding(config["max_position_embeddings"], size)
        if config["type_vocab_size"]:
            self.token_type_embeddings = nn.Embedding(config["type_vocab_size"], size)
        self.LayerNorm = nn.LayerNorm(size, config["layer_norm_eps"])
        self.dropout = config["hidden_dropout_prob"]

    def forward(self, ids: Tensor, places: Tensor) -> Tensor:
        x = self.word_embeddings(ids).to(self.LayerNorm.weight.dtype)
        if hasattr(self, "position_embeddings"):
            x = x + self.position_embeddings(places)
        if hasattr(self, "token_type_embeddings"):
            x = x + self.token_type_embeddings.weight[0]
        return dropout(self.LayerNorm(x), self.dropout, self.training)


@dataclass(frozen=True)
class Distances:
    """Which of the 2 `span` position embeddings stands for which distance between two pieces."""

    buckets: int
    furthest: int
    span: int

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Distances:
        """As a configuration has them."""
        furthest = config["max_relative_positions"]
        furthest = furthest if furthest > 0 else config["max_position_embeddings"]
        buckets = config["position_buckets"]
        return cls(buckets, furthest, buckets if buckets > 0 else furthest)

    def embeddings(self, length: int) -> Tensor:
        """The embedding of each distance -(L-1) … L-1 of a row of `length` pieces (2 L - 1,), ascending."""
        return _embedding_of_distances(length, self.buckets, self.furthest, self.span)


@lru_cache(maxsize=64)
def _embedding_of_distances(length: int, buckets: int, furthest: int, span: int) -> Tensor:
    distance = torch.arange(-(length - 1), length)
    if buckets > 0:
        distance = _bucket(distance, buckets // 2, furthest)
    return (distance + span).clamp(0, 2 * span - 1)


def _bucket(distance: Tensor, middle: int, furthest: int) -> Tensor:
    """Distances beyond the middle in logarithmic buckets (`make_log_bucket_position`, in its float32 arithmetic)."""
    size = distance.abs().clamp(min=middle - 1).float()
    steps = torch.log(size / middle) / torch.log(torch.tensor((furthest - 1) / middle)) * (middle - 1)
    return torch.where(distance.abs() <= middle, distance, (torch.ceil(steps) + middle).long() * distance.sign())


@dataclass(frozen=True)
class Disentangled:
    """Attention by content and by distance. `relative` (2 S, D) are the position embeddings, normed."""

    heads: int
    kinds: tuple[str, ...]
    scale: float
    dropout: float
    distances: Distances
    relative: Tensor

    @classmethod
    def of(cls, config: Mapping[str, Any], distances: Distances, relative: Tensor) -> Disentangled:
        """As a configuration has it: `pos_att_type` is a list, or one string with bars."""
        kinds, heads = config["pos_att_type"] or (), config["num_attention_heads"]
        kinds = tuple(kinds.lower().split("|")) if isinstance(kinds, str) else tuple(kinds)
        scale = 1 / math.sqrt(config["hidden_size"] // heads * (1 + len({"c2p", "p2c"} & set(kinds))))
        return cls(heads, kinds, scale, config["attention_probs_dropout_prob"], distances, relative)

    def __call__(self, projections: Projections, x: Tensor, rows: list[Run], training: bool) -> Tensor:
        projected = projections(x)
        queries, keys, _ = self._by_heads(projections.constant(self.relative) * self.scale).unbind(0)
        return joined(self._parts(projected, rows, queries, keys, training), projected)

    def _parts(
        self, projected: Tensor, rows: list[Run], queries: Tensor, keys: Tensor, training: bool
    ) -> Iterator[Tensor]:
        """The attended rows, some at a time; `queries` and `keys` (heads, 2 S, d) are those of the positions."""
        for first, n, length in rows:
            which = self.distances.embeddings(length).to(projected.device)
            tables = keys[:, which.flip(0)].transpose(1, 2), queries[:, which].transpose(1, 2)
            at_once = max(1, _SCORES_AT_ONCE // (self.heads * length * 2 * length))
            for row in range(0, n, at_once):
                own = projected[first + row * length : first + min(row + at_once, n) * length]
                yield self._rows(self._by_heads(own), length, tables, training)

    def _by_heads(self, projected: Tensor) -> Tensor:
        """(N, 3 D) as queries, keys, values (3, heads, N, d)."""
        return projected.view(len(projected), 3, self.heads, -1).permute(1, 2, 0, 3)

    def _rows(self, projected: Tensor, length: int, tables: tuple[Tensor, Tensor], training: bool) -> Tensor:
        """Attention over rows of one length: (3, heads, n L, d) -> (n L, D); the tables are (heads, d, 2 L - 1)."""
        q, k, v = projected.contiguous()
        keys_of, queries_of = tables
        block = (-1, length, q.shape[-1])
        by_content = q.view(block), k.view(block).transpose(1, 2)
        if "c2p" in self.kinds:
            scores = torch.baddbmm(_by_distance(torch.bmm(q, keys_of), length), *by_content, alpha=self.scale)
        else:
            scores = torch.bmm(*by_content) * self.scale
        if "p2c" in self.kinds:
            scores += _by_distance(torch.bmm(k, queries_of), length).transpose(1, 2)
        weights = dropout(scores.softmax(-1), self.dropout, training)
        return torch.bmm(weights, v.view(block)).view(v.shape).transpose(0, 1).flatten(1)


def _by_distance(scores: Tensor, length: int) -> Tensor:
    """Scores against 2 L - 1 distances (heads, n L, 2 L - 1) as scores between pieces (heads n, L, L): a view.

    Row i of a block against piece j lies at column L - 1 - i + j, the distances being ordered so that j ascends; in
    memory that is a step of 2 L - 2 from row to row and of 1 from column to column.
    """
    width = 2 * length - 1
    blocks = scores.shape[0] * scores.shape[1] // length
    return scores.as_strided((blocks, length, length), (length * width, width - 1, 1), length - 1)
