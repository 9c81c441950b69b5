"""`Gliner`: an encoder, label vectors and a head, put together as a `NetworkConfig` says.

Every published kind is a way to fill the three places.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from gliner_cli.network.config import NetworkConfig
from gliner_cli.network.encoder import LabelEncoder, TextEncoder
from gliner_cli.network.label_vectors import EncodedLabels, PromptLabels
from gliner_cli.network.span_head import SpanHead
from gliner_cli.network.tensors import Batch, rows_at
from gliner_cli.network.token_head import TokenHead


class Gliner(nn.Module):
    """A batch to logits: (B, W, K, C) from a span head, (B, W, C, 3) from a token head."""

    def __init__(
        self,
        encoder: TextEncoder,
        labels: PromptLabels | EncodedLabels,
        head: SpanHead | TokenHead,
        lstm: nn.LSTM | None = None,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.labels = labels
        self.head = head
        self.lstm = lstm

    @property
    def dtype(self) -> torch.dtype:
        """What it computes in; vectors of words may be stored in fewer bits."""
        return next(self.head.parameters()).dtype

    @property
    def lstm_layers(self) -> int:
        """How many layers its LSTM has; 0 without one."""
        return self.lstm.num_layers if self.lstm is not None else 0

    def forward(self, batch: Batch) -> Tensor:
        states = self.encoder(batch.pieces, batch.piece_counts, batch.wanted())
        words = rows_at(states, batch.word_at)
        # The published bi-encoders carry an LSTM that the reference never runs; so do we: trained weights agree.
        if self.lstm is not None and isinstance(self.labels, PromptLabels):
            words = self._contextual(words, batch.word_counts)
        return cast(Tensor, self.head(words, batch.word_counts, self.labels(states, batch)))

    def _contextual(self, words: Tensor, counts: Tensor) -> Tensor:
        """The words (B, W, D) through the LSTM, each row to its own length; zero behind it."""
        assert self.lstm is not None  # noqa: S101
        packed = pack_padded_sequence(words, counts.cpu(), batch_first=True, enforce_sorted=False)
        output, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=words.shape[1])
        return output


def gliner(config: NetworkConfig, lstm_layers: int) -> Gliner:
    """The network that a configuration describes, with untrained weights.

    `lstm_layers` comes from the weights: configurations of different ages name it differently, or wrongly.
    """
    if config.backbone is None:
        raise ValueError("The backbone's configuration must be known before the network is built.")
    size, dropout = config.hidden_size, config.dropout
    encoder = TextEncoder(config.backbone, size, config.fuse_layers)
    labels: PromptLabels | EncodedLabels = PromptLabels()
    if config.labels == "encoder" and config.labels_backbone is not None:
        labels = EncodedLabels(LabelEncoder(config.labels_backbone, size, config.fuse_layers))
    head = (
        TokenHead(size, dropout)
        if config.head == "token"
        else SpanHead(config.span_mode, size, config.max_width, dropout)
    )
    lstm = nn.LSTM(size, size // 2, lstm_layers, batch_first=True, bidirectional=True) if lstm_layers else None
    return Gliner(encoder, labels, head, lstm)


def lstm_layers(names: Collection[str]) -> int:
    """How many LSTM layers a checkpoint has, by its published weight names (`rnn.lstm.weight_ih_l0`, …)."""
    return sum(name.startswith("rnn.lstm.weight_ih_l") and not name.endswith("_reverse") for name in names)
