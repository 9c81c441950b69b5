"""From a run that has ended to a folder that is whole: the checkpoint with its card and report."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from gliner_cli.checkpoint.files import CONFIG_FILE
from gliner_cli.checkpoint.folder import Checkpoint, save
from gliner_cli.checkpoint.weights import to_published
from gliner_cli.errors import OutputError
from gliner_cli.training.card import course_picture, model_card, report_page
from gliner_cli.training.finetune import RUN_FOLDER
from gliner_cli.training.outcome import Outcome


def refuse_to_replace(folder: Path) -> None:
    """Raise OutputError where the folder holds anything; `--resume` goes on with a run of its own."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        hint = f"gliner finetune --resume {folder}, or name another folder: -o FOLDER"
        raise OutputError(f"{folder} is there already.", hint)


def save_all(outcome: Outcome, folder: Path, base: str, half: bool) -> None:
    """Write the checkpoint, its card, report and picture, and take the run's state away.

    The configuration comes last: a folder that has one is whole. Raises OutputError, the state still there, where it
    cannot be written.
    """
    try:
        _save_all(outcome, folder, base, half)
    except (OSError, SafetensorError) as error:
        raise OutputError(
            f"The checkpoint cannot be written to {folder}: {error}.",
            f"Make room, then: gliner finetune --resume {folder}",
        ) from error


def _save_all(outcome: Outcome, folder: Path, base: str, half: bool) -> None:
    made = folder / RUN_FOLDER / "checkpoint"
    shutil.rmtree(made, ignore_errors=True)
    save(_halved(outcome.checkpoint) if half else outcome.checkpoint, made)
    if outcome.adapters:
        save_file({to_published(name): tensor for name, tensor in outcome.adapters.items()}, made / "lora.safetensors")
    report = outcome.report
    (made / "report.json").write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (made / "report.md").write_text("# Report\n\n" + report_page(report), encoding="utf-8")
    (made / "README.md").write_text(model_card(report, base), encoding="utf-8")
    (made / "learning.svg").write_text(course_picture(report), encoding="utf-8")
    # Beside the run, where `push` does not look: errors are shown with the user's own texts.
    errors = "".join(json.dumps(error, ensure_ascii=False) + "\n" for error in outcome.errors)
    (folder / RUN_FOLDER / "errors.jsonl").write_text(errors, encoding="utf-8")
    for path in sorted(made.iterdir(), key=lambda path: path.name == CONFIG_FILE):
        if path.is_dir():
            shutil.rmtree(folder / path.name, ignore_errors=True)
        path.replace(folder / path.name)
    made.rmdir()
    for state in (folder / RUN_FOLDER).glob("state-*"):
        state.unlink()


def _halved(checkpoint: Checkpoint) -> Checkpoint:
    checkpoint.network.to(torch.float16)
    return checkpoint
