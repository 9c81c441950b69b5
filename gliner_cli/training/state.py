"""Everything a run needs to go on after a break, as one file that is either whole or not there.

Weights, the best weights so far, the optimiser's moments, the scale of half-precision losses and the course of the
run. Chance has no state: each step draws from a generator made of the seed and its own number.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from gliner_cli.errors import OutputError, TrainingError
from gliner_cli.training.loop import Learner

_PATTERN = "state-*.safetensors"
_COURSE, _SCALER = "course", "scaler"


@dataclass
class Course:
    """How a run has gone so far. Scores are micro F1 on the dev data, by step; `best` is the step of the highest,
    `share` how much of what was learned until then is in the weights (see `blending.py`)."""

    step: int = 0
    elapsed: float = 0.0
    micro_tokens: int = 0
    scores: dict[int, float] = field(default_factory=dict)
    best: int | None = None
    ended: str = ""
    share: float = 1.0

    @property
    def since_best(self) -> int:
        """How many measurements have been made since the best one; none count before something was found at all."""
        if self.best is None or not self.scores[self.best]:
            return 0
        return sum(step > self.best for step in self.scores)


def save(folder: Path, learner: Learner, best: Mapping[str, Tensor], course: Course) -> Path:
    """Write the state and take older ones away. Raises OutputError, the older state still there, where no room is."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"state-{course.step:07d}.safetensors"
    partial = path.with_suffix(".partial")
    tensors = dict(_named(learner, best))
    about = {_COURSE: json.dumps(asdict(course)), _SCALER: json.dumps(learner.scaler.state_dict())}
    try:
        save_file(tensors, partial, metadata=about)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    except (OSError, SafetensorError) as error:
        partial.unlink(missing_ok=True)
        raise OutputError(
            f"The state of step {course.step} cannot be written to {folder}: {error}.",
            "Make room, then go on from the state before with --resume.",
        ) from error
    for older in folder.glob(_PATTERN):
        if older != path:
            older.unlink()
    return path


def newest(folder: Path) -> Path | None:
    """The newest whole state in a folder."""
    return max(folder.glob(_PATTERN), default=None)


def load(path: Path, learner: Learner) -> tuple[Course, dict[str, Tensor]]:
    """Put a state into a learner; the course of the run and the best weights so far."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            about: dict[str, Any] = {name: json.loads(value) for name, value in (file.metadata() or {}).items()}
            stored, scaler = about[_COURSE], about.get(_SCALER)
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise TrainingError(f"{path} is no state of a run: {error}.", "Begin again without --resume.") from error
    stored["scores"] = {int(step): score for step, score in stored["scores"].items()}
    course = Course(**stored)
    learner.network.load_state_dict(_part(tensors, "network."))
    _restore(learner.optimizer, _part(tensors, "optimizer."))
    if scaler:  # half precision has one
        learner.scaler.load_state_dict(scaler)
    learner.step, learner.elapsed = course.step, course.elapsed
    return course, _part(tensors, "best.")


def _named(learner: Learner, best: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in weights(learner.network).items():
        yield f"network.{name}", tensor
    for name, tensor in best.items():
        yield f"best.{name}", tensor
    for number, values in learner.optimizer.state_dict()["state"].items():
        for name, value in values.items():
            yield f"optimizer.{number}.{name}", value.detach().clone()


def weights(network: torch.nn.Module) -> dict[str, Tensor]:
    """A copy of a network's tensors, each in storage of its own."""
    return {name: tensor.detach().cpu().clone() for name, tensor in network.state_dict().items()}


def _restore(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    content = optimizer.state_dict()
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        number, _, part = name.partition(".")
        state.setdefault(int(number), {})[part] = tensor
    optimizer.load_state_dict({**content, "state": state})


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
