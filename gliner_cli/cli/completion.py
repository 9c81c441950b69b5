"""What a shell completes after an option. Each answers at once: nothing here loads a network, or asks one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from gliner_cli.cli import history

Complete = Callable[[str], list[Any]]  # what was typed so far to the values that begin so, some with what they are


def completer(kind: str) -> Complete | None:
    """What completes a kind of value; None where the shell does it, or nobody can."""
    return _KINDS[kind] if kind else None


def models(typed: str) -> list[tuple[str, str]]:
    """Checkpoints that are here, then known ones, then folders."""
    from gliner_cli.checkpoint.catalog import CATALOG

    here = list(_pulled())
    known = [(one.name, f"not here: gliner pull {one.name}") for one in CATALOG if one.name not in here]
    named = [*((name, "here") for name in here), *known]
    return [*(pair for pair in named if pair[0].startswith(typed)), *((name, "folder") for name in _folders(typed))]


def labels(typed: str) -> list[str]:
    """Labels that were asked for before. Of `person,dr`, what begins with `dr`."""
    before, comma, begun = typed.rpartition(",")
    return [f"{before}{comma}{label}" for label in history.labels() if label.startswith(begun)]


def read_formats(typed: str) -> list[str]:
    """Formats that can be read."""
    return _formats(typed, "read")


def written_formats(typed: str) -> list[str]:
    """Formats that can be written."""
    return _formats(typed, "written")


def windows(typed: str) -> list[str]:
    """What `--window` takes."""
    return [value for value in ("auto", "sentences", "words=") if value.startswith(typed)]


def suites(typed: str) -> list[str]:
    """Suites and sets of gold data."""
    from gliner_cli.evaluation import corpora

    return [name for name in ("small", *corpora.suites(), *corpora.corpora()) if name.startswith(typed)]


_KINDS: dict[str, Complete] = {
    "models": models,
    "labels": labels,
    "read": read_formats,
    "written": written_formats,
    "windows": windows,
    "suites": suites,
}


def _formats(typed: str, way: str) -> list[str]:
    from gliner_cli.formats import FORMATS

    return [name for name, form in FORMATS.items() if getattr(form, way) and name.startswith(typed)]


def _pulled() -> Iterator[str]:
    """The repositories of the Hugging Face cache that hold a checkpoint, by the names of their folders.

    The hub's own package takes longer to load than a person waits for a completion, so where the cache lies is found
    out as it does it.
    """
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "huggingface")
    cache = Path(os.environ.get("HF_HUB_CACHE") or Path(home, "hub")).expanduser()
    for config in sorted(cache.glob("models--*/snapshots/*/gliner_config.json")):
        yield config.parents[2].name.removeprefix("models--").replace("--", "/", 1)


def _folders(typed: str) -> Iterator[str]:
    """Folders that hold a checkpoint, or lead further."""
    path = Path(typed)
    parent = path if typed.endswith("/") or not typed else path.parent
    with suppress(OSError):
        for child in sorted(parent.iterdir()):
            name = str(child)
            if child.is_dir() and name.startswith(typed) and not child.name.startswith("."):
                yield name if (child / "gliner_config.json").is_file() else f"{name}/"
