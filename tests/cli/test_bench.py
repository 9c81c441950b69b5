"""`gliner bench` as a user runs it: what it prints, what it leaves behind, and how it fails."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from gliner_cli.cli.render import print_tables
from gliner_cli.evaluation.cells import Number, Table
from tests.evaluation import fakes
from tests.evaluation.fakes import Fake
from tests.evaluation.llm_server import KEY, Llm, serving, spoken

GLINER = [sys.executable, "-m", "gliner_cli", "bench"]
ROOT = Path(__file__).resolve().parents[2]
FEW = ["--suite", "small/news", "--limit", "6"]
GOLD = [
    {"text": "Ada Lovelace lived in London.", "entities": [[0, 12, "person"], [22, 28, "city"]]},
    {"text": "Marta Silva opened a bakery in Porto.", "entities": [[0, 11, "person"], [31, 36, "city"]]},
]


def run(*arguments, **variables):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **variables}
    return subprocess.run(
        [*GLINER, *map(str, arguments)], capture_output=True, text=True, check=False, env=environment,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


def test_help_names_every_flag_of_the_readme():
    shown = subprocess.run([*GLINER, "--help"], capture_output=True, text=True, check=True,
                           env={"COLUMNS": "200", "PATH": "", "NO_COLOR": "1", "TERM": "dumb"}).stdout  # fmt: skip
    section = (ROOT / "README.md").read_text().partition("## How good")[2].partition("\n## ")[0]
    flags = set(re.findall(r"--[a-z-]{3,}", section))
    assert len(flags) > 12
    for flag in flags:
        assert flag in shown, flag


def test_help_and_usage_errors_load_nothing_heavy():
    for arguments in (["bench", "--help"], ["bench", "--repeat", "0"]):
        code = (
            f"import sys\nsys.argv = ['gliner', *{arguments!r}]\nfrom gliner_cli.cli.app import main\n"
            "try:\n    main()\nexcept SystemExit: pass\nprint(*sys.modules, file=sys.stderr)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert not {"torch", "transformers", "numpy", "httpx"} & set(done.stderr.split())


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """A small bench of the starter, its report and what it printed."""
    folder = tmp_path_factory.mktemp("bench")
    done = run(*FEW, "--repeat", "2", "--report", folder / "out", "--hourly-price", "0.5")
    assert done.returncode == 0, done.stderr
    return done, folder / "out"


def test_it_says_how_good_and_how_fast(out):
    done, folder = out
    report = json.loads((folder / "report.json").read_text())
    row, measured = report["rows"][0], report["speed"]["systems"]["gliner-cli"]
    assert f"| small/news | {row['entities']} |" in done.stdout
    assert f"{100 * row['f1']:.1f}" in done.stdout
    assert f"{measured['words_per_second']['median']:,.0f}" in done.stdout
    assert row["f1"] > 0.3
    assert measured["memory"] > 100e6
    assert 0 < measured["loaded"] < measured["first"]
    assert 0 <= report["speed"]["harness"] < 0.03
    assert report["costs"][0]["per_million_documents"] > 0
    assert report["systems"]["gliner-cli"].keys() >= {"sha256", "device", "precision", "versions"}
    assert report["environment"]["command"].startswith("gliner bench --suite small/news")
    assert "the same again" in done.stderr
    for name in ("report.md", "report.html"):
        assert "small/news" in (folder / name).read_text()


def test_the_printed_command_does_the_same_again(out, tmp_path):
    _, folder = out
    report = json.loads((folder / "report.json").read_text())
    words = report["environment"]["command"].split()[2:]
    again = run(*[str(tmp_path) if word == str(folder) else word for word in words], "--quality")
    assert again.returncode == 0, again.stderr
    same = json.loads((tmp_path / "report.json").read_text())["rows"][0]
    assert {**same, "seconds": 0} == {**report["rows"][0], "seconds": 0}


def test_resumed_is_not_read_again(out, tmp_path):
    _, folder = out
    path = tmp_path / "kept.json"
    path.write_text((folder / "report.json").read_text())
    done = run(*FEW, "--suite", "small/science", "--quality", "--json", path, "--resume")
    assert done.returncode == 0, done.stderr
    assert "reads small/science" in done.stderr
    assert "reads small/news" not in done.stderr
    assert [row["set"] for row in json.loads(path.read_text())["rows"]] == ["small/news", "small/science"]


def test_two_reports_compared(out, tmp_path):
    _, folder = out
    other = tmp_path / "high.json"
    assert run(*FEW, "--quality", "-q", "--threshold", "0.7", "--json", other).returncode == 0
    done = run("--compare", folder, other)
    assert done.returncode == 0, done.stderr
    assert "| gliner-cli | small/news |" in done.stdout
    assert re.search(r"\| extraction threshold \| .* \| 0.7 \|", done.stdout)


def test_demands_decide_the_exit_code(out):
    assert run(*FEW, "--quality", "-q", "--fail-under", "F1=2").returncode == 0
    done = run(*FEW, "--quality", "-q", "--fail-under", "F1=99.9", "--fail-under", "words/s=1")
    assert done.returncode == 1
    assert "F1 is 0." in done.stderr
    assert "words/s was not measured" in done.stderr
    assert "small/news" in done.stdout


def test_own_data_and_labels(tmp_path):
    gold = tmp_path / "gold.jsonl"
    rows = [{**row, "entities": [{"start": s, "end": e, "label": label, "text": row["text"][s:e]} for s, e, label in row["entities"]]} for row in GOLD]  # fmt: skip
    gold.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "labels.json").write_text('{"person": "name of a person"}')
    done = run("--data", gold, "--quality", "-q", "--json", tmp_path / "a.json", "--report", tmp_path / "pages")
    assert done.returncode == 0, done.stderr
    assert sorted(one.name for one in (tmp_path / "pages").iterdir()) == ["report.html", "report.md"]
    report = json.loads((tmp_path / "a.json").read_text())
    (about,) = report["sets"].values()
    assert (about["labels"], about["entities"], about["documents"]) == (["city", "person"], 4, 2)
    run("--data", gold, "-l", "person", "--quality", "-q", "--json", tmp_path / "b.json")
    (about,) = json.loads((tmp_path / "b.json").read_text())["sets"].values()
    assert (about["labels"], about["entities"]) == (["person"], 2)
    done = run("--data", gold, "--labels", tmp_path / "labels.json", "--quality", "-q")
    assert done.returncode == 0, done.stderr


def test_answers_made_elsewhere_are_scored_beside(tmp_path):
    made = tmp_path / "answers.jsonl"
    small = [json.loads(line) for line in (ROOT / "gliner_cli/evaluation/small.jsonl").read_text().splitlines()]
    made.write_text("".join(json.dumps({**row, "set": None}) + "\n" for row in small))
    done = run(*FEW, "-q", "--repeat", "1", "--against", made, "--json", tmp_path / "a.json")
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "a.json").read_text())
    assert [row["f1"] == 1 for row in report["rows"]] == [False, True]
    assert list(report["speed"]["systems"]) == ["gliner-cli"]
    assert report["differences"][0]["f1"] > 0


def _mostly_right(body):
    """Finds the first capitalised word; now and then it makes one up, or talks instead."""
    text = spoken(body)
    if len(text) % 5 == 0:
        return "I am glad you ask!"
    names = [word.strip(".,") for word in text.split() if word[0].isupper()][:1]
    return json.dumps({"entities": [{"text": name, "label": "person"} for name in [*names, "Nobody at all"]]})


@pytest.fixture
def key(monkeypatch):
    monkeypatch.setenv("MY_KEY", KEY)
    return ["--key-env", "MY_KEY"]


def _kept_nowhere(done, folder):
    for content in (done.stdout, done.stderr, *(one.read_text() for one in folder.iterdir())):
        assert KEY not in content


def test_a_service_that_misbehaves(tmp_path, key):
    """429, 500, an answer cut off, one of nothing, strings that are in no text: everything is counted, nothing lost."""
    with serving(Llm(says=_mostly_right, faults=[429, 500, "cut", "html", 503, "null"])) as llm:
        asked = ["--against", "openai:m", "--endpoint", llm.url, *key, "--price", "in=1,out=2", "--budget", "5"]
        done = run("--suite", "small/news", "--limit", "12", "--quality", "--report", tmp_path, *asked)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    row = next(row for row in report["rows"] if row["system"] == "openai:m")
    used = row["usage"]
    assert row["documents"] == 12
    assert "answered" not in row
    assert used["requests"] == 12 + used["retries"]
    assert used["retries"] >= 4
    assert used["malformed"] >= 1
    assert used["hallucinated"] >= 5
    assert used["cost"] >= llm.cost(1, 2) > 0
    assert report["costs"][1]["per_million_documents"] == pytest.approx(used["cost"] / 12 * 1e6)
    assert row["latency"]["documents"] == len(llm.answered)
    assert "What was asked of services" in done.stdout
    _kept_nowhere(done, tmp_path)


def test_a_budget_is_kept_and_resumed_with_more(tmp_path, key):
    with serving(Llm(says=_mostly_right)) as llm:
        asked = ["--suite", "small/news", "--quality", "--report", tmp_path, "--against", "openai:m", "--endpoint", llm.url, *key, "--price", "in=1000,out=1000"]  # fmt: skip
        done = run(*asked, "--budget", "6")
        assert done.returncode == 0, done.stderr
        assert llm.cost(1000, 1000) <= 6
        row = json.loads((tmp_path / "report.json").read_text())["rows"][1]
        assert 0 < row["answered"]["documents"] < row["documents"]
        assert row["answered"]["documents"] + row["usage"]["unanswered"] == row["documents"]
        assert "NOT ALL ANSWERED" in done.stdout
        _kept_nowhere(done, tmp_path)
        done = run(*asked, "--budget", "3000", "--resume")
        assert done.returncode == 0, done.stderr
        assert "gliner-cli reads" not in done.stderr
        assert "openai:m reads" in done.stderr
        assert "answered" not in json.loads((tmp_path / "report.json").read_text())["rows"][1]


WRONG = {
    "no such suite": (["--suite", "no-such"], 1, "no-such"),
    "no such data": (["--data", "{folder}/none.jsonl"], 1, "none.jsonl"),
    "data without gold": (["--data", "{ok}"], 1, "no gold entities"),
    "no such label": ([*FEW, "-l", "spacecraft"], 1, "it has"),
    "no such system": ([*FEW, "--against", "no-such"], 1, "neither a system"),
    "bad sweep": ([*FEW, "--sweep", "depth=3"], 1, "--sweep"),
    "bad price": ([*FEW, "--price", "free"], 1, "--price"),
    "bad demand": ([*FEW, "--fail-under", "G=1"], 1, "--fail-under"),
    "bad repeat": ([*FEW, "--repeat", "0"], 2, "--repeat"),
    "resume of nothing": ([*FEW, "--resume"], 1, "--report DIR"),
    "report in a file": ([*FEW, "--report", "{ok}/out"], 1, "cannot be made"),
    "compare no report": (["--compare", "{ok}", "{ok}"], 1, "no JSON"),
    "no such model": ([*FEW, "-m", "x/y"], 1, "gliner pull x/y"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_gets_one_clear_message(case, tmp_path):
    arguments, code, said = WRONG[case]
    (tmp_path / "ok.txt").write_text("Ada Lovelace")
    arguments = [a.replace("{ok}", str(tmp_path / "ok.txt")).replace("{folder}", str(tmp_path)) for a in arguments]
    done = run(*arguments)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_cuda_without_cuda_is_one_line():
    done = run(*FEW, "--device", "cuda", CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if "error" in line]
    assert len(errors) == 1
    assert "--device cuda was asked for" in errors[0]


def test_a_password_in_an_address_is_not_kept(tmp_path):
    done = run(*FEW, "--quality", "--endpoint", "http://me:secret@localhost:1/v1", "--json", tmp_path / "a.json")
    assert done.returncode == 0, done.stderr
    assert "secret" not in done.stderr + done.stdout + (tmp_path / "a.json").read_text()


def test_tables_on_a_terminal(capsys):
    console = Console(width=60, force_terminal=True, color_system=None)
    table = Table("Title", ("set", "F1"), (((("a\x1b[2Jb"),), (Number(0.5, "50.0"),)),), (("NOT the same.",),))
    print_tables([table], console)
    shown = capsys.readouterr().out
    assert "Title" in shown
    assert "50.0" in shown
    assert "\x1b[2J" not in shown
    assert "NOT the same." in shown


def test_fakes_fit_what_the_terminal_shows(capsys):
    from gliner_cli.evaluation.tables import brief

    print_tables(
        brief(fakes.report(Fake("a"), Fake("b", misses=2))), Console(width=80, force_terminal=True, color_system=None)
    )
    assert all(len(line) <= 80 for line in capsys.readouterr().out.splitlines())
