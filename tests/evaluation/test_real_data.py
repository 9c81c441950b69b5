"""The published sets, whole, against the reference package's own evaluator: pytest -m slow."""

from __future__ import annotations

from contextlib import closing

import pytest

from gliner_cli.evaluation import scoring
from gliner_cli.evaluation.peers import Peer, reference_evaluator
from gliner_cli.evaluation.suites import GoldSet, gold_sets
from gliner_cli.evaluation.systems import Context, Ours, system
from gliner_cli.inference.extractor import load
from gliner_cli.options import Extraction

pytestmark = pytest.mark.slow


def test_the_ood_suite_counts_as_the_reference_counts(shared):
    pytest.importorskip("gliner")
    extraction = Extraction(threshold=0.5)
    ours = Ours(load(), extraction)
    theirs = system("gliner", Context(extraction))
    assert isinstance(theirs, Peer)
    with closing(theirs):
        f1s = [_equal_f1(ours, theirs, gold) for gold in gold_sets(["ood"], shared / "data", pytest.fail)]
    print(f"average {sum(f1s) / len(f1s):.4f}")
    assert len(f1s) == 7


def _equal_f1(ours: Ours, theirs: Peer, gold: GoldSet) -> float:
    """Our F1 on a set, after it was found to be the reference's own to the last digit."""
    found = ours.extract(gold.documents, gold.labels)
    tally = scoring.total(scoring.tallies(gold.documents, found))
    judge = reference_evaluator(theirs, gold.documents, gold.labels)
    uniner = scoring.uniner(gold.documents, found)
    print(f"{gold.name}: ours {tally.f1!r}, reference {judge.f1!r}; UniNER protocol {uniner.f1:.4f}", flush=True)
    assert tally.tp > 500
    assert (tally.f1, tally.precision, tally.recall) == (judge.f1, judge.precision, judge.recall)
    return tally.f1
