"""`--help`: quick, with examples that the command line takes; and what a mistyped name is answered."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from gliner_cli.checkpoint import catalog
from gliner_cli.cli.app import app
from gliner_cli.errors import GlinerError
from gliner_cli.text import labels

README = Path(__file__).resolve().parents[1] / "README.md"
HEAVY = {"torch", "transformers", "huggingface_hub", "numpy", "tokenizers", "spacy", "pyarrow"}
ROOT = typer.main.get_command(app)


def commands(command=ROOT, name=()):
    yield name, command
    for sub, below in getattr(command, "commands", {}).items():
        yield from commands(below, (*name, sub))


COMMANDS = dict(commands())


def examples(text):
    return re.findall(r"\[bold\](.+?)\[/bold\]", text)


def parsed(line):
    """Parse an example as the command line does, running nothing. Raises what a user would see."""
    part = next(part for part in re.split(r"\s\|\s|&&", line) if part.strip().startswith("gliner"))
    words = shlex.split(re.split(r"\s[<>]\s", part)[0], comments=True)[1:]
    context = ROOT.make_context("gliner", words)
    command = ROOT
    while hasattr(command, "commands") and (left := [*context._protected_args, *context.args]):
        name, command, left = command.resolve_command(context, left)
        context = command.make_context(name, left, parent=context)
    return context


@pytest.mark.parametrize("name", [name for name in COMMANDS if name], ids=" ".join)
def test_every_command_has_examples_that_parse(name):
    shown = examples(COMMANDS[name].help)
    assert shown, "no example"
    for line in shown:
        assert " ".join(["gliner", *name]) in line
        assert parsed(line).command is COMMANDS[name] or "verify" in line


def test_every_command_of_the_readme_parses(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.toml").write_text("steps = 500")
    text = README.read_text(encoding="utf-8").replace("\\\n", " ")  # a line goes on behind a backslash
    blocks = re.split(r"^```.*$", text, flags=re.MULTILINE)[1::2]
    lines = [line for block in blocks for line in block.splitlines() if re.search(r"(^|\| |&& )gliner ", line)]
    lines = [line for line in lines if "--install-completion" not in line]  # it would, at once
    assert len(lines) > 20
    for line in lines:
        parsed(line)


def test_an_example_that_is_wrong_would_be_found():
    with pytest.raises(Exception, match="No such option"):
        parsed("gliner extract a.txt --lable person")
    with pytest.raises(Exception, match="No such command"):
        parsed("gliner extrakt a.txt")


def test_help_loads_nothing_heavy():
    for arguments in (["doctor", "--help"], ["convert", "--help"], ["models", "--help"]):
        code = f"import sys; sys.argv = ['gliner', *{arguments!r}]\nfrom gliner_cli.cli.app import main\ntry: main()\nexcept SystemExit: pass\nprint(*sys.modules, file=sys.stderr)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert not HEAVY & set(done.stderr.split()), arguments


@pytest.mark.parametrize(
    ("typed", "meant"),
    [(["extrct"], "extract"), (["models", "verfy"], "verify"), (["extract", "--lable", "x"], "--label")],
)
def test_mistyped_commands_and_options(typed, meant):
    done = subprocess.run([sys.executable, "-m", "gliner_cli", *typed], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert meant in done.stderr
    assert done.stdout == ""


def test_mistyped_labels_files(tmp_path):
    (tmp_path / "Labels.json").write_text("[]")
    with pytest.raises(GlinerError) as caught:
        labels.from_file(tmp_path / "label.json")
    assert f"Did you mean {tmp_path / 'Labels.json'}?" in caught.value.hint
    with pytest.raises(GlinerError) as caught:
        labels.from_file(tmp_path / "none" / "x.json")
    assert "Did you mean" not in caught.value.hint


def test_mistyped_models():
    assert catalog.suggestion_for("urchade/gliner_medum-v2.1") == "Did you mean urchade/gliner_medium-v2.1? "
    assert catalog.suggestion_for("urchade/gliner_medium-v2.1") == ""
    assert catalog.suggestion_for("somebody/their-own") == ""
