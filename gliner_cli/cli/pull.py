"""`gliner pull`: a published checkpoint and everything it needs, checked, on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


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

    pulled = hub.pull(name, revision, note)
    where = bundle.bundle(pulled, to) if to else pulled.place.folder
    print(f"{pulled.place.name} at {pulled.place.commit}")
    print(f"  {pulled.kind}, licence {pulled.licence or 'not stated'}")
    for file, size in pulled.files.items():
        print(f"  {size:>15,} bytes  {file}")
    print(f"  in {where}")
    print(f"\ngliner extract FILE -l person -m {to or pulled.place.name}")
