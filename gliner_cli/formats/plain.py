"""Plain text: a file, a paragraph or a line is a document. The text is kept as it is in the file."""

from __future__ import annotations

import io
from collections.abc import Iterator

from gliner_cli.errors import InputError
from gliner_cli.formats.decoding import Part, decoded, lines, whole
from gliner_cli.formats.sources import Problem, Source
from gliner_cli.options import Reading
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
                problem(error)
            else:
                yield Document(text, id=place, source=source.name)


def _files(stream: io.BufferedReader, name: str, encoding: str) -> Iterator[Part]:
    yield whole(stream, name, encoding)


def _lines(stream: io.BufferedReader, name: str, encoding: str) -> Iterator[Part]:
    for line in lines(stream, name, encoding):
        yield _joined([line])


def _paragraphs(stream: io.BufferedReader, name: str, encoding: str) -> Iterator[Part]:
    """What blank lines separate."""
    begun: list[Part] = []
    for line in lines(stream, name, encoding):
        if line.content.strip():
            begun.append(line)
        elif begun:
            yield _joined(begun)
            begun = []
    if begun:
        yield _joined(begun)


def _joined(parts: list[Part]) -> Part:
    """Lines as one part, without the end of the last."""
    content = b"".join(part.content for part in parts)
    return Part(parts[0].line, parts[0].offset, content.removesuffix(b"\r\n").removesuffix(b"\n"))


_PARTS = {"file": _files, "paragraph": _paragraphs, "line": _lines}
