"""The story of a long job: documents to chunks, remembered, each text once if so asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gliner_cli.checkpoint.digests import fingerprint, settings_digest
from gliner_cli.errors import OutputError
from gliner_cli.jobs.chunks import Chunk, Extract, without_repeats
from gliner_cli.jobs.journal import Journal
from gliner_cli.jobs.record import beside, versions
from gliner_cli.options import Computing, Extraction, Job
from gliner_cli.text.labels import Labels

if TYPE_CHECKING:
    from gliner_cli.inference.extractor import Extractor


def answered(
    asked: Iterator[Chunk],
    extract: Extract,
    journal: Journal | None,
    options: Job,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Chunk]:
    """The chunks with their entities: from the journal as far as it goes, then from `extract`."""
    if journal:
        extract = partial(journal.resumed, extract, stopped=stopped)
    if options.dedupe:
        extract = without_repeats(extract)
    return extract(asked)


def settings(
    extractor: Extractor, labels: Labels, extraction: Extraction, computing: Computing, options: Job
) -> Mapping[str, Any]:
    """What the answers of a job depend on, beside its documents; the last digits of a score on the threads, too."""
    folder = extractor.checkpoint.folder
    return {
        "checkpoint": {**fingerprint(folder), "settings": settings_digest(folder)},
        "labels": asdict(labels),
        **asdict(extraction),
        "thresholds": [extractor.origin(labels, name, extraction)[0] for name in labels.names],
        "precision": computing.precision,
        "device": str(extractor.backend.device),
        "batch_tokens": computing.batch_tokens,
        "threads": threads(computing, options.workers),
        "dedupe": options.dedupe,
        "versions": versions(),
    }


def threads(computing: Computing, workers: int | None) -> int:
    """How many each process has."""
    import torch

    return max(1, (computing.threads or torch.get_num_threads()) // (workers or 1))


def journal(output: Path | None, settings: Mapping[str, Any], resume: bool) -> Journal | None:
    """The journal beside an output; none where nothing is kept, as on standard output.

    Raises OutputError where one is there already and `resume` is not asked, or is and cannot be.
    """
    if output is None or (output.exists() and not output.is_file()):
        if resume:
            raise OutputError("--resume goes on with a file; there is none.", "Name it: -o FILE --resume")
        return None
    kept = Journal(beside(output, "journal"), settings)
    if kept.exists() and not resume:
        raise OutputError(
            f"{output} has a job that was broken off.",
            f"Go on with it: the same command and --resume. Begin again: rm {kept.path}",
        )
    if not resume:
        kept.forget()  # of a job that got nowhere: it does not bind this one
    return kept
