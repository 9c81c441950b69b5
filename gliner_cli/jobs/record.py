"""What a job was and what became of it: `OUT.run.json`, beside its output."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

from gliner_cli._version import __version__
from gliner_cli.errors import OutputError

_PACKAGES = ("torch", "transformers", "tokenizers", "numpy")


def versions() -> dict[str, str]:
    """What the answers depend on."""
    return {
        "gliner-cli": __version__,
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in _PACKAGES},
    }


def now() -> str:
    """The time, as ISO 8601 in UTC, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def beside(output: Path, what: str) -> Path:
    """A file that belongs to an output: its name and `what`."""
    return output.with_name(f"{output.name}.{what}")


def write(path: Path, record: Mapping[str, Any]) -> None:
    """Write a record in one step. Raises OutputError where that cannot be done."""
    content = json.dumps(record, default=str, indent=2).encode()  # orjson refuses names of files that are no UTF-8
    unfinished = beside(path, "partial")
    try:
        unfinished.write_bytes(content + b"\n")
        os.replace(unfinished, path)
    except OSError as error:
        raise OutputError(
            f"{path}, the record of the run, cannot be written: {error.strerror or error}.", "The results are whole."
        ) from error
