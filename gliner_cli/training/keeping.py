"""What the network should go on knowing while it learns something else: other data, or its own opinion of texts.

Rehearsal against forgetting (Robins 1995): a share of every update is old material, and what the network should say of
it is what it said before it learned ("learning without forgetting", Li and Hoiem 2016).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from gliner_cli.checkpoint.folder import Checkpoint
from gliner_cli.inference.extractor import Extractor
from gliner_cli.options import Computing
from gliner_cli.types import Document

# What is rehearsed where nobody says what: short passages of all kinds with 1,300 types, written for this project.
BUILT_IN = Path(__file__).with_name("rehearsal.jsonl")
# What people ask for most; a checkpoint's opinion of a text is asked in these words.
COMMON_TYPES = (
    "person", "organization", "location", "date", "product", "event", "company", "city", "country", "facility",
    "law", "money", "quantity", "job title", "nationality", "language", "disease", "drug", "vehicle", "work of art",
    "software", "food", "animal", "award", "sports team",
)  # fmt: skip


def with_opinions(
    documents: Iterable[Document], checkpoint: Checkpoint, taught: Iterable[str], computing: Computing
) -> list[Document]:
    """The documents; where none has entities, labelled by the checkpoint for the common types that are not taught.

    They say so (`meta["labels"]`): what the checkpoint did not find, it should go on not to find.
    """
    given = list(documents)
    if any(document.entities for document in given):
        return given
    known = {label.lower() for label in taught}
    asked = [label for label in COMMON_TYPES if label not in known]
    found = Extractor(checkpoint, computing).extract(given, asked)
    return [replace(document, meta={**document.meta, "labels": asked}) for document in found]
