from __future__ import annotations

import json
import pickle
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from gliner_cli.checkpoint.cache import Located
from gliner_cli.errors import GlinerError, InputError, MissingExtraError
from gliner_cli.evaluation import systems as module
from gliner_cli.evaluation.asking import Asking
from gliner_cli.evaluation.systems import Answers, Context, Ours, exported, self_contained, system, systems
from gliner_cli.inference.extractor import load
from gliner_cli.options import Computing, Extraction
from gliner_cli.text.labels import labels
from gliner_cli.types import Document, Entity
from tests.tiny import LABELS, TEXTS, checkpoint_folder

ASKED = labels(LABELS)
DOCUMENTS = [Document(text, id=str(number)) for number, text in enumerate(TEXTS)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return checkpoint_folder(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture
def ours(folder):
    return Ours(load(str(folder), threads=1), Extraction(threshold=0.5))


def places(documents):
    return [[(e.start, e.end, e.label) for e in document.entities] for document in documents]


# --- Ours -----------------------------------------------------------------------------------------------------------


def test_ours_finds_what_the_extractor_finds(ours):
    expected = list(ours.extractor.extract(DOCUMENTS, ASKED, threshold=0.5))
    assert ours.extract(DOCUMENTS, ASKED) == expected
    assert any(document.entities for document in expected)


def test_another_threshold_is_another_system_on_the_same_weights(ours):
    low = ours.at(0.1)
    assert sum(map(len, places(low.extract(DOCUMENTS, ASKED)))) > sum(map(len, places(ours.extract(DOCUMENTS, ASKED))))
    assert low.extractor is ours.extractor
    assert (low.about()["threshold"], ours.about()["threshold"]) == (0.1, 0.5)


def test_what_is_told_of_ours_names_the_weights_and_fits_json(ours, folder):
    about = ours.about()
    assert json.loads(json.dumps(about)) == about
    assert about["checkpoint"] == str(folder)
    assert len(about["sha256"]) == 64
    assert (about["device"], about["precision"], about["threads"]) == ("cpu", "fp32", 1)
    assert replace(ours, extraction=Extraction()).about()["threshold"] == 0.5  # what holds if nobody says


def test_the_commit_of_a_checkpoint_from_the_hub_is_told(folder, tmp_path):
    snapshot = tmp_path / "snapshots" / ("a" * 40)
    snapshot.parent.mkdir()
    snapshot.symlink_to(folder)
    assert module.fingerprint(snapshot) == {**module.fingerprint(folder), "commit": "a" * 40}


# --- Answers from a file ---------------------------------------------------------------------------------------------


def answers(tmp_path, *rows):
    path = tmp_path / "answers.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return system(str(path), Context())


def row(text, *entities, **more):
    return {
        "text": text,
        "entities": [dict(zip(("start", "end", "label"), one, strict=True)) for one in entities],
        **more,
    }


def test_answers_are_looked_up_by_text(tmp_path):
    one = answers(tmp_path, row("Bob", (0, 3, "person")), row("Ada", (0, 3, "person"), (0, 1, "letter")), row("x"))
    documents = [Document("Ada", id="7", entities=(Entity(0, 3, "city", "Ada"),)), Document("Bob"), Document("Ada")]
    found = one.extract(documents, labels(["person"]))
    assert places(found) == [[(0, 3, "person")]] * 3  # a letter was not asked for
    assert [document.id for document in found] == ["7", None, None]
    assert one.about()["protocol"].startswith("answers")


def test_the_same_text_twice_is_told_apart_by_its_name(tmp_path):
    one = answers(tmp_path, row("Ada", id="a"), row("Ada", (0, 3, "person"), id="b"))
    found = one.extract([Document("Ada", id="b"), Document("Ada", id="a")], labels(["person"]))
    assert places(found) == [[(0, 3, "person")], []]


def test_a_document_without_an_answer_is_an_error(tmp_path):
    with pytest.raises(InputError, match="no answer for 3: 'Eve"):
        answers(tmp_path, row("Ada")).extract([Document("Eve", id="3")], labels(["person"]))


def test_a_file_that_is_none_is_an_error(tmp_path):
    (tmp_path / "answers.jsonl").write_text("{no json}\n")
    with pytest.raises(InputError, match="not JSON"):
        Answers(tmp_path / "answers.jsonl", "x").extract(DOCUMENTS, ASKED)


# --- The table -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("glyner", "systems are gliner, gliner-onnx, fast-gliner, gliner2, spacy, openai, run"),
        ("no/such/answers.jsonl", "neither a system nor a file"),
        ("openai", "needs the name of a model"),
        ("gliner2", "cannot run our checkpoint"),
        ("spacy:", "cannot run our checkpoint"),
        ("run:", "needs a command"),
    ],
)
def test_a_name_that_is_none_says_what_to_type(name, said):
    with pytest.raises(InputError, match=said) as raised:
        system(name, Context())
    assert "--against" in raised.value.hint


def test_any_program_can_be_compared(tmp_path):
    tool = tmp_path / "my tool.py"
    tool.write_text(
        "import json, sys\n"
        "for line in sys.stdin:\n"
        "    asked = json.loads(line)\n"
        "    rows = [[[0, 3, asked['labels'][0][0]]] for _ in asked['documents']]\n"
        "    print(json.dumps({'answer': asked['answer'], 'entities': rows}), flush=True)\n"
    )
    one = system(f"run:{sys.executable} {shlex.quote(str(tool))}", Context())
    try:
        assert places(one.extract(DOCUMENTS[:2], ASKED)) == [[(0, 3, "person")]] * 2
        assert one.usage()["seconds"] > 0  # it does not say, so the clock does
    finally:
        one.close()


def test_one_package_with_two_checkpoints_is_two_systems(tmp_path, monkeypatch):
    (tmp_path / "spacy.py").write_text("def load(name): return name\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    made = systems(["spacy:en_small", "spacy:de_large"], Context(computing=Computing(device="cpu")))
    try:
        assert [one.name for one in made] == ["spacy:en_small", "spacy:de_large"]
        assert [one.about()["checkpoint"] for one in made] == ["en_small", "de_large"]
    finally:
        for one in made:
            one.close()


def test_an_endpoint_is_asked_as_the_context_says():
    (one,) = systems(["openai:tiny:latest"], Context(asking=Asking(url="http://127.0.0.1:1/v1", prompt="uniner")))
    assert one.name == "openai:tiny:latest"
    assert one.about()["prompt"] == "uniner"
    one.close()


def test_what_was_made_is_closed_when_the_next_cannot_be(monkeypatch):
    closed = []

    class Fake:
        def close(self):
            closed.append(self)

    monkeypatch.setattr(module, "_TABLE", {"fake": lambda *_: Fake()})
    with pytest.raises(InputError):
        systems(["fake", "fake", "nothing"], Context())
    assert len(closed) == 2


def test_a_context_goes_to_another_process_and_keeps_its_scratch():
    context = Context(computing=Computing(device="cpu"))
    assert pickle.loads(pickle.dumps(context)) == context
    assert context.scratch.is_dir()


# --- Our checkpoint as others want it --------------------------------------------------------------------------------


def test_a_checkpoint_that_has_all_is_given_as_it_is(folder):
    place = Located(folder, None, None, "tiny", None)
    assert self_contained(Context(place=place)) == folder


def test_one_that_leaves_its_tokenizer_to_its_backbone_is_completed_once(tmp_path):
    whole = checkpoint_folder(tmp_path / "whole")
    backbone = tmp_path / "backbone"
    backbone.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (whole / name).rename(backbone / name)
    context = Context(place=Located(whole, backbone, None, "tiny", None))
    made = self_contained(context)
    assert made.parent == context.scratch
    assert {path.name for path in made.iterdir()} >= {"gliner_config.json", "model.safetensors", "tokenizer.json"}
    assert self_contained(context) == made
    assert places(load(str(made)).extract(DOCUMENTS, ASKED))


class Exporting:
    """In place of a peer that exports."""

    def __init__(self, answer):
        self.answer, self.asked, self.closed, self.program = answer, [], 0, self

    def ask(self, request, _):
        self.asked.append(request)
        if "missing" not in self.answer:
            Path(request["export"]).mkdir()
        return self.answer

    def close(self):
        self.closed += 1


def test_an_export_is_made_once(monkeypatch):
    one, context = Exporting({}), Context()
    monkeypatch.setattr(module, "_gliner", lambda *_: one)
    assert exported(context) == exported(context) == context.scratch / "onnx"
    assert (len(one.asked), one.closed) == (1, 1)


def test_an_export_that_lacks_something_says_so(monkeypatch):
    one = Exporting({"missing": "onnx"})
    monkeypatch.setattr(module, "_gliner", lambda *_: one)
    with pytest.raises(MissingExtraError, match="needs onnx") as raised:
        exported(Context())
    assert "pip install onnx" in raised.value.hint
    assert one.closed == 1
    assert isinstance(raised.value, GlinerError)
