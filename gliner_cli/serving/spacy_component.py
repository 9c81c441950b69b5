"""GLiNER in a spaCy pipeline: `nlp.add_pipe("gliner", config={"labels": ["person", "drug"]})`.

spaCy finds the factory by the entry point `spacy_factories`. Entities are `doc.ents`, on the words that spaCy's own
tokenizer cut; those that overlap, as `nested` and `multi_label` allow, are in `doc.spans`, which always has all, under
`spans_key`: if it is not given, the component's own name, so that each of several has a group. The score of a span is
`span._.score`, or in `doc.user_data["gliner_scores"]` under (start, end, label) in characters; the group has its own in
`attrs["scores"]`, for of two components that find the same the later one's is the score of the span.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import tee
from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc, Span, SpanGroup

from gliner_cli.errors import LabelError
from gliner_cli.inference.extractor import Extractor, load
from gliner_cli.options import Extraction
from gliner_cli.text.labels import labels
from gliner_cli.types import Document, Entity, Words

NAME = "gliner"
SCORES = "gliner_scores"
_FILE = "gliner.json"


@dataclass(frozen=True)
class Settings:
    """What the component was made with: all that is stored of it. The checkpoint stays where it is, by its name."""

    labels: list[str] | dict[str, Any]
    model: str | None = None
    threshold: float | None = None
    nested: bool = False
    multi_label: bool = False
    spans_key: str | None = None


class Component:
    """Finds entities in docs, in place of those they had. The checkpoint is loaded when the first doc comes."""

    def __init__(self, name: str, settings: Settings) -> None:
        self.name, self.settings = name, settings

    @cached_property
    def _extractor(self) -> Extractor:
        return load(self.settings.model)

    def __call__(self, doc: Doc) -> Doc:
        (done,) = self.pipe([doc])
        return done

    def pipe(self, stream: Iterable[Doc], batch_size: int = 128) -> Iterator[Doc]:
        """The docs with their entities, as they are done; rows of all of them are batched by their length.

        `batch_size` is spaCy's way of asking; how much is computed at once is decided by pieces, not by docs.
        """
        settings = self.settings
        extraction = Extraction(settings.threshold, settings.nested, settings.multi_label)
        asked, waiting = tee(stream)
        found = self._extractor.extract(map(_document, asked), labels(settings.labels), extraction)
        for doc, document in zip(waiting, found, strict=True):
            _mark(doc, document.entities, settings.spans_key or self.name)
            yield doc

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """Write the settings into a folder."""
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _FILE).write_bytes(self.to_bytes())

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> Component:
        """Take over settings that `to_disk` wrote."""
        return self.from_bytes((Path(path) / _FILE).read_bytes())

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """The settings as JSON."""
        return json.dumps(asdict(self.settings), ensure_ascii=False, indent=2).encode()

    def from_bytes(self, content: bytes, *, exclude: Iterable[str] = ()) -> Component:
        """Take over settings that `to_bytes` wrote."""
        self.settings = Settings(**json.loads(content))
        self.__dict__.pop("_extractor", None)
        return self


def component(  # noqa: PLR0913, PLR0917 (spaCy hands over each setting by its name)
    nlp: Language,
    name: str,
    labels: list[str] | dict[str, Any],
    model: str | None,
    threshold: float | None,
    nested: bool,
    multi_label: bool,
    spans_key: str | None,
) -> Component:
    """The factory. Raises LabelError where no labels are named, before anything is loaded."""
    if not labels:
        raise LabelError("No labels were given.", 'nlp.add_pipe("gliner", config={"labels": ["person", "drug"]})')
    if not Span.has_extension("score"):
        Span.set_extension("score", getter=_score)
    return Component(name, Settings(labels, model, threshold, nested, multi_label, spans_key))


def _document(doc: Doc) -> Document:
    """A doc as we read it: its words are spaCy's, so that every entity is a span of its tokens."""
    places = [(token.idx, token.idx + len(token)) for token in doc if not token.is_space]
    return Document(doc.text, words=Words.of(places))


def _mark(doc: Doc, found: Iterable[Entity], key: str) -> None:
    spans = []
    scores: dict[tuple[int, int, str], float | None] = {}
    for entity in found:
        span = doc.char_span(entity.start, entity.end, label=entity.label)
        if span is not None:
            spans.append(span)
            scores[entity.start, entity.end, entity.label] = entity.score
    doc.user_data[SCORES] = {**doc.user_data.get(SCORES, {}), **scores}
    doc.spans[key] = SpanGroup(doc, name=key, attrs={"scores": [scores[_key(span)] for span in spans]}, spans=spans)
    doc.ents = tuple(_apart(sorted(spans, key=lambda span: -(scores[_key(span)] or 0))))


def _apart(ranked: Iterable[Span]) -> Iterator[Span]:
    """Those that share no token with one before: `doc.ents` can hold no others."""
    taken: set[int] = set()
    for span in ranked:
        if taken.isdisjoint(range(span.start, span.end)):
            taken.update(range(span.start, span.end))
            yield span


def _key(span: Span) -> tuple[int, int, str]:
    return span.start_char, span.end_char, span.label_


def _score(span: Span) -> float | None:
    scores: Mapping[tuple[int, int, str], float | None] = span.doc.user_data.get(SCORES, {})
    return scores.get(_key(span))


Language.factory(
    NAME,
    assigns=["doc.ents", "doc.spans", "token.ent_type", "token.ent_iob"],
    default_config={
        "labels": [],
        "model": None,
        "threshold": None,
        "nested": False,
        "multi_label": False,
        "spans_key": None,
    },
    func=component,
)
