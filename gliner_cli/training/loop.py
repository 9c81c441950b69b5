"""The loop: a network, lessons, and one update of the weights at a time. It draws nothing and saves nothing."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from gliner_cli.errors import TrainingError
from gliner_cli.network.gliner import Gliner
from gliner_cli.network.label_vectors import EncodedLabels
from gliner_cli.network.tensors import Batch
from gliner_cli.options import Learning, NumberFormat
from gliner_cli.training.lessons import Lesson
from gliner_cli.training.losses import Loss
from gliner_cli.training.processes import Processes

# More steps, and more lessons in a step, than there will be: each lesson gets a number of its own.
_STEPS, _LESSONS = 1 << 30, 1 << 12


@dataclass(frozen=True)
class Step:
    """One update: the mean loss of a candidate, the norm of the gradient, the heads' learning rate, real pieces and
    seconds."""

    number: int
    loss: float
    gradient: float
    rate: float
    pieces: int
    seconds: float


class Learner:
    """A network that learns, with its optimiser. `step` is the number of the next update, `elapsed` all seconds so far,
    those between the updates too. `before` is the network as it was, whose answers are those to what is rehearsed."""

    def __init__(
        self, network: Gliner, options: Learning, steps: int, device: torch.device, before: Gliner | None = None
    ) -> None:
        self.processes = Processes.of_environment(device)  # first: it says which of several devices is meant
        self.network = network.to(device)
        self.before = before and before.to(device)
        self.options = options
        self.steps = steps
        self.device = device
        self.step, self.elapsed, self._looked = 0, 0.0, time.perf_counter()
        assert options.positive_weight is not None, "chosen by `settings.chosen`"  # noqa: S101
        self.loss = Loss(options.positive_weight, options.focus)
        self.optimizer = torch.optim.AdamW(parameter_groups(network, options), fused=True)
        self._autocast = autocast(options.number_format, device)
        self.scaler = torch.amp.GradScaler(device.type, enabled=options.number_format == "fp16")

    @property
    def finished(self) -> bool:
        """Whether all steps are done, or the minutes are over."""
        return self.step >= self.steps or self._share_of_time() >= 1

    def _share_of_time(self) -> float:
        return self.elapsed / (60 * self.options.minutes) if self.options.minutes else 0.0

    def learn(self, lessons: Sequence[Lesson]) -> Step:
        """Update the weights once, by the lessons of this process; the others bring theirs.

        Raises TrainingError where the loss or the gradient is no number; the weights are as they were.
        """
        began = time.perf_counter()
        self.network.train()
        rate = self._set_rates()
        loss, cells, pieces = self._gradients(lessons)
        norm = self._clipped(cells)
        if not math.isfinite(loss) or not (math.isfinite(norm) or self.scaler.is_enabled()):
            self.forget_gradients()
            raise TrainingError(
                f"In step {self.step} the loss is {loss} and the gradient {norm}.",
                "Learn slower (--encoder-rate 1e-5 --head-rate 3e-5), or compute in --precision fp32.",
            )
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad()
        seconds = time.perf_counter() - began
        done = Step(self.step, loss / max(cells, 1), norm, rate, int(pieces), seconds)
        self.step += 1
        self._look_at_the_clock()
        return done

    def _look_at_the_clock(self) -> None:
        """The first process's clock is that of all: their learning rates, and their ends, depend on it."""
        now = time.perf_counter()
        (passed,) = self.processes.sum([now - self._looked if self.processes.first else 0.0])
        self.elapsed, self._looked = self.elapsed + passed, now

    def forget_gradients(self) -> None:
        """Leave the step that was begun; the weights are as they were."""
        self.optimizer.zero_grad()

    def _set_rates(self) -> float:
        share = max(self.step / self.steps, self._share_of_time())
        factor = rate_factor(share, self.options.warmup, self.options.schedule)
        for group in self.optimizer.param_groups:
            group["lr"] = group["full"] * factor
        return float(self.optimizer.param_groups[-1]["lr"])

    def _gradients(self, lessons: Sequence[Lesson]) -> tuple[float, float, float]:
        """Gradients of the loss summed over all cells; that sum, the cells and the pieces, over all processes."""
        loss, cells, pieces = 0.0, 0, 0
        for lesson in lessons:
            self._seed(lesson.number)
            with self._autocast():
                logits: Tensor = self.network(self._batch(lesson, self.network))
            answerable = self.network.head.answerable(logits, lesson.asked)
            one = self.loss(logits, self._target(lesson, logits, answerable), answerable)
            self.scaler.scale(one).backward()  # type: ignore[no-untyped-call]
            loss, cells, pieces = loss + one.item(), cells + int(answerable.sum()), pieces + lesson.pieces
        total, all_cells, all_pieces = self.processes.sum([loss, cells, pieces])
        return total, all_cells, all_pieces

    def _seed(self, lesson: int) -> None:
        """Chance in a lesson depends on the seed, the step and the lesson, not on what was computed before or where."""
        torch.manual_seed(((self.options.seed * _STEPS + self.step) * _LESSONS + lesson) % (1 << 63))

    def _target(self, lesson: Lesson, logits: Tensor, answerable: Tensor) -> Tensor:
        """What should be answered: yes or no to each candidate; the probabilities of before to what is rehearsed."""
        if self.before is None or not lesson.rehearsed:
            return self.network.head.targets(lesson.gold.to(self.device), logits)
        with torch.no_grad(), self._autocast():
            answers: Tensor = self.before(self._batch(lesson, self.before)).float().sigmoid()
        return answers.masked_fill(~answerable, 0.0)

    def _batch(self, lesson: Lesson, network: Gliner) -> Batch:
        """The lesson's batch on the device; a bi-encoder's types are encoded first, by an encoder that learns too."""
        batch = lesson.batch.to(self.device)
        labels = network.labels
        if not isinstance(labels, EncodedLabels) or lesson.label_pieces is None:
            return batch
        vectors = labels.encoder(lesson.label_pieces.to(self.device), lesson.label_counts)
        return replace(batch, label_at=None, label_vectors=vectors)

    def _clipped(self, cells: float) -> float:
        """Make the summed gradients those of the mean over `cells`, no longer than allowed; their norm before that."""
        learned = [parameter for parameter in self.network.parameters() if parameter.requires_grad]
        self.processes.sum_gradients(learned)
        self.scaler.unscale_(self.optimizer)
        gradients = [parameter.grad for parameter in learned if parameter.grad is not None]
        torch._foreach_div_(gradients, max(cells, 1))
        norm = nn.utils.get_total_norm(gradients)
        nn.utils.clip_grads_with_norm_(learned, self.options.clip or math.inf, norm)
        return float(norm)


def parameter_groups(network: Gliner, options: Learning) -> list[dict[str, Any]]:
    """What learns how fast: the encoder (and a bi-encoder's second) at one rate, all else at another; norms, biases
    and LSTM biases without weight decay. `full` is a group's rate before the schedule."""
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            encoder = ".backbone." in f".{name}"
            groups.setdefault((encoder, parameter.dim() > 1), []).append(parameter)
    return [
        {
            "params": members,
            "full": options.encoder_rate if encoder else options.head_rate,
            "lr": 0.0,
            "weight_decay": options.weight_decay if decays else 0.0,
        }
        for (encoder, decays), members in sorted(groups.items(), reverse=True)
    ]


def rate_factor(share: float, warmup: float, schedule: str) -> float:
    """The part of the full learning rate after a share (0 to 1) of the run: up in a line, then down as `schedule`."""
    if share < warmup:
        return max(share, 1e-3) / warmup
    left = (1 - min(share, 1.0)) / max(1 - warmup, 1e-9)
    return {"cosine": 0.5 * (1 - math.cos(math.pi * left)), "linear": left, "constant": 1.0}[schedule]


def autocast(precision: str, device: torch.device) -> Callable[[], AbstractContextManager[Any]]:
    """The context to compute in; float32 is none at all."""
    types = {"bf16": torch.bfloat16, "fp16": torch.float16}
    return partial(torch.autocast, device.type, dtype=types[precision]) if precision in types else nullcontext


def native_format(device: torch.device) -> NumberFormat:
    """bf16 where the device multiplies it faster than float32 (CUDA from Ampere on, AVX512-BF16, AMX), else fp32."""
    if device.type == "cuda":
        return "bf16" if torch.cuda.get_device_capability(device) >= (8, 0) else "fp32"
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # torch has no public ones
    fast = device.type == "cpu" and any(getattr(torch.cpu, probe, bool)() for probe in probes)
    return "bf16" if fast else "fp32"
