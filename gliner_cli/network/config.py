"""What a checkpoint's `gliner_config.json` says, in all its dialects, decided once.

The field names and defaults are those of the published format (the reference package's `BaseGLiNERConfig`). Whether we
can run a checkpoint is decided here, before any weight is read: `NetworkConfig.from_dict` refuses by name what we
recognise and do not implement.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from gliner_cli.errors import CheckpointError, UnsupportedError

SPAN_MODES = (
    "marker", "markerV0", "markerV1", "markerV2", "query", "mlp", "cat",
    "conv_conv", "conv_max", "conv_mean", "conv_sum", "conv_share",
)  # fmt: skip
TOKEN_MODE = "token_level"  # noqa: S105
GENERATIVE_BACKBONES = {"llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "gpt2", "phi3"}


@dataclass(frozen=True)
class NetworkConfig:
    """One network: which of the two kinds of label vectors and of heads, how large, and on what backbones.

    `backbone` and `labels_backbone` are Hugging Face encoder configurations as dictionaries; they are None where the
    checkpoint leaves them to the repository named `backbone_name` (`labels_backbone_name`), which then holds them.
    `published` is the file as it was read, so that saving gives back what was loaded.
    """

    labels: Literal["prompt", "encoder"]
    head: Literal["span", "token"]
    span_mode: str
    backbone_name: str
    backbone: Mapping[str, Any] | None
    labels_backbone_name: str | None
    labels_backbone: Mapping[str, Any] | None
    hidden_size: int
    max_width: int
    max_len: int
    max_types: int
    dropout: float
    fuse_layers: bool
    embed_ent_token: bool
    subtoken_pooling: str
    class_token_index: int
    vocab_size: int
    ent_token: str
    sep_token: str
    words_splitter: str
    published: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def thresholds(self) -> Mapping[str, float]:
        """The threshold that each label was tuned to when the checkpoint was trained (our own addition to the file)."""
        stored = self.published.get("thresholds")
        return {str(k): float(v) for k, v in stored.items()} if isinstance(stored, Mapping) else {}

    @property
    def kind(self) -> str:
        """The kind in words, as people read it: "uni-encoder span (markerV0)"."""
        encoder = "uni-encoder" if self.labels == "prompt" else "bi-encoder"
        return f"{encoder} token" if self.head == "token" else f"{encoder} span ({self.span_mode})"

    @classmethod
    def from_dict(cls, published: Mapping[str, Any]) -> NetworkConfig:
        """The configuration in a parsed `gliner_config.json`.

        Raises UnsupportedError for a recognised kind that we do not run, CheckpointError where a value makes no sense.
        """
        refuse_unsupported(published)
        span_mode = published.get("span_mode", "markerV0")
        return cls(
            labels="encoder" if published.get("labels_encoder") else "prompt",
            head="token" if span_mode == TOKEN_MODE else "span",
            span_mode=span_mode,
            backbone_name=published.get("model_name", "microsoft/deberta-v3-small"),
            backbone=_backbone(published.get("encoder_config")),
            labels_backbone_name=published.get("labels_encoder"),
            labels_backbone=_backbone(published.get("labels_encoder_config")),
            hidden_size=_count(published, "hidden_size", 512),
            max_width=_count(published, "max_width", 12),
            max_len=_count(published, "max_len", 384),
            max_types=_count(published, "max_types", 25),
            dropout=float(published.get("dropout", 0.4)),
            fuse_layers=bool(published.get("fuse_layers", False)),
            embed_ent_token=bool(published.get("embed_ent_token", True)),
            subtoken_pooling=published.get("subtoken_pooling", "first"),
            class_token_index=int(published.get("class_token_index", -1)),
            vocab_size=int(published.get("vocab_size", -1)),
            ent_token=published.get("ent_token", "<<ENT>>"),
            sep_token=published.get("sep_token", "<<SEP>>"),
            words_splitter=published.get("words_splitter_type", "whitespace"),
            published=dict(published),
        )


def _backbone(config: Any) -> Mapping[str, Any] | None:
    """An embedded encoder configuration; the published format means DeBERTa-v2 where it names no type."""
    return None if config is None else {"model_type": "deberta-v2", **config}


def _count(published: Mapping[str, Any], name: str, default: int) -> int:
    value = published.get(name, default)
    if not isinstance(value, int) or value < 1:
        raise CheckpointError(f"gliner_config.json says {name} = {value!r}; a whole number above 0 was expected.")
    return value


def _token_head(published: Mapping[str, Any]) -> bool:
    return published.get("span_mode") == TOKEN_MODE


def _generative(published: Mapping[str, Any]) -> bool:
    return (published.get("encoder_config") or {}).get("model_type") in GENERATIVE_BACKBONES


_INSTEAD = "See `gliner models` for checkpoints that run."

# What is recognised, how it shows, and what to say. Order matters: the most specific sign comes first, as one
# checkpoint can show several.
_UNSUPPORTED: tuple[tuple[Callable[[Mapping[str, Any]], Any], str], ...] = (
    (lambda c: c.get("model_type") == "gliner_streaming_span" or c.get("decoder_config"), "a streaming network"),
    (lambda c: c.get("model_type") == "extractor" or "counting_layer" in c, "a GLiNER2 network"),
    (lambda c: c.get("relations_layer") is not None, "a relation extraction network"),
    (lambda c: c.get("labels_decoder") is not None, "a network with a label decoder"),
    (lambda c: c.get("post_fusion_schema"), "a poly-encoder (post_fusion_schema)"),
    (lambda c: c.get("span_encoder_config"), "a network with a span encoder (span_encoder_config)"),
    (
        lambda c: c.get("precomputed_prompts_mode"),
        "a network with labels compressed into it (precomputed_prompts_mode)",
    ),
    (lambda c: _token_head(c) and c.get("represent_spans"), "a token network with span vectors (represent_spans)"),
    (lambda c: c.get("subtoken_pooling") in ("mean", "max"), "a network that pools pieces (subtoken_pooling)"),
    (_generative, "a network on a generative language model"),
)


def refuse_unsupported(published: Mapping[str, Any]) -> None:
    """Raise UnsupportedError, by name, if we recognise the configuration as one that we do not run."""
    for shows, name in _UNSUPPORTED:
        if shows(published):
            raise UnsupportedError(f"This checkpoint is {name}, which gliner does not run.", _INSTEAD)
    mode = published.get("span_mode", "markerV0")
    if mode not in (*SPAN_MODES, TOKEN_MODE):
        known = ", ".join((*SPAN_MODES, TOKEN_MODE))
        raise UnsupportedError(f"This checkpoint has span_mode {mode!r}; known are {known}.", _INSTEAD)
