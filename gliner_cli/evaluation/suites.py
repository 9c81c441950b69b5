"""Names to gold sets: published suites and sets, the suite that is built in, people's own files and folders."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path

from gliner_cli import formats
from gliner_cli.errors import InputError
from gliner_cli.evaluation import corpora, packaged
from gliner_cli.evaluation.corpora import Corpus
from gliner_cli.formats import brat, rows
from gliner_cli.formats.sources import Problem, Source, sources
from gliner_cli.options import Reading
from gliner_cli.text.labels import Labels, labels
from gliner_cli.types import Document

SMALL = "small"


@dataclass(frozen=True)
class GoldSet:
    """Documents with the entities that are right, and the labels to ask: the gold has no others."""

    name: str
    documents: tuple[Document, ...]
    labels: Labels
    licence: str
    source: str
    nested: bool = False


_Named = tuple[str, Callable[[], GoldSet]]


def gold_sets(names: Sequence[str], data_dir: Path | None, problem: Problem) -> Iterator[GoldSet]:
    """The sets that names stand for, each once, read one by one: suites, sets, `small`, `small/news`, files, folders.

    Raises InputError at once for a name that is nothing, and for a published set that is not on this machine. What of
    people's own files cannot be read goes to `problem`.
    """
    makers = dict(named for name in names for named in _makers(name, data_dir, problem))
    return (make() for make in makers.values())


def from_documents(name: str, documents: Iterable[Document], asked: Labels | None = None) -> GoldSet:
    """A set of people's own documents; labels from the data, in the order of the alphabet, if not given."""
    gold = tuple(documents)
    seen = sorted({entity.label for document in gold for entity in document.entities})
    if not seen:
        raise InputError(
            f"{name} holds no gold entities in {len(gold)} documents.",
            'Expected {"text", "entities"} as gliner extract writes them, {"tokens", "spans"}, or CoNLL.',
        )
    own = GoldSet(name, gold, labels(seen), "not stated", name, any(map(_overlap, gold)))
    return relabelled(own, asked) if asked else own


def relabelled(gold: GoldSet, asked: Labels) -> GoldSet:
    """The set with other labels asked; gold entities of none of these are left out."""
    return replace(gold, labels=asked, documents=tuple(_only(document, asked) for document in gold.documents))


def _only(document: Document, asked: Labels) -> Document:
    return replace(document, entities=tuple(entity for entity in document.entities if entity.label in asked.names))


def _overlap(document: Document) -> bool:
    places = sorted({(entity.start, entity.end) for entity in document.entities})
    return any(before[1] > after[0] for before, after in pairwise(places))


def _makers(name: str, data_dir: Path | None, problem: Problem) -> Iterator[_Named]:
    if name in corpora.suites() or name in corpora.corpora():
        for corpus in corpora.named(name):
            yield corpus.name, partial(_published, corpus, corpora.located(corpus, data_dir))
    elif name == SMALL or (name.startswith(f"{SMALL}/") and not os.path.exists(name)):
        yield from _small(name)
    elif os.path.exists(name):
        yield from ((source.name, partial(_own, source, problem)) for source in _sources(name, problem))
    else:
        known = ", ".join([SMALL, *corpora.suites(), *corpora.corpora()])
        raise InputError(
            f"{name} is no suite, no set, no file and no folder; known are {known}.", "gliner bench --suite small"
        )


def _published(corpus: Corpus, path: Path) -> GoldSet:
    found = corpora.read(corpus, path)
    documents = (rows.document(row, f"{corpus.name}:{number}", corpus.name) for number, row in enumerate(found))
    return GoldSet(corpus.name, tuple(documents), Labels(corpus.labels), corpus.licence, corpus.source)


def _small(name: str) -> Iterator[_Named]:
    """The sets of the built-in suite; all, or the one that is named."""
    path = packaged.path("small.jsonl")
    by_set: dict[str, list[Document]] = {}
    for document in formats.documents(Source(str(path), path), Reading(), _raised):
        by_set.setdefault(f"{SMALL}/{document.meta['set']}", []).append(document)
    if name != SMALL and name not in by_set:
        raise InputError(f"The built-in suite has no {name}; it has {', '.join(by_set)}.", "gliner bench --suite small")
    for one, documents in by_set.items():
        if name in (SMALL, one):
            gold = from_documents(one, documents)
            yield one, partial(replace, gold, licence="Apache-2.0", source="built in")


def _raised(error: Exception) -> None:
    raise error


def _sources(name: str, problem: Problem) -> list[Source]:
    """The files of a name: of a folder those called test.*, if it has any, otherwise all that can be read.

    A folder of brat is one set: it has two files a document.
    """
    found = list(sources([name], formats.READABLE, problem))
    if os.path.isdir(name) and any(source.suffix in brat.SUFFIXES for source in found):
        return [Source(name, Path(name))]
    tests = [source for source in found if source.path and source.path.name.startswith("test.")]
    return tests or found


def _own(source: Source, problem: Problem) -> GoldSet:
    reading = Reading(input_format="brat") if source.path and source.path.is_dir() else Reading()
    return from_documents(source.name, formats.documents(source, reading, problem))
