"""Options to a `Request`: which systems, which sets, and what the report says of how they were asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from gliner_cli.checkpoint.cache import Located, located
from gliner_cli.errors import InputError
from gliner_cli.evaluation.asking import Asking
from gliner_cli.evaluation.bench import Report, Request, Say
from gliner_cli.evaluation.growth import axes
from gliner_cli.evaluation.money import price
from gliner_cli.evaluation.ours import Make
from gliner_cli.evaluation.quality import evenly
from gliner_cli.evaluation.suites import SMALL, GoldSet, gold_sets, relabelled
from gliner_cli.evaluation.systems import Context, Ours, System, system
from gliner_cli.formats.sources import Problem
from gliner_cli.options import UNTUNED, Benching, Choice, Comparing, Computing, Extraction, Timing
from gliner_cli.text.labels import Labels


@dataclass(frozen=True)
class Asked:
    """All options of a bench, as they were given; `labels` None: those of each set."""

    benching: Benching = field(default_factory=Benching)
    timing: Timing = field(default_factory=Timing)
    comparing: Comparing = field(default_factory=Comparing)
    extraction: Extraction = field(default_factory=Extraction)
    choice: Choice = field(default_factory=Choice)
    computing: Computing = field(default_factory=Computing)
    labels: Labels | None = None


def request(
    asked: Asked, command: str, problem: Problem, kept: Report | None = None, say: Say = lambda _: None
) -> Request:
    """What these options ask for. Raises GlinerError for what makes no sense, before anything is computed."""
    axes(asked.timing.sweep or "words=1")
    place = located(asked.choice.model, asked.choice.revision) if asked.choice.model else None
    return Request(
        makers(asked, place),
        sets(asked.benching, asked.labels, problem),
        asked.timing,
        without_password(command),
        {name: _plain(value) for name, value in asdict(asked).items()},
        asked.comparing.hourly_price,
        kept or {},
        say,
    )


def makers(asked: Asked, place: Located | None) -> list[Make]:
    """Ours, and then those it is compared with; where speed is measured, in batches of the size that suits them."""
    comparing, batch_size = asked.comparing, 8 if asked.timing.quality and not asked.timing.speed else None
    asking = Asking(
        url=comparing.endpoint,
        key_env=comparing.key_env,
        prompt=comparing.prompt,
        nested=asked.extraction.nested,
        price=price(comparing.price) if comparing.price else None,
        budget=comparing.budget,
        concurrency=comparing.concurrency,
        answer_tokens=comparing.answer_tokens,
    )
    extraction = replace(asked.extraction, threshold=_threshold(asked.extraction))
    context = Context(extraction, asked.computing, place, comparing.python, batch_size, asking)
    others: list[Make] = [partial(system, name, context) for name in comparing.against or []]
    return [partial(ours, asked.choice, asked.computing, asked.extraction), *others]


def _threshold(extraction: Extraction) -> float:
    """Of others, who know nothing of what a checkpoint was tuned to."""
    return UNTUNED if extraction.threshold is None else extraction.threshold


def ours(choice: Choice, computing: Computing, extraction: Extraction) -> System:
    """This package's own system, loaded."""
    from gliner_cli.inference.extractor import chosen

    return Ours(chosen(choice, computing), extraction)


def sets(benching: Benching, labels: Labels | None, problem: Problem) -> list[GoldSet]:
    """The gold sets, with the labels that are asked, of each no more documents than `limit`."""
    names = [*(benching.suite or []), *(benching.data or [])] or [SMALL]
    found = [_asked_only(gold, labels) for gold in gold_sets(names, benching.data_dir, problem)]
    if not found:
        raise InputError(f"Nothing can be read in {', '.join(names)}.", "Known formats: JSONL, CoNLL")
    return [replace(gold, documents=tuple(evenly(gold.documents, benching.limit))) for gold in found]


def _asked_only(gold: GoldSet, labels: Labels | None) -> GoldSet:
    if labels is None:
        return gold
    narrowed = relabelled(gold, labels)
    if not any(document.entities for document in narrowed.documents):
        raise InputError(
            f"{gold.name} has no gold entity of {', '.join(labels.names)}; it has {', '.join(gold.labels.names)}.",
            "Ask for these, or leave -l out.",
        )
    return narrowed


def without_password(text: str) -> str:
    """A text for a report: addresses in it keep neither a user's name nor a password."""
    return re.sub(r"://[^/\s@]*@", "://", text)


def _plain(value: Any) -> Any:
    """As JSON can hold it."""
    match value:
        case Path():
            return str(value)
        case str():
            return without_password(value)
        case Mapping():
            return {name: _plain(one) for name, one in value.items()}
        case list() | tuple():
            return [_plain(one) for one in value]
    return value
