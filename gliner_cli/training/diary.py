"""What happened, step by step, for machines: a line of JSON each, and whatever tracker is asked for."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gliner_cli.errors import MissingExtraError, TrainingError, needs
from gliner_cli.training.finetune import Measured
from gliner_cli.training.loop import Step

Event = Step | Measured
Sink = tuple[Callable[[int, Mapping[str, float]], None], Callable[[], object]]  # tells a step's values; ends


class Diary:
    """Writes `log.jsonl` in a folder; what a resumed run will write again is taken out first.

    `measured` are the steps whose measurements the run has kept: a state may be saved just before one.
    """

    def __init__(
        self, folder: Path, from_step: int, measured: Collection[int] = (), trackers: Sequence[str] = ()
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "log.jsonl"
        self._keep(from_step, measured)
        self._file = self._path.open("a", encoding="utf-8")
        self._sinks = [_SINKS[name](folder) for name in trackers]

    def write(self, event: Event) -> None:
        """One event, at once."""
        kind = "step" if isinstance(event, Step) else "measured"
        values = asdict(event)
        finite = {name: None if isinstance(v, float) and not math.isfinite(v) else v for name, v in values.items()}
        self._file.write(json.dumps({"event": kind, **finite}) + "\n")
        self._file.flush()
        number = int(values.pop("number", values.pop("step", 0)))
        for tell, _ in self._sinks:
            tell(number, {name: float(value) for name, value in values.items()})

    def close(self) -> None:
        """No more events."""
        self._file.close()
        for _, close in self._sinks:
            close()

    def _keep(self, step: int, measured: Collection[int]) -> None:
        if not self._path.exists():
            return
        lines = [line for line in self._path.read_text(encoding="utf-8").splitlines() if _kept(line, step, measured)]
        self._path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


class NoDiary:
    """What the processes beside the first one write into."""

    def write(self, event: Event) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


def _kept(line: str, step: int, measured: Collection[int]) -> bool:
    try:
        row = json.loads(line)
    except ValueError:  # torn by a kill
        return False
    return bool(row["number"] < step if row["event"] == "step" else row["step"] in measured)


def check_trackers(names: Sequence[str]) -> None:
    """Raise TrainingError for a tracker that we do not know, before anything is written."""
    for name in names:
        if name not in _SINKS:
            raise TrainingError(f"--track is {name!r}; {' or '.join(_SINKS)} was expected.", "--track tensorboard")


def _tensorboard(folder: Path) -> Sink:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise needs("train", "--track tensorboard") from error
    writer: Any = SummaryWriter(str(folder / "tensorboard"))

    def write(step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            writer.add_scalar(name, value, step)

    return write, writer.close


def _wandb(folder: Path) -> Sink:
    try:
        import wandb  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        raise MissingExtraError("--track wandb needs the package wandb.", "pip install wandb") from error
    run: Any = wandb.init(project="gliner", dir=str(folder))
    return lambda step, values: run.log(dict(values), step=step), run.finish


_SINKS: Mapping[str, Callable[[Path], Sink]] = {"tensorboard": _tensorboard, "wandb": _wandb}
