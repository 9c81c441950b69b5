"""What came of a run: thresholds, and a report that says what is better, what is not, and what was forgotten."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from gliner_cli._version import __version__
from gliner_cli.checkpoint.folder import Checkpoint
from gliner_cli.evaluation import calibration, certainty, scoring
from gliner_cli.evaluation.suites import gold_sets
from gliner_cli.network.config import NetworkConfig
from gliner_cli.options import UNTUNED, Computing
from gliner_cli.training.finetune import Run
from gliner_cli.training.trial import Trial
from gliner_cli.types import Document


@dataclass(frozen=True)
class Outcome:
    """The checkpoint to save; everything measured on the way as one plain dictionary; errors with their texts, which
    are the user's own and go nowhere; low-rank adapters if any."""

    checkpoint: Checkpoint
    report: Mapping[str, Any]
    errors: Sequence[Mapping[str, Any]]
    adapters: Mapping[str, Tensor]


def outcome(run: Run, before: Checkpoint | None) -> Outcome:
    """Tune thresholds on the dev data, measure them there, and compare with the checkpoint that the run began with."""
    computing = Computing(device=run.device.type)  # type: ignore[arg-type]
    trial, after = run.trial, run.checkpoint
    found = trial.found(after, computing)
    thresholds = _thresholds(run, trial, found)
    tuned = with_thresholds(after, thresholds)
    kept = trial.found(tuned, computing, threshold=None)
    wrong = scoring.errors(trial.documents, kept)
    zero_shot = trial.found(before, computing) if before else None
    report = {
        "data": _data(run),
        "settings": {"teaching": asdict(run.teaching), "learning": asdict(run.learning), "blend": run.finetuning.blend},
        "steps": run.course.step,
        "seconds": round(run.course.elapsed, 1),
        "ended": run.course.ended,
        "course": {str(step): f1 for step, f1 in run.course.scores.items()},
        "best_step": run.course.best,
        "learned_share": run.course.share,
        "before": _quality(trial, calibration.above(zero_shot, UNTUNED)) if zero_shot else None,
        "after": _quality(trial, calibration.above(found, UNTUNED)),
        "after_with_thresholds": _quality(trial, kept),
        "thresholds": thresholds,
        "difference": _difference(trial, zero_shot, found) if zero_shot else None,
        "errors": dict(Counter(error.kind for error in wrong).most_common()),
        "unreachable": scoring.unreachable(trial.documents, _width(after)),
        "other_labels": _forgotten(run, before, after, computing) if before else None,
        "kept": _compared(before, after, [run.memory], computing) if before and run.memory else None,
        "versions": {"gliner-cli": __version__, "torch": torch.__version__, "python": platform.python_version()},
    }
    return Outcome(tuned, report, _examples(trial, wrong), run.adapters)


def with_thresholds(checkpoint: Checkpoint, thresholds: Mapping[str, float]) -> Checkpoint:
    """The checkpoint with thresholds of its own, which `extract` uses unless it is given one."""
    published = {name: value for name, value in checkpoint.config.published.items() if name != "thresholds"}
    if thresholds:
        published["thresholds"] = dict(thresholds)
    config: NetworkConfig = replace(checkpoint.config, published=published)
    return replace(checkpoint, config=config)


def _thresholds(run: Run, trial: Trial, found: Sequence[Document]) -> dict[str, float]:
    """For a closed set of labels; of open types nobody knows which will be asked."""
    if run.finetuning.untuned or not trial.labels:
        return {}
    return calibration.best_thresholds(trial.documents, found, trial.labels)


def _width(checkpoint: Checkpoint) -> int | None:
    return None if checkpoint.config.head == "token" else checkpoint.config.max_width


def _data(run: Run) -> dict[str, Any]:
    judged = run.judgement
    return {
        "documents": judged.documents,
        "passages": judged.passages,
        "dev_documents": len(run.materials.dev),
        "kept_documents": len(run.materials.keep),
        "labels": judged.labels,
        "annotation": "closed" if run.closed else "open",
        "remarks": {what: len(remarks) for what, remarks in judged.by_kind.items()},
    }


def _quality(trial: Trial, found: Sequence[Document]) -> dict[str, Any]:
    counted = scoring.tallies(trial.documents, found)
    low, high = certainty.interval(counted)
    by_label = {label: _numbers(tally) for label, tally in scoring.by_label(counted).items()}
    return {**_numbers(scoring.total(counted)), "low": low, "high": high, "by_label": by_label}


def _numbers(tally: scoring.Tally) -> dict[str, float]:
    return {"f1": tally.f1, "precision": tally.precision, "recall": tally.recall, "support": tally.support}


def _difference(trial: Trial, before: Sequence[Document], after: Sequence[Document]) -> dict[str, float]:
    was, now = (scoring.tallies(trial.documents, calibration.above(found, UNTUNED)) for found in (before, after))
    return asdict(certainty.difference(was, now))


def _examples(trial: Trial, wrong: Sequence[scoring.Error]) -> list[dict[str, Any]]:
    return [
        {
            "kind": error.kind,
            "gold": _shown(error.gold),
            "found": _shown(error.found),
            "text": trial.documents[error.document].text,
        }
        for error in wrong
    ]


def _shown(entity: Any) -> str | None:
    return f"{entity.text} ({entity.label})" if entity else None


def _forgotten(run: Run, before: Checkpoint, after: Checkpoint, computing: Computing) -> dict[str, Any]:
    """F1 of labels that were not taught, before and after, on the suite that is built in."""
    taught = {label.lower() for label in run.materials.labels}
    trials = []
    for gold in gold_sets(["small"], None, lambda error: None):
        others = tuple(name for name in gold.labels.names if name.lower() not in taught)
        documents = tuple(
            replace(one, entities=tuple(e for e in one.entities if e.label in others)) for one in gold.documents
        )
        if others:
            trials.append(Trial(documents, others))
    return {
        "labels": sum(len(trial.labels) for trial in trials),
        **_compared(before, after, trials, computing),
    }


def _compared(before: Checkpoint, after: Checkpoint, trials: Sequence[Trial], computing: Computing) -> dict[str, float]:
    """Micro F1 of all trials together, before and after."""
    f1 = {}
    for name, checkpoint in (("before", before), ("after", after)):
        counted = [
            one
            for trial in trials
            for one in scoring.tallies(trial.documents, calibration.above(trial.found(checkpoint, computing), UNTUNED))
        ]
        f1[name] = scoring.total(counted).f1
    return f1
