"""Files to training documents: everything `formats` reads, and rows in words with what they say of absent types."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gliner_cli import formats
from gliner_cli.formats import rows
from gliner_cli.formats.sources import Problem, Source, sources
from gliner_cli.options import Reading
from gliner_cli.types import Document


def documents(arguments: Sequence[str], options: Reading, problem: Problem) -> list[Document]:
    """The documents of files and folders; what cannot be read goes to `problem`, and the rest still comes."""
    found = sources(arguments, formats.READABLE, problem)
    return [document for source in found for document in _of(source, options, problem)]


def _of(source: Source, options: Reading, problem: Problem) -> Iterator[Document]:
    json_like = source.suffix in formats.FORMATS["jsonl"].suffixes and options.input_format == "auto"
    if json_like and rows.holds_rows(source):
        return rows.read(source, problem)
    return formats.documents(source, options, problem)
