"""What a job has done already, kept beside its output, so that one that was killed goes on where it was.

A line a chunk: a hash of each document and the entities found in it. The output itself is never mended: a resumed job
writes it again from the beginning, with the entities that the journal knows, and so ends with the same bytes as one
that was never broken off, in any format. Only reading and writing are done twice.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from io import BufferedRandom
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from gliner_cli.errors import InputError, OutputError
from gliner_cli.jobs.chunks import Chunk, Extract, content_hash
from gliner_cli.types import Document, Entity

_VERSION = 1


class Journal:
    """The journal of a job. `settings` are what must not change: labels, options, the checkpoint's hash."""

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self.path, self.settings = path, {"journal": _VERSION, **settings}

    def exists(self) -> bool:
        """Whether a job was begun that got somewhere, and was not ended."""
        try:
            with self.path.open("rb") as file:
                return sum(1 for _ in islice(file, 2)) > 1
        except FileNotFoundError:
            return False
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def resumed(
        self, extract: Extract, asked: Iterator[Chunk], stopped: Callable[[], bool] = lambda: False
    ) -> Iterator[Chunk]:
        """The chunks with their entities: what is known comes from here, the rest from `extract`, and is remembered.

        `stopped` tells documents that somebody ended from documents that are not there any more. Raises InputError
        where documents, labels or options are not what they were, OutputError where another process is at it.
        """
        with self._opened() as file:
            for known in self._known(file):
                chunk = next(asked, None)
                if chunk is None and stopped():
                    return
                yield _recalled(chunk or Chunk([]), known, self.path)
            for chunk in extract(asked):
                line = {"documents": list(map(_hash, chunk.documents)), "entities": _rows(chunk)}
                self._append(file, line)
                yield chunk

    def forget(self) -> None:
        """The job is done."""
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise _unwritable(self.path, error) from error

    @contextmanager
    def _opened(self) -> Iterator[BufferedRandom]:
        try:
            file = self.path.open("a+b")
        except OSError as error:
            raise _unwritable(self.path, error) from error
        try:
            self._lock(file)
            yield file
        finally:
            with suppress(OSError):  # what could not be written was said when it was
                file.close()

    def _lock(self, file: BufferedRandom) -> None:
        """One process at a time. Where the system has no such locks, nobody is kept out."""
        try:
            import fcntl
        except ImportError:
            return
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise OutputError(
                f"Another process is at work on the job of {self.path}.", "Wait for it, or name another file: -o FILE"
            ) from error

    def _known(self, file: BufferedRandom) -> Iterator[Mapping[str, Any]]:
        """The whole lines after the first, which says what the job is; a line that was cut off is cut away."""
        file.seek(0)
        whole = 0
        for number, line in enumerate(iter(file.readline, b"")):
            value = _parsed(line)
            if value is None:
                break
            whole += len(line)
            if number:
                yield value
            else:
                self._check(value)
        file.truncate(whole)
        if not whole:
            self._append(file, self.settings)

    def _append(self, file: BufferedRandom, value: Mapping[str, Any]) -> None:
        """Write a line, and return when it is on disk."""
        left = memoryview(json.dumps(value, default=str, separators=(",", ":")).encode() + b"\n")
        try:
            while left:  # past the buffer: one that could not be written would fail again when it is closed
                left = left[os.write(file.fileno(), left) :]
            os.fsync(file.fileno())
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def _check(self, settings: Mapping[str, Any]) -> None:
        now = json.loads(json.dumps(self.settings, default=str))
        other = [name for name in {**settings, **now} if settings.get(name) != now.get(name)]
        if other:
            before, after = (
                ", ".join(f"{name} {str(values.get(name))[:60]}" for name in other) for values in (settings, now)
            )
            raise _changed(self.path, f"it was begun with {before}; now it is {after}")


def _parsed(line: bytes) -> Any:
    if not line.endswith(b"\n"):
        return None
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return None


def _rows(chunk: Chunk) -> list[Any]:
    return [
        None if entities is None else [[one.start, one.end, one.label, one.score] for one in entities]
        for entities in chunk.entities
    ]


def _recalled(chunk: Chunk, known: Mapping[str, Any], path: Path) -> Chunk:
    now = list(map(_hash, chunk.documents))
    for document, one, before in zip(chunk.documents, now, known["documents"], strict=False):
        if one != before:
            raise _changed(path, f"{document.id} is not the document that was there")
    if len(now) != len(known["documents"]):
        raise _changed(path, f"{len(known['documents'])} documents were there where now are {len(now)}")
    found = zip(chunk.documents, known["entities"], strict=True)
    return replace(chunk, entities=[None if rows is None else _entities(document, rows) for document, rows in found])


def _entities(document: Document, rows: list[Any]) -> tuple[Entity, ...]:
    return tuple(Entity(start, end, label, document.text[start:end], score) for start, end, label, score in rows)


def _hash(document: Document) -> str:
    """A hash of what decides the entities of a document, and of its name."""
    return content_hash(document, document.text, document.id or "", document.source or "")


def _changed(path: Path, what: str) -> InputError:
    return InputError(
        f"The job cannot go on: {what}.", f"Give the inputs and options it was begun with, or begin again: rm {path}"
    )


def _unwritable(path: Path, error: OSError) -> OutputError:
    return OutputError(
        f"{path}, the journal of the job, cannot be written: {error.strerror or error}.",
        "Make room or mend its rights; then the same command with --resume goes on.",
    )
