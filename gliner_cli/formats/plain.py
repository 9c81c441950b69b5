"""Plain text: a file, a paragraph or a line is a document. The text is kept as it is in the file.

Written for people to read (redacted texts): only the texts, a blank line between two. What is read from that are not
the same documents: where one ends cannot be told from a paragraph's end, and names and entities are gone.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from gliner_cli.errors import InputError
from gliner_cli.formats.decoding import LONGEST, Part, decoded, encodable, lines, too_long, whole
from gliner_cli.formats.sources import Problem, Source
from gliner_cli.options import Reading, Writing
from gliner_cli.types import Document

SUFFIXES = (".txt", ".text", ".md")


def read(source: Source, options: Reading, problem: Problem) -> Iterator[Document]:
    """The documents of a text; those of lines and paragraphs come while the stream goes on."""
    with source.opened() as stream:
        for part in _PARTS[options.per](stream, source.name, options.encoding):
            place = source.name if options.per == "file" else f"{source.name}:{part.line}"
            try:
                text = decoded(part, place)
            except InputError as error:
                if options.per == "file":
                    raise
                problem(error.about(part.content, ".txt"))
            else:
                yield Document(text, id=place, source=source.name)


def _files(stream: io.BufferedReader, name: str, encoding: str) -> Iterator[Part]:
    yield whole(stream, name, encoding)


def _lines(stream: io.BufferedReader, name: str, encoding: str) -> Iterator[Part]:
    for line in lines(stream, name, encoding):
        yield _ended(line.line, line.offset, line.content)


def _paragraphs(stream: io.BufferedReader, name: str, encoding: str) -> Iterator[Part]:
    """What blank lines separate."""
    begun, first, offset = bytearray(), 0, 0
    for line in lines(stream, name, encoding):
        if line.content.strip():
            if not begun:
                first, offset = line.line, line.offset
            begun += line.content
            if len(begun) > LONGEST:
                raise too_long(f"{name}:{first} is a paragraph", "Read its lines: --per line")
        elif begun:
            yield _ended(first, offset, bytes(begun))
            begun.clear()
    if begun:
        yield _ended(first, offset, bytes(begun))


def _ended(line: int, offset: int, content: bytes) -> Part:
    """A part without the end of its last line."""
    return Part(line, offset, content.removesuffix(b"\r\n").removesuffix(b"\n"))


_PARTS = {"file": _files, "paragraph": _paragraphs, "line": _lines}


def write(documents: Iterable[Document], stream: BinaryIO, options: Writing) -> None:
    """The texts, each written through at once. A lone surrogate becomes U+FFFD: UTF-8 has none."""
    between = ""
    for document in documents:
        text = encodable(document.text)
        stream.write(f"{between}{text}\n".encode())
        stream.flush()
        between = "\n"
