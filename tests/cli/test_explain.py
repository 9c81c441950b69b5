"""`--explain` tells what the run decides: what it says was kept is exactly what a normal run finds."""

from __future__ import annotations

import pytest

from gliner_cli.checkpoint.cache import located
from gliner_cli.checkpoint.folder import load
from gliner_cli.cli.explain import print_explanation
from gliner_cli.inference.explaining import explained
from gliner_cli.inference.extractor import Extractor
from gliner_cli.options import Extraction
from gliner_cli.text.labels import labels
from gliner_cli.types import Document
from tests import tiny

TEXT = " ".join(tiny.TEXTS)
KINDS = {
    "span": {"span_mode": "markerV0"},
    "token": {"span_mode": "token_level"},
}
OPTIONS = {
    "flat": Extraction(threshold=0.5),
    "nested": Extraction(threshold=0.4, nested=True),
    "several labels": Extraction(threshold=0.45, multi_label=True),
    "in windows and parts": Extraction(threshold=0.45, window="words=12", labels_at_once=2),
    "lower than what is shown": Extraction(threshold=0.01, window="words=20"),
}


@pytest.fixture(scope="module", params=KINDS)
def extractor(request, tmp_path_factory):
    folder = tiny.checkpoint_folder(tmp_path_factory.mktemp(request.param), **KINDS[request.param])
    return Extractor(load(located(str(folder))))


@pytest.mark.parametrize("options", OPTIONS)
def test_what_is_kept_is_what_a_run_finds(extractor, options):
    asked = labels({"person": None, "city": 0.3, **dict.fromkeys(tiny.LABELS[2:])})
    document, options = Document(TEXT, "x"), OPTIONS[options]
    (plain,) = extractor.extract([document], asked, options)
    explanation = explained(extractor, document, asked, options)
    kept = [one for one in explanation.candidates if one.fate == "kept"]
    assert plain.entities, "a test of nothing"
    assert explanation.document == plain
    found = sorted((e.start, e.end, e.label, e.score) for e in plain.entities)
    assert sorted((one.start, one.end, one.label, one.score) for one in kept) == found
    for one in explanation.candidates:
        assert one.text == TEXT[one.start : one.end]
        if one.fate == "below threshold":
            assert one.score <= one.threshold + 1e-6
        elif one.fate != "cut":
            assert one.score > one.threshold - 1e-6
        if one.rival:
            assert one.rival.fate == "kept"
            assert one.rival.score >= one.score
            assert one.rival.start < one.end
            assert one.start < one.rival.end
    assert {one.threshold for one in explanation.candidates if one.label == "city"} <= {0.3}
    assert {one.origin for one in explanation.candidates} <= {"own", "--threshold"}


def test_every_fate_is_met_and_said(extractor, capsys):
    options = OPTIONS["in windows and parts"]
    explanation = explained(extractor, Document(TEXT, "x\x1b"), labels(tiny.LABELS), options)
    fates = {one.fate for one in explanation.candidates}
    assert fates >= {"kept", "below threshold", "overlaps", "cut"}
    print_explanation(explanation)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "# x␛"
    assert len(lines) == 5 + len(explanation.candidates)
    assert f"{len(explanation.windows)} windows" in lines[2]
    assert all(line.count("\t") == 9 for line in lines[4:])


def test_unknown_pieces_are_counted(extractor):
    explanation = explained(extractor, Document("Marta 你 好"), labels(["person"]), Extraction())
    assert explanation.words == 3
    assert explanation.unknown >= 2


def test_an_empty_document(extractor):
    explanation = explained(extractor, Document(""), labels(["person"]), Extraction())
    assert (explanation.candidates, explanation.windows, explanation.words) == ([], [], 0)
