"""What others have published about themselves, to be put beside what was measured here.

A number without the way it was counted misleads, so every row carries it. The data are in `published.toml`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

from gliner_cli.evaluation import packaged


@dataclass(frozen=True)
class Published:
    """One system in one published table. Scores are by set (or condition), in `unit`: F1 in percent, or ms.

    `average` is as printed, over `of` sets where that is known. `known` is how surely we know it: read, recomputed or
    remembered.
    """

    system: str
    scores: Mapping[str, float]
    average: float | None
    of: int | None
    table: str
    title: str
    source: str
    suites: tuple[str, ...]
    counting: str
    threshold: str
    labels: str
    known: str
    unit: str
    note: str


@cache
def rows() -> tuple[Published, ...]:
    """All of them, in the order of the file."""
    content = packaged.table("published.toml")
    return tuple(row for table in content["tables"] for row in _rows(table, content["counting"]))


_DEFAULTS = {"known": "read", "unit": "F1", "note": "", "average": None, "of": None, "columns": (), "scores": ()}


def _rows(table: Mapping[str, Any], counting: Mapping[str, str]) -> Iterator[Published]:
    shared = {**_DEFAULTS, **table, "table": table["name"], "suites": tuple(table["suites"])}
    for row in table["rows"]:
        whole = {**shared, **row}
        notes = (table.get("note"), row.get("note"))
        pairs = zip(whole["columns"], whole["scores"] or [math.nan] * len(whole["columns"]), strict=True)
        whole["scores"] = {name: float(score) for name, score in pairs if not math.isnan(score)}
        whole["counting"] = counting[whole["counting"]]
        whole["note"] = " ".join(note for note in notes if note)
        yield Published(**{field.name: whole[field.name] for field in fields(Published)})
