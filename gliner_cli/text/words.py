"""Text to words: where an entity can start and end.

Three rules. `whitespace` is the reference package's own (its `WhitespaceTokenSplitter`), the one that published
checkpoints were trained with. `auto` is the same, except that scripts written without spaces are cut by character,
since the reference's rule makes one word of a whole Chinese sentence and no entity in it can be found. `char` cuts
everything by character.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left, bisect_right

from gliner_cli.options import WordRule
from gliner_cli.types import Document, Words

# Letters of scripts written without spaces between words: Thai, Lao, Tibetan, Myanmar, Khmer, Kana, Han (with its
# extensions and compatibility forms). Hangul is not among them: Korean puts spaces between words.
_UNSPACED = (
    r"\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u19e0-\u19ff\ua9e0-\ua9ff\uaa60-\uaa7f"
    r"\u3005-\u3007\u3021-\u3029\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f"
    r"\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)
# Vowel signs, tone marks and other characters that belong to the letter before them and are no word of their own.
_MARKS = (
    r"\u0e31\u0e33-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb3-\u0ebc\u0ec8-\u0ece\u0f71-\u0f84\u0f86\u0f87\u0f8d-\u0fbc"
    r"\u102b-\u103e\u1056-\u1059\u105e-\u1060\u1062-\u1064\u1067-\u106d\u1071-\u1074\u1082-\u108d\u108f\u109a-\u109d"
    r"\u17b4-\u17d3\u17dd\u3099\u309a\uff9e\uff9f\u0300-\u036f\ufe00-\ufe0f\U000e0100-\U000e01ef"
)
_LETTER = rf"(?:(?![{_UNSPACED}])\w)"

_RULES: dict[WordRule, re.Pattern[str]] = {
    "whitespace": re.compile(r"\w+(?:[-_]\w+)*|\S"),
    "auto": re.compile(rf"[{_UNSPACED}][{_MARKS}]*|{_LETTER}+(?:[-_]{_LETTER}+)*|\S"),
    "char": re.compile(rf"\S[{_MARKS}]*"),
}

# Where a sentence ends: a stop, what closes behind it, and then either white space or a script that needs none.
_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’»)\]]*\s+(?=[\"'“‘«(\[]*[^\W\d_])|[。！？｡]+[」』”’）]*|\n\s*\n|\r?\n")
# "J. Smith", "e.g. this": a stop behind a single letter, or after these, ends nothing.
_ABBREVIATION = re.compile(r"(?:^|[\s(.])(?:[^\W\d_]|Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr|vs|etc|al|Inc|Ltd|Co|No|Fig|approx)\.$")


def words(text: str, rule: WordRule = "auto") -> Words:
    """The words of a text by one of the rules."""
    cut = Words(array("i"), array("i"))
    for match in _RULES[rule].finditer(text):
        cut.starts.append(match.start())
        cut.ends.append(match.end())
    return cut


def words_of(document: Document, rule: WordRule) -> Words:
    """The words that the source of a document fixed, be they none; otherwise those of its text."""
    return words(document.text, rule) if document.words is None else document.words


def covered(cut: Words, start: int, end: int) -> tuple[int, int]:
    """First and stop of the words that characters start to end touch; of a word cut in two, all."""
    return bisect_right(cut.ends, start), bisect_left(cut.starts, end)


def sentence_starts(text: str, cut: Words) -> list[int]:
    """The indices of the words that begin a sentence, the first word always among them.

    A rule of thumb, for windows and CoNLL output; no entity depends on it unless windows are asked to be sentences.
    """
    if not len(cut):
        return []
    ends = [match.end() for match in _SENTENCE_END.finditer(text) if not _abbreviates(text, match)]
    return sorted({0, *(bisect_left(cut.starts, end) for end in ends if end <= cut.starts[-1])})


def line_starts(text: str, cut: Words) -> list[int]:
    """The indices of the words that begin a line: the sentences of a text whose source fixed them (CoNLL)."""
    breaks = (match.end() for match in re.finditer(r"\n", text))
    return sorted({0, *(bisect_left(cut.starts, end) for end in breaks if end <= cut.starts[-1])}) if len(cut) else []


def _abbreviates(text: str, end: re.Match[str]) -> bool:
    """Whether the stop matched by a sentence end is that of an abbreviation, inside a line."""
    stop = end.start() + 1
    return text[end.start()] == "." and "\n" not in end[0] and bool(_ABBREVIATION.search(text[max(0, stop - 8) : stop]))
