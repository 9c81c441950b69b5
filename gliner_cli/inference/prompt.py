"""Labels and words to pieces; the only user of the tokenizer.

A row of a uni-encoder reads

    [CLS] <<ENT>> label <<ENT>> label … <<SEP>> word word … [SEP]

as the reference builds it: a label is one "word" however many it has, and the vector of a label is the state at its
`<<ENT>>` (or at the piece behind it, where the checkpoint says so). A row of a bi-encoder is the text alone.

The tokenizer sees word by word, so a document is tokenized once, in blocks, whatever windows are cut from it later.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from gliner_cli.checkpoint.folder import Checkpoint
from gliner_cli.errors import LabelError
from gliner_cli.text.labels import Labels
from gliner_cli.types import Words

# Encoders with relative positions have no longest input, but their time and memory grow with its square.
LONGEST_ROW = 2048
# Of a word only the first piece (or the last) is read by the heads; the others are context. A "word" of a million
# characters (base64, a minified file) must not take the whole window, so it is shown to the encoder by its beginning.
LONGEST_WORD = 64
_LONGEST_WORD_CHARACTERS = 512
_LEAST_ROOM = 32
_BLOCK = 2048
_LABELS_KEPT = 100_000  # training asks for the same labels again and again, always in another order


@dataclass(frozen=True, slots=True)
class Encoded:
    """A row as it will be in the batch: ids, the place of each word (-1: it has no piece) and of each label."""

    pieces: NDArray[np.int64]
    word_at: NDArray[np.int64]
    label_at: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.pieces)


@dataclass(frozen=True)
class Prompt:
    """What stands before and behind the words of a row, and where in it the labels are."""

    before: NDArray[np.int64]
    behind: NDArray[np.int64]
    label_at: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.before) + len(self.behind)

    def around(self, pieces: WordPieces, first: int, stop: int) -> Encoded:
        """The row for words `first` to `stop` of a document."""
        ids, word_at = pieces.cut(first, stop)
        word_at = np.where(word_at >= 0, word_at + len(self.before), -1)
        return Encoded(np.concatenate([self.before, ids, self.behind]), word_at, self.label_at)


class WordPieces:
    """The pieces of a document's words, made as far as they are needed: `upto` first, then `cut` or `fits`."""

    def __init__(self, maker: PieceMaker, text: str, words: Words) -> None:
        self._maker, self._text, self._words = maker, text, words
        self._ids = array("i")
        self._offsets = array("i", [0])

    def fits(self, first: int, most_words: int, most_pieces: int) -> int:
        """The largest stop of a window from `first` within both limits; at least one word."""
        self.upto(first + most_words)
        stop = bisect_right(self._offsets, self._offsets[first] + most_pieces) - 1
        return max(first + 1, min(stop, first + most_words, len(self._words)))

    def cut(self, first: int, stop: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The pieces of words `first` to `stop`, and where among them each word is read (-1: it has no piece)."""
        self.upto(stop)
        offsets = np.asarray(self._offsets[first : stop + 1], np.int64)
        ids = np.asarray(self._ids[offsets[0] : offsets[-1]], np.int64)
        begins, ends = offsets[:-1] - offsets[0], offsets[1:] - offsets[0]
        read = ends - 1 if self._maker.last_piece else begins
        return ids, np.where(ends > begins, read, -1)

    @property
    def words(self) -> Words:
        """Where the words are."""
        return self._words

    def unknown(self) -> tuple[int, int]:
        """How many pieces all words have, and how many of these are the one for what the tokenizer does not know."""
        ids, _ = self.cut(0, len(self._words))
        return len(ids), int(np.isin(ids, self._maker.unknown).sum())

    def text(self, first: int, stop: int) -> str:
        """The document's text from word `first` to word `stop`."""
        return self._text[self._words.starts[first] : self._words.ends[stop - 1]] if stop > first else ""

    def upto(self, stop: int) -> None:
        """Tokenize as far as word `stop`, a block at a time."""
        while (done := len(self._offsets) - 1) < min(stop, len(self._words)):
            block = range(done, min(done + _BLOCK, len(self._words)))
            begins, ends = self._words.starts, self._words.ends
            self._append(self._maker.pieces([self._text[begins[i] : ends[i]] for i in block]))

    def _append(self, made: tuple[NDArray[np.int64], NDArray[np.int64]]) -> None:
        ids, offsets = made
        base = len(self._ids)
        self._ids.extend(ids.tolist())
        self._offsets.extend((offsets[1:] + base).tolist())


class PieceMaker:
    """A checkpoint's tokenizer, asked for words; `last_piece` says that a word is read at its last piece."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.config = checkpoint.config
        self.last_piece = checkpoint.config.subtoken_pooling == "last"
        self.longest_row = checkpoint.piece_limit or LONGEST_ROW
        self._tokenizer = checkpoint.tokenizer
        self._before, self._behind = _template(checkpoint.tokenizer)
        self._reserved = _added(checkpoint.tokenizer)
        self.unknown = np.array(sorted(_unknown(checkpoint.tokenizer)), np.int64)
        separator = checkpoint.tokenizer.token_to_id(self.config.sep_token)
        self._separators = self._ids(self.config.sep_token) if separator is None else [separator]
        self._asking = lru_cache(_LABELS_KEPT)(self._marked)

    def pieces(self, words: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The pieces of all words (N,), and where each word's begin and the last one's end (words + 1,)."""
        words = [word[:_LONGEST_WORD_CHARACTERS] for word in words]
        encoding = self._encode(words)
        ids, word_of = np.asarray(encoding.ids, np.int64), np.asarray(encoding.word_ids, np.int64)
        offsets = np.searchsorted(word_of, np.arange(len(words) + 1))
        # A literal "<<ENT>>" or "[SEP]" in the text is text: no marker may come out of it.
        if self._has_marker(ids) or (np.diff(offsets) > LONGEST_WORD).any():
            return _joined([self._literal(word) for word in words])
        return ids, offsets

    def _has_marker(self, ids: Sequence[int] | NDArray[np.int64]) -> bool:
        # A table, since `isin` takes ten times as long for rows as short as these.
        return bool(self._reserved.take(np.asarray(ids, np.int64), mode="clip").any())

    def _literal(self, word: str) -> list[int]:
        """The pieces of one word, at most LONGEST_WORD and none of them a marker: such a word is spelled out."""
        ids = self._ids(word)
        if self._has_marker(ids):
            ids = [number for character in word for number in self._ids(character)]
        return ids[:LONGEST_WORD]

    def _marked(self, label: str) -> list[int]:
        return [self.config.class_token_index, *self._literal(label)]

    def _ids(self, word: str) -> list[int]:
        return list(self._encode([word]).ids)

    def _encode(self, words: list[str]) -> Encoding:
        try:
            return self._tokenizer.encode(words, is_pretokenized=True, add_special_tokens=False)
        except TypeError:  # lone surrogates are no Unicode text; they are shown as what is unknown
            words = [word.encode("utf-8", "replace").decode() for word in words]
            return self._tokenizer.encode(words, is_pretokenized=True, add_special_tokens=False)

    def prompts(self, labels: Labels, at_once: int | None = None) -> list[tuple[Labels, Prompt]]:
        """The labels in as many prompts as they need, each with its own labels.

        A prompt holds at most `at_once` labels (the checkpoint's `max_types` if not given) and at most half of the
        longest row. A bi-encoder's labels are not in the prompt, so there is one. Raises LabelError for a label that is
        too long by itself.
        """
        if self.config.labels == "encoder":
            return [(labels, self.prompt(labels.asked))]
        size = min(len(labels), at_once or self.config.max_types)
        while True:
            made = [(part, self.prompt(part.asked)) for part in labels.chunks(size)]
            longest = max(made, key=lambda one: len(one[1]))
            if len(longest[1]) <= self.longest_row // 2:
                return made
            if size == 1:
                raise LabelError(
                    f"The label {longest[0].asked[0][:60]!r} takes {len(longest[1])} pieces; at most "
                    f"{self.longest_row // 2} leave room for text.",
                    "Say it in fewer words.",
                )
            size = -(-size // 2)

    def prompt(self, asked: Sequence[str]) -> Prompt:
        """One prompt that asks for all these labels; nothing but the row's two ends where labels have an encoder."""
        if self.config.labels == "encoder":
            return Prompt(self._before, self._behind, np.empty(0, np.int64))
        parts = [self._asking(label) for label in asked]
        sizes = np.cumsum([len(self._before), *map(len, parts)])
        before = np.concatenate([self._before, *parts, self._separators]).astype(np.int64)
        label_at = sizes[:-1] + (0 if self.config.embed_ent_token else 1)
        return Prompt(before, self._behind, label_at.astype(np.int64))


def room(prompts: Sequence[tuple[Labels, Prompt]], longest_row: int) -> int:
    """How many pieces of text fit beside the longest prompt: windows are the same for all of them."""
    return max(longest_row - max(len(prompt) for _, prompt in prompts), _LEAST_ROOM)


def _template(tokenizer: Tokenizer) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The special pieces that a row begins and ends with."""
    encoding = tokenizer.encode(["a"], is_pretokenized=True)
    ids, special = np.asarray(encoding.ids, np.int64), np.asarray(encoding.special_tokens_mask)
    text = np.flatnonzero(special == 0)
    return ids[: text[0]], ids[text[-1] + 1 :]


def _added(tokenizer: Tokenizer) -> NDArray[np.bool_]:
    """Whether a number is that of a special or added token, but not of what is unknown: text may be that.

    The last entry, False, is that of all higher numbers.
    """
    added = sorted(set(tokenizer.get_added_tokens_decoder()) - _unknown(tokenizer))
    table = np.zeros(max(added, default=-1) + 2, np.bool_)
    table[added] = True
    return table


def _unknown(tokenizer: Tokenizer) -> set[int]:
    """The numbers of the pieces that stand for what is unknown: mostly one."""
    names = ["[UNK]", "<unk>", "<|unk|>", getattr(tokenizer.model, "unk_token", None)]
    return {number for name in names if name and (number := tokenizer.token_to_id(name)) is not None}


def _joined(parts: list[list[int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    offsets = np.cumsum([0, *map(len, parts)])
    return np.concatenate([np.empty(0, np.int64), *parts]).astype(np.int64), offsets


def label_rows(tokenizer: Tokenizer, asked: Sequence[str], longest: int | None) -> list[list[int]]:
    """The rows of a bi-encoder's second encoder: each label with the special pieces around it."""
    rows = [list(encoding.ids) for encoding in tokenizer.encode_batch(list(asked))]
    too_long = next((i for i, row in enumerate(rows) if longest and len(row) > longest), None)
    if too_long is not None:
        raise LabelError(
            f"The label {asked[too_long][:60]!r} takes {len(rows[too_long])} pieces, at most {longest} fit."
        )
    return rows
