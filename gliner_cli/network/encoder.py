"""A pretrained encoder with what GLiNER puts behind it: layer fusion, projection.

Which module computes a backbone is a table: our own for BERT and DeBERTa, transformers' for the rest. transformers is
imported only when one of its models is built.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from gliner_cli.errors import UnsupportedError
from gliner_cli.network import bert, deberta
from gliner_cli.network.transformer import Layers

# Encoders of transformers that are known to do what GLiNER needs: one state for every piece, both directions.
FROM_TRANSFORMERS = {
    "albert", "bert", "camembert", "deberta", "deberta-v2", "distilbert", "electra", "longformer", "modernbert",
    "mpnet", "mt5", "roberta", "t5", "umt5", "xlm-roberta",
}  # fmt: skip
_T5_CLASSES = {"t5": "T5EncoderModel", "mt5": "MT5EncoderModel", "umt5": "UMT5EncoderModel"}
_OWN: Mapping[str, tuple[Callable[[Mapping[str, Any]], bool], type[nn.Module]]] = {
    "bert": (bert.runs_here, bert.Bert),
    "deberta-v2": (deberta.runs_here, deberta.Deberta),
}


def backbone(config: Mapping[str, Any]) -> nn.Module:
    """The encoder that a Hugging Face configuration describes, with untrained weights.

    Its `forward(pieces (B, P), counts (B,), every_layer, wanted)` gives states (B, P, D), those after the last layer or
    after each; where `wanted` (B, P) bool is given, the states of other pieces may be anything. Its parameters carry
    the published names. Raises UnsupportedError for a type we do not know to be an encoder.
    """
    kind = config["model_type"]
    runs_here, own = _OWN.get(kind, (None, None))
    if own and runs_here and runs_here(config):
        return own(config)
    if kind not in FROM_TRANSFORMERS:
        known = ", ".join(sorted(FROM_TRANSFORMERS))
        raise UnsupportedError(f"The backbone is of type {kind!r}; known are {known}.", "See `gliner models`.")
    return FromTransformers(config)


class FromTransformers(nn.Module):
    """Any encoder of transformers behind our interface, under the parameter names it has there."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        with torch.device("cpu"):  # its buffers are computed, not loaded: they must not be built on "meta"
            model = _transformers_model(config)
        for name, part in model.named_children():
            self.add_module(name, part)
        # In a tuple it is no submodule, so that no name gains a prefix; its parts are the submodules above.
        self._whole = (model,)

    def forward(
        self, pieces: Tensor, counts: Tensor, every_layer: bool = False, wanted: Tensor | None = None
    ) -> list[Tensor]:
        mask = (torch.arange(pieces.shape[1]) < counts.unsqueeze(1)).long().to(pieces.device)
        output = self._whole[0](input_ids=pieces, attention_mask=mask, output_hidden_states=every_layer)
        return list(output.hidden_states[1:]) if every_layer else [output.last_hidden_state]

    def save_memory(self) -> None:
        self._whole[0].gradient_checkpointing_enable({"use_reentrant": False})  # type: ignore[operator]

    def train(self, mode: bool = True) -> FromTransformers:
        self._whole[0].train(mode)
        return super().train(mode)


def _transformers_model(config: Mapping[str, Any]) -> nn.Module:
    import transformers

    settings = {name: value for name, value in config.items() if name != "model_type"}
    described = transformers.AutoConfig.for_model(config["model_type"], **settings)
    encoder_only = _T5_CLASSES.get(config["model_type"])
    if encoder_only:
        return getattr(transformers, encoder_only)(described)  # type: ignore[no-any-return]
    model: nn.Module = transformers.AutoModel.from_config(described)
    if hasattr(model, "pooler"):
        model.pooler = None  # type: ignore[assignment]  # never read, and missing from most checkpoints
    return model


class TextEncoder(nn.Module):
    """Pieces (B, P) and counts (B,) to states (B, P, D), D being the hidden size of the heads.

    Where `wanted` (B, P) bool is given, the states of other pieces may be anything.
    """

    def __init__(self, config: Mapping[str, Any], hidden_size: int, fuse_layers: bool) -> None:
        super().__init__()
        self.backbone = backbone(config)
        own_size = config.get("hidden_size") or config["d_model"]
        if fuse_layers:
            self.fuser = LayerFusion(config.get("num_hidden_layers") or config["num_layers"], own_size)
        if own_size != hidden_size:
            self.projection = nn.Linear(own_size, hidden_size)

    def save_memory(self) -> None:
        """Compute the backbone's layers a second time in the backward pass instead of remembering what they gave."""
        for part in self.backbone.modules():
            if isinstance(part, Layers):
                part.recompute = True
        if isinstance(self.backbone, FromTransformers):
            self.backbone.save_memory()

    def forward(self, pieces: Tensor, counts: Tensor, wanted: Tensor | None = None) -> Tensor:
        fused = hasattr(self, "fuser")  # it reads every layer, and every piece of it
        states = self.backbone(pieces, counts, fused, None if fused else wanted)
        x: Tensor = self.fuser(states, counts) if fused else states[-1]
        return self.projection(x) if hasattr(self, "projection") else x


class LayerFusion(nn.Module):
    """A weighted sum of all layers, the weights from what each layer holds (squeeze and excitation).

    The reference averages over the padding too, so that its result depends on the rest of the batch; here the mean is
    over the real pieces of each row.
    """

    def __init__(self, layers: int, size: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(size, 1)
        self.W1 = nn.Linear(layers, layers // 2)
        self.W2 = nn.Linear(layers // 2, layers)
        self.output_projection = nn.Linear(size, size)

    def forward(self, states: list[Tensor], counts: Tensor) -> Tensor:
        stacked = torch.stack(states, dim=1)  # (B, layers, P, D)
        counts = counts.to(stacked.device)
        real = torch.arange(stacked.shape[2], device=stacked.device) < counts.unsqueeze(1)  # (B, P)
        squeezed = self.squeeze(stacked).squeeze(-1) * real.unsqueeze(1)
        weights = torch.sigmoid(self.W2(torch.relu(self.W1(squeezed.sum(-1) / counts.unsqueeze(1)))))
        return self.output_projection(torch.einsum("blpd,bl->bpd", stacked, weights))  # type: ignore[no-any-return]


class LabelEncoder(nn.Module):
    """Labels as vectors of their own (bi-encoder): pieces (C, P), counts (C,) -> (C, D), the mean over their pieces."""

    def __init__(self, config: Mapping[str, Any], hidden_size: int, fuse_layers: bool) -> None:
        super().__init__()
        self.text = TextEncoder(config, hidden_size, fuse_layers)

    def forward(self, pieces: Tensor, counts: Tensor) -> Tensor:
        states = self.text(pieces, counts)
        counts = counts.to(states.device)
        real = torch.arange(states.shape[1], device=states.device) < counts.unsqueeze(1)
        return (states * real.unsqueeze(-1)).sum(1) / counts.unsqueeze(1)  # type: ignore[no-any-return]
