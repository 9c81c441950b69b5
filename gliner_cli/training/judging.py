"""What there is to say about training data before anything is learned from it: `--check`, and in short on every run."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import takewhile

from gliner_cli.training.passages import Passage, Remark, where
from gliner_cli.types import Document, Entity

# Fewer examples than this teach a label little.
_FEW = 10


@dataclass(frozen=True)
class Judgement:
    """Counts of a data set, and remarks: what is wrong or doubtful, where, with an example."""

    documents: int
    passages: int
    labels: dict[str, int]
    remarks: tuple[Remark, ...]

    @property
    def by_kind(self) -> dict[str, list[Remark]]:
        """The remarks in groups, the most frequent first."""
        groups: dict[str, list[Remark]] = defaultdict(list)
        for remark in self.remarks:
            groups[remark.what].append(remark)
        return dict(sorted(groups.items(), key=lambda item: -len(item[1])))


def judgement(
    train: Sequence[Document], dev: Sequence[Document], passages: Sequence[Passage], remarks: Iterable[Remark]
) -> Judgement:
    """Everything about the training data, given the remarks made while it was cut into passages."""
    labels = Counter(entity.label for document in train for entity in document.entities)
    all_labels = {**labels, **{entity.label: 0 for document in dev for entity in document.entities}}
    found = [*remarks, *_repeated(train), *_shared(train, dev), *_overlaps(train), *_case(all_labels), *_few(labels)]
    found += [Remark("in the dev data only", "labels", label) for label in all_labels if label not in labels]
    return Judgement(len(train), len(passages), dict(labels.most_common()), tuple(found))


def _repeated(documents: Iterable[Document]) -> Iterator[Remark]:
    first: dict[str, Document] = {}
    for document in documents:
        same = first.setdefault(document.text, document)
        if same is document:
            continue
        if _spans(same) == _spans(document):
            yield Remark("the same text again", where(document), f"first at {where(same)}")
        else:
            yield Remark("the same text with other entities", where(document), f"first at {where(same)}")


def _shared(train: Iterable[Document], dev: Iterable[Document]) -> Iterator[Remark]:
    places = {document.text: where(document) for document in train}
    for document in dev:
        if document.text in places:
            yield Remark("in the training and the dev data", where(document), f"also {places[document.text]}")


def _overlaps(documents: Iterable[Document]) -> Iterator[Remark]:
    for document in documents:
        entities = sorted(document.entities, key=lambda entity: (entity.start, entity.end))
        for place, one in enumerate(entities):
            for other in takewhile(partial(_begins_inside, one), entities[place + 1 :]):
                example = f"{one.text!r} as {one.label}, {other.text!r} as {other.label}"
                yield Remark(_overlap(one, other), where(document), example)


def _begins_inside(one: Entity, other: Entity) -> bool:
    return other.start < one.end


def _overlap(one: Entity, other: Entity) -> str:
    if (one.start, one.end) == (other.start, other.end):
        return "the same entity twice" if one.label == other.label else "several labels on the same words"
    return "entities that overlap (only one of them can be found without --nested)"


def _case(labels: Iterable[str]) -> Iterator[Remark]:
    spellings: dict[str, list[str]] = defaultdict(list)
    for label in labels:
        spellings[" ".join(label.lower().replace("_", " ").replace("-", " ").split())].append(label)
    for alike in spellings.values():
        if len(alike) > 1:
            yield Remark("labels that differ only in spelling", "labels", ", ".join(map(repr, alike)))


def _few(labels: Counter[str]) -> Iterator[Remark]:
    for label, count in labels.items():
        if count < _FEW and len(labels) <= 200:
            yield Remark(f"fewer than {_FEW} examples", "labels", f"{label}: {count}")


def _spans(document: Document) -> set[tuple[int, int, str]]:
    return {(entity.start, entity.end, entity.label) for entity in document.entities}
