"""What a user ordered, written beside the run so that `--resume` needs to be told nothing."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from gliner_cli import formats
from gliner_cli.checkpoint.cache import backbone_folder, located, starter
from gliner_cli.checkpoint.files import CONFIG_FILE
from gliner_cli.checkpoint.folder import Checkpoint, load
from gliner_cli.checkpoint.fresh import fresh
from gliner_cli.errors import TrainingError
from gliner_cli.formats.sources import Problem
from gliner_cli.inference.torch_backend import device
from gliner_cli.options import Choice, Finetuning, Learning, Reading, Teaching
from gliner_cli.training.finetune import RUN_FOLDER, Materials, Run
from gliner_cli.training.keeping import BUILT_IN
from gliner_cli.types import Document

ORDER_FILE = "order.json"


@dataclass(frozen=True)
class Order:
    """The command: data, and every option."""

    train: tuple[str, ...]
    finetuning: Finetuning
    learning: Learning
    teaching: Teaching
    choice: Choice
    reading: Reading

    def run(self, problem: Problem) -> Run:
        """Read the data, load what to begin with, and choose what was left open."""
        if not self.train:
            raise TrainingError("No training data was given.", "gliner finetune train.jsonl")
        materials = Materials.of(
            self._read(self.train, problem),
            self._read(self.finetuning.dev or (), problem),
            self._kept(problem),
            self.learning.seed,
        )
        where = device(self.learning.device)
        if self.learning.threads:
            torch.set_num_threads(self.learning.threads)
        torch.manual_seed(self.learning.seed)
        return Run(self.beginning(), materials, self.teaching, self.learning, self.finetuning, where)

    def _kept(self, problem: Problem) -> list[Document]:
        """Other data to go on learning: the user's, or what is built in, which a new network has not learned yet."""
        if self.finetuning.keep or self.finetuning.from_backbone or not self.finetuning.keep_share:
            return self._read(self.finetuning.keep or (), problem)
        return list(formats.read([str(BUILT_IN)], Reading(), problem))

    def _read(self, names: Sequence[str], problem: Problem) -> list[Document]:
        return list(formats.read(names, self.reading, problem))

    def beginning(self) -> Checkpoint:
        """The checkpoint that the run begins with: a trained one, or a bare encoder with new heads."""
        backbone = self.finetuning.from_backbone
        if backbone is None:
            return load(located(self.choice.model, self.choice.revision) if self.choice.model else starter())
        return fresh(backbone_folder(backbone, self.choice.revision), backbone)

    # --- On disk ---------------------------------------------------------------------------------------------------

    def store(self, folder: Path) -> None:
        """Write it into a run's folder."""
        folder.mkdir(parents=True, exist_ok=True)
        order = self._from_anywhere()
        content = {**asdict(order), "digests": order._digests()}
        partial = folder / f"{ORDER_FILE}.partial"
        partial.write_text(json.dumps(content, indent=1, default=str) + "\n", encoding="utf-8")
        partial.replace(folder / ORDER_FILE)

    @classmethod
    def stored(cls, output: Path) -> Order:
        """The order of the run in an output folder. Raises TrainingError where there is none, or its data changed."""
        if (output / CONFIG_FILE).exists():
            raise TrainingError(
                f"The run in {output} has ended.", f"Use its checkpoint: gliner extract FILE -m {output}"
            )
        path = output / RUN_FOLDER / ORDER_FILE
        try:
            content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            order = cls._of(content, output)
            digests = dict(content["digests"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise TrainingError(f"{output} holds no run to go on with.", "Begin one: gliner finetune TRAIN") from error
        if changed := [name for name, digest in order._digests().items() if digests.get(name) != digest]:
            raise TrainingError(
                f"Changed since the run began: {', '.join(changed)}.",
                "Put the data back, or begin a new run: gliner finetune TRAIN -o FOLDER",
            )
        return order

    @classmethod
    def _of(cls, content: Mapping[str, Any], output: Path) -> Order:
        return cls(
            tuple(content["train"]),
            Finetuning(**{**content["finetuning"], "output": output}),
            Learning(**content["learning"]),
            Teaching(**content["teaching"]),
            Choice(**content["choice"]),
            Reading(**content["reading"]),
        )

    def _from_anywhere(self) -> Order:
        """The same order, its paths such that they hold in whatever folder the run is resumed."""
        model, backbone = self.choice.model, self.finetuning.from_backbone
        return replace(
            self,
            train=tuple(map(os.path.abspath, self.train)),
            choice=replace(self.choice, model=_absolute(model)),
            finetuning=replace(
                self.finetuning,
                dev=self.finetuning.dev and [os.path.abspath(name) for name in self.finetuning.dev],
                keep=self.finetuning.keep and [os.path.abspath(name) for name in self.finetuning.keep],
                from_backbone=_absolute(backbone),
            ),
        )

    def _digests(self) -> Mapping[str, str]:
        names = (*self.train, *(self.finetuning.dev or ()), *(self.finetuning.keep or ()))
        return {name: _digest(Path(name)) for name in names}


def _absolute(name: str | None) -> str | None:
    """A folder's path; a hub id stays what it is."""
    return os.path.abspath(name) if name and os.path.isdir(name) else name


def _digest(path: Path) -> str:
    """SHA-256 of a file, or of all files of a folder."""
    content = hashlib.sha256()
    files = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
    for file in files:
        if file.is_file():
            content.update(file.read_bytes())
    return content.hexdigest()
