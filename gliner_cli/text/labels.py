"""Labels: what to look for, in the user's words.

From the command line ("person,drug=0.3"), a file of lines, or JSON with descriptions and thresholds. Knows nothing of
prompts or tensors.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from gliner_cli.errors import LabelError

LONGEST_LABEL = 500
_HOW = "Name what to look for, for example: -l person -l drug"


@dataclass(frozen=True)
class Labels:
    """Names in the order given, without repeats; for each a description or None, and a threshold of its own or None."""

    names: tuple[str, ...]
    descriptions: tuple[str | None, ...] = ()
    thresholds: tuple[float | None, ...] = ()

    def __post_init__(self) -> None:
        nothing = (None,) * len(self.names)
        object.__setattr__(self, "descriptions", self.descriptions or nothing)
        object.__setattr__(self, "thresholds", self.thresholds or nothing)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def asked(self) -> tuple[str, ...]:
        """What the network is asked for each label: its description where there is one, as in the reference package."""
        return tuple(text or name for name, text in zip(self.names, self.descriptions, strict=True))

    def chunks(self, size: int) -> list[Labels]:
        """The labels in runs of at most `size`, in order, as even as can be."""
        count = -(-len(self) // size)
        cuts = [len(self) * i // count for i in range(count + 1)]
        return [self[a:b] for a, b in pairwise(cuts)]

    def with_thresholds(self, otherwise: Iterable[float]) -> Labels:
        """The same labels, each with a threshold: its own, or the one given here."""
        pairs = zip(self.thresholds, otherwise, strict=True)
        return Labels(self.names, self.descriptions, tuple(own if own is not None else other for own, other in pairs))

    def __getitem__(self, part: slice) -> Labels:
        return Labels(self.names[part], self.descriptions[part], self.thresholds[part])


def labels(given: Labels | Sequence[str] | Mapping[str, Any]) -> Labels:
    """Labels from what a caller has: names, a mapping of names to descriptions, or labels already.

    Raises LabelError if there is none, or one that makes no sense.
    """
    if isinstance(given, Labels):
        return given
    if isinstance(given, str):
        return labels([given])
    rows = [_row(name, value) for name, value in given.items()] if isinstance(given, Mapping) else map(_named, given)
    return _of_rows(rows)


def parsed(arguments: Iterable[str]) -> Labels:
    """Labels from the command line: each argument one or several, "person,organization" or "drug=0.3"."""
    return _of_rows(_parsed_one(part) for argument in arguments for part in argument.split(","))


def from_file(path: Path) -> Labels:
    """Labels from a file: one a line (`drug=0.3` and `#` comments allowed), or JSON.

    JSON is a list of names and objects `{"name", "description", "threshold"}`, or an object that maps names to
    descriptions, thresholds or such objects.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise LabelError(
            f"The labels file {path} cannot be read: {error}.", f"{_beside(path)}Give a UTF-8 text or JSON file."
        ) from error
    if text.lstrip().startswith(("[", "{")):
        return _from_json(path, text)
    lines = (line.strip() for line in text.splitlines())
    return _of_rows(_parsed_one(line) for line in lines if line and not line.startswith("#"))


def merged(*parts: Labels) -> Labels:
    """Several sets of labels as one; the first word on a label wins."""
    return _of_rows(row for part in parts for row in zip(part.names, part.descriptions, part.thresholds, strict=True))


def abbreviations(asked: Labels) -> list[str]:
    """Labels such as PER or ORG: a network that reads their meaning does much better with words.

    Measured for gliner_large-v2.1 on CoNLL-2003 by a public study: F1 17.9 with PER/ORG/LOC/MISC, 66.2 with words.
    """
    return [name for name in asked.asked if re.fullmatch(r"[A-Z]{2,5}([-_][A-Z]+)*", name)]


def _beside(path: Path) -> str:
    """`Did you mean …? ` where the folder has a file of nearly this name."""
    try:
        names = {entry.name.lower(): entry for entry in path.parent.iterdir() if entry.is_file()}
    except OSError:
        return ""
    near = difflib.get_close_matches(path.name.lower(), names, n=1)
    return f"Did you mean {names[near[0]]}? " if near and names[near[0]] != path else ""


_Row = tuple[str, str | None, float | None]


def _of_rows(rows: Iterable[_Row]) -> Labels:
    unique: dict[str, _Row] = {}
    for row in rows:
        unique.setdefault(_checked(row[0]), row)
    if not unique:
        raise LabelError("No labels were given.", _HOW)
    names, descriptions, thresholds = zip(*((name, *row[1:]) for name, row in unique.items()), strict=True)
    return Labels(names, descriptions, thresholds)


def _checked(name: str) -> str:
    name = name.strip()
    if not name:
        raise LabelError("A label is empty.", _HOW)
    if len(name) > LONGEST_LABEL:
        raise LabelError(
            f"A label has {len(name)} characters, at most {LONGEST_LABEL} are allowed: {name[:40]!r}…",
            "A label is a few words; put longer text into a labels file as its description.",
        )
    return name


def _parsed_one(argument: str) -> _Row:
    name, equals, number = argument.rpartition("=")
    return (name, None, _threshold(name, number)) if equals else (argument, None, None)


def _threshold(name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if not 0 <= number <= 1:
        raise LabelError(
            f"The threshold of {name!r} is {value!r}; a number from 0 to 1 was expected.", "Write drug=0.3"
        )
    return number


def _named(value: Any) -> _Row:
    if isinstance(value, str):
        return value, None, None
    if isinstance(value, Mapping) and isinstance(value.get("name"), str):
        return _row(value["name"], value)
    raise LabelError(f"A label is {value!r}; a name was expected.", _HOW)


def _row(name: str, value: Any) -> _Row:
    match value:
        case None:
            return name, None, None
        case str():
            return name, value, None
        case bool():
            pass
        case int() | float():
            return name, None, _threshold(name, value)
        case {**fields} if isinstance(fields.get("description", ""), str):
            number = fields.get("threshold")
            return (
                name,
                str(fields.get("description") or "") or None,
                None if number is None else _threshold(name, number),
            )
    raise LabelError(f"Label {name!r} has {value!r}; a description, a threshold or both were expected.", _HOW)


def _from_json(path: Path, text: str) -> Labels:
    try:
        content = json.loads(text)
    except ValueError as error:
        raise LabelError(
            f"The labels file {path} is not valid JSON: {error}.", '["person", {"name": "drug"}]'
        ) from error
    return labels(content)
