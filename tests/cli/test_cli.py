"""The command as a user runs it: a process, its output, its messages and exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

GLINER = [sys.executable, "-m", "gliner_cli"]
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def run(*arguments, **options):
    return subprocess.run([*GLINER, *map(str, arguments)], capture_output=True, text=True, check=False, **options)


def test_the_readmes_first_command():
    done = run("extract", *sorted(EXAMPLES.glob("*.txt")), "-l", "person", "-l", "drug")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr
    assert [Path(row["source"]).name for row in rows] == sorted(path.name for path in EXAMPLES.glob("*.txt"))
    for row in rows:
        assert all(row["text"][e["start"] : e["end"]] == e["text"] for e in row["entities"])
    assert sum(len(row["entities"]) for row in rows) > 20
    assert "starter" in done.stderr
    assert "5 documents" in done.stderr


def test_conll_from_a_pipe():
    done = run("extract", "-l", "person,city", "--format", "conll", "-q", input="Ada Lovelace lived in London.")
    assert "Ada\tB-person\nLovelace\tI-person\n" in done.stdout
    assert "London\tB-city" in done.stdout
    assert done.stderr == ""


def test_files_in_files_out(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"id": 3, "body": "Ada Lovelace", "keep": {"x": 1}}\n')
    out = tmp_path / "out.jsonl"
    labels = EXAMPLES / "labels.json"
    done = run("extract", tmp_path / "a.jsonl", "--labels", labels, "--text-field", "body", "-o", out)
    assert (done.returncode, done.stdout) == (0, "")
    row = json.loads(out.read_text())
    assert (row["id"], row["keep"], row["entities"][0]["label"]) == ("3", {"x": 1}, "person")


def test_five_lines():
    done = subprocess.run([sys.executable, EXAMPLES / "five_lines.py"], capture_output=True, text=True, check=True)
    assert "person Ada Lovelace" in done.stdout


WRONG = {
    "no labels": (["extract", "{ok}"], 1, "No labels"),
    "empty label": (["extract", "{ok}", "-l", ""], 1, "empty"),
    "long label": (["extract", "{ok}", "-l", "x" * 2000], 1, "2000 characters"),
    "unknown format": (["extract", "{ok}", "-l", "a", "--format", "jsnl"], 1, "Did you mean jsonl?"),
    "unknown option": (["extract", "{ok}", "--nope"], 2, "--nope"),
    "no such model": (["extract", "{ok}", "-l", "a", "-m", "x/y"], 1, "gliner pull x/y"),
    "no checkpoint": (["extract", "{ok}", "-l", "a", "-m", "{folder}"], 1, "no gliner_config.json"),
    "no cuda": (["extract", "{ok}", "-l", "a", "--device", "cuda"], 1, "cuda"),
    "bad window": (["extract", "{ok}", "-l", "a", "--window", "soon"], 1, "words=N"),
    "bad threshold": (["extract", "{ok}", "-l", "a", "-t", "3"], 2, "--threshold"),
    "no files": (["extract", "{folder}/x.txt", "-l", "a"], 1, "does not exist"),
    "output folder": (["extract", "{ok}", "-l", "a", "-o", "{folder}/no/out.jsonl"], 1, "cannot be written"),
    "labels file": (["extract", "{ok}", "--labels", "{folder}/none.json"], 1, "cannot be read"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_gets_one_clear_message(case, tmp_path):
    arguments, code, said = WRONG[case]
    (tmp_path / "ok.txt").write_text("Ada Lovelace")
    arguments = [a.replace("{ok}", str(tmp_path / "ok.txt")).replace("{folder}", str(tmp_path)) for a in arguments]
    done = run(*arguments, stdin=subprocess.DEVNULL)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_one_missing_file_costs_only_itself(tmp_path):
    (tmp_path / "a.txt").write_text("Ada Lovelace")
    done = run("extract", tmp_path / "no.txt", tmp_path / "a.txt", "-l", "person", "-q")
    assert done.returncode == 1
    assert json.loads(done.stdout)["entities"][0]["text"] == "Ada Lovelace"
    assert "no.txt does not exist" in done.stderr


def test_an_empty_input_is_a_document_without_entities():
    done = run("extract", "-l", "a", "-q", input="")
    assert (json.loads(done.stdout)["entities"], done.returncode) == ([], 0)


def test_a_closed_stdin():
    done = subprocess.run(
        [*GLINER, "extract", "-l", "a"], capture_output=True, text=True, check=False, preexec_fn=_close_stdin
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


def _close_stdin():
    os.close(0)


def test_the_reader_of_the_pipe_leaves(tmp_path):
    (tmp_path / "a.txt").write_text("Ada Lovelace\n" * 3000)
    command = f"{' '.join(GLINER)} extract {tmp_path}/a.txt --per line -l person -q | head -n 1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False)
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""


def test_ctrl_c(tmp_path):
    (tmp_path / "a.txt").write_text("Ada Lovelace met Charles Babbage .\n" * 30_000)
    command = [
        *GLINER,
        "extract",
        str(tmp_path / "a.txt"),
        "--per",
        "line",
        "-l",
        "person",
        "-o",
        str(tmp_path / "o.jsonl"),
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    partial = tmp_path / "o.jsonl.partial"
    while not (partial.exists() and partial.stat().st_size) and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in said
    assert str(partial) in said
    assert not (tmp_path / "o.jsonl").exists()


def test_models_and_verify():
    listing = run("models").stdout
    assert "built in" in listing
    assert "urchade/gliner_medium-v2.1" in listing
    assert run("models", "verify", "someone/unknown").returncode == 1
