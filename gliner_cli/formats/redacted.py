"""Documents on their way to be written without what was found in them, and the file that undoes it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from gliner_cli.formats.json_values import line
from gliner_cli.formats.output import opened
from gliner_cli.text.redaction import Replaced, redacted
from gliner_cli.types import Document


def documents(given: Iterable[Document], map_file: Path | None) -> Iterator[Document]:
    """The documents redacted. What was replaced goes into the map, if one is wanted: a line of JSON a document."""
    if map_file is None:
        yield from (redacted(document)[0] for document in given)
        return
    with opened(map_file, private=True) as stream:
        for document in given:
            without, replacements = redacted(document)
            stream.write(line(_row(without, replacements), without.id) + b"\n")
            yield without


def _row(document: Document, replacements: Iterable[Replaced]) -> dict[str, Any]:
    replaced = [
        {"start": one.start, "end": one.end, "placeholder": document.text[one.start : one.end], "text": one.text}
        for one in replacements
    ]
    return {"id": document.id, "source": document.source, "replaced": replaced}
