"""What happened, step by step, for machines: a line of JSON each, and whatever tracker is asked for."""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gliner_cli.errors import OutputError, TrainingError, needs
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
        self._sinks = [_SINKS[name](folder) for name in trackers]
        self._file = self._path.open("a", encoding="utf-8")

    def write(self, event: Event) -> None:
        """One event, at once."""
        kind = "step" if isinstance(event, Step) else "measured"
        values = asdict(event)
        finite = {name: None if isinstance(v, float) and not math.isfinite(v) else v for name, v in values.items()}
        try:
            self._file.write(json.dumps({"event": kind, **finite}) + "\n")
            self._file.flush()
        except OSError as error:
            raise OutputError(
                f"{self._path} cannot be written: {error.strerror or error}.",
                f"Make room, then: gliner finetune --resume {self._path.parents[1]}",
            ) from error
        number = int(values.pop("number", values.pop("step", 0)))
        for tell, _ in self._sinks:
            tell(number, {name: float(value) for name, value in values.items()})

    def close(self) -> None:
        """No more events. What could not be written was said when it was tried."""
        with suppress(OSError):
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
    """Raise an error for a tracker that we do not know, or that is not installed, before anything is written."""
    for name in names:
        if name not in _SINKS:
            raise TrainingError(f"--track is {name!r}; {' or '.join(_SINKS)} was expected.", "--track tensorboard")
        try:
            importlib.import_module(_MODULES[name])
        except ImportError as error:
            raise needs("train", f"--track {name}") from error


def _tensorboard(folder: Path) -> Sink:
    from torch.utils.tensorboard import SummaryWriter

    writer: Any = SummaryWriter(str(folder / "tensorboard"))

    def write(step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            writer.add_scalar(name, value, step)

    return write, writer.close


def _wandb(folder: Path) -> Sink:
    import wandb  # type: ignore[import-not-found, unused-ignore]

    run: Any = wandb.init(project="gliner", dir=str(folder))
    return lambda step, values: run.log(dict(values), step=step), run.finish


_MODULES = {"tensorboard": "torch.utils.tensorboard", "wandb": "wandb"}
_SINKS: Mapping[str, Callable[[Path], Sink]] = {"tensorboard": _tensorboard, "wandb": _wandb}
