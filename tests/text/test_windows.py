import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gliner_cli.text.windows import sentences_within, windows


@given(count=st.integers(0, 300), longest=st.integers(1, 40), overlap=st.integers(0, 50))
def test_windows_cover_everything_and_every_span_has_one_owner(count, longest, overlap):
    cut = list(windows(0, count, lambda first: min(first + longest, count), overlap))
    covered = {word for window in cut for word in range(window.first, window.stop)}
    assert covered == set(range(count))
    shared = min(overlap, longest // 2)
    starts, stops = (
        np.array([(s, s + w) for w in range(1, shared + 1) for s in range(count - w + 1)], int).reshape(-1, 2).T
    )
    owners = np.zeros(len(starts), int)
    for window in cut:
        seen = (starts >= window.first) & (stops <= window.stop)
        owners += seen & window.owns(starts, stops)
    assert (owners == 1).all()


@pytest.mark.parametrize("longest", [5, 8, 100])
def test_sentences_are_kept_whole_where_they_fit(longest):
    fits = sentences_within([0, 4, 9, 11], 14, lambda first: min(first + longest, 14))
    cut = [(window.first, window.stop) for window in windows(0, 14, fits, 0)]
    assert cut == {5: [(0, 4), (4, 9), (9, 14)], 8: [(0, 4), (4, 11), (11, 14)], 100: [(0, 14)]}[longest]
