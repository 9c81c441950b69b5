"""The story of a long job: documents to chunks, remembered, each text once if so asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from gliner_cli.checkpoint.digests import fingerprint
from gliner_cli.errors import OutputError
from gliner_cli.jobs.chunks import Chunk, Extract, without_repeats
from gliner_cli.jobs.journal import Journal
from gliner_cli.jobs.record import beside, versions
from gliner_cli.options import Computing, Extraction, Job
from gliner_cli.text.labels import Labels


def answered(asked: Iterator[Chunk], extract: Extract, journal: Journal | None, options: Job) -> Iterator[Chunk]:
    """The chunks with their entities: from the journal as far as it goes, then from `extract`."""
    if journal:
        extract = partial(journal.resumed, extract)
    if options.dedupe:
        extract = without_repeats(extract)
    return extract(asked)


def settings(
    folder: Path, labels: Labels, extraction: Extraction, computing: Computing, options: Job
) -> Mapping[str, Any]:
    """What the answers of a job depend on, beside its documents."""
    return {
        "checkpoint": fingerprint(folder),
        "labels": asdict(labels),
        **asdict(extraction),
        "precision": computing.precision,
        "device": computing.device,
        "batch_tokens": computing.batch_tokens,
        "dedupe": options.dedupe,
        "versions": versions(),
    }


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
