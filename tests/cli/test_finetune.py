"""`gliner finetune` as a person meets it: what it says, what it leaves, and that nothing done is lost."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from gliner_cli.checkpoint.weights import read_weights
from gliner_cli.cli.app import main
from gliner_cli.training.loop import Learner
from tests import tiny
from tests.training import apart, toys

SETTINGS = ["--batch", "8", "--encoder-rate", "3e-3", "--head-rate", "3e-3", "--precision", "fp32", "--evaluations", "2",
            "--micro-tokens", "200", "--device", "cpu"]  # fmt: skip


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return tiny.checkpoint_folder(tmp_path_factory.mktemp("model"), num_rnn_layers=0)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Training and dev data in every form."""
    folder = tmp_path_factory.mktemp("data")
    for suffix in (".jsonl", ".rows.jsonl", ".conll"):
        toys.written(folder / f"train{suffix}", toys.invented(24))
        toys.written(folder / f"dev{suffix}", toys.invented(8, 1))
    return folder


@pytest.fixture
def gliner(monkeypatch, capsys):
    """The command in this process: its exit code, and what it says. The built-in suite is not measured each time."""
    torch.set_num_threads(1)
    monkeypatch.setattr("gliner_cli.training.outcome._forgotten", lambda *_: apart.NOT_MEASURED)
    monkeypatch.delenv("GLINER_MODEL", raising=False)

    def run(*arguments: object) -> SimpleNamespace:
        monkeypatch.setattr(sys, "argv", ["gliner", *map(str, arguments)])
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as ended:
            code = ended.code or 0
        said = capsys.readouterr()
        return SimpleNamespace(code=code, out=said.out, said=" ".join(said.err.split()), lines=said.err.splitlines())

    return run


def ordered(model: Path, data: Path, out: Path, steps: int = 2, form: str = ".jsonl") -> list[str]:
    """The arguments of a short run."""
    names = f"finetune {data}/train{form} --dev {data}/dev{form} -m {model} -o {out} --steps {steps}"
    return [*names.split(), *SETTINGS]


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def log(out: Path) -> list[tuple]:
    """What a run's log says, but for the time it took."""
    rows = [json.loads(line) for line in (out / "training" / "log.jsonl").read_text().splitlines()]
    return [tuple(value for name, value in row.items() if name != "seconds") for row in rows]


# --- A run ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(model, data, tmp_path_factory) -> Path:
    """The folder of a run that has ended."""
    folder = tmp_path_factory.mktemp("finished")
    process = apart.started(apart.command, ordered(model, data, folder / "out"), folder / "said", True)
    assert apart.ended(process) == 0, (folder / "said").read_text()
    return folder / "out"


def test_it_says_what_it_does_and_leaves_a_checkpoint(finished, data, gliner):
    said = (finished.parent / "said").read_text()
    lines = said.splitlines()
    assert lines[0].startswith("gliner: 24 documents, 3 labels: ")
    how = "2 steps of 8 texts, 200 pieces at once, rates 0.003 and 0.003, what is there weighs 3, fp32"
    assert f"learning: {how}" in said
    assert "annotation closed (3 labels), 8 dev documents, 527 passages rehearsed against forgetting" in said
    assert sum("dev F1" in line for line in lines) == 4
    assert f"the checkpoint is in {finished}" in said
    names = {path.name for path in finished.iterdir()}
    assert names >= {
        "gliner_config.json",
        "model.safetensors",
        "tokenizer.json",
        "report.json",
        "report.md",
        "README.md",
    }
    report = json.loads((finished / "report.json").read_text())
    assert report["steps"] == 2
    done = gliner("extract", data / "dev.jsonl", "-m", finished, "-l", "person,city", "-q")
    assert (done.code, len(done.out.splitlines())) == (0, 8)


def test_all_forms_of_data_are_the_same_run(finished, model, data, tmp_path, gliner):
    weights = [(finished / "model.safetensors").read_bytes()]
    for form in (".rows.jsonl", ".conll"):
        done = gliner(*ordered(model, data, tmp_path / form, form=form), "-q")
        assert (done.code, done.said) == (0, "")
        weights.append((tmp_path / form / "model.safetensors").read_bytes())
    assert weights[0] == weights[1] == weights[2]


def test_several_files_and_folders(model, tmp_path, gliner):
    (tmp_path / "more").mkdir()
    toys.written(tmp_path / "one.jsonl", toys.invented(5))
    toys.written(tmp_path / "more" / "two.conll", toys.invented(9)[5:])
    toys.written(tmp_path / "more" / "three.rows.jsonl", toys.invented(12)[9:])
    done = gliner(
        "finetune", tmp_path / "one.jsonl", tmp_path / "more", "--dev", tmp_path / "one.jsonl", "-m", model, "--check"
    )
    assert done.code == 0
    assert "12 documents" in done.said


def test_what_cannot_be_read_is_said_and_the_rest_is_learned(model, data, tmp_path, gliner):
    train = tmp_path / "train.jsonl"
    train.write_text((data / "train.jsonl").read_text() + "{torn\n")
    order = ordered(model, data, tmp_path / "out", steps=1)
    done = gliner(order[0], train, *order[2:])
    assert done.code == 1
    assert f"{train}:25" in done.said
    assert (tmp_path / "out" / "gliner_config.json").exists()


def test_adapters_are_saved_and_are_what_was_merged(model, data, tmp_path, gliner, monkeypatch):
    out, better = tmp_path / "out", iter([0.1, 0.2, 0.3])
    monkeypatch.setattr("gliner_cli.training.trial.Trial.f1", lambda *_: next(better))
    assert gliner(*ordered(model, data, out, steps=4), "--lora", 2, "-q").code == 0
    before, after = read_weights(model / "model.safetensors"), read_weights(out / "model.safetensors")
    adapters = load_file(out / "lora.safetensors")
    assert before.keys() == after.keys()
    layers = {name.rsplit(".", 1)[0] for name in adapters}
    moved = {name for name in before if ".bert_layer." in name and not torch.equal(before[name], after[name])}
    assert moved == {f"{layer}.weight" for layer in layers}
    for layer in layers:
        merged = before[f"{layer}.weight"] + 2 * adapters[f"{layer}.B"] @ adapters[f"{layer}.A"]
        torch.testing.assert_close(after[f"{layer}.weight"], merged)


# --- Check ----------------------------------------------------------------------------------------------------------

FAULTY = [
    {"text": "the co-operation of Porto", "entities": [{"start": 7, "end": 16, "label": "work"}]},
    {"text": "Porto", "entities": [{"start": 0, "end": 5, "label": "city"}]},
    {"text": "Porto", "entities": [{"start": 0, "end": 5, "label": "City"}]},
    {"text": "a b c d e f g", "entities": [{"start": 0, "end": 13, "label": "poem"}]},
    {
        "text": "Lake Tarn",
        "entities": [{"start": 0, "end": 9, "label": "lake"}, {"start": 5, "end": 9, "label": "lake"}],
    },
    {"text": "ha " * 65, "entities": [{"start": 0, "end": 194, "label": "song"}]},
]
SAID = {
    1: "not on the edges of words",
    3: "the same text with other entities",
    4: "wider than the 5 words the network reads",
    5: "entities that overlap (only one of them can be found without --nested)",
    6: "cut by the edge of a window",
}


def faulty(path: Path, **fields: object) -> Path:
    path.write_text("".join(json.dumps({**row, **fields}) + "\n" for row in FAULTY))
    return path


def test_check_says_what_is_wrong_and_where_and_writes_nothing(model, data, tmp_path, gliner, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train = faulty(tmp_path / "train.jsonl")
    before = content(tmp_path)
    done = gliner("finetune", train, "--dev", data / "dev.jsonl", "-m", model, "--check")
    assert (done.code, done.out) == (0, "")
    for line, what in SAID.items():
        at = next(n for n, said in enumerate(done.lines) if f"× {what}" in said)
        assert f"{train}:{line}: " in done.lines[at + 1], what
    assert "'city', 'City'" in done.said
    assert "6 documents, 6 labels" in done.said
    assert content(tmp_path) == before


def test_check_says_where_though_nothing_can_be_learned(model, data, tmp_path, gliner):
    train = tmp_path / "train.jsonl"
    train.write_text(json.dumps(FAULTY[0]) + "\n")
    done = gliner("finetune", train, "--dev", data / "dev.jsonl", "-m", model, "--check")
    assert f"{train}:1: 'operation' as work" in done.said


def test_check_finds_a_text_in_both(model, data, gliner):
    done = gliner("finetune", data / "train.jsonl", "--dev", data / "train.jsonl", "-m", model, "--check")
    assert "24 × in the training and the dev data" in done.said
    assert f"{data / 'train.jsonl'}:24" in done.said


def test_check_says_where_though_documents_have_names(model, data, tmp_path, gliner):
    train = faulty(tmp_path / "train.jsonl", id="a name")
    done = gliner("finetune", train, "--dev", data / "dev.jsonl", "-m", model, "--check")
    assert f"{train}: a name" in done.said


def test_a_run_says_in_short_what_check_says_in_full(model, data, tmp_path, gliner):
    train = toys.written(tmp_path / "train.jsonl", toys.invented(24) * 2)
    full = gliner("finetune", train, "--dev", data / "dev.jsonl", "-m", model, "--check")
    short = gliner("finetune", train, *ordered(model, data, tmp_path / "out", steps=1)[2:])
    for done, examples in ((full, 24), (short, 3)):
        at = next(n for n, said in enumerate(done.lines) if "24 × the same text again" in said)
        assert sum("first at" in line for line in done.lines[at:]) == examples


# --- What it refuses ------------------------------------------------------------------------------------------------


def test_a_folder_that_is_there_is_left_alone(model, data, tmp_path, gliner):
    (tmp_path / "mine").write_text("x")
    done = gliner(*ordered(model, data, tmp_path))
    assert done.code == 1
    assert f"{tmp_path} is there already" in done.said
    assert f"--resume {tmp_path}" in done.said
    assert content(tmp_path) == {"mine": b"x"}


DATA = "{folder}/train.jsonl --dev {folder}/train.jsonl"
WRONG = {
    "no data": ("", "No training data was given. gliner finetune train.jsonl"),
    "no entities": ("{folder}/empty.jsonl", "has no entities to learn from"),
    "no such file": ("{folder}/none.jsonl", "does not exist"),
    "no such model": (f"{DATA} -m {{folder}}/none", "There is no folder"),
    "no such backbone": (f"{DATA} --from-backbone x/y", "hf download x/y"),
    "nothing to freeze": (f"{DATA} --freeze head", "layers:N"),
    "no such tracker": (f"{DATA} --track pigeon", "tensorboard or wandb"),
    "nothing to resume": ("--resume {folder}", "holds no run to go on with"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_orders_get_one_clear_message_and_leave_nothing(case, model, tmp_path, gliner):
    toys.written(tmp_path / "train.jsonl", toys.invented(4))
    (tmp_path / "empty.jsonl").write_text('{"text": "Rain"}\n')
    before = content(tmp_path)
    arguments, said = WRONG[case]
    arguments = arguments.replace("{folder}", str(tmp_path)).split()
    choice = [] if {"-m", "--resume"} & set(arguments) else ["-m", model]
    output = [] if "--resume" in arguments else ["-o", tmp_path / "out"]
    done = gliner("finetune", *arguments, *choice, *output)
    assert done.code == 1
    assert said in done.said
    assert "Traceback" not in done.said
    assert content(tmp_path) == before
    assert not (tmp_path / "out").exists()


def test_a_tracker_that_is_not_installed_leaves_nothing_and_names_an_extra_that_is_there(
    model, data, tmp_path, gliner, monkeypatch
):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    done = gliner(*ordered(model, data, tmp_path / "out"), "--track", "tensorboard")
    assert done.code == 1
    named = re.search(r"pip install '(?:gliner-cli\[(\w+)\]|tensorboard)'", done.said)
    assert named
    assert named[1] is None or f"\n{named[1]} = [" in (Path(__file__).parents[2] / "pyproject.toml").read_text()
    assert not (tmp_path / "out").exists()


# --- Configuration --------------------------------------------------------------------------------------------------


def test_a_file_has_the_options_and_the_command_line_goes_before_it(model, data, tmp_path, gliner):
    config = tmp_path / "run.toml"
    config.write_text(
        f'train = ["{data}/train.jsonl"]\ndev = ["{data}/dev.jsonl"]\nmodel = "{model}"\noutput = "{tmp_path}/out"\n'
        'steps = 7\nhead-rate = 0.5\nencoder_rate = 1e-4\nprecision = "fp32"\nfocal-gamma = 2.0\nbatch = 4\n'
        "gradient-checkpointing = true\nschedule = 'linear'\n"
    )
    done = gliner("finetune", "--config", config, "--steps", 1, "--batch", 3, "-q")
    assert (done.code, done.said) == (0, "")
    learning = json.loads((tmp_path / "out" / "training" / "order.json").read_text())["learning"]
    expected = {"steps": 1, "batch": 3, "head_rate": 0.5, "encoder_rate": 1e-4, "number_format": "fp32", "focus": 2.0,
                "checkpointing": True, "schedule": "linear", "warmup": 0.1}  # fmt: skip
    assert {name: learning[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("steps = 3\nstep_size = 4", "step_size, which is no option of gliner finetune"),
        ("steps = = 3", "cannot be read as TOML"),
        ("steps = 'many'", "'--steps'"),
        ("steps = 0", "'--steps'"),
        (None, "cannot be read as TOML"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused(tmp_path, gliner, text, said):
    config = tmp_path / "run.toml"
    if text is not None:
        config.write_text(text)
    done = gliner("finetune", "x.jsonl", "--config", config)
    assert done.code == (2 if said == "'--steps'" else 1)
    assert said in done.said


# --- Stopped and resumed --------------------------------------------------------------------------------------------


def until_step(out: Path, process, number: int) -> None:
    """Wait until a run has done so many steps, or has ended."""
    path, begun = out / "training" / "log.jsonl", time.monotonic()
    while process.is_alive() and time.monotonic() - begun < 300:
        if path.exists() and path.read_text().count('"event": "step"') >= number:
            return
        time.sleep(0.001)


def test_stopped_by_hand_it_saves_and_says_how_to_go_on(model, data, tmp_path):
    out = tmp_path / "out"
    process = apart.started(
        apart.command, [*ordered(model, data, out, steps=10**6), "--patience", "0"], tmp_path / "said"
    )
    until_step(out, process, 3)
    os.kill(process.pid, signal.SIGINT)
    assert apart.ended(process) == 130
    said = (tmp_path / "said").read_text()
    steps = sum(row[0] == "step" for row in log(out))
    assert f"stopped after step {steps}; go on: gliner finetune --resume {out}" in said
    assert "Traceback" not in said
    assert [path.name for path in (out / "training").glob("state-*")] == [f"state-{steps:07d}.safetensors"]
    assert not (out / "gliner_config.json").exists()


def test_of_two_processes_one_is_stopped_and_both_end(model, data, tmp_path):
    out, port = tmp_path / "out", apart.free_port()
    order = [*ordered(model, data, out, steps=10**6), "--patience", "0"]
    both = [apart.started(apart.command_of_several, rank, 2, port, order, tmp_path / f"said {rank}") for rank in (0, 1)]
    until_step(out, both[0], 3)
    os.kill(both[1].pid, signal.SIGTERM)
    assert [apart.ended(one) for one in both] == [143, 143]
    steps = sum(row[0] == "step" for row in log(out))
    assert f"stopped after step {steps}" in (tmp_path / "said 0").read_text()
    assert [path.name for path in (out / "training").glob("state-*")] == [f"state-{steps:07d}.safetensors"]


def test_what_was_chosen_for_a_run_is_kept_for_its_resumption(model, data, gliner, tmp_path):
    done = gliner(*f"finetune {data}/train.jsonl --dev {data}/dev.jsonl -m {model} -o".split(), tmp_path / "out",
                  "--minutes", 1e-4, "-q")  # fmt: skip
    assert (done.code, done.said) == (0, "")
    learning = json.loads((tmp_path / "out" / "training" / "order.json").read_text())["learning"]
    chosen = ("steps", "batch", "encoder_rate", "head_rate", "number_format", "micro_tokens", "positive_weight")
    assert all(learning[name] not in (None, "auto") for name in chosen)


def test_what_was_ordered_cannot_be_changed_when_it_is_resumed(gliner, tmp_path):
    done = gliner("finetune", "--resume", tmp_path / "out", "--steps", "7", "--lora", "4")
    assert done.code == 1
    assert "--steps, --lora would change it" in done.said
    assert "begin a new run" in done.said


def killed_and_resumed(start, order: list[str], out: Path, kills: int, steps: int) -> int:
    """Kill a run at random moments and resume it, at last to its end; how often it was killed.

    The last time its steps are done, and it measures and writes its folder.
    """
    chance, done, arguments = random.Random(kills), 0, order
    for left in range(kills, 0, -1):
        process = start(arguments)
        already = sum(row[0] == "step" for row in log(out)) if (out / "training" / "log.jsonl").exists() else 0
        more = chance.randint(1, max(1, (steps - already) // left)) if left > 1 else steps - already
        until_step(out, process, already + more)
        time.sleep(chance.uniform(0, 0.03 if left > 1 else 1))
        process.kill()
        if apart.ended(process) == 0:
            return done
        done += 1
        arguments = ["finetune", "--resume", str(out), "-q"]
    assert apart.ended(start(arguments)) == 0
    return done


def same(out: Path, whole: Path) -> None:
    assert (out / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    assert log(out) == log(whole)
    reports = [json.loads((folder / "report.json").read_text()) for folder in (out, whole)]
    assert [{**report, "seconds": 0} for report in reports] == [{**reports[0], "seconds": 0}] * 2
    assert [path.name for path in (out / "training").iterdir() if path.name.startswith("state")] == []


def test_killed_at_three_moments_it_ends_as_if_it_had_not_been(model, data, tmp_path):
    whole, out, steps = tmp_path / "whole", tmp_path / "out", 16
    run = [*ordered(model, data, out, steps), "--save-every", "0"]
    first = apart.started(apart.command, ordered(model, data, whole, steps), tmp_path / "said")
    killed = killed_and_resumed(lambda a: apart.started(apart.command, a, tmp_path / "said"), run, out, 3, steps)
    assert apart.ended(first) == 0
    assert killed >= 2
    same(out, whole)


def test_what_was_measured_before_a_kill_is_in_the_log_once(model, data, tmp_path, gliner, monkeypatch):
    learn = Learner.learn

    def interrupted(learner: Learner, lessons: list) -> object:
        if learner.step == 2:
            raise KeyboardInterrupt
        return learn(learner, lessons)

    order = [*ordered(model, data, tmp_path / "whole", steps=4), "--save-every", "0", "-q"]
    assert gliner(*order).code == 0
    with monkeypatch.context() as patch:
        patch.setattr(Learner, "learn", interrupted)
        assert gliner(*order, "-o", tmp_path / "out").code == 130
    assert gliner("finetune", "--resume", tmp_path / "out", "-q").code == 0
    assert log(tmp_path / "out") == log(tmp_path / "whole")


class Command(subprocess.Popen):
    """A command of its own, as a person starts it, behind the interface of multiprocessing."""

    def __init__(self, arguments: list[str]) -> None:
        super().__init__([sys.executable, "-m", "gliner_cli", *arguments], stderr=subprocess.DEVNULL)

    def is_alive(self) -> bool:
        return self.poll() is None

    def join(self, seconds: float) -> None:
        self.wait(seconds)

    @property
    def exitcode(self) -> int | None:
        return self.poll()


@pytest.mark.slow
def test_killed_at_ten_moments_it_ends_as_if_it_had_not_been(model, data, tmp_path):
    whole, out, steps = tmp_path / "whole", tmp_path / "out", 60
    assert apart.ended(Command(ordered(model, data, whole, steps))) == 0
    run = [*ordered(model, data, out, steps), "--save-every", "0"]
    assert killed_and_resumed(Command, run, out, 10, steps) >= 8
    same(out, whole)


def test_other_data_is_not_gone_on_with(model, data, tmp_path, gliner):
    train = tmp_path / "train.jsonl"
    train.write_bytes((data / "train.jsonl").read_bytes())
    order = ordered(model, data, tmp_path / "out", steps=1)
    assert gliner(order[0], train, *order[2:], "-q").code == 0
    (tmp_path / "out" / "gliner_config.json").unlink()  # as if it had been killed just before the end
    before = content(tmp_path / "out")
    with train.open("a") as file:
        file.write('{"text": "Rain"}\n')
    done = gliner("finetune", "--resume", tmp_path / "out")
    assert done.code == 1
    assert f"Changed since the run began: {train}." in done.said
    assert content(tmp_path / "out") == before


def test_a_run_that_has_ended_does_not_begin_again(finished, tmp_path, gliner):
    out = Path(shutil.copytree(finished, tmp_path / "out"))
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    gliner("finetune", "--resume", out)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


def test_it_can_be_resumed_from_another_folder(model, data, tmp_path, gliner, monkeypatch):
    """Though its data and its checkpoint were named from where it began."""
    monkeypatch.chdir(data)
    out = tmp_path / "out"
    order = [os.path.relpath(one, data) if one.startswith("/") else one for one in ordered(model, data, out, 10**6)]
    process = apart.started(apart.command_in, data, [*order, "--patience", "0"], tmp_path / "said")
    until_step(out, process, 2)
    process.terminate()
    assert apart.ended(process) == 143
    monkeypatch.chdir(tmp_path)
    order = json.loads((out / "training" / "order.json").read_text())
    order["learning"]["steps"] = 1
    (out / "training" / "order.json").write_text(json.dumps(order))
    done = gliner("finetune", "--resume", "out")
    assert done.code == 0, done.said
    assert "going on after step" in done.said
    assert (out / "gliner_config.json").exists()


# --- A full disk ----------------------------------------------------------------------------------------------------

FULL = [
    pytest.param(100_000, ["--save-every", "0"], "The state of step 1 cannot be written", id="state"),
    pytest.param(100_000, [], "The checkpoint cannot be written", id="checkpoint"),
    pytest.param(6_000, ["--steps", "1000"], "cannot be written", id="log"),
]  # fmt: skip


@pytest.mark.parametrize(("room", "more", "said"), FULL)
def test_where_no_room_is_left_one_line_says_so(model, data, tmp_path, room, more, said):
    order = [*ordered(model, data, tmp_path / "out"), *more]
    process = apart.started(apart.command_in_little_room, room, order, tmp_path / "said")
    assert apart.ended(process) == 1
    told = (tmp_path / "said").read_text()
    assert said in told
    assert "Traceback" not in told
    assert not (tmp_path / "out" / "gliner_config.json").exists()


# --- Several processes ----------------------------------------------------------------------------------------------


def test_of_several_processes_the_first_speaks(model, data, tmp_path):
    port = apart.free_port()
    both = [
        apart.started(
            apart.command_of_several, rank, 2, port, ordered(model, data, tmp_path / "out"), tmp_path / f"said{rank}"
        )
        for rank in (0, 1)
    ]
    assert [apart.ended(one) for one in both] == [0, 0]
    assert (tmp_path / "out" / "gliner_config.json").exists()
    assert "the checkpoint is in" in (tmp_path / "said0").read_text()
    assert (tmp_path / "said1").read_text() == ""


@pytest.mark.slow
def test_accelerate_launches_two_processes(finished, model, data, tmp_path):
    pytest.importorskip("accelerate")
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2", "-m", "gliner_cli"]
    done = subprocess.run(
        [*launch, *ordered(model, data, tmp_path / "out"), "-q"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    alone, two = (load_file(folder / "model.safetensors") for folder in (finished, tmp_path / "out"))
    for name, value in alone.items():
        torch.testing.assert_close(two[name], value, atol=1e-4, rtol=1e-4)
