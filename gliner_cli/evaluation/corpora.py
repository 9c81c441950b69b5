"""The published benchmarks: where they lie, what their labels are called, and whether a file is one of them.

`suites.toml` is the list. Raw files come from `gliner pull --suite` (in this machine's cache) or from a folder of the
user's; both have the same layout, SET/raw/OWNER+REPOSITORY/PATH, and SET/test.jsonl with rows in words will do as well.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from gliner_cli.checkpoint.cache import user_cache
from gliner_cli.errors import InputError
from gliner_cli.evaluation.packaged import table
from gliner_cli.evaluation.raw import READERS
from gliner_cli.formats import json_values, rows
from gliner_cli.formats.rows import Row
from gliner_cli.formats.sources import Source

HOST = "https://raw.githubusercontent.com"


@dataclass(frozen=True)
class Corpus:
    """One published set, its test part (or the development part, where that is all there is).

    `labels` have the benchmark's wording and order; `tags` maps what the files say otherwise to them. What is none of
    them is left out of the gold. `sha256` is that of the raw file, `digest` that of the rows in it; `counts` are
    sentences, entities and words, known where neither is.
    """

    name: str
    labels: tuple[str, ...]
    licence: str
    repository: str
    commit: str
    path: str
    reader: str = "columns"
    part: str = "test"
    sha256: str = ""
    digest: str = ""
    counts: tuple[int, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def source(self) -> str:
        return f"{self.repository}@{self.commit}/{self.path}"

    @property
    def url(self) -> str:
        return f"{HOST}/{self.repository}/{self.commit}/{self.path}"

    @property
    def raw(self) -> str:
        """Where the raw file lies in the cache, or in a folder of the user's."""
        return f"{self.name}/raw/{self.repository.replace('/', '+')}/{self.path}"

    @property
    def rows(self) -> str:
        """Where its rows lie in such a folder, if the raw file does not."""
        return f"{self.name}/{self.part}.jsonl"


@cache
def corpora() -> Mapping[str, Corpus]:
    """All published sets by name."""
    listed = table("suites.toml")["sets"]
    return {name: Corpus(name, **{key: _frozen(value) for key, value in one.items()}) for name, one in listed.items()}


@cache
def suites() -> Mapping[str, tuple[str, ...]]:
    """The names of the sets in each suite."""
    return {name: tuple(sets) for name, sets in table("suites.toml")["suites"].items()}


def named(name: str) -> list[Corpus]:
    """The sets that the name of a suite, or of one of them, stands for. Raises InputError for any other."""
    if name not in suites() and name not in corpora():
        known = ", ".join([*suites(), *corpora()])
        raise InputError(f"There is no published suite or set {name!r}; known are {known}.", "For example: --suite ood")
    return [corpora()[one] for one in suites().get(name, (name,))]


def cache_folder() -> Path:
    """Where pulled sets lie: `gliner/suites` in the user's cache (XDG_CACHE_HOME)."""
    return user_cache() / "suites"


def located(corpus: Corpus, data_dir: Path | None = None) -> Path:
    """The raw file of a set, or its rows, on this machine."""
    folders = [cache_folder()] if data_dir is None else [data_dir, cache_folder()]
    places = [folder / file for folder in folders for file in (corpus.raw, corpus.rows)]
    for path in places:
        if path.is_file():
            return path
    looked = " or ".join(str(folder / corpus.name) for folder in folders)
    raise InputError(f"{corpus.name} is not on this machine; looked in {looked}.", f"gliner pull --suite {corpus.name}")


def read(corpus: Corpus, path: Path) -> list[Row]:
    """The rows of a set, with the benchmark's labels. Raises InputError if the file is not the published one."""
    if path.name == Path(corpus.rows).name:
        found = json_values.values(Source(str(path), path), "utf-8", _raised)
        return _checked(corpus, [rows.parsed(value, place) for place, value in found], str(path))
    try:
        return of_raw(corpus, path.read_bytes(), str(path))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", "Check its rights.") from error


def _raised(error: Exception) -> None:
    raise error


def of_raw(corpus: Corpus, content: bytes, name: str) -> list[Row]:
    """The same of the content of a raw file called `name`."""
    sha256 = hashlib.sha256(content).hexdigest()
    if corpus.sha256 and sha256 != corpus.sha256:
        raise _other(corpus, name, f"its SHA-256 is {sha256}, not {corpus.sha256}")
    return _checked(corpus, READERS[corpus.reader](content.decode(errors="replace")), name)


def digest(found: Iterable[Row]) -> str:
    """The SHA-256 of rows, each as a line of JSON."""
    return hashlib.sha256(b"".join(orjson.dumps(row) + b"\n" for row in found)).hexdigest()


def _checked(corpus: Corpus, found: Iterable[Row], name: str) -> list[Row]:
    labelled = [(words, list(_labelled(corpus, spans))) for words, spans in found]
    if corpus.digest and digest(labelled) != corpus.digest:
        raise _other(corpus, name, "its words or entities differ")
    counts = (len(labelled), sum(len(spans) for _, spans in labelled), sum(len(words) for words, _ in labelled))
    if corpus.counts and counts != corpus.counts:
        shown = "{} sentences, {} entities, {} words"
        raise _other(corpus, name, f"it has {shown.format(*counts)}, not {shown.format(*corpus.counts)}")
    return labelled


def _labelled(corpus: Corpus, spans: Iterable[tuple[int, int, str]]) -> Iterator[tuple[int, int, str]]:
    """The spans with the benchmark's labels, in the order of the text. `B-Restaurant_Name` is a restaurant name."""
    for first, last, tag in sorted(spans):
        label = corpus.tags.get(tag) or tag.lower().replace("_", " ").replace("-", " ")
        if label in corpus.labels:
            yield first, last, label


def _other(corpus: Corpus, name: str, why: str) -> InputError:
    return InputError(
        f"{name} is not {corpus.name} as it was published: {why}.",
        f"gliner pull --suite {corpus.name}; or, if it is meant to differ: gliner bench --data FILE",
    )


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
