"""Why a document has the entities it has, and not others: every candidate that came near, and what became of it.

Decides nothing: the document goes through the same pipeline as ever, and a witness beside it writes down what the head
proposed, what each window owned, and what settling dropped for what.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gliner_cli.inference.extractor import Extractor
from gliner_cli.options import Extraction
from gliner_cli.text.labels import Labels
from gliner_cli.text.spans import Spans, rivals
from gliner_cli.text.windows import Window
from gliner_cli.types import Document, Words

LEAST = 0.05  # scores below are noise to everybody

_WHOSE = {
    "own": "the threshold given for {}",
    "--threshold": "the --threshold",
    "tuned": "the threshold tuned for {}",
    "default": "the default threshold",
}

Fate = Literal["kept", "below threshold", "overlaps", "same words", "cut"]


@dataclass(frozen=True)
class Candidate:
    """A stretch of text, the label it was scored for, and its fate.

    `threshold` is the label's and `origin` whose: own, --threshold, tuned or default. `rival` is what it gave way to.
    `window` counts from 1.
    """

    start: int
    end: int
    text: str
    label: str
    score: float
    threshold: float
    origin: str
    window: int
    fate: Fate
    rival: Candidate | None = None

    @property
    def why(self) -> str:
        """Its fate in words."""
        match self.fate:
            case "below threshold":
                return f"below {self.threshold:g}, {_WHOSE[self.origin].format(self.label)}"
            case "cut":
                return f"near an edge of window {self.window}: its neighbour sees more around it, and decides"
            case "kept":
                return f"above {self.threshold:g}, {_WHOSE[self.origin].format(self.label)}"
        other = self.rival
        assert other is not None  # noqa: S101
        if self.fate == "same words":
            return f"the same words are {other.label} ({other.score:.3f})"
        return f"overlaps {other.text!r}, {other.label} ({other.score:.3f})"


@dataclass(frozen=True)
class Explanation:
    """The document as a run leaves it, its candidates by their place, and how it was cut."""

    document: Document
    candidates: list[Candidate]
    words: int
    pieces: int
    unknown: int
    windows: list[Window]
    prompts: int


@dataclass
class _Seen:
    """The witness: for each row its window, its spans above `least`, and which of them were candidates."""

    least: float
    rows: list[tuple[Window, Spans, NDArray[np.bool_]]] = field(default_factory=list)

    def saw(self, window: Window, near: Spans, candidates: Spans) -> None:
        """See `Witness.saw`. Thresholds below `least` let through what `near` lacks: it is seen all the same."""
        proposed, known = set(_keys(candidates)), set(_keys(near))
        lacking = np.array([key not in known for key in _keys(candidates)], np.bool_)
        every = Spans.joined([near, candidates[lacking]])
        self.rows.append((window, every, np.array([key in proposed for key in _keys(every)], np.bool_)))


def explained(
    extractor: Extractor, document: Document, asked: Labels, options: Extraction, least: float = LEAST
) -> Explanation:
    """The document, extracted, and why it came out so."""
    plan, seen = extractor.plan(asked, options), _Seen(least)
    (done,) = extractor.run(plan, [document], witness=seen)
    pieces = extractor.pieces(document, options)
    count, unknown = pieces.unknown()
    windows = sorted({window for window, *_ in seen.rows}, key=lambda window: window.first)
    thresholds = [extractor.origin(asked, label, options) for label in asked.names]
    candidates = _judged(seen, windows, options, _Telling(document.text, pieces.words, asked, thresholds))
    return Explanation(done, candidates, len(pieces.words), count, unknown, windows, len(plan.prompts))


@dataclass(frozen=True)
class _Telling:
    """Spans, in words and numbers, to candidates as people read them."""

    text: str
    words: Words
    labels: Labels
    thresholds: list[tuple[float, str]]

    def candidates(self, spans: Spans, window: int, fate: Fate) -> list[Candidate]:
        values = zip(*(part.tolist() for part in (spans.starts, spans.stops, spans.labels, spans.scores)), strict=True)
        return [self._candidate(start, stop, label, score, window, fate) for start, stop, label, score in values]

    def _candidate(self, start: int, stop: int, label: int, score: float, window: int, fate: Fate) -> Candidate:
        first, last = self.words.starts[start], self.words.ends[stop - 1]
        name = self.labels.names[label]
        return Candidate(first, last, self.text[first:last], name, score, *self.thresholds[label], window, fate)


def _judged(seen: _Seen, windows: list[Window], options: Extraction, telling: _Telling) -> list[Candidate]:
    """Every candidate once for each window that saw it, by place and then by falling score."""
    number = {window: place for place, window in enumerate(windows, start=1)}
    told: list[Candidate] = []
    competing: list[Candidate] = []
    parts: list[Spans] = []
    for window, spans, above in seen.rows:
        owned = window.owns(spans.starts, spans.stops)
        told += telling.candidates(spans[~owned], number[window], "cut")
        told += telling.candidates(spans[owned & ~above], number[window], "below threshold")
        competing += telling.candidates(spans[owned & above], number[window], "kept")
        parts.append(spans[owned & above])
    told += _settled(competing, rivals(Spans.joined(parts), options.nested, options.multi_label))
    return sorted(told, key=lambda one: (one.start, -one.score, one.end, one.label, one.window))


def _settled(competing: list[Candidate], lost_to: list[int | None]) -> list[Candidate]:
    told = []
    for one, number in zip(competing, lost_to, strict=True):
        if number is None:
            told.append(one)
            continue
        rival = competing[number]
        same = (one.start, one.end) == (rival.start, rival.end)
        told.append(replace(one, fate="same words" if same else "overlaps", rival=rival))
    return told


def _keys(spans: Spans) -> list[tuple[int, int, int]]:
    return list(zip(spans.starts.tolist(), spans.stops.tolist(), spans.labels.tolist(), strict=True))
