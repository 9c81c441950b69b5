"""What went through the pipeline, for whoever wants to tell."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Counts:
    """Documents, words and windows so far."""

    documents: int = 0
    words: int = 0
    windows: int = 0
