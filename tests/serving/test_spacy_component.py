"""The spaCy component: the same entities as our own, on spaCy's tokens, stored and read back."""

from __future__ import annotations

import subprocess
import sys

import pytest

from gliner_cli.errors import LabelError
from gliner_cli.inference.extractor import load
from gliner_cli.types import Document, Words
from tests import tiny

spacy = pytest.importorskip("spacy", reason="spaCy is not installed")
component = pytest.importorskip("gliner_cli.serving.spacy_component")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(tiny.checkpoint_folder(tmp_path_factory.mktemp("spacy")))


def pipeline(folder, **config):
    nlp = spacy.blank("en")
    nlp.add_pipe("gliner", config={"labels": tiny.LABELS, "model": folder, "threshold": 0.45, **config})
    return nlp


def places(spans):
    return [(span.start_char, span.end_char, span.label_, pytest.approx(span._.score)) for span in spans]


@pytest.mark.parametrize("options", [{}, {"nested": True, "multi_label": True}], ids=["flat", "overlapping"])
def test_the_same_as_ours_on_the_same_words(folder, options):
    nlp = pipeline(folder, **options)
    docs = list(nlp.pipe([*tiny.TEXTS, "", "  "]))
    documents = [
        Document(doc.text, words=Words.of([(token.idx, token.idx + len(token)) for token in doc if not token.is_space]))
        for doc in docs
    ]
    ours = load(folder).extract(documents, tiny.LABELS, threshold=0.45, **options)
    assert sum(len(doc.spans["gliner"]) for doc in docs) > 5
    for doc, document in zip(docs, ours, strict=True):
        assert places(doc.spans["gliner"]) == [(e.start, e.end, e.label, e.score) for e in document.entities]
        assert set(doc.ents) <= set(doc.spans["gliner"])
        if not options:
            assert len(doc.ents) == len(document.entities)


def test_one_doc_is_as_many(folder):
    nlp = pipeline(folder)
    one = nlp(tiny.TEXTS[0])
    (many,) = nlp.pipe([tiny.TEXTS[0]])
    assert places(one.ents) == places(many.ents)


def test_the_best_of_overlapping_ones_is_an_entity(folder):
    doc = pipeline(folder, nested=True, multi_label=True, threshold=0.3)(" ".join(tiny.TEXTS))
    best = max(doc.spans["gliner"], key=lambda span: span._.score)
    assert best._.score == max(span._.score for span in doc.ents)
    assert len(doc.spans["gliner"]) > len(doc.ents)


def test_stored_and_read_back(folder, tmp_path):
    nlp = pipeline(folder, threshold=0.4)
    nlp.to_disk(tmp_path / "nlp")
    again = spacy.load(tmp_path / "nlp")
    assert again.get_pipe("gliner").settings == nlp.get_pipe("gliner").settings
    assert places(again(tiny.TEXTS[4]).ents) == places(nlp(tiny.TEXTS[4]).ents)
    from_bytes = pipeline(folder).from_bytes(nlp.to_bytes())
    assert from_bytes.get_pipe("gliner").settings.threshold == 0.4


def test_two_components_have_a_group_each(folder, tmp_path):
    common = {"labels": tiny.LABELS, "model": folder}
    nlp = pipeline(folder, threshold=0.3)
    nlp.add_pipe("gliner", name="sure", config={**common, "threshold": 0.45})
    nlp.add_pipe("gliner", name="third", config={**common, "threshold": 0.4, "spans_key": "mine"})
    nlp.to_disk(tmp_path / "nlp")
    text = tiny.TEXTS[4]
    for one in (nlp, spacy.load(tmp_path / "nlp")):
        doc = one(text)
        assert sorted(doc.spans) == ["gliner", "mine", "sure"]
        for key, threshold in [("gliner", 0.3), ("sure", 0.45), ("mine", 0.4)]:
            alone = pipeline(folder, threshold=threshold)(text)
            assert places(doc.spans[key]) == places(alone.spans["gliner"])
            assert doc.spans[key].attrs["scores"] == pytest.approx(alone.spans["gliner"].attrs["scores"])
        assert len(doc.spans["gliner"]) > len(doc.spans["sure"]) > 0


def test_no_labels_is_an_error_before_anything_is_loaded():
    with pytest.raises(LabelError, match="No labels"):
        spacy.blank("en").add_pipe("gliner")


def test_spacy_finds_it_by_its_entry_point(tmp_path):
    """As it is installed: nothing of ours is imported before spaCy asks for it, nor a network loaded."""
    tomllib = pytest.importorskip("tomllib")  # Python 3.11
    from tests.test_rules import ROOT

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    points = project["entry-points"]["spacy_factories"]
    information = tmp_path / "probe-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: probe\nVersion: 1\n")
    listed = "\n".join(f"{name} = {place}" for name, place in points.items())
    (information / "entry_points.txt").write_text(f"[spacy_factories]\n{listed}\n")
    code = (
        f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]\n"
        "import spacy\nnlp = spacy.blank('en')\nnlp.add_pipe('gliner', config={'labels': ['person']})\n"
        "print(type(nlp.get_pipe('gliner')).__module__)"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "gliner_cli.serving.spacy_component", done.stderr[-800:]
