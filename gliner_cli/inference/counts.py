"""What went through the pipeline, for whoever wants to tell."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Counts:
    """Documents, words and windows so far."""

    documents: int = 0
    words: int = 0
    windows: int = 0

    def add(self, other: Counts) -> None:
        """Count what somebody else did."""
        self.documents += other.documents
        self.words += other.words
        self.windows += other.windows
