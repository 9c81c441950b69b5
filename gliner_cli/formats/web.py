"""HTML: the text that a browser shows, in reading order; entities lie in the text we give, not in the source's bytes.

Blocks and `<br>` break lines, cells of a table are apart by a TAB, white space collapses as on a screen (a no-break
space stays), and what is not shown is left out. The title goes to `meta`. A file is a document.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from gliner_cli.errors import InputError, needs
from gliner_cli.formats.decoding import AUTO, decoded, detected, marked, unknown, whole
from gliner_cli.formats.sources import Problem, Source
from gliner_cli.options import Reading
from gliner_cli.types import Document

SUFFIXES = (".html", ".htm", ".xhtml")
BEGINNINGS = (b"<!doctype html", b"<html")

_MOST_STEPS = 200_000_000  # from an element to the one around it, for all tags: some five seconds
_HEAD = 1024  # bytes in which a page has to say how it is encoded (HTML standard, 4.2.5.4)
_SAID = re.compile(rb"<meta[^>]*?charset\s*=\s*[\"']?\s*([\w-]+)", re.IGNORECASE)
# What the web calls so is cp1252 (WHATWG Encoding, 4.2).
_WESTERN = ("latin-1", "latin1", "iso-8859-1", "iso8859-1", "us-ascii", "ascii")

# What a page may name (WHATWG Encoding, 4.2), as Python calls it; one in UTF-16 could not say so in ASCII.
_OF_THE_WEB = frozenset((
    "utf-8", "big5", "big5hkscs", "cp866", "cp874", "cp932", "cp949", "euc_jp", "euc_kr", "gb18030", "gb2312", "gbk",
    "iso2022_jp", "koi8-r", "koi8-u", "mac-cyrillic", "mac-roman", "shift_jis", "tis-620",
    *(f"cp125{number}" for number in range(9)), *(f"iso8859-{number}" for number in range(1, 17))))  # fmt: skip

# fmt: off
_UNSEEN = frozenset(("head", "script", "style", "template", "noscript", "iframe", "object", "audio", "video", "canvas",
                     "datalist", "svg", "math", "frameset"))
_INLINE = frozenset((
    "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "button", "cite", "code", "data", "del", "dfn", "em", "font",
    "i", "img", "input", "ins", "kbd", "label", "mark", "meter", "nobr", "output", "picture", "progress", "q", "rp",
    "rt", "ruby", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "time", "tt", "u", "var", "wbr"))
# Elements that have no end, or need none.
_NEVER_DEEP = frozenset((
    "area", "base", "br", "col", "dd", "dt", "embed", "hr", "img", "input", "li", "link", "meta", "option", "p",
    "source", "tbody", "td", "tfoot", "th", "thead", "tr", "track", "wbr"))
# fmt: on
_LONG_TAG, _MOST_ATTRIBUTES = 50_000, 10_000
_CELLS, _KEPT = ("td", "th"), ("pre", "textarea", "listing")
# Of a tag that does not end, no further than to the next: a page of such would be read as often as it has them.
_TAG = re.compile(r"<(/?)([a-z][a-z0-9-]*)(?:[^<>]*?(/?)>)?", re.IGNORECASE)


def read(source: Source, options: Reading, problem: Problem) -> Iterator[Document]:
    """The one document of a page."""
    try:
        from selectolax.lexbor import LexborHTMLParser
    except ImportError as error:
        raise needs("documents", "Reading HTML") from error
    with source.opened() as stream:
        encoding = _encoding(stream.peek(_HEAD), source.name, options.encoding)
        markup = decoded(whole(stream, source.name, encoding), source.name)
    if _is_too_deep(markup):
        raise InputError(f"{source.name} has more elements in one another than any page has.", "Leave it out.")
    page = LexborHTMLParser(markup)
    title = page.css_first("head > title")
    named = {"title": _collapsed(title.text()).strip()} if title else {}
    yield Document(text(page.root), source.name, source.name, meta=named)


def _encoding(head: bytes, name: str, asked: str) -> str:
    """How a page is encoded: as it was asked for, by its mark, as it says itself, or UTF-8."""
    if asked not in ("utf-8", AUTO):
        return asked
    if mark := marked(head):
        return mark
    said = _SAID.search(head[:_HEAD])
    own = said[1].decode().lower() if said else ""
    if own in _WESTERN:
        return "cp1252"
    if own and not unknown(own) and codecs.lookup(own).name in _OF_THE_WEB:
        return own
    return detected(head, name) if asked == AUTO else "utf-8"


def _is_too_deep(markup: str) -> bool:
    """Whether a parser, which looks through the open elements for each tag, would be at it for long.

    What a program compares (`i<n`) is taken for an element, for one that is never ended.
    """
    steps, opened = 0, Counter[str]()
    depth = 0
    for found in _TAG.finditer(markup):
        end, tag, empty = found.groups("")
        if found.end() - found.start() > _LONG_TAG and found[0].count("=") > _MOST_ATTRIBUTES:
            return True  # each is compared with all before it
        name = tag.lower()
        if end and opened[name]:
            opened[name], depth = opened[name] - 1, depth - 1
        elif not end and name not in _NEVER_DEEP and not (empty and (opened["svg"] or opened["math"])):
            opened[name], depth = opened[name] + 1, depth + 1
        steps += depth
    return steps > _MOST_STEPS


def text(root: Any) -> str:
    """What a tree of elements shows. Without recursion: trees are as deep as their authors like."""
    seen, ends = _Seen(), list[tuple[Any, bool]]([(root, False)])
    while ends:
        node, is_end = ends.pop()
        if node.is_text_node:
            seen.say(node.text_content or "")
        elif is_end:
            seen.leave(node.tag)
        elif node.is_element_node and not _hidden(node):
            seen.enter(node.tag)
            ends.append((node, True))
            ends += [(child, False) for child in reversed(list(node.iter(include_text=True)))]
    return seen.text()


def _hidden(node: Any) -> bool:
    if node.tag in _UNSEEN:
        return True
    attributes = node.attributes
    style = re.sub(r"\s", "", attributes.get("style") or "").lower()
    return "hidden" in attributes or "display:none" in style or "visibility:hidden" in style


class _Seen:
    """The text so far, and the white space that will go before the next character, if one comes.

    `_gap` is nothing, a space, or line breaks and then TABs.
    """

    def __init__(self) -> None:
        self._parts, self._gap = list[str](), ""
        self._kept = 0  # elements around us that keep their white space
        self._rows = list[int]()  # the cells begun in each row around us
        self._before = list[tuple[int, str]]()  # what was there when each cell around us began

    def text(self) -> str:
        return "".join(self._parts)

    def say(self, content: str) -> None:
        if self._kept:
            self._add(content)
            return
        content = _collapsed(content)
        if content.startswith(" ") and not self._gap:
            self._gap = " "
        if bare := content.strip(" "):
            self._add(bare)
            self._gap = " " if content.endswith(" ") else ""

    def _add(self, content: str) -> None:
        if content:
            self._parts += [self._gap, content] if self._parts else [content]
            self._gap = ""

    def enter(self, tag: str) -> None:
        if tag == "br":
            self._gap = self._gap.rstrip(" ") + "\n"
        elif tag in _CELLS:
            self._cell()
        elif tag not in _INLINE:
            self._block()
        if tag == "tr":
            self._rows.append(0)
        self._kept += tag in _KEPT

    def leave(self, tag: str) -> None:
        self._kept -= tag in _KEPT
        if tag == "tr":
            self._rows.pop()
            self._gap = "\n"
        elif tag in _CELLS and self._before:
            count, gap = self._before.pop()
            self._gap = gap if count == len(self._parts) else ""
        elif tag not in _INLINE and tag != "br":
            self._block()

    def _block(self) -> None:
        if "\n" not in self._gap and not self._gap.endswith("\t"):
            self._gap = "\n"

    def _cell(self) -> None:
        if self._rows and self._rows[-1]:
            self._gap = self._gap.rstrip(" ") + "\t"
        if self._rows:
            self._rows[-1] += 1
        self._before.append((len(self._parts), self._gap))


def _collapsed(content: str) -> str:
    return re.sub(r"[ \t\n\r\f]+", " ", content)
