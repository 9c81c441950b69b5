"""brat standoff: `NAME.ann` beside `NAME.txt`, entities at places in characters.

Of an entity in several pieces (`0 5;8 10`) the covering span is read, as brat's own converter to CoNLL does by default;
relations, events, attributes and notes are passed over. brat's types hold only letters, digits, `-` and `_`, and what a
type is shown as stands in `visual.conf`. Labels are written there, and read from there, be it our file or another's.
Scores and other fields have no place; a document's name becomes that of its files.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from gliner_cli.errors import InputError, OutputError
from gliner_cli.formats.compression import uncompressed_name
from gliner_cli.formats.decoding import decoded, encodable, lines, whole
from gliner_cli.formats.output import blaming, new_folder
from gliner_cli.formats.sources import Problem, Source
from gliner_cli.options import Reading, Writing
from gliner_cli.types import Document, Entity

SUFFIXES = (".ann",)
_LINE = re.compile(r"T\S*\t(\S+) (\d{1,9} \d{1,9}(?:;\d{1,9} \d{1,9})*)\t(.*)", re.DOTALL)
_EXPECTED = "Expected: T1 TAB person 0 3 TAB Ada, in characters of the text, the end exclusive."
_LABEL = re.compile(r"\S(?:[^|\r\n]*\S)?")
_SHOWN = "visual.conf"
_CONFIGURATION = "[entities]\n{}\n[relations]\n\n[events]\n\n[attributes]\n"


def read(source: Source, options: Reading, problem: Problem) -> Iterator[Document]:
    """The document of an `.ann` file, or those of a folder, named by their files; a broken one is reported."""
    if source.path is None or not os.path.isdir(source.path):
        if source.path is None or source.suffix not in SUFFIXES:
            raise InputError(f"{source.name} is no .ann file beside its .txt file.", "Name one, or a folder of them.")
        name = uncompressed_name(source.name)
        yield _document(source, options, name[: -len(".ann")], _labels(source.path.parent))
        return
    for path in sorted(source.path.rglob("*.ann")):
        name = path.relative_to(source.path).with_suffix("").as_posix()
        try:
            yield _document(Source(str(path), path), options, name, _labels(path.parent))
        except InputError as error:
            problem(error.about(os.fsencode(path), ".files"))


def without_texts(found: Iterable[Source]) -> Iterator[Source]:
    """Sources, those texts left out whose `.ann` file came before: they are read with it."""
    annotated: set[str] = set()
    for source in found:
        base, suffix = os.path.splitext(uncompressed_name(source.name))
        if suffix == ".ann":
            annotated.add(base)
        if suffix != ".txt" or base not in annotated:
            yield source


def _document(source: Source, options: Reading, name: str, labels: Mapping[str, str]) -> Document:
    text = _text(Path(f"{os.path.splitext(uncompressed_name(str(source.path)))[0]}.txt"), options)
    entities = []
    with source.opened() as stream:
        for part in lines(stream, source.name, options.encoding):
            if part.content.startswith(b"T"):
                place = f"{source.name}:{part.line}"
                entities.append(_entity(decoded(part, place).rstrip("\r\n"), text, place, labels))
    return Document(text, name, source.name, tuple(entities))


def _text(path: Path, options: Reading) -> str:
    with Source(str(path), path).opened() as stream:
        return decoded(whole(stream, str(path), options.encoding), str(path))


def _entity(line: str, text: str, place: str, labels: Mapping[str, str]) -> Entity:
    found = _LINE.fullmatch(line)
    numbers = [int(number) for number in re.findall(r"\d+", found[2])] if found else [0, 0]
    start, end = min(numbers), max(numbers)
    if not found or not start < end <= len(text):
        raise InputError(
            f"{place} has {line[:80]!r}, which does not fit its text of {len(text)} characters.", _EXPECTED
        )
    if len(numbers) == 2 and _spaced(found[3]) != _spaced(text[start:end]):
        raise InputError(
            f"{place} says {found[3][:80]!r}, but its text has {text[start:end][:80]!r} there.",
            "Was one of the two files changed, or are its line ends others now?",
        )
    return Entity(start, end, labels.get(found[1], found[1]), text[start:end])


def _spaced(text: str) -> str:
    """A stretch of text as brat repeats it: in one line."""
    return " ".join(text.split())


def _labels(folder: Path) -> Mapping[str, str]:
    """What the types of a folder are shown as: `type | label | shorter` in the section of labels."""
    labels, within = dict[str, str](), False
    with suppress(OSError):
        for line in (folder / _SHOWN).read_text(encoding="utf-8", errors="replace").split("\n"):
            name, *shown = (part.strip() for part in line.split("|"))
            if name.startswith("["):
                within = name == "[labels]"
            elif within and shown and shown[0] and not name.startswith("#"):
                labels[name] = shown[0]
    return labels


def write_to(documents: Iterable[Document], path: Path, options: Writing) -> None:
    """A folder with two files a document and brat's configuration; it is there when it is whole.

    A lone surrogate becomes U+FFFD: UTF-8 has none. Raises OutputError for labels that `visual.conf` cannot hold.
    """
    names, types = _Unique("-"), _Types()
    with new_folder(path) as unfinished:
        for document in documents:
            name = names.of(_safe(document.id or ""))
            found = (_line(number, entity, document, types) for number, entity in enumerate(document.entities, start=1))
            _put(unfinished / f"{name}.ann", "".join(found))
            _put(unfinished / f"{name}.txt", document.text)
        _put(unfinished / "annotation.conf", _CONFIGURATION.format("".join(f"{name}\n" for name in types.labels)))
        _put(unfinished / _SHOWN, "[labels]\n" + "".join(f"{name} | {label}\n" for name, label in types.labels.items()))


def _line(number: int, entity: Entity, document: Document, types: _Types) -> str:
    if not _LABEL.fullmatch(entity.label):
        raise OutputError(
            f"brat cannot hold the entities of {document.id}: {entity.text!r} has the label {entity.label!r}: "
            "empty, or with |, a line break or spaces around it.",
            "Use --format jsonl",
        )
    text = re.sub(r"[\r\n]", " ", entity.text)
    return f"T{number}\t{types.of(entity.label)} {_places(entity)}\t{text}\n"


def _places(entity: Entity) -> str:
    """The places of an entity's lines, for brat's have no line break; the whole where it begins or ends with one."""
    found = list(re.finditer(r"[^\r\n]+", entity.text))
    if not found or found[0].start() or found[-1].end() < len(entity.text):
        return f"{entity.start} {entity.end}"
    return ";".join(f"{entity.start + match.start()} {entity.start + match.end()}" for match in found)


class _Unique:
    """Names made of others, no two alike where capitals do not count."""

    def __init__(self, between: str) -> None:
        self._between = between
        self._taken: set[str] = set()
        self._numbers = Counter[str]()

    def of(self, name: str) -> str:
        free = name
        while free.casefold() in self._taken:
            self._numbers[name] += 1
            free = f"{name}{self._between}{self._numbers[name] + 1}"
        self._taken.add(free.casefold())
        return free


class _Types:
    """A type for each label, and the label of each type."""

    def __init__(self) -> None:
        self.labels: dict[str, str] = {}
        self._known: dict[str, str] = {}
        self._unique = _Unique("_")

    def of(self, label: str) -> str:
        if label not in self._known:
            name = self._unique.of(re.sub(r"[^A-Za-z0-9_-]+", "_", label).strip("_") or "type")
            self._known[label], self.labels[name] = name, label
        return self._known[label]


def _safe(name: str) -> str:
    """A name that a file can have on every system, without its suffix."""
    return re.sub(r"[^\w.-]+", "_", name).encode()[:120].decode(errors="ignore").strip("._") or "document"


def _put(path: Path, content: str) -> None:
    with blaming(path):
        path.write_bytes(encodable(content).encode())
