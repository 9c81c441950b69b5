"""Known public checkpoints: what they are, what they may be used for, how large and how good they are.

Sizes and licences as their repositories state them; F1 is the average of the seven out-of-domain sets of the paper
(CrossNER and MIT), as published for these weights. None: not published.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass


@dataclass(frozen=True)
class Known:
    """One row: hub id, kind, backbone, licence, megabytes of its weights, published F1 and who published it."""

    name: str
    kind: str
    backbone: str
    licence: str
    megabytes: int | None = None
    f1: float | None = None
    f1_source: str = ""


_SPAN, _TOKEN, _BI = "uni-encoder span", "uni-encoder token", "bi-encoder span"
_CARD = "model card"

CATALOG = (
    Known("urchade/gliner_small-v2.1", _SPAN, "deberta-v3-small", "Apache-2.0", 611),
    Known("urchade/gliner_medium-v2.1", _SPAN, "deberta-v3-base", "Apache-2.0", 781, 56.0, "model card, threshold 0.3"),
    Known("urchade/gliner_large-v2.1", _SPAN, "deberta-v3-large", "Apache-2.0", 1782, 57.5, "arXiv 2406.12925"),
    Known("urchade/gliner_multi-v2.1", _SPAN, "mdeberta-v3-base", "Apache-2.0", 1156),
    Known("urchade/gliner_multi_pii-v1", _SPAN, "mdeberta-v3-base", "Apache-2.0", 1156),
    Known("gliner-community/gliner_small-v2.5", _SPAN, "deberta-v3-small", "Apache-2.0"),
    Known("gliner-community/gliner_medium-v2.5", _SPAN, "deberta-v3-base", "Apache-2.0"),
    Known(
        "gliner-community/gliner_large-v2.5", _SPAN, "deberta-v3-large", "Apache-2.0", None, 60.9, "arXiv 2602.18487"
    ),
    Known("numind/NuNER_Zero-span", _SPAN, "deberta-v3-large", "MIT", None, 62.0, _CARD),
    Known("EmergentMethods/gliner_medium_news-v2.1", _SPAN, "deberta-v3-base", "Apache-2.0"),
    Known("Ihor/gliner-biomed-base-v1.0", _SPAN, "deberta-v3-base", "Apache-2.0"),
    Known("urchade/gliner_token_medium-v1", _TOKEN, "deberta-v3-base", "Apache-2.0"),
    Known("knowledgator/gliner-multitask-large-v0.5", _TOKEN, "deberta-v3-large", "Apache-2.0", None, 62.8, _CARD),
    Known("knowledgator/gliner-bi-small-v2.0", _BI, "ettin-encoder-68m", "Apache-2.0", None, 57.2, _CARD),
    Known("knowledgator/gliner-bi-base-v2.0", _BI, "ettin-encoder-150m", "Apache-2.0", None, 60.3, _CARD),
    Known("knowledgator/gliner-bi-large-v2.0", _BI, "ettin-encoder-400m", "Apache-2.0", None, 61.5, _CARD),
    Known("urchade/gliner_base", _SPAN, "deberta-v3-base", "CC-BY-NC-4.0", 792),
    Known("urchade/gliner_multi", _SPAN, "mdeberta-v3-base", "CC-BY-NC-4.0", 1160),
)


def suggestion(name: str) -> str:
    """The known checkpoint whose name is nearest, as a question; or where to look."""
    near = difflib.get_close_matches(name, [known.name for known in CATALOG], n=1, cutoff=0.5)
    return f"Did you mean {near[0]}?" if near else "See `gliner models` for known names."
