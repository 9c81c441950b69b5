"""`--config FILE`: options from TOML, under the names they have on the command line, which goes before them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import typer

from gliner_cli.errors import InputError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def configured(context: typer.Context, path: Path | None) -> Path | None:
    """Make what a TOML file says the defaults of the command. Raises InputError for a name that is no option."""
    if path is None:
        return None
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path} cannot be read as TOML: {error}.", "For example: steps = 500") from error
    known = _by_flag(context)
    if unknown := sorted(name for name in content if _flag(name) not in known):
        raise InputError(
            f"{path} has {', '.join(unknown)}, which is no option of gliner {context.command.name}.",
            f"Known are {', '.join(sorted(known))}.",
        )
    values = {known[_flag(name)]: value for name, value in content.items()}
    context.default_map = {**(context.default_map or {}), **values}
    return path


def _by_flag(context: typer.Context) -> dict[str, Any]:
    """The long flags of the command without their dashes (an argument's name), each with its parameter's name."""
    pairs = ((flag, parameter.name) for parameter in context.command.params for flag in parameter.opts)
    return {_flag(flag): name for flag, name in pairs if len(_flag(flag)) > 1}


def _flag(name: str) -> str:
    return name.lstrip("-").replace("_", "-")
