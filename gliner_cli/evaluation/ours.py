"""What cannot be told of every system: of ours more, because we can look into it, of services and files less."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from gliner_cli.evaluation import calibration, machine, scoring
from gliner_cli.evaluation.endpoint import Endpoint
from gliner_cli.evaluation.measure import Task, Timed
from gliner_cli.evaluation.peers import Peer
from gliner_cli.evaluation.quality import Answer
from gliner_cli.evaluation.suites import GoldSet
from gliner_cli.evaluation.systems import Answers, Ours, System
from gliner_cli.options import UNTUNED
from gliner_cli.text.labels import Labels

if TYPE_CHECKING:
    from gliner_cli.inference.extractor import Extractor

_FLOOR = 0.05
Make = Callable[[], System]


def answered(system: System, gold: GoldSet) -> Answer:
    """What the system finds at its threshold; of ours, from one run at a low one, which tells all those above it.

    Not so for a token head, whose scores of a span depend on the threshold, nor where labels have thresholds of their
    own: what an entity displaced at a low one does not come back.
    """
    system = _suited(system, gold)
    threshold = _telling(system, gold.labels) if isinstance(system, Ours) else None
    if not isinstance(system, Ours) or threshold is None:
        found = system.extract(gold.documents, gold.labels)
        return Answer(found, found, None)
    wide = system.at(_FLOOR).extract(gold.documents, replace(gold.labels, thresholds=()))
    return Answer(calibration.above(wide, threshold), wide, _FLOOR)


def _suited(system: System, gold: GoldSet) -> System:
    """Gold entities inside others can only be found by one that is allowed to look for them."""
    if not gold.nested or not isinstance(system, (Ours, Peer)):
        return system
    return replace(system, extraction=replace(system.extraction, nested=True))


def _telling(ours: Ours, labels: Labels) -> float | None:
    """The threshold of all labels, where a run at a low one tells what is found at it; otherwise None."""
    own = set(thresholds(ours, labels).values())
    tells = len(own) == 1 and ours.extractor.checkpoint.config.head == "span" and min(own) > _FLOOR
    return own.pop() if tells else None


def thresholds(system: System, labels: Labels) -> dict[str, float]:
    """At which score each label counts, as the user says or the checkpoint was tuned; of others we do not know."""
    if not isinstance(system, Ours):
        return {}
    asked = system.extractor.plan(labels, system.extraction).labels
    return {name: UNTUNED if own is None else own for name, own in zip(asked.names, asked.thresholds, strict=True)}


def unreachable(system: System, gold: GoldSet) -> dict[str, int]:
    """What ours cannot find however good its scores; nothing for others, of whom we do not know."""
    if not isinstance(system, Ours):
        return {}
    config = system.extractor.checkpoint.config
    width = None if config.head == "token" else config.max_width
    return scoring.unreachable(gold.documents, width, system.extraction.words)


def inside(system: System, tasks: Sequence[Task], seconds: float) -> dict[str, Any]:
    """Of ours: the pieces of the texts a second, and the share of this machine's own speed of multiplying that it
    reaches in one run of these tasks, given its median seconds; nothing for others."""
    if not isinstance(system, Ours):
        return {}
    tokenizer = system.extractor.checkpoint.tokenizer
    texts = [document.text for task in tasks for document in task.documents]
    pieces = sum(len(row.ids) for row in tokenizer.encode_batch_fast(texts, add_special_tokens=False))
    operations, fastest = _operations(system, tasks), machine.matmul_speed(str(system.extractor.backend.device))
    told = {"pieces": pieces, "pieces_per_second": pieces / seconds, "operations": operations, "matmul": fastest}
    return {**told, "share_of_matmul": operations / seconds / fastest}


def _operations(system: Ours, tasks: Sequence[Task]) -> int:
    """Floating-point operations of the matrix products, padding included, as torch counts them; an LSTM's are not.

    They are those of the same network as published, all of its weights zero: torch does not count what packed or
    eight-bit layers do, and what is found does not matter.
    """
    from torch.utils.flop_counter import FlopCounterMode

    from gliner_cli.inference.lanes import one_thread
    from gliner_cli.inference.torch_backend import TorchBackend
    from gliner_cli.network.gliner import gliner

    plain = copy.copy(system.extractor)
    network = gliner(plain.checkpoint.config, plain.checkpoint.network.lstm_layers)
    for parameter in network.parameters():
        parameter.data.zero_()
    plain.checkpoint = replace(plain.checkpoint, network=network)  # by whose weights vectors of labels are kept on disk
    plain.backend = TorchBackend(network, plain.computing, pack=False)
    counted = Ours(plain, system.extraction).at(1.0)
    asked = [replace(task.labels, thresholds=()) for task in tasks]
    with one_thread():  # the counter sees what its own thread does
        counted.extract(tasks[0].documents[:1], asked[0])  # what is computed once is not of the work
        with FlopCounterMode(display=False) as counter:
            for task, labels in zip(tasks, asked, strict=True):
                counted.extract(task.documents, labels)
    return int(counter.get_total_flops())


def timable(system: System) -> bool:
    """Not so a service, whose every answer costs money (its times are those of the scored run), and a file."""
    return not isinstance(system, (Endpoint, Answers))


def once_more(make: Make, system: System) -> Make:
    """What makes the system again, in another process: with the size of batches that was found to be its fastest."""
    if not isinstance(system, Peer) or not isinstance(make, partial):
        return make
    name, context = make.args
    return partial(make.func, name, replace(context, batch_size=system.batch_size))


def resized(system: Timed, batch_tokens: int) -> Ours | None:
    """Ours with another size of batches, on the same weights; None for others."""
    if not isinstance(system, Ours):
        return None
    extractor: Extractor = copy.copy(system.extractor)
    extractor.computing = replace(extractor.computing, batch_tokens=batch_tokens)
    return Ours(extractor, system.extraction)
