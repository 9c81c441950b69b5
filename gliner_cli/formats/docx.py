"""DOCX: paragraphs and tables in their order; a paragraph is a line, a row of a table too, with a TAB between cells.

Headings and items of lists are paragraphs (Word makes their numbers itself: they are not in the file). Left out are
headers and footers, notes, comments, text boxes and deleted text. The title of the properties goes to `meta`.
"""

from __future__ import annotations

import lzma
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gliner_cli.errors import InputError, needs
from gliner_cli.formats.decoding import LONGEST
from gliner_cli.formats.sources import Problem, Source
from gliner_cli.options import Reading
from gliner_cli.types import Document

SUFFIXES = (".docx",)
BEGINNING = b"PK\x03\x04"

_LARGEST = 256 << 20  # bytes of all parts unpacked, pictures included; zipfile never unpacks more than a part declares
# An OSError is of a place before the file's beginning, or of bzip2; a NotImplementedError of a compression that zipfile
# does not know, a RuntimeError of a password.
_BROKEN_ARCHIVE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, NotImplementedError, RuntimeError)
# python-docx trusts that the parts and elements it looks for are there, are of the kind that they should be, hold
# numbers where numbers should be, and are not too deep in one another.
_BROKEN_PART = (KeyError, IndexError, AttributeError, TypeError, ValueError, RecursionError, MemoryError)
_CONTINUED = "continue"  # a cell that is one with the one above it


def read(source: Source, options: Reading, problem: Problem) -> Iterator[Document]:
    """The one document of a file."""
    try:
        import docx
        from docx.opc.exceptions import OpcError
        from lxml.etree import LxmlError
    except ImportError as error:
        raise needs("documents", "Reading DOCX") from error
    with source.file() as path:
        try:
            _check_size(path, source.name)
            file = docx.Document(str(path))
            text, title = "\n".join(_lines(file)), file.core_properties.title
        except (OpcError, LxmlError, *_BROKEN_ARCHIVE, *_BROKEN_PART) as error:
            said = str(error).partition("\n")[0][:200] or type(error).__name__
            raise InputError(
                f"{source.name} is not a whole DOCX file: {said}.", "Open and save it again in Word."
            ) from error
    yield Document(text, source.name, source.name, meta={"title": title} if title else {})


def _check_size(path: Path, name: str) -> None:
    """Raises InputError for what would be too large once unpacked: a tree of XML is some ten times its text."""
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
    total = sum(part.file_size for part in parts)
    text = max((part.file_size for part in parts if part.filename.endswith((".xml", ".rels"))), default=0)
    if total > _LARGEST or text > LONGEST:
        raise InputError(
            f"{name} would be {total >> 20} MB unpacked, {text >> 20} MB of it in one part of text.",
            "Split it; or check where it comes from.",
        )


def _lines(container: Any) -> Iterator[str]:
    for block in container.iter_inner_content():
        if hasattr(block, "rows"):
            yield from map(_row, block.rows)
        else:
            yield block.text


def _row(row: Any) -> str:
    """Cells by TABs, the lines of each as one; a cell merged from several is there once, in the first of its rows.

    `row.cells` would have a cell as often as the file says that it is wide.
    """
    from docx.table import _Cell

    cells = (_Cell(element, row._parent) for element in row._tr.tc_lst if element.vMerge != _CONTINUED)
    return "\t".join(" ".join(" ".join(_lines(cell)).split()) for cell in cells)
