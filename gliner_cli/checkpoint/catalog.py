"""Known public checkpoints: what they are, what they may be used for, how large and how good they are.

What their repositories and papers state; None where we know of no statement. F1 is the average of the seven
out-of-domain sets (five of CrossNER, MIT movie and restaurant), without training on them, as published for exactly
these weights: each source has its own threshold and labels, so small differences mean nothing.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass


@dataclass(frozen=True)
class Known:
    """One row. `size` is that of the weights, in bytes, as exact as its source; `languages` None: not stated."""

    name: str
    kind: str | None
    backbone: str | None
    licence: str | None
    size: int | None = None
    f1: float | None = None
    f1_source: str | None = None
    languages: str | None = None


_MARKER0, _MARKER = "uni-encoder span (markerV0)", "uni-encoder span (marker)"
_TOKEN, _BI = "uni-encoder token", "bi-encoder span"
_SMALL, _BASE, _LARGE, _MULTI = "deberta-v3-small", "deberta-v3-base", "deberta-v3-large", "mdeberta-v3-base"
_APACHE, _MIT, _NC = "Apache-2.0", "MIT", "CC-BY-NC-4.0"
_MANY = "many"
_CARD = "model card"

CATALOG = (
    Known("urchade/gliner_small-v2.1", _MARKER0, _SMALL, _APACHE, 610_652_234),
    Known(
        "urchade/gliner_medium-v2.1", _MARKER0, _BASE, _APACHE, 781_000_000, 56.0, "model card 306251f, threshold 0.3"
    ),
    Known("urchade/gliner_large-v2.1", _MARKER0, _LARGE, _APACHE, 1_780_000_000, 57.5, "arXiv 2406.12925"),
    Known("urchade/gliner_multi-v2.1", _MARKER0, _MULTI, _APACHE, 1_155_830_112, languages=_MANY),
    Known("urchade/gliner_multi_pii-v1", _MARKER0, _MULTI, _APACHE, languages=_MANY),
    Known("urchade/gliner_large_bio-v0.1", _MARKER0, _LARGE, _APACHE),
    Known("urchade/gliner_token_medium-v1", _TOKEN, _BASE, _APACHE),
    Known("gliner-community/gliner_small-v2.5", _MARKER0, _SMALL, _APACHE),
    Known("gliner-community/gliner_medium-v2.5", _MARKER0, _BASE, _APACHE),
    Known("gliner-community/gliner_large-v2.5", _MARKER0, _LARGE, _APACHE, None, 60.9, "arXiv 2602.18487"),
    Known("gliner-community/gliner_xxl-v2.5", _MARKER0, None, _APACHE),
    Known("numind/NuNER_Zero", _MARKER, _LARGE, _MIT),  # published with a token F1 only, which is another measure
    Known("numind/NuNER_Zero-4k", _MARKER, "longformer", _MIT),
    Known("numind/NuNER_Zero-span", _MARKER, _LARGE, _MIT, None, 62.0, "metrics file of the repository"),
    Known("knowledgator/gliner-multitask-large-v0.5", _TOKEN, _LARGE, _APACHE, None, 62.8, "model card 56d90dc"),
    Known("knowledgator/gliner-multitask-v1.0", _TOKEN, "deberta-v2-xlarge", _APACHE),
    Known("knowledgator/gliner-bi-edge-v2.0", _BI, "ettin-encoder-32m", _APACHE, None, 54.0, _CARD),
    Known("knowledgator/gliner-bi-small-v2.0", _BI, "ettin-encoder-68m", _APACHE, None, 57.2, _CARD),
    Known("knowledgator/gliner-bi-base-v2.0", _BI, "ettin-encoder-150m", _APACHE, None, 60.3, _CARD),
    Known("knowledgator/gliner-bi-large-v2.0", _BI, "ettin-encoder-400m", _APACHE, None, 61.5, _CARD),
    Known("knowledgator/gliner-bi-small-v1.0", _BI, None, _APACHE),
    Known("knowledgator/gliner-bi-base-v1.0", _BI, None, _APACHE),
    Known("knowledgator/gliner-bi-large-v1.0", _BI, None, _APACHE),
    Known("knowledgator/modern-gliner-bi-base-v1.0", _BI, None, _APACHE),
    Known("knowledgator/modern-gliner-bi-large-v1.0", _BI, None, _APACHE),
    Known("knowledgator/gliner-x-small", "uni-encoder span", "mt5", _APACHE, languages=_MANY),
    Known("knowledgator/gliner-x-base", "uni-encoder span", "mt5", _APACHE, languages=_MANY),
    Known("knowledgator/gliner-x-large", "uni-encoder span", "mt5", _APACHE, languages=_MANY),
    Known("EmergentMethods/gliner_small_news-v2.1", _MARKER0, "deberta-v3", _APACHE),
    Known("EmergentMethods/gliner_medium_news-v2.1", _MARKER0, "deberta-v3", _APACHE),
    Known("EmergentMethods/gliner_large_news-v2.1", _MARKER0, "deberta-v3", _APACHE),
    Known("Ihor/gliner-small-v2.1-post-train", _MARKER0, "deberta-v3", _APACHE),
    Known("Ihor/gliner-medium-v2.1-post-train", _MARKER0, "deberta-v3", _APACHE),
    Known("Ihor/gliner-large-v2.1-post-train", _MARKER0, "deberta-v3", _APACHE),
    Known("Ihor/gliner-biomed-small-v1.0", _MARKER0, None, _APACHE),
    Known("Ihor/gliner-biomed-base-v1.0", _MARKER0, None, _APACHE),
    Known("Ihor/gliner-biomed-large-v1.0", _MARKER0, None, _APACHE),
    Known("DeepMount00/universal_ner_ita", _MARKER, _MULTI, None, languages="Italian"),
    Known("NeuML/gliner-bert-tiny", None, "bert", None),
    Known("urchade/gliner_small-v2", _MARKER0, _SMALL, _APACHE),
    Known("urchade/gliner_medium-v2", _MARKER0, _BASE, _APACHE),
    Known("urchade/gliner_large-v2", _MARKER0, _LARGE, _APACHE),
    Known("urchade/gliner_small-v1", _MARKER0, _SMALL, _NC),
    Known("urchade/gliner_medium-v1", _MARKER0, _BASE, _NC),
    Known("urchade/gliner_large-v1", _MARKER0, _LARGE, _NC),
    Known("urchade/gliner_base", _MARKER, _BASE, _NC, 792_000_000),
    Known("urchade/gliner_multi", _MARKER, _MULTI, _NC, 1_160_000_000, languages=_MANY),
)


def suggestion(name: str) -> str:
    """The known checkpoint whose name is nearest, as a question; or where to look."""
    near = _nearest(name, {known.name: known.name for known in CATALOG}) or _nearest(
        name.rpartition("/")[2], {known.name.partition("/")[2]: known.name for known in CATALOG}
    )
    return f"Did you mean {near}?" if near else "See `gliner models` for known names."


def suggestion_for(repository: str) -> str:
    """`Did you mean …? ` for a repository that is nearly, but not, a known one: to begin a hint with."""
    near = _nearest(repository, {known.name: known.name for known in CATALOG}, 0.9)
    return f"Did you mean {near}? " if near and near != repository else ""


def _nearest(name: str, names: dict[str, str], cutoff: float = 0.7) -> str | None:
    """The full name of the nearest; case counts for nothing, as it is what is mistyped most."""
    folded = {short.casefold(): full for short, full in names.items()}
    near = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=cutoff)
    return folded[near[0]] if near else None
