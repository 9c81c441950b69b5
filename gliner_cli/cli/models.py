"""`gliner models`: what is on this machine, and what is known; `gliner models verify`."""

from __future__ import annotations

from typing import Annotated

import typer

models_app = typer.Typer(invoke_without_command=True, help="List checkpoints here and known ones; verify one.")


@models_app.callback()
def models(context: typer.Context) -> None:
    """List the checkpoints on this machine, and known public ones with licence, size and published F1."""
    if context.invoked_subcommand:
        return
    from gliner_cli.checkpoint.bundle import local_checkpoints, size
    from gliner_cli.checkpoint.catalog import CATALOG
    from gliner_cli.checkpoint.folder import starter

    print("On this machine:")
    for place in [starter(), *local_checkpoints()]:
        print(f"  {place.name:45} {(place.commit or 'built in')[:12]:12} {size(place.folder) / 1e6:8,.0f} MB")
    print("\nKnown (gliner pull NAME):")
    print(f"  {'name':45} {'kind':18} {'licence':13} {'size':>9}  F1 (published, average of 7 OOD sets)")
    for known in CATALOG:
        megabytes = f"{known.megabytes:,} MB" if known.megabytes else "?"
        f1 = f"{known.f1} ({known.f1_source})" if known.f1 else "?"
        print(f"  {known.name:45} {known.kind:18} {known.licence:13} {megabytes:>9}  {f1}")


@models_app.command()
def verify(
    name: Annotated[str, typer.Argument(help="A folder, or a hub id that was pulled.")],
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit.")] = None,
) -> None:
    """Check every file of a checkpoint on this machine against its SHA-256."""
    from gliner_cli.checkpoint.bundle import problems
    from gliner_cli.checkpoint.hub import located

    place = located(name, revision)
    found = list(problems(place))
    for problem in found:
        print(f"{name}: {problem}")
    if found:
        print(f"Fetch it again: gliner pull {place.name}")
        raise typer.Exit(1)
    print(f"{name}: OK")
