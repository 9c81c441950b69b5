from __future__ import annotations

import math
from statistics import mean

import pytest

from gliner_cli.evaluation import packaged
from gliner_cli.evaluation.published import Published, rows


def published(suite: str) -> list[Published]:
    """The rows that may be put beside a suite's."""
    return [row for row in rows() if suite in row.suites]


# What their sources print, and what comes out of their own scores: noted in the rows.
ODD = {("zero-shot", "GoLLIE-7B"), ("languages", "GLiNER-Multi")}


def test_averages_come_out_of_the_scores():
    whole = [row for row in rows() if row.average is not None and len(row.scores) == row.of]
    assert len(whole) > 15
    for row in whole:
        close = math.isclose(mean(row.scores.values()), row.average, abs_tol=0.051)
        assert close != ((row.table, row.system) in ODD), row


def test_every_row_says_where_it_stands_and_how_it_was_counted():
    for row in rows():
        assert row.source, row
        assert row.counting, row
        assert row.threshold, row
        assert row.labels, row
        assert row.suites, row
        assert row.known in ("read", "recomputed", "remembered"), row
        assert row.scores or row.average is not None, row
        assert all(0 < score <= (1000 if row.unit == "ms" else 100) for score in row.scores.values()), row
    assert len({(row.table, row.system) for row in rows()}) == len(rows())


def test_nothing_in_the_file_is_left_out_or_misspelt():
    known = {"name", "title", "source", "suites", "columns", "rows", "counting", "threshold", "labels", "known", "of", "unit",
             "note", "system", "scores", "average"}  # fmt: skip
    content = packaged.table("published.toml")
    assert content.keys() == {"counting", "tables"}
    for table in content["tables"]:
        for one in [table, *table["rows"]]:
            assert one.keys() <= known, one.keys() - known
    assert len(rows()) == sum(len(table["rows"]) for table in content["tables"])


def test_the_paper_says_that_it_is_best_on_thirteen_of_twenty():
    chatgpt, uniner, gliner = (row.scores for row in published("ner20") if row.table == "20 sets")
    assert sum(gliner[name] > max(chatgpt[name], uniner[name]) for name in gliner) == 13


def test_rows_for_a_suite_carry_the_protocol_of_their_own():
    counting = {row.system: row.counting for row in published("ood")}
    assert "exact spans" in counting["GLiNER-L 0.3B"]
    assert "strings without places" in counting["UniNER-7B"]
    assert "tokens" in counting["NuNER_Zero"]
    medium = next(row for row in published("ood") if row.system == "gliner_medium-v2.1")
    assert (medium.average, medium.scores["crossner_science"]) == (56.0, 65.2)
    assert "threshold 0.3" in medium.note


def test_what_was_not_published_is_not_there():
    large = next(row for row in rows() if row.system == "gliner_large-v2.1" and row.table == "public weights")
    assert set(large.scores) == {"crossner_ai", "crossner_literature", "crossner_music"}


@pytest.mark.parametrize("suite", ["ood", "ner20", "multiconer"])
def test_sets_are_called_as_ours_are(suite):
    ours = set(packaged.table("suites.toml")["suites"][suite])
    theirs = {name for row in published(suite) for name in row.scores}
    assert ours <= theirs
