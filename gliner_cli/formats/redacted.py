"""Documents on their way to be written without what was found in them, and the file that undoes it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

from gliner_cli.formats.output import opened, partial
from gliner_cli.text.redaction import Replaced, redacted
from gliner_cli.types import Document


def documents(given: Iterable[Document], map_file: Path | None) -> Iterator[Document]:
    """The documents redacted. What was replaced goes into the map, if one is wanted: a line of JSON a document."""
    if map_file is None:
        yield from (redacted(document)[0] for document in given)
        return
    with suppress(OSError):  # what is wrong with the name is said by `opened`
        os.close(os.open(partial(map_file), os.O_CREAT | os.O_WRONLY, 0o600))  # it holds what others must not read
    with opened(map_file) as stream:
        for document in given:
            without, replacements = redacted(document)
            stream.write(orjson.dumps(_row(without, replacements)) + b"\n")
            yield without


def _row(document: Document, replacements: Iterable[Replaced]) -> dict[str, Any]:
    replaced = [
        {"start": one.start, "end": one.end, "placeholder": document.text[one.start : one.end], "text": one.text}
        for one in replacements
    ]
    return {"id": document.id, "source": document.source, "replaced": replaced}
