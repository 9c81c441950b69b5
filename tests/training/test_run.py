"""A run from its data to its folder: it learns, it can be stopped anywhere, and what it says of itself is so."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from gliner_cli.errors import GlinerError, OutputError, TrainingError
from gliner_cli.evaluation import calibration, scoring
from gliner_cli.formats.jsonl import line
from gliner_cli.inference.extractor import Extractor
from gliner_cli.options import Computing, Teaching
from gliner_cli.training import finished, loop
from gliner_cli.training.diary import Diary
from gliner_cli.training.finetune import Materials, Measured, Run, closed
from gliner_cli.training.finished import refuse_to_replace, save_all
from gliner_cli.training.keeping import COMMON_TYPES, with_opinions
from gliner_cli.training.loop import Step
from gliner_cli.training.outcome import Outcome, outcome, with_thresholds
from gliner_cli.training.trial import Trial
from gliner_cli.types import Document, Entity
from tests import tiny
from tests.training import toys

LABELS = ("person", "city", "boat")
DEV = toys.invented(30, 1)
FULL = OSError(28, "No space left on device")


def raising(error: BaseException):
    def raises(*_: object, **__: object) -> None:
        raise error

    return raises


def places(documents) -> list[list[tuple[int, int, str]]]:
    return [[(e.start, e.end, e.label) for e in document.entities] for document in documents]


def found_by(of, documents, labels=LABELS, **options):
    return list(Extractor(of).extract(documents, labels, **options))


def saved(run: Run, folder: Path, before=None, half=False) -> Outcome:
    came = outcome(run, before)
    save_all(came, folder, "tiny", half)
    return came


# --- It learns ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def learned(folder, tmp_path_factory) -> SimpleNamespace:
    """A run to its end and the folder that it left."""
    out = tmp_path_factory.mktemp("learned") / "out"
    before = toys.checkpoint(folder)
    files = {path: path.read_bytes() for path in folder.iterdir()}
    settings = {"steps": 120, "head_rate": 6e-3, "evaluations": 4, "micro_tokens": 1000}
    run = toys.a_run(toys.checkpoint(folder), out, toys.invented(60), dev_documents=DEV, **settings)
    run.folder.mkdir(parents=True)
    diary, events = Diary(run.folder, 0), []
    for event in run.events():
        diary.write(event)
        events.append(event)
    diary.close()
    came = saved(run, out, before)
    assert files == {path: path.read_bytes() for path in folder.iterdir()}, "the beginning is only read"
    return SimpleNamespace(run=run, events=events, out=out, before=before, came=came)


def test_a_toy_set_is_learned(learned):
    measured = [event for event in learned.events if isinstance(event, Measured)]
    assert [event.step for event in measured] == [0, 30, 60, 90, 120]
    assert max(event.f1 for event in measured) > measured[0].f1 + 0.3
    losses = [event.loss for event in learned.events if isinstance(event, Step)]
    assert sum(losses[-10:]) < 0.4 * sum(losses[:10])
    assert [event.number for event in learned.events if isinstance(event, Step)] == list(range(120))


def test_dev_data_is_asked_for_its_own_types_too(folder, tmp_path):
    dev = [toys.marked("The", ("Oriana", "boat"), "met a", ("whale", "animal"))]
    run = toys.a_run(toys.checkpoint(folder), tmp_path, toys.invented(8), dev_documents=dev)
    assert set(run.trial.labels) == {*LABELS, "animal"}
    assert len(run.trial.labels) == 4
    assert toys.a_run(toys.checkpoint(folder), tmp_path, annotation="open").trial.labels == ()


def test_the_folder_is_a_checkpoint_that_finds_what_the_run_found(learned):
    there = toys.checkpoint(learned.out)
    assert toys.equal(dict(there.network.state_dict()), dict(learned.run.checkpoint.network.state_dict()))
    assert found_by(there, DEV, threshold=0.5) == found_by(learned.run.checkpoint, DEV, threshold=0.5)
    assert sum(map(len, places(found_by(there, DEV)))) > 20
    assert sorted(path.name for path in learned.out.iterdir()) == [
        "README.md", "gliner_config.json", "learning.svg", "model.safetensors", "report.json", "report.md",
        "tokenizer.json", "tokenizer_config.json", "training",
    ]  # fmt: skip
    assert sorted(path.name for path in (learned.out / "training").iterdir()) == ["errors.jsonl", "log.jsonl"]


@pytest.mark.slow  # importing the reference package takes longer than all else here
def test_the_reference_package_finds_the_same_in_it(learned):
    gliner = pytest.importorskip("gliner", reason="the reference package is not installed: pip install '.[dev]'")
    theirs = gliner.GLiNER.from_pretrained(str(learned.out), local_files_only=True).eval()
    ours = found_by(toys.checkpoint(learned.out), DEV, threshold=0.5)
    for document, own in zip(DEV, ours, strict=True):
        rows = theirs.predict_entities(document.text, list(LABELS), threshold=0.5)
        assert [(row["start"], row["end"], row["label"]) for row in rows] == places([own])[0]
        assert [row["score"] for row in rows] == pytest.approx([e.score for e in own.entities], abs=1e-5)


def f1(found) -> float:
    return scoring.total(scoring.tallies(DEV, found)).f1


def test_the_reports_numbers_are_those_of_the_folder(learned):
    report = json.loads((learned.out / "report.json").read_text())
    assert report == json.loads(json.dumps(learned.came.report))
    there = toys.checkpoint(learned.out)
    assert report["before"]["f1"] == f1(found_by(learned.before, DEV))
    assert report["after"]["f1"] == f1(found_by(there, DEV, threshold=0.5))
    assert report["after_with_thresholds"]["f1"] == f1(found_by(there, DEV))
    assert report["difference"]["f1"] == pytest.approx(report["after"]["f1"] - report["before"]["f1"])
    for when in ("before", "after", "after_with_thresholds"):
        quality = report[when]
        assert quality["low"] <= quality["f1"] <= quality["high"]
        support = {label: row["support"] for label, row in quality["by_label"].items() if row["support"]}
        assert support == report_support(DEV)
    course = {event.step: event.f1 for event in learned.events if isinstance(event, Measured)}
    assert {int(step): score for step, score in report["course"].items()} == course
    assert course[report["best_step"]] == max(course.values()) == report["after"]["f1"]
    assert (report["steps"], report["ended"]) == (120, "all steps done")
    assert report["data"]["labels"] == report_support(learned.run.materials.train)
    assert (report["data"]["documents"], report["data"]["dev_documents"]) == (60, 30)
    wrong = scoring.errors(DEV, found_by(there, DEV))
    assert report["errors"] == dict(Counter(error.kind for error in wrong))
    rows = [json.loads(line) for line in (learned.out / "training" / "errors.jsonl").read_text().splitlines()]
    assert [(row["kind"], row["text"]) for row in rows] == [(error.kind, DEV[error.document].text) for error in wrong]
    assert set(report["other_labels"]) == {"labels", "before", "after"}


def report_support(documents) -> dict[str, int]:
    labels = [entity.label for document in documents for entity in document.entities]
    return {label: labels.count(label) for label in labels}


def test_the_papers_beside_it_say_the_same(learned):
    report = learned.came.report
    for name in ("report.md", "README.md"):
        page = (learned.out / name).read_text()
        assert f"{100 * report['after']['f1']:.1f}" in page
        assert all(label in page for label in LABELS)
    assert (learned.out / "README.md").read_text().startswith("---\nlibrary_name: gliner\n")
    assert "<svg" in (learned.out / "learning.svg").read_text()
    rows = [json.loads(line) for line in (learned.out / "training" / "log.jsonl").read_text().splitlines()]
    assert [row["event"] for row in rows] == ["step" if isinstance(e, Step) else "measured" for e in learned.events]
    assert [row["loss"] for row in rows if row["event"] == "step"] == [
        e.loss for e in learned.events if isinstance(e, Step)
    ]


# --- Thresholds -----------------------------------------------------------------------------------------------------


def test_thresholds_are_stored_used_and_overridden(learned):
    there = toys.checkpoint(learned.out)
    thresholds = json.loads((learned.out / "gliner_config.json").read_text())["thresholds"]
    assert thresholds == learned.came.report["thresholds"] == there.config.thresholds
    assert thresholds.keys() == set(LABELS)
    assert found_by(there, DEV) == found_by(there, DEV, thresholds)
    untuned = with_thresholds(there, {})
    assert "thresholds" not in untuned.config.published
    assert found_by(there, DEV, threshold=0.5) == found_by(untuned, DEV)
    low = with_thresholds(there, {"person": 0.05, "city": 1.0})
    expected = {"person": 0.05, "city": 1.0, "boat": 0.5}
    assert found_by(low, DEV) == found_by(untuned, DEV, expected)
    assert found_by(low, DEV) != found_by(untuned, DEV)


def test_thresholds_are_not_tuned_where_nobody_wants_it_or_types_are_open(tmp_path, folder):
    for number, changed in enumerate(({"untuned": True}, {"annotation": "open"})):
        run = toys.a_run(toys.checkpoint(folder), tmp_path / str(number), steps=1, **changed)
        list(run.events())
        came = saved(run, tmp_path / str(number))
        assert came.report["thresholds"] == {}
        assert "thresholds" not in (tmp_path / str(number) / "gliner_config.json").read_text()


def test_what_the_report_counts_is_what_the_checkpoint_finds(tmp_path, checkpoint, monkeypatch):
    """Also where an entity displaces another though it is itself below its own threshold."""
    thresholds = {"person": 0.9, "city": 0.2, "boat": 0.6}
    monkeypatch.setattr("gliner_cli.training.outcome._thresholds", lambda *_: thresholds)
    run = toys.a_run(checkpoint, tmp_path, steps=1, dev_documents=DEV)
    list(run.events())
    came = outcome(run, None)
    assert came.checkpoint.config.thresholds == thresholds
    found = found_by(came.checkpoint, DEV)
    assert places(found) != places(calibration.above(found_by(came.checkpoint, DEV, threshold=0.05), thresholds))
    assert came.report["after_with_thresholds"]["f1"] == f1(found)


def test_half_precision_is_half_the_size(tmp_path, folder):
    sizes = []
    for half in (False, True):
        out = tmp_path / str(half)
        run = toys.a_run(toys.checkpoint(folder), out, steps=2)
        list(run.events())
        saved(run, out, half=half)
        there = toys.checkpoint(out)
        sizes.append((out / "model.safetensors").stat().st_size)
        for name, value in there.network.state_dict().items():
            torch.testing.assert_close(value, run.checkpoint.network.state_dict()[name].float(), atol=1e-3, rtol=1e-3)
    assert sizes[1] == pytest.approx(sizes[0] / 2, rel=0.1)


# --- It can be stopped anywhere -------------------------------------------------------------------------------------


def to_the_end(run: Run) -> tuple[Run, list[float]]:
    return run, [event.loss for event in run.events() if isinstance(event, Step)]


EVENTS = ["measured 0", "step 1", "step 2", "measured 2", "step 3", "step 4", "measured 4"]


@pytest.fixture(scope="module")
def unbroken(folder, tmp_path_factory) -> tuple[Run, list[float]]:
    return to_the_end(toys.a_run(toys.checkpoint(folder), tmp_path_factory.mktemp("whole")))


@pytest.mark.parametrize("stopped", range(1, 8), ids=EVENTS)
def test_stopped_and_resumed_is_unbroken(tmp_path, folder, unbroken, stopped):
    whole, losses = unbroken
    broken = toys.a_run(toys.checkpoint(folder), tmp_path / "broken")
    begun = [event.loss for event in islice(broken.events(), stopped) if isinstance(event, Step)]
    broken.save()
    resumed = toys.a_run(toys.checkpoint(folder), tmp_path / "broken")
    resumed.resume()
    _, rest = to_the_end(resumed)
    assert begun + rest == losses
    assert resumed.course.scores == whole.course.scores
    assert resumed.course.best == whole.course.best
    assert toys.equal(toys.tensors(resumed), toys.tensors(whole))


@pytest.mark.parametrize(
    "changed",
    [
        {"lora": 2},
        {"freeze": "layers:1"},
        {"keep_documents": DEV[:6]},
        {"bi": True},
        {"annotation": "open"},
        {"blend": 0.6},
        {"number_format": "fp16"},
    ],
    ids=["lora", "freeze", "keep", "bi-encoder", "open", "blend", "fp16"],
)
def test_every_way_to_learn_can_be_resumed(tmp_path, request, changed):
    folder = request.getfixturevalue("bi_folder" if changed.get("bi") else "folder")
    whole, losses = to_the_end(toys.a_run(toys.checkpoint(folder), tmp_path / "whole", **changed))
    broken = toys.a_run(toys.checkpoint(folder), tmp_path / "broken", **changed)
    list(islice(broken.events(), 4))
    broken.save()
    resumed = toys.a_run(toys.checkpoint(folder), tmp_path / "broken", **changed)
    resumed.resume()
    assert to_the_end(resumed)[1] == losses[2:]
    assert toys.equal(toys.tensors(resumed), toys.tensors(whole))
    assert resumed.adapters.keys() == whole.adapters.keys()
    assert bool(whole.adapters) == ("lora" in changed)


def test_the_scale_of_half_precision_is_resumed(tmp_path, folder):
    broken, resumed = (toys.a_run(toys.checkpoint(folder), tmp_path, number_format="fp16") for _ in range(2))
    list(islice(broken.events(), 3))
    broken.learner.scaler.update(1024.0)
    broken.save()
    resumed.resume()
    assert resumed.learner.scaler.get_scale() == 1024
    assert resumed.learner.scaler.state_dict() == broken.learner.scaler.state_dict()


@pytest.mark.slow  # most are transformers', which takes its time to import
@pytest.mark.parametrize("backbone", tiny.BACKBONES)
def test_on_every_backbone_a_run_is_resumed_and_its_folder_loads(tmp_path, backbone):
    folder = tmp_path / "tiny"
    folder.mkdir()
    tiny.checkpoint_folder(folder, backbone, num_rnn_layers=1)
    settings = {"encoder_rate": 1e-4, "head_rate": 1e-3, "lora": None if backbone in ("bert", "albert") else 2}
    whole, losses = to_the_end(toys.a_run(toys.checkpoint(folder), tmp_path / "whole", **settings))
    broken = toys.a_run(toys.checkpoint(folder), tmp_path / "broken", **settings)
    list(islice(broken.events(), 3))
    broken.save()
    resumed = toys.a_run(toys.checkpoint(folder), tmp_path / "broken", **settings)
    resumed.resume()
    assert to_the_end(resumed)[1] == losses[2:]
    assert toys.equal(toys.tensors(resumed), toys.tensors(whole))
    saved(whole, tmp_path / "whole")
    found = found_by(whole.checkpoint, DEV, threshold=0.3)
    assert places(found_by(toys.checkpoint(tmp_path / "whole"), DEV, threshold=0.3)) == places(found)


def test_without_a_state_a_run_begins(tmp_path, checkpoint):
    run = toys.a_run(checkpoint, tmp_path)
    run.resume()
    assert (run.learner.step, run.course.scores) == (0, {})


def test_states_are_saved_as_often_as_ordered(tmp_path, folder, monkeypatch):
    kept = []
    monkeypatch.setattr(Run, "save", lambda run: kept.append(run.learner.step))
    list(toys.a_run(toys.checkpoint(folder), tmp_path, save_every=0.0).events())
    assert kept == [1, 2, 3, 4]
    kept.clear()
    list(toys.a_run(toys.checkpoint(folder), tmp_path).events())
    assert kept == []


# --- The best is kept, and learning ends ----------------------------------------------------------------------------


@pytest.fixture
def scores(monkeypatch) -> Iterator[list[float]]:
    """What measurements say, one after the other, in place of what they measure."""
    told = list[float]()
    monkeypatch.setattr(Trial, "found", lambda *_: [])
    monkeypatch.setattr(Trial, "f1", lambda *_: told.pop(0))
    return told


@pytest.mark.parametrize(
    ("told", "best"),
    [([0.1, 0.5, 0.3, 0.2], 2), ([0.4, 0.4, 0.1, 0.4], 0), ([0.0, 0.1, 0.2, 0.3], 6), ([0.0] * 4, 6)],
)
def test_the_best_weights_are_kept(tmp_path, folder, scores, told, best):
    scores += told
    run = toys.a_run(toys.checkpoint(folder), tmp_path, steps=6, evaluations=3)
    at = {event.step: toys.tensors(run) for event in run.events() if isinstance(event, Measured)}
    assert list(at) == [0, 2, 4, 6]
    assert run.course.best == best
    assert toys.equal(toys.tensors(run), at[best])
    assert run.course.ended == "all steps done"


@pytest.mark.parametrize(
    ("told", "share"),
    [
        ([0.50, 0.51, 0.507], 0.6),
        ([0.50, 0.51, 0.40], 0.8),
        ([0.50, 0.49, 0.51], 0.6),
        ([0.50, 0.30, 0.1], 1.0),
        ([0.05], 1.0),
    ],
)
def test_it_goes_back_as_far_as_the_dev_data_does_not_mind(tmp_path, folder, scores, told, share):
    scores += [0.1, *told]
    run = toys.a_run(toys.checkpoint(folder), tmp_path, steps=2, evaluations=1, blend=0.6)
    before, learned = [toys.tensors(run) for event in run.events() if isinstance(event, Measured)]
    assert run.course.share == share
    for name, value in toys.tensors(run).items():
        expected = before[name] + share * (learned[name] - before[name]) if len(told) > 1 else before[name]
        torch.testing.assert_close(value, expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(("kept", "share"), [([0.79], 0.6), ([0.7, 0.795], 0.45), ([0.1] * 9, 0.25)])
def test_it_goes_further_back_until_what_is_kept_is_as_it_was(tmp_path, folder, scores, kept, share):
    scores += [0.1, 0.50, 0.8, 0.51, 0.507, *kept]  # 0.8: what is kept, before anything was learned
    options = {"keep": ["FILE"], "keep_documents": DEV[:6]}
    run = toys.a_run(toys.checkpoint(folder), tmp_path, steps=2, evaluations=1, blend=0.6, **options)
    before, learned = [toys.tensors(run) for event in run.events() if isinstance(event, Measured)]
    assert run.course.share == share
    for name, value in toys.tensors(run).items():
        torch.testing.assert_close(value, before[name].lerp(learned[name], share), atol=1e-6, rtol=1e-5)


def test_adapters_that_are_saved_are_all_that_was_learned(tmp_path, folder, scores):
    scores += [0.1, 0.2]
    run = toys.a_run(toys.checkpoint(folder), tmp_path, steps=2, evaluations=1, blend=0.6, lora=2)
    list(run.events())
    assert run.adapters
    assert run.course.share == 1.0


def test_it_goes_on_as_long_as_nothing_is_found(tmp_path, checkpoint, scores):
    scores += [0.0, 0.0, 0.0, 0.0, 0.2, 0.1]
    run = toys.a_run(checkpoint, tmp_path, steps=10, evaluations=10, patience=1)
    list(run.events())
    assert (run.course.ended, run.course.best, run.learner.step) == ("no better in 1 measurements", 4, 5)


@pytest.mark.parametrize("patience", [1, 2, 0])
def test_learning_ends_where_nothing_gets_better(tmp_path, checkpoint, scores, patience):
    scores += [0.1, 0.3, 0.3, 0.2, 0.1, 0.0]
    run = toys.a_run(checkpoint, tmp_path, steps=10, evaluations=5, patience=patience)
    list(run.events())
    assert list(run.course.scores) == [0, 2, 4, 6, 8, 10][: 2 + patience if patience else 6]
    assert run.course.best == 2
    assert run.course.ended == (f"no better in {patience} measurements" if patience else "all steps done")


def test_learning_ends_when_the_minutes_are_over(tmp_path, checkpoint, monkeypatch):
    """Each update takes ten seconds by this clock; the rate is down by the end."""
    now, gradients = [0], loop.Learner._gradients
    monkeypatch.setattr(loop, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    monkeypatch.setattr(loop.Learner, "_gradients", lambda *of: (now.append(now.pop() + 10), gradients(*of))[1])
    run = toys.a_run(checkpoint, tmp_path, steps=1000, minutes=1.0, evaluations=100, schedule="linear", warmup=0.0)
    steps = [event for event in run.events() if isinstance(event, Step)]
    assert [step.seconds for step in steps] == [10] * 6
    assert [step.rate / run.learning.head_rate for step in steps] == pytest.approx([(6 - n) / 6 for n in range(6)])
    assert run.course.ended == "the minutes are over"
    assert max(run.course.scores) == 6
    assert run.course.elapsed == 60


# --- What goes wrong ------------------------------------------------------------------------------------------------


def test_no_number_stops_the_run_and_its_texts_are_named(tmp_path, checkpoint):
    run = toys.a_run(checkpoint, tmp_path)
    events = run.events()
    list(islice(events, 2))
    before = toys.tensors(run)
    run.learner.loss = lambda logits, *_: logits.nan_to_num().sum() * torch.nan
    with pytest.raises(TrainingError, match=r"failed-step-1\.jsonl") as error:
        next(events)
    assert "nan" in error.value.message
    assert toys.equal(toys.tensors(run), before)
    rows = [json.loads(line) for line in (tmp_path / "training" / "failed-step-1.jsonl").read_text().splitlines()]
    drawn = run.teacher.lessons(1, 8, 200)
    assert [(row["text"], tuple(row["asked"])) for row in rows] == [
        (one.passage.text, one.types) for group in drawn for one in group
    ]


def out_of_memory_once(run: Run, monkeypatch, at: int) -> list[int]:
    """Memory is not enough at one step; how many lessons each try had."""
    learn, tries = run.learner.learn, list[int]()

    def learning(lessons):
        tries.append(len(lessons))
        if len(tries) == at + 1:
            raise torch.OutOfMemoryError
        return learn(lessons)

    monkeypatch.setattr(run.learner, "learn", learning)
    return tries


def test_where_memory_is_not_enough_less_is_computed_at_once(tmp_path, folder, monkeypatch):
    run = toys.a_run(toys.checkpoint(folder), tmp_path / "a", micro_tokens=400)
    tries = out_of_memory_once(run, monkeypatch, at=0)
    to_the_end(run)
    assert tries[1] > tries[0]
    assert run.course.micro_tokens == 200
    halved, _ = to_the_end(toys.a_run(toys.checkpoint(folder), tmp_path / "b", micro_tokens=200))
    assert toys.equal(toys.tensors(run), toys.tensors(halved))


def test_a_resumed_run_remembers_what_fits(tmp_path, folder, monkeypatch):
    run = toys.a_run(toys.checkpoint(folder), tmp_path, micro_tokens=400)
    out_of_memory_once(run, monkeypatch, at=1)
    list(islice(run.events(), 4))
    run.save()
    losses = to_the_end(run)[1]
    resumed = toys.a_run(toys.checkpoint(folder), tmp_path, micro_tokens=400)
    resumed.resume()
    assert resumed.course.micro_tokens == 200
    assert to_the_end(resumed)[1] == losses


def test_where_one_text_is_too_much_the_error_says_so(tmp_path, checkpoint, monkeypatch):
    run = toys.a_run(checkpoint, tmp_path, micro_tokens=1)
    monkeypatch.setattr(run.learner, "learn", raising(torch.OutOfMemoryError("no room")))
    with pytest.raises(GlinerError, match="memory"):
        list(run.events())


def ended(folder: Path, out: Path) -> Run:
    run = toys.a_run(toys.checkpoint(folder), out, steps=2)
    list(islice(run.events(), 2))
    run.save()
    list(run.events())
    return run


@pytest.mark.parametrize("fails", ["save", "save_file"])
def test_where_no_room_is_for_the_checkpoint_the_state_stays(tmp_path, folder, monkeypatch, fails):
    run = ended(folder, tmp_path)
    came = replace(outcome(run, None), adapters={"x.A": torch.zeros(1)})
    monkeypatch.setattr(finished, fails, raising(FULL))
    with pytest.raises(OutputError, match="No space left"):
        save_all(came, tmp_path, "tiny", False)
    assert list((tmp_path / "training").glob("state-*"))
    assert not (tmp_path / "gliner_config.json").exists()


@pytest.mark.parametrize("kind", ["folder", "bi_folder"])
def test_killed_while_the_folder_is_made_it_can_be_made_again(tmp_path, request, monkeypatch, kind):
    run = ended(request.getfixturevalue(kind), tmp_path)
    came = outcome(run, None)
    move, moved = Path.replace, list[Path]()

    def moving(path: Path, target: Path) -> Path:
        if path.parent.name == "checkpoint":
            moved.append(path)
            if path.name == "gliner_config.json":
                raise KeyboardInterrupt
        return move(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", moving)
        with pytest.raises(KeyboardInterrupt):
            save_all(came, tmp_path, "tiny", False)
    assert len(moved) >= 7
    assert not (tmp_path / "gliner_config.json").exists(), "it comes last: a folder that has it is whole"
    assert list((tmp_path / "training").glob("state-*")), "the run can still be resumed"
    save_all(came, tmp_path, "tiny", False)
    assert places(found_by(toys.checkpoint(tmp_path), DEV)) == places(found_by(came.checkpoint, DEV))
    assert [path.name for path in (tmp_path / "training").iterdir()] == ["errors.jsonl"]


def test_nothing_is_written_over(tmp_path):
    refuse_to_replace(tmp_path / "new")
    refuse_to_replace(tmp_path)
    (tmp_path / "mine").write_text("x")
    for taken in (tmp_path, tmp_path / "mine"):
        with pytest.raises(OutputError, match="is there already"):
            refuse_to_replace(taken)


def test_a_log_goes_on_where_its_run_does(tmp_path):
    def event(number):
        return Step(number, 1.0 / (number + 1), 1.0, 0.1, 10, 0.5)

    log = Diary(tmp_path, 0)
    for number in range(4):
        log.write(event(number))
        if number % 2:
            log.write(Measured(number + 1, 0.5, True))
    log.close()
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"event": "ste')  # torn by a kill
    whole = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()[:-1]]
    log = Diary(tmp_path, 2, {2})
    log.write(event(2))
    log.close()
    assert [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()] == whole[:4]


# --- Materials ------------------------------------------------------------------------------------------------------


def test_a_part_of_the_data_becomes_dev_data():
    train = toys.invented(100)
    made = Materials.of(train, [], [], seed=0)
    assert (len(made.train), len(made.dev)) == (85, 15)
    assert sorted([*made.train, *made.dev], key=train.index) == train
    assert Materials.of(train, [], [], seed=0) == made
    assert Materials.of(train, [], [], seed=1) != made
    numbered = [toys.marked(("Porto", "city"), str(n)) for n in range(10_000)]
    assert [len(Materials.of(numbered[:n], [], [], 0).dev) for n in (2, 15, 30, 10_000)] == [1, 7, 10, 500]
    given = Materials.of(train, DEV, [], 0)
    assert (given.train, given.dev) == (tuple(train), tuple(DEV))


def test_a_text_that_comes_twice_is_not_in_both():
    made = Materials.of([*toys.invented(20), *toys.invented(20)], [], [], 0)
    assert len(made.train) + len(made.dev) == 40
    assert len(made.dev) >= 10
    assert not {document.text for document in made.train} & {document.text for document in made.dev}


def test_without_entities_there_is_nothing_to_learn():
    for train in ([], [Document("Rain ."), Document("Snow .")]):
        with pytest.raises(TrainingError, match="no entities to learn from"):
            Materials.of(train, [], [], 0)


@pytest.mark.parametrize(
    ("marked", "plain"),
    [(2, 0), (2, 3), (4, 10), (30, 100), (3, 100)],
)
def test_both_parts_of_the_data_have_entities(marked, plain):
    documents = [toys.marked(("Porto", "city"), str(n)) for n in range(marked)]
    documents += [Document(f"Rain {n}") for n in range(plain)]
    for seed in range(8):
        made = Materials.of(documents, [], [], seed)
        assert any(document.entities for document in made.train)
        assert any(document.entities for document in made.dev)
        assert len(made.train) >= len(made.dev)


def test_dev_data_without_entities_is_refused():
    one = toys.marked(("Porto", "city"))
    for train, dev in ((toys.invented(9), [Document("Rain .")]), ([one, *[Document("Rain .")] * 3], [])):
        with pytest.raises(TrainingError, match="has no entities to choose"):
            Materials.of(train, dev, [], 0)


def test_entities_that_can_none_of_them_be_learned_are_said_to_be_so(tmp_path, checkpoint):
    inside = Document("the co-operation went on", entities=(Entity(7, 16, "work", "operation"),))
    for annotation in ("open", "closed"):
        with pytest.raises(TrainingError, match="None of the entities can be learned: not on the edges of words"):
            next(toys.a_run(checkpoint, tmp_path, [inside] * 4, annotation=annotation).events())


def test_long_names_of_types_leave_room_for_the_text(tmp_path):
    bert = toys.checkpoint(tiny.checkpoint_folder(tmp_path / "bert", "bert", max_len=400, num_rnn_layers=0))
    names = [f"name of an organization or a university that sold oranges {n}" for n in range(25)]  # 25 fit by number
    text = toys.marked(*((f"Porto{n}", name) for n, name in enumerate(names)), *["Brightwell"] * 40)
    run = toys.a_run(bert, tmp_path, [text] * 4, drop=0.0, micro_tokens=4000)
    list(islice(run.events(), 2))


def test_which_data_is_taken_as_closed():
    data = toys.invented(20)
    assert set(closed(data, "auto")) == set(closed(data, "closed")) == set(LABELS)
    assert closed(data, "open") == ()
    many = [toys.marked(("Porto", f"type {n}")) for n in range(201)]
    assert closed(many, "auto") == ()
    assert len(closed(many, "closed")) == 201
    for field in ("labels", "negatives"):
        assert closed([*data, toys.marked("Rain", meta={field: ["city"]})], "auto") == ()


def test_an_open_set_is_measured_by_each_documents_own_types(read_only):
    documents = (
        toys.marked("Marta Silva left", ("Porto", "city"), meta={"negatives": ["person"]}),
        toys.marked(("Rain", "weather")),
        Document("Nothing ."),
    )
    found = Trial(documents).found(read_only, Extractor(read_only).computing)
    expected = [found_by(read_only, documents[:1], ("city", "person"), threshold=0.05)[0],
                found_by(read_only, documents[1:2], ("weather",), threshold=0.05)[0]]  # fmt: skip
    assert places(found) == [*places(expected), []]


# --- What is kept ---------------------------------------------------------------------------------------------------


def test_texts_without_entities_get_the_checkpoints_opinion(read_only):
    plain = [Document(text, str(n)) for n, text in enumerate(tiny.TEXTS)]
    said = with_opinions(plain, read_only, ["Person", "boat"], Computing())
    asked = [name for name in COMMON_TYPES if name != "person"]
    assert places(said) == places(found_by(read_only, plain, asked))
    assert all(document.meta["labels"] == asked for document in said)
    assert any(document.entities for document in said)


def test_labelled_data_that_is_kept_stays_as_it_is(read_only):
    gold = [toys.marked(("Porto", "city")), Document("Rain .")]
    assert with_opinions(gold, read_only, ["boat"], Computing()) == gold


def test_what_is_rehearsed_is_built_in_unless_something_is_given(tmp_path, folder):
    train = tmp_path / "train.jsonl"
    train.write_bytes(b"\n".join(map(line, toys.invented(20))))
    kept = {
        name: toys.an_order(folder, train, tmp_path / "out", **options)._kept(pytest.fail)
        for name, options in {"built in": {}, "given": {"keep": [str(train)]}, "none": {"keep_share": 0.0}}.items()
    }
    assert {name: len(documents) for name, documents in kept.items()} == {"built in": 400, "given": 20, "none": 0}
    assert all(document.entities or document.meta["negatives"] for document in kept["built in"])


def test_a_share_of_every_update_is_what_is_kept(tmp_path, checkpoint):
    keep = [toys.marked((word, "weather"), meta={"labels": ["weather"]}) for word in ("Rain", "Snow", "Hail")]
    run = toys.a_run(checkpoint, tmp_path, keep_documents=keep, batch=10, keep_share=0.3)
    for step in range(5):
        run.learner.step = step
        texts = [one.passage.text for _, group in run._groups() for one in group]
        assert sorted(text in ("Rain", "Snow", "Hail") for text in texts) == [False] * 7 + [True] * 3
        numbers = [number for number, _ in run._groups()]
        assert numbers == list(range(len(numbers)))


def test_a_run_says_what_it_learns_by(tmp_path, checkpoint):
    run = toys.a_run(checkpoint, tmp_path, toys.invented(30))
    assert run.teaching == Teaching()
    assert set(run.closed) == set(LABELS)
    assert run.judgement.documents == 30
