"""PDF: the text of its pages, as pdfium finds it. A file is a document, its pages apart by a blank line.

Where each page begins in the text is kept in `meta["pages"]`, so that an entity has its page. A word that is cut at
the end of a line stays cut: its halves are not moved. What is drawn and not written (scans) is not read.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from gliner_cli.errors import InputError, needs
from gliner_cli.formats.decoding import LONGEST
from gliner_cli.formats.sources import Problem, Source
from gliner_cli.options import Reading
from gliner_cli.types import Document

SUFFIXES = (".pdf",)
BEGINNING = b"%PDF"

_BETWEEN = "\n\n"
_MOST_BROKEN = 100  # pages: a file may say that it has a million, and have none
# pdfium puts U+0002 (or U+FFFE) in place of a hyphen at the end of a line and the line's end; what has no character is
# a control character, and lines end in CR LF.
_MARKS = {0xFFFE: "-\n", 0x02: "-\n", 0x0D: None, 0xFFFF: None, **dict.fromkeys((0, 1, *range(3, 9), 11, 12), " ")}


def read(source: Source, options: Reading, problem: Problem) -> Iterator[Document]:
    """The one document of a file. A page that cannot be read is empty, and reported; so are pages without text."""
    try:
        import pypdfium2
    except ImportError as error:
        raise needs("documents", "Reading PDF") from error
    with source.file() as path:
        file = _opened(pypdfium2, str(path), source.name)
        try:
            pages = list(_pages(pypdfium2, file, source.name, problem))
        finally:
            file.close()
    if empty := sum(not page.strip() for page in pages):
        problem(
            InputError(
                f"{source.name}: {empty} of {len(pages)} pages hold no text (scanned?).",
                "Make text of them first: ocrmypdf",
            ).about(os.fsencode(source.name), ".files")
        )
    if len(pages) > sum(not page.strip() for page in pages):
        yield Document(_BETWEEN.join(pages), source.name, source.name, meta={"pages": _beginnings(pages)})


def _opened(library: Any, path: str, name: str) -> Any:
    try:
        return library.PdfDocument(path)
    except library.PdfiumError as error:
        said = str(error).lower()
        if "password" in said or "security" in said:
            raise InputError(
                f"{name} is encrypted.", f"Decrypt it: qpdf --decrypt --password=… {name} plain.pdf"
            ) from error
        raise InputError(
            f"{name} is not a whole PDF: {error}", "Fetch or make it again; or: qpdf IN.pdf OUT.pdf"
        ) from error


def _pages(library: Any, file: Any, name: str, problem: Problem) -> Iterator[str]:
    """The texts of the pages, one after the other. Raises InputError if they are too long together."""
    total = broken = 0
    for number in range(len(file)):
        try:
            page = file[number]
            text = page.get_textpage().get_text_bounded().translate(_MARKS)
            page.close()
        except library.PdfiumError as error:
            what = f"{name}, page {number + 1} cannot be read: {error}"
            problem(InputError(what, "The other pages are read.").about(os.fsencode(name), ".files"))
            text, broken = "", broken + 1
            if broken == _MOST_BROKEN:
                raise InputError(
                    f"{name} has {broken} pages that cannot be read; it is left out.",
                    "Make it again; or: qpdf IN.pdf OUT.pdf",
                ) from error
        total += len(text)
        if total > LONGEST:
            raise InputError(
                f"{name} holds more than {LONGEST >> 20} MB of text, which is more than one can be.", "Split it."
            )
        yield text.strip("\n")


def _beginnings(pages: list[str]) -> list[int]:
    """Where each page begins in the text of all."""
    starts = [0]
    for page in pages[:-1]:
        starts.append(starts[-1] + len(page) + len(_BETWEEN))
    return starts
