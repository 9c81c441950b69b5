"""`gliner pull`: a published checkpoint and everything it needs, checked, on this machine."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from gliner_cli.checkpoint.hub import Pulled


def pull(
    name: Annotated[str, typer.Argument(help="Hub id: owner/name or owner/name@revision.")],
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit on the hub.")] = None,
    to: Annotated[
        Path | None, typer.Option(help="Also write a self-contained folder, for a machine without network.")
    ] = None,
) -> None:
    """Fetch a published checkpoint with everything it needs; afterwards no network is needed.

    [bold]gliner pull urchade/gliner_medium-v2.1[/bold]

    [bold]gliner pull urchade/gliner_small-v2.1 --to bundle/[/bold]
    """
    from gliner_cli.checkpoint import bundle, hub
    from gliner_cli.cli.console import note

    pulled = hub.pull(name, revision, note)  # the hub's client draws its bars on stderr, and only on a terminal
    where = bundle.bundle(pulled, to) if to else pulled.place.folder
    print("\n".join(_summary(pulled, where)))
    print(f"\ngliner extract FILE -l person -m {shlex.quote(str(to)) if to else pulled.reference}")


def _summary(pulled: Pulled, where: Path) -> list[str]:
    files = [f"  {size:>15,} bytes  {file}" for file, size in pulled.files.items()]
    return [
        f"{pulled.place.name} at {pulled.place.commit}",
        f"  kind     {pulled.kind}",
        f"  licence  {pulled.licence or 'not stated'}",
        *(f"  {folder}/ from {source}" for folder, source in pulled.sources.items()),
        *files,
        f"  {sum(pulled.files.values()):>15,} bytes  in all, in {where}",
    ]
