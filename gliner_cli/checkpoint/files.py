"""The files of a checkpoint's folder: their names, which of them holds the weights, and reading the JSON among them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gliner_cli.errors import CheckpointError

CONFIG_FILE = "gliner_config.json"
WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")


def weights_in(names: Iterable[str]) -> str | None:
    """The file among a folder's that holds the weights: safetensors, then .bin, then a single v0 `.pt`."""
    present = set(names)
    old = sorted(name for name in present if name.endswith(".pt") and "/" not in name)
    return next((name for name in (*WEIGHT_FILES, *old) if name in present), None)


def files_of(folder: Path) -> list[str]:
    """The names of the files that lie in a folder itself."""
    return [entry.name for entry in folder.iterdir() if entry.is_file()]


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file of a checkpoint. Raises CheckpointError."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        reason = f"not valid JSON, {error}" if isinstance(error, ValueError) else str(error)
        raise CheckpointError(
            f"{path} cannot be read as JSON: {reason}.", "Fetch it again: gliner pull NAME"
        ) from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds a {type(content).__name__}; an object was expected.")
    return content
