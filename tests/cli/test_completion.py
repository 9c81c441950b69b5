"""What a shell completes, and the labels that are remembered for it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from gliner_cli.cli import completion, history


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.delenv(history.OFF, raising=False)
    monkeypatch.setattr(history.sys, "platform", "linux")
    monkeypatch.setattr(history, "at_terminal", lambda: True)
    return tmp_path


def test_labels_are_remembered_the_latest_first(home):
    history.remember(["person", "city"])
    history.remember(["drug", "person"])
    assert history.labels() == ["drug", "person", "city"]
    assert (history.place().stat().st_mode & 0o777) == 0o600
    assert [path.name for path in history.place().parent.iterdir()] == ["labels"]


def test_at_most_two_hundred_and_nothing_odd(home):
    history.remember([f"label {i}" for i in range(300)])
    assert len(history.labels()) == history.MOST
    history.remember(["a\nb", "x" * 101, "a,b", "\x1b[31m", "fine"])
    assert history.labels()[:2] == ["fine", "label 0"]


def test_it_can_be_turned_off_and_is_only_for_people(home, monkeypatch):
    monkeypatch.setenv(history.OFF, "1")
    history.remember(["person"])
    monkeypatch.delenv(history.OFF)
    monkeypatch.setattr(history, "at_terminal", lambda: False)
    history.remember(["person"])
    assert not history.place().exists()


def test_a_history_that_cannot_be_written_or_read_costs_nothing(home):
    (home / "state").write_text("a file where a folder should be")
    history.remember(["person"])
    assert history.labels() == []


def test_labels(home):
    history.remember(["person", "drug", "drug dose"])
    assert completion.labels("dr") == ["drug", "drug dose"]
    assert completion.labels("person,dr") == ["person,drug", "person,drug dose"]
    assert completion.labels("x") == []


def test_models_here_come_first_and_once(home, monkeypatch):
    pulled = home / "hub" / "models--urchade--gliner_multi" / "snapshots" / "abc"
    pulled.mkdir(parents=True)
    (pulled / "gliner_config.json").write_text("{}")
    (home / "mine").mkdir()
    (home / "mine" / "gliner_config.json").write_text("{}")
    (home / "more").mkdir()
    found = completion.models("urchade/gliner_multi")
    assert found[0] == ("urchade/gliner_multi", "here")
    assert ("urchade/gliner_multi-v2.1", "not here: gliner pull urchade/gliner_multi-v2.1") in found
    assert [name for name, _ in found].count("urchade/gliner_multi") == 1
    monkeypatch.chdir(home)
    assert completion.models("m") == [("mine", "folder"), ("more/", "folder")]
    assert completion.models(f"{home}/mi") == [(f"{home}/mine", "folder")]


def test_other_values():
    assert completion.read_formats("co") == ["conll"]
    assert "text" not in completion.written_formats("") or completion.written_formats("te") == ["text"]
    assert completion.windows("w") == ["words="]
    assert "small" in completion.suites("s")
    with pytest.raises(KeyError):
        completion.completer("nonsense")


ASKED = {
    "a command": ("gliner ext", "extract"),
    "a model": ("gliner extract -m urchade/gliner_large-v2.", "urchade/gliner_large-v2.1"),
    "a format": ("gliner extract --to js", "jsonl"),
    "a choice": ("gliner extract --precision b", "bf16"),
    "a label": ("gliner extract -l pers", "person"),
    "a suite": ("gliner bench --suite oo", "ood"),
}


@pytest.mark.parametrize("asked", ASKED)
def test_the_shell_asks_and_is_answered_without_torch(asked, home):
    history.remember(["person"])
    typed, wanted = ASKED[asked]
    code = "import sys; from gliner_cli.cli.app import app\ntry: app(prog_name='gliner')\nfinally: print(*sys.modules, file=sys.stderr)"
    surroundings = {**os.environ, "_GLINER_COMPLETE": "complete_bash", "COMP_WORDS": typed,
                    "COMP_CWORD": str(len(typed.split()) - 1)}  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=surroundings)
    assert wanted in done.stdout.split(), done.stderr[-500:]
    assert not {"torch", "numpy", "huggingface_hub", "transformers"} & set(done.stderr.split())


def test_the_completion_can_be_installed(tmp_path):
    surroundings = {**os.environ, "HOME": str(tmp_path), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    command = [sys.executable, "-m", "gliner_cli", "--install-completion", "bash"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=surroundings)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.rglob("*.sh"))
