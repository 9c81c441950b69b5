"""`gliner push`: a checkpoint of one's own to the Hugging Face hub, from where `gliner pull` fetches it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gliner_cli.cli.console import note

if TYPE_CHECKING:
    from gliner_cli.checkpoint.upload import Pushed


def push(
    folder: Annotated[Path, typer.Argument(help="Folder that gliner finetune wrote, or any checkpoint's.")],
    name: Annotated[str, typer.Argument(help="Hub id: owner/name.")],
    private: Annotated[bool, typer.Option("--private", help="Make a repository that only its owners see.")] = False,
    revision: Annotated[str | None, typer.Option(help="Branch on the hub; made if it is not there.")] = None,
    message: Annotated[str | None, typer.Option(help="What the commit says.")] = None,
) -> None:
    """Publish a checkpoint on the Hugging Face hub: its own files, nothing of the run that made it.

    Log in once with hf auth login, or set HF_TOKEN.

    [bold]gliner push my-model owner/name[/bold]

    [bold]gliner push my-model owner/name --private --message "More drugs"[/bold]
    """
    from gliner_cli.checkpoint import upload

    def say(files: dict[str, int]) -> None:
        note(f"{folder}: {len(files)} files, {sum(files.values()) / 1e6:,.1f} MB, to {name}")

    pushed = upload.push(folder, name, revision, private, message, bars=sys.stderr.isatty(), say=say)
    if not pushed.new:
        note("all of it was there already; nothing was changed")
    print("\n".join(_summary(pushed)))
    print(f"\ngliner pull {pushed.reference}")


def _summary(pushed: Pushed) -> list[str]:
    return [
        f"{pushed.reference} at {pushed.commit}",
        *(f"  {size:>15,} bytes  {file}" for file, size in pushed.files.items()),
        f"  {sum(pushed.files.values()):>15,} bytes  in all",
        f"  {pushed.page}",
    ]
