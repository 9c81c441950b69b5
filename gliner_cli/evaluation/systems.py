"""Everything that finds entities, as one kind of thing: documents in, documents out. Names to systems is a table here.

A new system is a class with the four methods of `System` and a line in `_TABLE`.
"""

from __future__ import annotations

import atexit
import shlex
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from gliner_cli._version import __version__
from gliner_cli.checkpoint.digests import fingerprint
from gliner_cli.errors import GlinerError, InputError, MissingExtraError
from gliner_cli.evaluation.asking import Asking
from gliner_cli.evaluation.peers import Peer, peer
from gliner_cli.evaluation.program import Program
from gliner_cli.options import UNTUNED, Computing, Extraction
from gliner_cli.text.labels import Labels
from gliner_cli.types import Document

if TYPE_CHECKING:
    from gliner_cli.checkpoint.cache import Located
    from gliner_cli.inference.extractor import Extractor


class System(Protocol):
    """What is compared. A system that fails raises GlinerError; documents are never lost."""

    name: str

    def extract(self, documents: Sequence[Document], labels: Labels) -> list[Document]:
        """The same documents in the same order, with the entities found, with scores if it has any."""

    def about(self) -> dict[str, Any]:
        """What it is and how it is asked, for the report: versions, checkpoint, settings, protocol."""

    def usage(self) -> dict[str, float]:
        """What it took so far, all calls together; an endpoint's requests, tokens and money among it."""

    def close(self) -> None:
        """Give back what it holds."""


@dataclass
class Ours:
    """This package."""

    extractor: Extractor
    extraction: Extraction
    name: str = "gliner-cli"

    def extract(self, documents: Sequence[Document], labels: Labels) -> list[Document]:
        """See `System.extract`."""
        return list(self.extractor.extract(documents, labels, self.extraction))

    def at(self, threshold: float) -> Ours:
        """The same with another threshold."""
        return replace(self, extraction=replace(self.extraction, threshold=threshold))

    def about(self) -> dict[str, Any]:
        """See `System.about`."""
        checkpoint = self.extractor.checkpoint
        return {
            "system": self.name,
            "versions": {"gliner-cli": __version__, "torch": metadata.version("torch")},
            "checkpoint": checkpoint.name,
            **fingerprint(checkpoint.folder),
            **asdict(self.extractor.computing),
            "device": str(self.extractor.backend.device),
            **asdict(self.extraction),
            **self._thresholds(),
            "protocol": "windows over long texts; overlaps settled once a document",
        }

    def usage(self) -> dict[str, float]:
        """See `System.usage`."""
        return {}

    def close(self) -> None:
        """See `System.close`."""

    def _thresholds(self) -> dict[str, Any]:
        """Those that hold where none was given."""
        if self.extraction.threshold is not None:
            return {}
        return {"threshold": UNTUNED, "tuned": dict(self.extractor.checkpoint.config.thresholds)}


@dataclass
class Answers:
    """Answers that were made elsewhere: a file of documents with entities, looked up by their texts."""

    path: Path
    name: str

    def extract(self, documents: Sequence[Document], labels: Labels) -> list[Document]:
        """See `System.extract`. Entities under labels that were not asked are left out.

        Raises InputError for a document that the file has not.
        """
        return [replace(one, entities=self._entities(one, labels)) for one in documents]

    def about(self) -> dict[str, Any]:
        """See `System.about`."""
        from gliner_cli.checkpoint.digests import sha256

        return {"system": self.name, "sha256": sha256(self.path), "protocol": "answers from a file, by text (and id)"}

    def usage(self) -> dict[str, float]:
        """See `System.usage`."""
        return {}

    def close(self) -> None:
        """See `System.close`."""

    def _entities(self, document: Document, labels: Labels) -> tuple[Any, ...]:
        known = self._by_text.get(document.text)
        if known is None:
            raise InputError(
                f"{self.path} has no answer for {document.id or 'a document'}: {document.text[:60]!r}…",
                "Every document of the gold data must be in it, with the same text.",
            )
        answer = next((one for one in known if one.id == document.id), known[0])
        return tuple(entity for entity in answer.entities if entity.label in labels.names)

    @cached_property
    def _by_text(self) -> dict[str, list[Document]]:
        from gliner_cli import formats
        from gliner_cli.options import Reading

        found = defaultdict(list)
        for document in formats.read([str(self.path)], Reading(), _raise):
            found[document.text].append(document)
        return dict(found)


def _raise(error: GlinerError) -> None:
    raise error


def _scratch() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="gliner-bench-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@dataclass(frozen=True)
class Context:
    """What compared systems share with ours. It can be pickled: another process makes the same systems from it.

    `place` is our checkpoint (None: the starter); `python` a Python that has the other packages; `batch_size` that of
    the packages that take one, None for their fastest. `scratch` is removed when the process that made it ends.
    """

    extraction: Extraction = field(default_factory=Extraction)
    computing: Computing = field(default_factory=Computing)
    place: Located | None = None
    python: Path | None = None
    batch_size: int | None = 8
    asking: Asking = field(default_factory=Asking)
    scratch: Path = field(default_factory=_scratch)


def systems(against: Sequence[str], context: Context) -> list[System]:
    """The systems of these names, loaded; those already loaded are closed if one of them cannot be."""
    made: list[System] = []
    try:
        for name in against:
            made.append(system(name, context))  # noqa: PERF401  a comprehension would lose those already made
    except BaseException:
        for one in made:
            one.close()
        raise
    return made


def system(name: str, context: Context) -> System:
    """The system of a name: one of the table, with what it takes behind a colon, or a file of answers.

    Raises InputError for a name that is none, MissingExtraError where its package is not installed.
    """
    kind, _, detail = name.partition(":")
    make = _TABLE.get(kind.replace("_", "-"))
    if make:
        return make(detail, context)
    if Path(name).is_file():
        return Answers(Path(name), name)
    raise InputError(
        f"{name!r} is neither a system nor a file of answers; systems are {', '.join(_TABLE)}.",
        "--against gliner, --against openai:MODEL, --against answers.jsonl",
    )


def _peer(kind: str, detail: str, context: Context, checkpoint: Path | None = None) -> Peer:
    """`detail` is what the user named, `checkpoint` what is loaded where that is nothing: our own, in some form."""
    name = f"{kind}:{detail}" if detail else kind
    made = peer(
        kind, detail or str(checkpoint), context.extraction, context.computing, context.python, context.batch_size, name
    )  # fmt: skip
    made.described["checkpoint"] = detail or _place(context).name  # not where a copy of it lies for the time being
    return made


def _gliner(detail: str, context: Context) -> Peer:
    return _peer("gliner", detail, context, None if detail else self_contained(context))


def _on_onnx(kind: str) -> Callable[[str, Context], Peer]:
    return lambda detail, context: _peer(kind, detail, context, None if detail else exported(context))


def _with_checkpoint(kind: str, example: str) -> Callable[[str, Context], Peer]:
    def make(detail: str, context: Context) -> Peer:
        if not detail:
            raise InputError(f"{kind} cannot run our checkpoint; name one of its own.", f"--against {kind}:{example}")
        return _peer(kind, detail, context)

    return make


def _openai(detail: str, context: Context) -> System:
    from gliner_cli.evaluation.endpoint import Endpoint

    if not detail:
        raise InputError("openai needs the name of a model.", "--against openai:gpt-4o-mini")
    return Endpoint(detail, context.asking)


def _run(detail: str, context: Context) -> Peer:
    """Any program that answers as `peer_worker.py` describes; it is not told what to load."""
    if not detail:
        raise InputError("run needs a command.", "--against 'run:python my_tool.py'")
    program = Program(detail, shlex.split(detail), threads=context.computing.threads)
    return Peer(f"run:{detail}", program, context.extraction, context.batch_size or 8, {"protocol": "its own"})


_TABLE: Mapping[str, Callable[[str, Context], System]] = {
    "gliner": _gliner,
    "gliner-onnx": _on_onnx("gliner-onnx"),
    "fast-gliner": _on_onnx("fast-gliner"),
    "gliner2": _with_checkpoint("gliner2", "FOLDER"),
    "spacy": _with_checkpoint("spacy", "en_core_web_sm"),
    "openai": _openai,
    "run": _run,
}


# --- Our checkpoint as others want it --------------------------------------------------------------------------------

_EXPORTING = 1800.0  # seconds


def _place(context: Context) -> Located:
    from gliner_cli.checkpoint.cache import starter

    return context.place or starter()


def self_contained(context: Context) -> Path:
    """A folder that the reference package loads: the checkpoint's own, or a copy with what its backbone has."""
    place = _place(context)
    if place.backbone is None and place.labels_backbone is None:
        return place.folder
    from gliner_cli.checkpoint import folder

    target = context.scratch / "checkpoint"
    if not target.is_dir():
        folder.save(folder.load(place), target)
    return target


def exported(context: Context) -> Path:
    """A folder with the reference package's own ONNX export of the checkpoint, made once."""
    target, partial = context.scratch / "onnx", context.scratch / "onnx.partial"
    if target.is_dir():
        return target
    exporting = _gliner("", context)
    try:
        answer = exporting.program.ask({"export": str(partial)}, _EXPORTING)
    finally:
        exporting.close()
    if "missing" in answer:
        message = f"The reference package needs {answer['missing']} to export the checkpoint as ONNX."
        raise MissingExtraError(
            message, "pip install onnx, or name a folder with an export: --against fast-gliner:FOLDER"
        )
    return partial.rename(target)
