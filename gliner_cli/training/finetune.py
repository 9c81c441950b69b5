"""The whole recipe: data in, a better checkpoint out. Yields what happens; who consumes it draws, and may stop it.

materials -> judgement -> settings -> steps, measured on dev, the best kept -> thresholds -> folder, report
"""

from __future__ import annotations

import copy
import json
import math
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from gliner_cli.checkpoint.folder import Checkpoint
from gliner_cli.errors import TrainingError
from gliner_cli.inference.prompt import PieceMaker
from gliner_cli.network import lora
from gliner_cli.network.beginning import begin_near_identity
from gliner_cli.network.gliner import Gliner
from gliner_cli.network.tensors import rows_at
from gliner_cli.options import Annotation, Computing, Finetuning, Learning, Teaching
from gliner_cli.training import state
from gliner_cli.training.blending import go_back
from gliner_cli.training.freezing import freeze
from gliner_cli.training.judging import Judgement, judgement
from gliner_cli.training.keeping import with_opinions
from gliner_cli.training.lessons import NEGATIVES, Asked, Teacher, lesson
from gliner_cli.training.loop import Learner, Step
from gliner_cli.training.passages import Passage, Remark, passages
from gliner_cli.training.settings import chosen
from gliner_cli.training.state import Course
from gliner_cli.training.trial import Trial
from gliner_cli.types import Document

# Where, in the output folder, a run keeps what it needs to go on.
RUN_FOLDER = "training"
# Sets with more types than this are taken as open ones: their texts are marked for some of the types only.
CLOSED_UP_TO = 200
# Passages that show what an encoder's states are like, before new heads have learned anything, and how many pieces of
# the shortest of them are enough.
_SAMPLE, _SAMPLE_PIECES = 64, 2048
# The part of the training data that becomes the dev data where none is given, and its bounds.
_DEV_SHARE, _LEAST_DEV, _MOST_DEV = 0.15, 10, 500
# The part of --keep's data that is not rehearsed but measured, and the F1 that may be lost there.
_MEMORY_SHARE, _FORGETTABLE = 1 / 3, 0.01


@dataclass(frozen=True)
class Measured:
    """The dev data was measured after `step` updates: micro F1, and whether it is the best so far."""

    step: int
    f1: float
    best: bool


@dataclass(frozen=True)
class Materials:
    """The data of a run: to learn from, to choose by, and to go on learning."""

    train: tuple[Document, ...]
    dev: tuple[Document, ...]
    keep: tuple[Document, ...] = ()

    @classmethod
    def of(cls, train: Sequence[Document], dev: Sequence[Document], keep: Sequence[Document], seed: int) -> Materials:
        """The data as given; where no dev data is, a part of the training data, drawn by the seed, is taken for it.

        Raises TrainingError where there is nothing to learn from, or nothing to choose by.
        """
        if not any(document.entities for document in train):
            raise TrainingError(
                f"The training data ({len(train)} documents) has no entities to learn from.",
                'Expected {"text", "entities": [{"start", "end", "label"}]}, rows of tokens and spans, or CoNLL.',
            )
        left, taken = (train, dev) if dev else _split(train, seed)
        if not any(document.entities for document in taken):
            raise TrainingError(
                f"The dev data ({len(taken)} documents) has no entities to choose the best state by.",
                "Give more training data, or other dev data: --dev FILE",
            )
        return cls(tuple(left), tuple(taken), tuple(keep))

    @property
    def labels(self) -> tuple[str, ...]:
        """All types in the training data, the most frequent first."""
        return labels_of(self.train)


def _split(
    documents: Sequence[Document], seed: int, share: float = _DEV_SHARE
) -> tuple[list[Document], list[Document]]:
    """The documents to learn from, and a part of them to measure: the same share of those with entities and without.

    A text that comes twice is never in both.
    """
    chance, chosen = random.Random(f"{seed}/dev"), set[str]()  # noqa: S311
    marked = dict.fromkeys(document.text for document in documents if document.entities)
    plain = dict.fromkeys(document.text for document in documents if document.text not in marked)
    least = _LEAST_DEV / (len(marked) + len(plain))
    for texts in (marked, plain):
        count = max(1, round(len(texts) * min(max(share, least), 0.5)))
        chosen.update(chance.sample(list(texts), min(count, _MOST_DEV, len(texts) // 2)))
    left = [document for document in documents if document.text not in chosen]
    return left, [document for document in documents if document.text in chosen]


def labels_of(documents: Sequence[Document]) -> tuple[str, ...]:
    """The types of all entities, the most frequent first."""
    return tuple(
        label for label, _ in Counter(entity.label for one in documents for entity in one.entities).most_common()
    )


def closed(documents: Sequence[Document], annotation: Annotation) -> tuple[str, ...]:
    """The types that all of the documents were annotated for; none where the data is open."""
    types = labels_of(documents)
    if annotation == "auto":
        named = any("labels" in document.meta or "negatives" in document.meta for document in documents)
        annotation = "open" if named or len(types) > CLOSED_UP_TO else "closed"
    return types if annotation == "closed" else ()


@dataclass
class Run:
    """One run over its materials; `events` yields what happens. What `learning` leaves open is chosen here."""

    checkpoint: Checkpoint
    materials: Materials
    teaching: Teaching
    learning: Learning
    finetuning: Finetuning
    device: torch.device
    judgement: Judgement = field(init=False)
    course: Course = field(init=False)

    def __post_init__(self) -> None:
        torch.manual_seed(self.learning.seed)
        self.maker = PieceMaker(self.checkpoint)
        self.closed = closed(self.materials.train, self.teaching.annotation)
        is_new = self.finetuning.from_backbone is not None
        if is_new and self.teaching.negatives is None:
            self.teaching = replace(self.teaching, negatives=NEGATIVES)
        remarks: list[Remark] = []
        train = self._cut(self.materials.train, self.closed, remarks)
        self.judgement = judgement(self.materials.train, self.materials.dev, train, remarks)
        self.teacher = self._teacher(train)
        network = self.checkpoint.network
        size = sum(parameter.numel() for parameter in network.encoder.backbone.parameters())
        self.learning = chosen(self.learning, len(self.teacher.passages), size, is_new, self.device)
        rehearses = bool(self.materials.keep and self.finetuning.keep_share)
        goes_back = self.finetuning.blend < 1
        self.before = None
        if not is_new and (rehearses or goes_back):
            self.before = copy.deepcopy(network).eval().requires_grad_(False)
        self.memory: Trial | None = None
        self.keeper = self._keeper() if rehearses else None
        asked = (*self.closed, *labels_of(self.materials.dev)) if self.closed else ()
        self.trial = Trial(self.materials.dev, tuple(dict.fromkeys(asked)))
        if is_new and any(passage.gold for passage in self.teacher.passages):
            self._begin()
        freeze(network, self.learning.freeze)
        if self.learning.lora:
            lora.add(network.encoder.backbone, self.learning.lora)
        if self.learning.checkpointing:
            network.encoder.save_memory()
        self.learner = Learner(network, self.learning, int(self.learning.steps or 0), self.device, self.before)
        self.course = Course(micro_tokens=int(self.learning.micro_tokens or 1))
        self.best: dict[str, Tensor] = {}
        self.adapters: dict[str, Tensor] = {}

    @torch.no_grad()
    def _begin(self) -> None:
        """Set new heads by what the encoder says of the shortest of the first passages."""
        network = self.checkpoint.network.cpu().eval()
        groups = self.teacher.lessons(0, _SAMPLE, _SAMPLE_PIECES)
        batch = lesson(0, groups[0], self.maker, self.checkpoint.labels_tokenizer).batch
        if batch.label_at is not None:
            states = network.encoder(batch.pieces, batch.piece_counts)
            words, labels = rows_at(states, batch.word_at), rows_at(states, batch.label_at)
            begin_near_identity(network, words[batch.word_at >= 0], labels[batch.label_at >= 0])

    def _keeper(self) -> Teacher:
        if self.finetuning.from_backbone and not any(document.entities for document in self.materials.keep):
            raise TrainingError(
                "The data of --keep has no entities, and a new network has no opinion of it.",
                "Label it first: gliner extract FILE -l person -o keep.jsonl",
            )
        documents = with_opinions(self.materials.keep, self.checkpoint, self.materials.labels, self._computing)
        types = closed(documents, "auto")
        if self.before and self.finetuning.keep:
            documents, held = _split(documents, self.learning.seed, _MEMORY_SHARE)
            self.memory = Trial(tuple(held), types)
        return self._teacher(self._cut(documents, types, []), rehearsed=self.before is not None)

    def _cut(self, documents: Sequence[Document], annotated: Sequence[str], remarks: list[Remark]) -> list[Passage]:
        return list(passages(documents, self.maker, annotated, remarks.append))

    def _teacher(self, cut: Sequence[Passage], rehearsed: bool = False) -> Teacher:
        some = [one for one in cut if one.stop > one.first]
        return Teacher(some, self.maker, self.teaching, self.learning.seed, rehearsed)

    # --- What happens ----------------------------------------------------------------------------------------------

    def events(self) -> Iterator[Step | Measured]:
        """Learn to the end, from wherever the run is. Leaves the best weights in the network."""
        if not any(passage.gold for passage in self.teacher.passages):
            raise TrainingError(
                "None of the entities can be learned: " + ", ".join(self.judgement.by_kind) + ".",
                "gliner finetune TRAIN --check says where",
            )
        saved = time.monotonic()
        while True:
            if self._time_to_measure():
                yield self._measured()
            if self._over():
                break
            yield self._step()
            if time.monotonic() - saved > self.finetuning.save_every:
                self.save()
                saved = time.monotonic()
        if self.course.best is not None:
            self.checkpoint.network.load_state_dict(self.best)
        self.adapters = lora.adapters(self.checkpoint.network)
        lora.merge(self.checkpoint.network)
        self.checkpoint.network.eval()
        if self.course.best and not self.adapters:  # adapters are saved, and must give what the weights do
            self._go_back(self.course.scores[self.course.best])

    def _go_back(self, learned: float) -> None:
        """Mix the best weights with those of the beginning; nowhere to go where nothing was found or was known."""
        least = self.finetuning.blend
        if self.before and learned and least < 1:
            network, beginning = self.checkpoint.network, state.weights(self.before)
            remembers = self._remembering(self.before)
            self.course.share = go_back(network, beginning, least, learned, self._f1, remembers)

    def _remembering(self, before: Gliner) -> Callable[[], bool]:
        """Says whether what `--keep` asks to be kept is; nothing asks where the built-in texts are rehearsed."""
        if (memory := self.memory) is None:
            return lambda: True
        least = self._f1_of(memory, replace(self.checkpoint, network=before)) - _FORGETTABLE
        return lambda: self._f1_of(memory, self.checkpoint) >= least

    def _over(self) -> bool:
        worse = self.finetuning.patience and self.course.since_best >= self.finetuning.patience
        if self.learner.finished:
            self.course.ended = "all steps done" if self.learner.step >= self.learner.steps else "the minutes are over"
        elif worse:
            self.course.ended = f"no better in {self.course.since_best} measurements"
        return bool(self.course.ended)

    def _step(self) -> Step:
        """One update. Where memory is not enough, less is computed at once from then on."""
        while (done := self._tried(groups := self._groups())) is None:
            if all(len(group) == 1 for _, group in groups) or self.learner.processes.count > 1:
                raise TrainingError(
                    f"There is not enough memory for step {self.learner.step}.",
                    "Compute less at once: --micro-tokens 1024 --gradient-checkpointing",
                )
            self.learner.forget_gradients()
            self.course.micro_tokens //= 2
        self.course.step, self.course.elapsed = self.learner.step, self.learner.elapsed
        return done

    def _tried(self, groups: Sequence[tuple[int, Sequence[Asked]]]) -> Step | None:
        """One update by these passages; None where memory was not enough. (Its error holds on to what did not fit, so
        it must be gone before the next try.)"""
        tokenizer = self.checkpoint.labels_tokenizer
        lessons = [lesson(number, group, self.maker, tokenizer) for number, group in groups]
        try:
            return self.learner.learn(lessons)
        except torch.OutOfMemoryError:
            return None
        except TrainingError as error:
            raise self._blaming(error, groups) from error

    def _blaming(self, error: TrainingError, groups: Sequence[tuple[int, Sequence[Asked]]]) -> TrainingError:
        """The same error, the texts of its step in a file."""
        path = self.folder / f"failed-step-{self.learner.step}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [{"text": one.passage.text, "asked": one.types} for _, group in groups for one in group]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return TrainingError(f"{error.message} Its texts are in {path}.", error.hint)

    def _groups(self) -> Sequence[tuple[int, Sequence[Asked]]]:
        batch, step, most = int(self.learning.batch or 1), self.learner.step, self.course.micro_tokens
        kept = round(batch * self.finetuning.keep_share) if self.keeper else 0
        groups = self.teacher.lessons(step, batch - kept, most)
        if self.keeper and kept:
            groups += self.keeper.lessons(step, kept, most)
        return self.learner.processes.share(list(enumerate(groups)))

    def _time_to_measure(self) -> bool:
        """At the beginning, at even distances, and at the end, but never twice in one place."""
        every = max(1, math.ceil(self.learner.steps / self.finetuning.evaluations))
        due = self.learner.step % every == 0 or self.learner.finished
        return due and self.learner.step not in self.course.scores

    def _measured(self) -> Measured:
        f1 = self._f1()
        before = 0.0 if self.course.best is None else self.course.scores[self.course.best]
        best = f1 > before or not before  # as long as nothing is found, the state that has learned most
        self.course.scores[self.learner.step] = f1
        if best:
            self.course.best = self.learner.step
            self.best = state.weights(self.checkpoint.network)
        return Measured(self.learner.step, f1, best)

    def _f1(self) -> float:
        """The dev data measured."""
        return self._f1_of(self.trial, self.checkpoint)

    def _f1_of(self, trial: Trial, checkpoint: Checkpoint) -> float:
        """Measured in the first process; the others hear of it."""
        f1 = trial.f1(trial.found(checkpoint, self._computing)) if self.first else 0.0
        return self.learner.processes.sum([f1])[0]

    @property
    def _computing(self) -> Computing:
        return Computing(device=self.device.type)  # type: ignore[arg-type]

    # --- Breaks ----------------------------------------------------------------------------------------------------

    @property
    def first(self) -> bool:
        """Whether this is the process that prints and saves."""
        return self.learner.processes.first

    @property
    def rehearsed(self) -> int:
        """How many passages of other data are rehearsed."""
        return len(self.keeper.passages) if self.keeper else 0

    @property
    def folder(self) -> Path:
        """Where the run keeps what it needs to go on."""
        return self.finetuning.output / RUN_FOLDER

    def save(self) -> None:
        """Write the state of the run, in the first process."""
        if self.first:
            state.save(self.folder, self.learner, self.best, self.course)

    def resume(self) -> None:
        """Go on from the newest state; from the beginning where there is none yet."""
        path = state.newest(self.folder)
        if path is not None:
            self.course, self.best = state.load(path, self.learner)
