"""Folders of the Hugging Face library `datasets`, as its `save_to_disk` makes them: Arrow files, and JSON beside them.

Read and written without that library: nothing in such a folder is run, and nothing is fetched. A `DatasetDict` is read
split after split. Rows are read like those of other tables; where there is no column of texts, `tokens` with their
tags (`ner_tags`, by the names of its `ClassLabel`) are documents too.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from gliner_cli.errors import InputError
from gliner_cli.formats import parquet
from gliner_cli.formats.conll import Word, tagged
from gliner_cli.formats.json_rows import Row
from gliner_cli.formats.output import blaming, new_folder
from gliner_cli.formats.sources import Problem, Source
from gliner_cli.formats.tables import made
from gliner_cli.options import Reading, Writing
from gliner_cli.types import Document

_DICT, _STATE, _INFO = "dataset_dict.json", "state.json", "dataset_info.json"
_FILE = "data-00000-of-00001.arrow"
_ABOUT = ("citation", "description", "homepage", "license")
_TAGS = ("ner_tags", "tags", "ner", "labels")
_HINT = "A folder that save_to_disk made was expected."


def is_in(folder: str | Path) -> bool:
    """Whether a folder is one that `save_to_disk` made. Either of the two files alone may be anything's."""
    there = {name for name in (_DICT, _STATE, _INFO) if os.path.isfile(os.path.join(folder, name))}
    return _DICT in there or {_STATE, _INFO} <= there


def read(source: Source, options: Reading, problem: Problem) -> Iterator[Document]:
    """The documents of all splits, as they come. Raises InputError for a folder that is none."""
    arrow = parquet.library("Reading a folder of datasets")
    for folder in _splits(source):
        names = _class_names(folder)
        for path in _files(folder):
            batches = parquet.undamaged(arrow, parquet.arrow_batches(arrow, path), str(path), "Arrow")
            check = partial(_need_text_or_tags, arrow, source=str(path), options=options)
            rows = parquet.rows(arrow, batches, parquet.Table(str(path), options, check), problem)
            yield from parquet.typed_documents(rows, _Schema(names), problem)


def _splits(source: Source) -> list[Path]:
    folder = source.path
    if folder is None or not folder.is_dir():
        raise InputError(f"{source.name} is no folder.", _HINT)
    if not (folder / _DICT).is_file():
        return [folder]
    return [folder / _inside(name, folder) for name in _list(_json(folder / _DICT), "splits", folder)]


def _files(folder: Path) -> list[Path]:
    found = _list(_json(folder / _STATE), "_data_files", folder)
    return [folder / _inside(file.get("filename") if isinstance(file, dict) else None, folder) for file in found]


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.", _HINT) from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON: {str(error)[:100]}.", _HINT) from error


def _list(value: Any, field: str, folder: Path) -> list[Any]:
    found = value.get(field) if isinstance(value, dict) else None
    if not isinstance(found, list):
        raise InputError(f"{folder} has no list {field!r} in its description.", _HINT)
    return found


def _inside(name: Any, folder: Path) -> str:
    """A name in a folder, which does not lead out of it."""
    if not isinstance(name, str) or name != Path(name).name or name in ("", ".", ".."):
        raise InputError(f"{folder} names {str(name)[:80]!r}, which is no file or folder in it.", _HINT)
    return name


def _class_names(folder: Path) -> Mapping[str, list[str]]:
    """The names that the numbers of a column stand for, where it has such."""
    info = _json(folder / _INFO) if (folder / _INFO).is_file() else {}
    features = info.get("features") if isinstance(info, dict) else None
    found = {}
    for column, feature in features.items() if isinstance(features, dict) else ():
        match feature:
            case {"feature": {"names": [*names]}} if all(isinstance(name, str) for name in names):
                found[column] = names
    return found


def _need_text_or_tags(arrow: Any, types: Mapping[str, Any], source: str, options: Reading) -> None:
    if not ("tokens" in types and _tags_of(types)):
        parquet.need_strings(arrow, types, source, options)


def _tags_of(columns: Iterable[str]) -> str | None:
    return next((name for name in _TAGS if name in columns), None)


class _Schema:
    """How a row becomes a document: like that of any table, or by its words and tags."""

    def __init__(self, names: Mapping[str, Sequence[str]]) -> None:
        self._names = names

    def __call__(self, row: Row) -> Document:
        if row.options.text_field in row.fields:
            return made(row)
        column = _tags_of(row.fields) or ""
        tokens, tags = row.fields["tokens"], row.fields[column]
        if not (isinstance(tokens, list) and isinstance(tags, list) and len(tokens) == len(tags)):
            raise InputError(f"{row.place} has not as many tags as words.", "Mend or leave out the row.")
        words = [self._word(token, tag, column, row.place) for token, tag in zip(tokens, tags, strict=True)]
        text, entities, cut = tagged([words])
        return row.document(text, entities, ["tokens", column], cut)

    def _word(self, token: Any, tag: Any, column: str, place: str) -> Word:
        names = self._names.get(column, ())
        if type(tag) is int and 0 <= tag < len(names):
            tag = names[tag]
        if not (isinstance(token, str) and token and isinstance(tag, str)):
            raise InputError(
                f"{place} has the word {token!r} with the tag {tag!r}.",
                f"Tags with names were expected, {len(names)} are known.",
            )
        prefix, dash, label = tag.partition("-")
        if tag in ("O", "_", ""):
            return Word(token, "O", "")
        return Word(token, prefix, label) if dash and len(prefix) == 1 else Word(token, "I", tag)


def write_to(documents: Iterable[Document], path: Path, options: Writing) -> None:
    """A folder with one Arrow file, there when it is whole. Raises OutputError where something is there already."""
    arrow = parquet.library("Writing a folder of datasets")
    with new_folder(path) as unfinished:
        parquet.write_as(arrow, documents, unfinished / _FILE, options, arrow.ipc.new_stream)
        with blaming(path, unfinished):
            state = _state(_fingerprint(unfinished / _FILE))
            (unfinished / _STATE).write_text(json.dumps(state, indent=2))
            (unfinished / _INFO).write_text(json.dumps(dict.fromkeys(_ABOUT, "")))


def _state(fingerprint: str) -> dict[str, Any]:
    return {
        "_data_files": [{"filename": _FILE}],
        "_fingerprint": fingerprint,
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": None,
    }


def _fingerprint(path: Path) -> str:
    """What the library knows a dataset by, when it keeps what was computed of it: the same for the same rows."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()[:16]
