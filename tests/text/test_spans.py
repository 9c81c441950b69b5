import time

import numpy as np
import pytest

from gliner_cli.text.spans import Spans, settled


def by_definition(spans, nested, multi_label):
    """The reference's greedy search, pair by pair."""
    rows = list(
        zip(spans.starts.tolist(), spans.stops.tolist(), spans.labels.tolist(), spans.scores.tolist(), strict=True)
    )
    kept = []
    for row in sorted(sorted(rows, key=lambda r: r[:3]), key=lambda r: -r[3]):
        if not any(conflict(row, other, nested, multi_label) for other in kept):
            kept.append(row)
    return sorted(kept, key=lambda r: r[0])


def conflict(a, b, nested, multi_label):
    if a[:2] == b[:2]:
        return not multi_label
    apart = a[1] <= b[0] or b[1] <= a[0]
    inside = (a[0] <= b[0] and b[1] <= a[1]) or (b[0] <= a[0] and a[1] <= b[1])
    return not (apart or (nested and inside))


def random_spans(count, words, width, seed):
    rng = np.random.default_rng(seed)
    starts = rng.integers(0, words, count)
    place = np.unique(np.stack([starts, starts + rng.integers(1, width + 1, count), rng.integers(0, 3, count)]), axis=1)
    scores = rng.choice([0.5, 0.6, 0.7, 0.8, 0.9], place.shape[1]).astype(np.float32)  # many ties
    return Spans(*place, scores)


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize("multi_label", [True, False])
def test_equal_to_the_definition(nested, multi_label):
    for seed in range(60):
        spans = random_spans(80, 30, 8, seed)
        found = settled(spans, nested, multi_label)
        columns = (found.starts.tolist(), found.stops.tolist(), found.labels.tolist(), found.scores.tolist())
        assert list(zip(*columns, strict=True)) == by_definition(spans, nested, multi_label)


def test_many_candidates_settle_at_once():
    spans = random_spans(120_000, 40_000, 12, 1)
    assert len(spans) > 100_000
    for nested in (True, False):
        began = time.perf_counter()
        assert len(settled(spans, nested)) > 5_000
        assert time.perf_counter() - began < 5  # about 0.2 s; a loop over all pairs takes hours


def test_nothing_settles_to_nothing():
    assert len(settled(Spans.joined([]))) == 0
