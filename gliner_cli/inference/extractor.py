"""`Extractor`: a loaded checkpoint that finds entities; what `load` returns and users hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from gliner_cli.checkpoint.cache import located, starter
from gliner_cli.checkpoint.folder import Checkpoint
from gliner_cli.checkpoint.folder import load as load_checkpoint
from gliner_cli.errors import LabelError
from gliner_cli.inference.batching import padded, pieces_at_once, widest
from gliner_cli.inference.counts import Counts
from gliner_cli.inference.int8_backend import SAMPLE, SAMPLE_LABELS, Int8Backend
from gliner_cli.inference.kept_vectors import LEAST_LABELS, from_disk_or
from gliner_cli.inference.pipeline import Plan, Witness, extracted
from gliner_cli.inference.prompt import PieceMaker, Prompt, WordPieces, label_rows, room
from gliner_cli.inference.torch_backend import TorchBackend
from gliner_cli.network.tensors import Batch
from gliner_cli.options import UNTUNED, Choice, Computing, Extraction
from gliner_cli.text.labels import Labels, labels
from gliner_cli.text.words import words
from gliner_cli.types import Document, Entity

_TOKEN_OVERLAP = 64
_LEAST_OVERLAP = 32


class Extractor:
    """Finds entities of any type in texts and documents. Loading is the slow part: keep it.

    `sole`: nobody else uses the checkpoint's network, and it may be left without weights.
    """

    def __init__(self, checkpoint: Checkpoint, computing: Computing | None = None, sole: bool = False) -> None:
        self.checkpoint = checkpoint
        self.computing = computing or Computing()
        self._maker = PieceMaker(checkpoint)
        sole = sole and checkpoint.config.labels == "prompt"  # vectors of labels are kept by the weights that made them
        self.backend = TorchBackend(checkpoint.network, self.computing, sole)
        if self.computing.precision == "int8":
            self.backend = Int8Backend(self.backend, self._sample())

    def __call__(self, text: str, asked: Labels | Sequence[str] | Mapping[str, Any], **options: Any) -> list[Entity]:
        """The entities of one text, in their order. `options` are the fields of `options.Extraction`.

        Labels are names, or a mapping of names to descriptions. Raises LabelError if they make no sense.
        """
        (document,) = self.extract([Document(text)], asked, **options)
        return list(document.entities)

    def extract(
        self,
        documents: Iterable[Document],
        asked: Labels | Sequence[str] | Mapping[str, Any],
        extraction: Extraction | None = None,
        counts: Counts | None = None,
        **options: Any,
    ) -> Iterator[Document]:
        """The documents with their entities, in their order, as they are done.

        Lazy at both ends: documents are taken as room for them comes free. `options` override fields of `extraction`.
        """
        return self.run(self.plan(labels(asked), replace(extraction or Extraction(), **options)), documents, counts)

    def run(
        self,
        plan: Plan,
        documents: Iterable[Document],
        counts: Counts | None = None,
        witness: Witness | None = None,
    ) -> Iterator[Document]:
        """`extract` with what is the same for all documents done before."""
        return extracted(documents, plan, self._maker, self.backend, self.checkpoint.network.head, counts, witness)

    def pieces(self, document: Document, options: Extraction) -> WordPieces:
        """The document's words, and the pieces that the tokenizer makes of them."""
        cut = document.words or words(document.text, options.words)
        return WordPieces(self._maker, document.text, cut)

    def parts(self, asked: Labels, options: Extraction) -> int:
        """In how many prompts these labels are asked."""
        return len(self._maker.prompts(asked, options.labels_at_once))

    def plan(self, asked: Labels, options: Extraction) -> Plan:
        """How these labels are asked, and how documents are cut for them."""
        asked = asked.with_thresholds(self._threshold(name, options)[0] for name in asked.names)
        prompts = self._maker.prompts(asked, options.labels_at_once)
        config = self.checkpoint.config
        whole_words = _TOKEN_OVERLAP if config.head == "token" else max(2 * config.max_width, _LEAST_OVERLAP)
        overlap = 0 if options.window == "sentences" else whole_words
        return Plan(
            labels=asked,
            prompts=prompts,
            label_vectors=self._label_vectors(asked) if config.labels == "encoder" else None,
            options=options,
            most_words=_most_words(options.window, config.max_len),
            most_pieces=room(prompts, self._maker.longest_row),
            overlap=overlap if options.overlap is None else options.overlap,
            batch_pieces=self._batch_pieces(prompts),
        )

    def _batch_pieces(self, prompts: Sequence[tuple[Labels, Prompt]]) -> int:
        width = widest(self.checkpoint.config, max(len(part) for part, _ in prompts))
        return self.computing.batch_tokens or pieces_at_once(self.backend.device, width)

    def _sample(self) -> Batch:
        """Rows of every kind, to judge layers by."""
        plan = self.plan(labels(SAMPLE_LABELS), Extraction())
        pieces = [WordPieces(self._maker, text, words(text)) for text in SAMPLE]
        prompt = plan.prompts[0][1]
        return padded([prompt.around(one, 0, len(one.words)) for one in pieces], plan.label_vectors)

    def origin(self, asked: Labels, label: str, options: Extraction) -> tuple[float, str]:
        """The threshold a label has in a plan, and where it comes from: own, --threshold, tuned or default."""
        own = asked.thresholds[asked.names.index(label)]
        return self._threshold(label, options) if own is None else (own, "own")

    def _threshold(self, label: str, options: Extraction) -> tuple[float, str]:
        """A label's threshold unless it brings its own, and whose it is: the user's, the checkpoint's, or nobody's."""
        if options.threshold is not None:
            return options.threshold, "--threshold"
        tuned = self.checkpoint.config.thresholds.get(label)
        return (UNTUNED, "default") if tuned is None else (tuned, "tuned")

    def _label_vectors(self, asked: Labels) -> torch.Tensor:
        checkpoint = self.checkpoint
        assert checkpoint.labels_tokenizer is not None  # noqa: S101
        rows = label_rows(checkpoint.labels_tokenizer, asked.asked, checkpoint.labels_piece_limit)
        counts = torch.tensor([len(row) for row in rows])
        pieces = torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True)
        compute = partial(self.backend.label_vectors, pieces, counts)
        if len(rows) < LEAST_LABELS:
            return compute()
        return from_disk_or(compute, pieces, counts, self.checkpoint.network.labels, checkpoint.config)


def _most_words(window: str, trained: int) -> int:
    """The longest window in words: what the checkpoint was trained with, or less if the user says so."""
    if window in ("auto", "sentences"):
        return trained
    number = window.removeprefix("words=")
    if not number.isdecimal() or int(number) < 1:
        raise LabelError(f"--window is {window!r}; auto, sentences or words=N was expected.", "--window words=200")
    return min(int(number), trained)


def load(
    model: str | None = None,
    *,
    revision: str | None = None,
    computing: Computing | None = None,
    sole: bool = True,
    **options: Any,
) -> Extractor:
    """A checkpoint, ready to extract: the built-in starter, a folder, or a hub id that was pulled before.

    `options` are fields of `options.Computing`: `device="cuda"`, `precision="bf16"`, … Nothing is ever downloaded.
    `sole`: see `Extractor`; the table of words stays in 16 bits where it is stored so.
    """
    place = located(model, revision) if model else starter()
    return Extractor(load_checkpoint(place, lean=sole), replace(computing or Computing(), **options), sole)


def chosen(choice: Choice, computing: Computing, sole: bool = True) -> Extractor:
    """The extractor that command-line options name. `sole`: see `Extractor`."""
    return load(choice.model, revision=choice.revision, computing=computing, sole=sole)
