"""The data files that are installed with this part."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def path(name: str) -> Path:
    """Where such a file lies."""
    return Path(__file__).parent / name


def table(name: str) -> dict[str, Any]:
    """A TOML file, parsed."""
    return tomllib.loads(path(name).read_text(encoding="utf-8"))
