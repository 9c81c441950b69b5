"""Plain text: a file, a paragraph or a line is a document. The text is kept as it is in the file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from gliner_cli.errors import InputError
from gliner_cli.formats.sources import Problem, Source, decoded
from gliner_cli.options import Reading
from gliner_cli.types import Document

SUFFIXES = (".txt", ".text", ".md")


def read(source: Source, options: Reading, problem: Problem) -> Iterator[Document]:
    """The documents of a text; those of lines and paragraphs come while the stream goes on."""
    with source.opened() as stream:
        if options.per == "file":
            text = decoded(stream.read(), options.encoding, source.name)
            yield Document(text, id=source.name, source=source.name)
            return
        for number, offset, content in _PARTS[options.per](stream):
            try:
                text = decoded(content, options.encoding, source.name, offset)
            except InputError as error:
                problem(error)
            else:
                yield Document(text, id=f"{source.name}:{number}", source=source.name)


Part = tuple[int, int, bytes]


def _lines(stream: BinaryIO) -> Iterator[Part]:
    """Line number from 1, byte offset, and content without the line's end."""
    offset = 0
    for number, line in enumerate(stream, start=1):
        yield number, offset, line.removesuffix(b"\n").removesuffix(b"\r")
        offset += len(line)


def _paragraphs(stream: BinaryIO) -> Iterator[Part]:
    """What blank lines separate, by the number of its first line."""
    begun: Part | None = None
    offset = 0
    for number, line in enumerate(stream, start=1):
        if line.strip():
            begun = (number, offset, line) if begun is None else (begun[0], begun[1], begun[2] + line)
        elif begun:
            yield begun[0], begun[1], begun[2].rstrip(b"\r\n")
            begun = None
        offset += len(line)
    if begun:
        yield begun[0], begun[1], begun[2].rstrip(b"\r\n")


_PARTS = {"line": _lines, "paragraph": _paragraphs}
