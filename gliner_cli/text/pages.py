"""Where the pages of a document begin in its text: the field `pages`, for documents that have them (PDF)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any


def are_pages(value: Any) -> bool:
    """Whether a field `pages` is ours: ascending places, the first at the beginning. Others may call theirs so."""
    if not (isinstance(value, list) and value and all(type(place) is int for place in value)):
        return False
    return value[0] == 0 and all(before <= after for before, after in pairwise(value))
