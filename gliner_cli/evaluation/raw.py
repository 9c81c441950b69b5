"""The raw files of published benchmarks, in the forms they have, to rows of words and spans."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from gliner_cli.formats.rows import Row

_NOTE = re.compile("# id ")
_BLANK = re.compile(r"\n(?:[ \t\r]*\n)+")


def columns(text: str) -> Iterator[Row]:
    """A word and its tag a line, in the first and the last column; a blank line between sentences.

    Lines like `# id 5f2c domain=en` (MultiCoNER) are none of these; a `#` alone in its column is a word of a tweet.
    """
    for block in _BLANK.split(text):
        lines = (line.strip(" \t\r") for line in block.split("\n"))
        pairs = [_ends(line) for line in lines if line and not _NOTE.match(line)]
        if pairs:
            yield _row(pairs)


def inline(text: str) -> Iterator[Row]:
    """A sentence a line, `word:TAG word:TAG <=> INTENT`."""
    for line in text.split("\n"):
        words, arrow, _ = line.partition(" <=> ")
        if arrow:
            yield _row((word, tag) for word, _, tag in (part.rpartition(":") for part in words.split(" ")))


READERS: Mapping[str, Callable[[str], Iterator[Row]]] = {"columns": columns, "inline": inline}


def _ends(line: str) -> tuple[str, str]:
    """Only TAB and space separate columns: other white space is part of a word."""
    parts = re.split("[ \t]+", line)
    return parts[0], parts[-1]


def _row(pairs: Iterable[tuple[str, str]]) -> Row:
    words, spans = [], list[tuple[int, int, str]]()
    for place, (word, tag) in enumerate(pairs):
        words.append(word)
        prefix, _, label = tag.partition("-")
        if prefix == "I" and spans and spans[-1][1:] == (place - 1, label):
            spans[-1] = (spans[-1][0], place, label)
        elif label:
            spans.append((place, place, label))
    return words, spans
