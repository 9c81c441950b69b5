"""A bench: for each system, for each set, a row; then all systems timed in turn. The report grows with every row.

The report is one plain dictionary that JSON holds (`report.py` makes pages of it). Its parts, in their order:

settings, environment, systems, sets     what was measured, on what
rows, averages, differences              how good: one row a system and set; over sets; each against the first system
speed                                    how fast: one entry a system; ratios, agreement, the harness's own share
sweeps, costs, published                 how cost grows; what a million documents cost; what others have published
"""

from __future__ import annotations

import hashlib
import json
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field
from typing import Any

from gliner_cli.evaluation import anchors, certainty, growth, machine, measure, ours, scoring
from gliner_cli.evaluation.endpoint import UNANSWERED, Endpoint
from gliner_cli.evaluation.measure import Laps, Task
from gliner_cli.evaluation.ours import Make
from gliner_cli.evaluation.quality import Answer, averaged, evenly, scored, summary, unpacked
from gliner_cli.evaluation.suites import GoldSet
from gliner_cli.evaluation.systems import System
from gliner_cli.options import Timing

FORMAT = "gliner bench 1"
_ALONE = 100  # documents given one by one, over all sets

Report = dict[str, Any]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Request:
    """What is to be measured. `makers` make the systems, the one that is compared with the others first.

    They are functions of a module (or partials), because a new process must be able to make the systems too.
    `settings` go into the report as they are; `kept` is an earlier report whose finished rows need not be done again.
    """

    makers: Sequence[Make]
    sets: Sequence[GoldSet]
    timing: Timing
    command: str
    settings: Mapping[str, Any]
    hourly_price: float | None = None
    kept: Report = field(default_factory=dict)
    say: Say = lambda _: None


def grown(request: Request) -> Iterator[Report]:
    """The report, the same object again and again, each time with one part more."""
    with ExitStack() as opened:
        systems = [opened.enter_context(closing(make())) for make in request.makers]
        _tell_apart(systems)
        report = _begun(request, systems)
        if request.timing.quality or not request.timing.speed:
            yield from _with_rows(report, request, systems)
        if request.timing.speed or not request.timing.quality:
            yield from _with_speed(report, request, systems)
        report["published"] = anchors.published(list(report["sets"])) if report["rows"] else []
        report["costs"] = costs(report, request.hourly_price)
        report["systems"] = {system.name: system.about() for system in systems}  # some have learnt of themselves
        yield report


def _tell_apart(systems: Sequence[System]) -> None:
    """Everything in a report goes by names: of systems of one name, the second and later ones get numbers."""
    seen = Counter[str]()
    for system in systems:
        seen[system.name] += 1
        if (number := seen[system.name]) > 1:
            system.name = f"{system.name} {number}"


def _begun(request: Request, systems: Sequence[System]) -> Report:
    return {
        "format": FORMAT,
        "settings": dict(request.settings),
        "environment": machine.card(request.command),
        "systems": {system.name: system.about() for system in systems},
        "sets": {gold.name: _about(gold) for gold in request.sets},
        "rows": [], "averages": [], "differences": [], "speed": None, "sweeps": [], "costs": [], "published": [],
    }  # fmt: skip


def _about(gold: GoldSet) -> dict[str, Any]:
    return {
        "documents": len(gold.documents),
        "words": Task(gold.name, gold.documents, gold.labels).words,
        "entities": sum(len(document.entities) for document in gold.documents),
        "labels": list(gold.labels.names),
        "licence": gold.licence,
        "source": gold.source,
        "nested": gold.nested,
        "digest": digest(gold),
    }


def digest(gold: GoldSet) -> str:
    """The SHA-256 of all that scores depend on: texts, words, entities and labels."""
    content = hashlib.sha256(repr(gold.labels).encode())
    for document in gold.documents:
        places = sorted((entity.start, entity.end, entity.label) for entity in document.entities)
        cut = document.words and (document.words.starts.tolist(), document.words.ends.tolist())
        content.update(repr((document.text, cut, places)).encode())
    return content.hexdigest()


# --- How good ------------------------------------------------------------------------------------------------------


def _with_rows(report: Report, request: Request, systems: Sequence[System]) -> Iterator[Report]:
    earlier = [*request.kept.get("rows", []), *request.kept.get("earlier", {}).values()]
    report["earlier"] = kept = {row["key"]: row for row in earlier if "answered" not in row}
    for system in systems:
        for gold in request.sets:
            key = _key(report, system, gold)
            if key not in kept:
                request.say(f"{system.name} reads {gold.name}: {len(gold.documents):,} documents")
            report["rows"].append(kept.pop(key, None) or _row(system, gold, key))
            yield report
        own = [row for row in report["rows"] if row["system"] == system.name]
        report["averages"].append({"system": system.name, **averaged(own)})
    del report["earlier"]
    report["differences"] = differences(report["rows"])
    yield report


# What a system says of itself that changes no answer: a service asked with more money or patience goes on.
_IRRELEVANT = {"budget", "price", "concurrency", "retries", "timeout", "wait", "served", "request", "batch_size",
               "threads"}  # fmt: skip


def _key(report: Report, system: System, gold: GoldSet) -> str:
    """What a row depends on; one with the same key need not be made again."""
    about = {name: value for name, value in report["systems"][system.name].items() if name not in _IRRELEVANT}
    asked = [ours.thresholds(system, gold.labels), report["settings"].get("extraction")]
    content = [system.name, about, report["sets"][gold.name]["digest"], asked]
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def _row(system: System, gold: GoldSet, key: str) -> dict[str, Any]:
    before, began = system.usage(), time.perf_counter()
    replies = len(system.latencies) if isinstance(system, Endpoint) else 0
    answer = ours.answered(system, gold)
    seconds = time.perf_counter() - began
    used = {name: value - before.get(name, 0) for name, value in system.usage().items()}
    named = {"system": system.name, "set": gold.name, "key": key, "seconds": seconds, "usage": used}
    if isinstance(system, Endpoint) and (taken := system.latencies[replies:]):
        named["latency"] = measure.percentiles(taken)
    told = {"thresholds": ours.thresholds(system, gold.labels), "unreachable": ours.unreachable(system, gold)}
    row = {**named, **scored(gold.documents, answer), **told}
    return row | _of_answered(gold, answer)


def _of_answered(gold: GoldSet, answer: Answer) -> dict[str, Any]:
    """What is to be told where some documents were never answered; in the row itself they count as missed."""
    pairs = [pair for pair in zip(gold.documents, answer.found, strict=True) if UNANSWERED not in pair[1].meta]
    if len(pairs) == len(gold.documents):
        return {}
    return {
        "answered": {"documents": len(pairs), **summary(scoring.tallies(*zip(*pairs, strict=True)) if pairs else [])}
    }


Tallied = list[dict[str, scoring.Tally]]


def differences(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Of each other system to the first, on each set and (`set` None) on all documents; above 0 the other is better."""
    tallied = {(row["system"], row["set"]): unpacked(row["tallies"]) for row in rows}
    first, *others = dict.fromkeys(row["system"] for row in rows)
    sets = list(dict.fromkeys(row["set"] for row in rows))
    return [
        {"system": other, "against": first, **difference}
        for other in others
        for difference in by_set({name: (tallied[first, name], tallied[other, name]) for name in sets})
    ]


def by_set(pairs: Mapping[str, tuple[Tallied, Tallied]]) -> Iterator[dict[str, Any]]:
    """The difference of two systems' tallies, `b` minus `a`, on each set and, of several, on all of them as one."""
    for name, pair in pairs.items():
        yield {"set": name, **_difference(*pair)}
    if len(pairs) > 1:
        yield {"set": None, **_difference(*([one for pair in pairs.values() for one in pair[side]] for side in (0, 1)))}


def _difference(a: Tallied, b: Tallied) -> dict[str, Any]:
    return {"a": scoring.total(a).f1, "b": scoring.total(b).f1, **asdict(certainty.difference(a, b))}


# --- How fast ------------------------------------------------------------------------------------------------------


def _with_speed(report: Report, request: Request, systems: Sequence[System]) -> Iterator[Report]:
    timing, makers = request.timing, dict(zip([system.name for system in systems], request.makers, strict=True))
    timed = [system for system in systems if ours.timable(system)]
    for system in systems:
        if system not in timed:
            request.say(f"{system.name} is not timed; if it is asked for its scores, the time of that is told")
    tasks = [Task(gold.name, evenly(gold.documents, timing.timed), gold.labels) for gold in request.sets]
    count = sum(len(task.documents) for task in tasks)
    request.say(f"timing {', '.join(system.name for system in timed)}: {timing.repeat} runs of {count:,} documents")
    report["speed"] = _speed(timed, tasks, timing)
    yield report
    for system in timed:
        request.say(f"{system.name} in a process of its own")
        report["speed"]["systems"][system.name] |= measure.fresh(ours.once_more(makers[system.name], system), tasks)
        yield report
    axes = growth.axes(timing.sweep) if timing.sweep else {}
    for row in growth.growth(timed, tasks, axes, ours.resized, timing.repeat, timing.warm_up):
        request.say(f"{row['system']}, {row['axis']}={row['value']}: {row['words_per_second']['median']:,.0f} words/s")
        report["sweeps"].append(row)
        yield report


def _speed(systems: Sequence[System], tasks: Sequence[Task], timing: Timing) -> dict[str, Any]:
    done = measure.laps(systems, tasks, timing.repeat, timing.warm_up)
    few = -(-_ALONE // len(tasks))
    alone = measure.latencies(systems, [Task(t.name, evenly(t.documents, few), t.labels) for t in tasks])
    first, *others = (system.name for system in systems)
    return {
        "repeat": timing.repeat,
        "warm_up": timing.warm_up,
        "harness": done.harness,
        "systems": {one.name: _one_speed(one, done, tasks, alone[one.name]) for one in systems},
        "ratios": [measure.ratio(done, first, other) for other in others],
        "agreement": [_agreement(done, first, other) for other in others],
    }


def _one_speed(system: System, done: Laps, tasks: Sequence[Task], alone: Sequence[float]) -> dict[str, Any]:
    seconds = statistics.median(done.runs(system.name))
    return {
        **measure.speed(done, system.name, tasks),
        "latency": measure.percentiles(alone),
        **ours.inside(system, tasks, seconds),
    }


def _agreement(done: Laps, first: str, other: str) -> dict[str, Any]:
    a, b = ([document for task in done.found[name] for document in task] for name in (first, other))
    return {"system": first, "against": other, **measure.agreement(a, b)}


# --- What it costs -------------------------------------------------------------------------------------------------


def costs(report: Report, hourly_price: float | None) -> list[dict[str, Any]]:
    """What a system reads in an hour, and what a million documents cost: this machine's hours, or a service's bill."""
    timed = (report["speed"] or {}).get("systems", {})
    return [
        {"system": name, **(_of_machine(timed[name], hourly_price) if name in timed else _of_service(report, name))}
        for name in report["systems"]
    ]


def _of_machine(one: Mapping[str, Any], hourly_price: float | None) -> dict[str, Any]:
    hourly = one["documents_per_second"]["median"] * 3600
    million = None if hourly_price is None else hourly_price / hourly * 1e6
    return {"documents_per_hour": hourly, "per_million_documents": million, "hourly_price": hourly_price}


def _of_service(report: Report, name: str) -> dict[str, Any]:
    rows = [row for row in report["rows"] if row["system"] == name]
    seconds, documents = sum(row["seconds"] for row in rows), sum(row.get("answered", row)["documents"] for row in rows)
    spent = [row["usage"]["cost"] for row in rows if "cost" in row["usage"]]
    million = sum(spent) / documents * 1e6 if spent and documents else None
    return {"documents_per_hour": documents / seconds * 3600 if seconds else None, "per_million_documents": million}
