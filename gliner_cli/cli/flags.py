"""Options classes to command-line flags.

A command declares the groups of `options.py` it takes as keyword arguments; Typer sees one flag for each of their
fields, and the command gets the groups back, filled.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from dataclasses import Field, fields, is_dataclass
from typing import Annotated, Any, get_type_hints

import typer

from gliner_cli.cli.completion import completer
from gliner_cli.options import Typed


def expanded(command: Callable[..., None]) -> Callable[..., None]:
    """The command as Typer should see it: every parameter typed as an options class becomes that class's flags."""
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {name: hint for name, hint in hints.items() if is_dataclass(hint)}
    own = [
        p.replace(annotation=hints[p.name])
        for p in inspect.signature(command).parameters.values()
        if p.name not in groups
    ]

    @functools.wraps(command)
    def run(**values: Any) -> None:
        filled = {
            name: group(**{f.name: values.pop(f.name) for f in fields(group) if f.metadata})
            for name, group in groups.items()
        }
        command(**values, **filled)

    flags = [flag for group in groups.values() for flag in _flags(group)]
    run.__signature__ = inspect.Signature([*own, *flags])  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in [*own, *flags]}
    return run


def _flags(group: type) -> list[inspect.Parameter]:
    types = get_type_hints(group)
    return [_flag(field, types[field.name], group) for field in fields(group) if field.metadata]


def _flag(field: Field[Any], kind: Any, group: type) -> inspect.Parameter:
    details = field.metadata
    typed: Typed | None = details["typed"]
    names = details["flags"] or (f"--{field.name.replace('_', '-')}",)
    option = typer.Option(
        *names,
        help=details["help"],
        envvar=details["env"] or None,
        min=details["min"],
        max=details["max"],
        parser=_parser(typed.read) if typed else None,
        metavar=typed.shape if typed else None,
        callback=_exporting(details["env"]) if field.default is False and details["env"] else None,
        show_default=typed.default if typed else field.default not in (None, False),
        rich_help_panel=group.__name__,
        autocompletion=completer(details["complete"]),
    )
    return inspect.Parameter(
        field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=Annotated[kind, option]
    )


def _parser(read: Callable[[str], Any]) -> Callable[[str], Any]:
    """`read`, its complaint as Typer's own, which shows no other as it is."""

    def parse(typed: str) -> Any:
        try:
            return read(typed)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error

    return parse


def _exporting(name: str) -> Callable[[bool], bool]:
    """A switch that stands for a variable holds for all libraries that are loaded later, as the variable would."""

    def export(value: bool) -> bool:
        if value:
            os.environ[name] = "1"
        return value

    return export
