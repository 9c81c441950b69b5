"""What `extract` says before it begins: hints that help, and with `--verbose` everything the answers depend on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gliner_cli.cli.console import note
from gliner_cli.formats.sources import Source
from gliner_cli.options import Choice, Extraction, Telling

if TYPE_CHECKING:
    from gliner_cli.cli.watching import Watch
    from gliner_cli.inference.extractor import Extractor
    from gliner_cli.text.labels import Labels


def begun(telling: Telling, watch: Watch | None = None) -> Callable[[Source], None]:
    """What is to hear of each source as it begins."""

    def source(source: Source) -> None:
        if watch:
            watch.source(source)
        if telling.verbose:
            size = "" if source.size is None else f", {source.size:,} bytes"
            note(f"reading {source.name}{size}", "source", source=source.name, bytes=source.size)

    return source


@contextmanager
def loading(telling: Telling) -> Iterator[None]:
    """How long it took to load what is loaded in here."""
    began = time.perf_counter()
    yield
    if telling.verbose:
        seconds = time.perf_counter() - began
        note(f"loaded in {seconds:.2f} s", "loaded", seconds=round(seconds, 3))


def how(telling: Telling, asked: Labels, extractor: Extractor, extraction: Extraction, choice: Choice) -> None:
    """What helps the person, and what was chosen for them."""
    if not telling.quiet:
        _helps(asked, extractor, extraction, choice)
    if telling.verbose:
        _chosen(asked, extractor, extraction)


def _helps(asked: Labels, extractor: Extractor, extraction: Extraction, choice: Choice) -> None:
    from gliner_cli.text.labels import abbreviations

    if not choice.model:
        note(
            "using the small built-in starter checkpoint; larger ones find more: gliner pull urchade/gliner_medium-v2.1"
        )
    if short := abbreviations(asked):
        note(
            f"labels are read for their meaning: words find much more than {', '.join(short)} (say 'person', not 'PER')"
        )
    parts = extractor.parts(asked, extraction)
    if parts > 1:
        trained = extractor.checkpoint.config.max_types
        note(f"{len(asked)} labels are asked in {parts} parts (the checkpoint was trained with {trained} at once)")


def _chosen(asked: Labels, extractor: Extractor, extraction: Extraction) -> None:
    import torch

    from gliner_cli.checkpoint.digests import fingerprint
    from gliner_cli.inference.int8_backend import Int8Backend

    folder, computing = extractor.checkpoint.folder, extractor.computing
    digest = fingerprint(folder).get("sha256", "")
    note(f"checkpoint {folder}, sha256 {digest[:12] or 'unknown'}…", "checkpoint", folder=str(folder), sha256=digest)
    device, threads = str(extractor.backend.device), torch.get_num_threads()
    said = f"computing on {device} with {threads} threads in {computing.precision}"
    note(said, "computing", device=device, threads=threads, precision=computing.precision)
    if isinstance(extractor.backend, Int8Backend):
        layers, left = extractor.backend.layers, extractor.backend.left_alone
        note(f"{layers - len(left)} of {layers} linear layers are in int8", "int8", layers=layers, left_alone=left)
    limits = {name: extractor.origin(asked, name, extraction) for name in asked.names}
    listed = ", ".join(f"{name} {limit:g} ({whose})" for name, (limit, whose) in limits.items())
    thresholds = {name: limit for name, (limit, _) in limits.items()}
    note(f"thresholds: {listed}", "thresholds", thresholds=thresholds)
