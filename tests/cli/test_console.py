"""What is said beside the results: logs for programs, summaries, bars, and how far a job is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gliner_cli.cli import console, findings, watching
from gliner_cli.cli.tally import Frequent, Tally
from gliner_cli.errors import InputError
from gliner_cli.formats.sources import Source
from gliner_cli.jobs.chunks import Chunk
from gliner_cli.jobs.run import Run
from gliner_cli.options import Job, Reading, Telling
from gliner_cli.types import Document, Entity

GLINER = [sys.executable, "-m", "gliner_cli"]


@pytest.fixture
def as_json():
    console.speak("json")
    yield
    console.speak("text")


def lines(capsys):
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def document(*found):
    entities = tuple(Entity(0, len(text), label, text, score) for text, label, score in found)
    return Document("x", entities=entities)


# --- Logs


def test_a_log_is_json_lines(capsys, as_json):
    console.note("is [bold] \udcff", "source", bytes=3)
    console.say(InputError("What", "Type this."))
    with console.progress(lambda: watching.Moment(2, 10, 2.0, 50, 0, 100, 0.5)):
        pass
    one, two, three = lines(capsys)
    assert (one["event"], one["text"], one["bytes"]) == ("source", "is [bold] \udcff", 3)
    assert (two["event"], two["text"], two["hint"]) == ("problem", "What", "Type this.")
    assert (three["event"], three["percent"], three["words_per_second"], three["seconds_left"]) == (
        "progress",
        50,
        5,
        2,
    )
    assert all(row["time"].endswith("+00:00") for row in (one, two, three))


def test_a_log_ticks(capsys, as_json, monkeypatch):
    monkeypatch.setattr(console, "TICK", 0.01)
    ticked = []

    def state():
        ticked.append(1)
        return watching.Moment(0, 0, 1.0, 0, 0, None, None)

    with console.progress(state):
        while len(ticked) < 3:
            pass
    assert {row["event"] for row in lines(capsys)} == {"progress"}
    assert len(ticked) >= 4


def test_pipes_get_plain_text_and_no_bar(capsys):
    console.note("a [b] c")
    console.say(InputError("What [x]", "Type"))
    assert capsys.readouterr().err == "gliner: a [b] c\ngliner: error: What [x]\n        Type\n"
    assert not console.watched(Telling())


def test_who_watches(monkeypatch, as_json):
    assert console.watched(Telling(log="json"))
    assert not console.watched(Telling(log="json", quiet=True))
    assert not console.watched(Telling(log="json", no_progress=True))


def test_a_conversion_is_logged_with_its_problems(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "Ada", "entities": [{"start": 0, "end": 3, "label": "person"}]}\n')
    command = [*GLINER, "convert", "a.jsonl", "no.jsonl", "-o", "b.jsonl", "--log", "json", "-v", "--stats"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    said = [json.loads(line) for line in done.stderr.splitlines()]
    assert done.returncode == 1
    assert [row["event"] for row in said] == ["source", "problem", "progress", "summary", "stats"]
    assert (said[2]["documents"], said[2]["percent"]) == (1, 100)
    assert (said[3]["documents"], said[3]["entities"], said[3]["failures"]) == (1, 1, 1)
    assert said[3]["labels"][0]["most"] == [{"text": "Ada", "count": 1}]


def test_no_colour(tmp_path):
    """On a terminal: with NO_COLOR no colour, without it some. The terminal is one of the system's own."""
    pty = pytest.importorskip("pty")

    def said(**more):
        ours, theirs = pty.openpty()
        surroundings = {**os.environ, "TERM": "xterm-256color", **more}
        command = [*GLINER, "convert", "none.jsonl", "--to", "jsonl"]
        subprocess.run(command, stderr=theirs, stdout=subprocess.PIPE, check=False, cwd=tmp_path, env=surroundings)
        os.close(theirs)
        with os.fdopen(ours, "rb", buffering=0) as file:
            return file.read(4000)

    assert b"\x1b[31m" in said()
    assert b"\x1b[3" not in said(NO_COLOR="1")


# --- The tally


@settings(derandomize=True, max_examples=60)
@given(st.lists(st.integers(0, 30), max_size=300), st.integers(1, 20))
def test_counts_are_low_by_at_most_what_was_lost(numbers, kept):
    frequent, true = Frequent(kept), Counter(map(str, numbers))
    for number in numbers:
        frequent.add(str(number))
    counted = dict(frequent.most(1000))
    assert len(counted) <= 2 * kept
    assert frequent.lost <= len(numbers) / kept
    for text, count in true.items():
        assert count - frequent.lost <= counted.get(text, 0) <= count
    if len(true) <= 2 * kept:
        assert counted == true


def test_memory_is_bounded_and_the_frequent_survive():
    frequent = Frequent(50)
    for number in range(20_000):
        frequent.add(f"rare {number}")
        if number % 4 == 0:
            frequent.add("often")
    assert frequent.most(1)[0][0] == "often"
    assert len(frequent.most(10**6)) <= 100


def test_the_tally_of_documents(capsys):
    tally = Tally()
    given_ = [document(("Ada", "person", 0.9), ("Ada", "person", 0.7), ("Rome\n now", "city", None)), document()]
    assert list(tally.counting(given_)) == given_
    assert (tally.documents, tally.empty, tally.entities) == (2, 1, 3)
    assert tally.most(2) == [("Ada", "person", 2), ("Rome now", "city", 1)]
    findings.tell(tally, "2 documents", Telling(stats=True))
    said = [line.removeprefix("gliner: ") for line in capsys.readouterr().err.splitlines()]
    assert said[:3] == ["2 documents", "  person 2: Ada 2", "  city 1: Rome now 1"]
    assert said[3] == "labels"
    assert said[4].split() == ["person", "#" * 30, "2", "mean", "score", "0.80"]
    assert said[5].split() == ["city", "#" * 15, "1"]
    assert said[6:8] == ["entities", f"  {'Ada':32} {'#' * 30} {2:>7}  person"]


def test_quiet_says_nothing(capsys):
    findings.tell(Tally(), "x", Telling(quiet=True))
    assert capsys.readouterr().err == ""


def test_bars():
    assert findings.bar(1) == "█" * 30
    assert findings.bar(0.5 / 30) == "▌"
    assert findings.bar(0) == "▏"


# --- How far a job is


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_what_a_journal_knew_is_done_but_not_fast(tmp_path):
    """Four documents of 25 bytes; two were known; of the others one is computed, in 10 seconds."""
    path = tmp_path / "a.txt"
    path.write_bytes(b"x" * 100)
    clock, run, source = Clock(), Run(lambda _: None), Source("a.txt", path)
    watch = watching.Watch(run, Job(), lambda: 100, clock)
    watch.source(source)

    def read():
        for _ in range(4):
            source.position += 25
            yield Document("x")

    documents = list(watch.documents(read()))
    assert watch.now().share == 0
    clock.now = 3.0  # reading what is known takes time, too
    first, second = Chunk(documents[:2], [(), ()]), Chunk(documents[2:], [(), ()])
    chunks = iter(watch.chunks([first, second]))
    next(chunks)
    clock.now = 13.0
    run.counts.documents, run.counts.words = 1, 500
    now = watch.now()
    assert (now.share, now.known, now.speed, now.left) == (0.75, 50, 50.0, 10.0)
    next(chunks)
    assert watch.now().share == 1


def test_a_limit_is_what_counts(tmp_path):
    run = Run(lambda _: None)
    watch = watching.Watch(run, Job(limit=4), lambda: 1000, Clock())
    run.documents = run.counts.documents = 3
    assert watch.now().share == 0.75


def test_sizes_are_known_of_files_and_not_of_pipes(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text("x" * 10)
    assert watching.total([str(tmp_path), str(tmp_path / "a.txt"), str(tmp_path / "none")], Reading()) == 30
    assert watching.total([str(tmp_path), "-"], Reading()) is None
    assert str(watching.Moment(1, 2, 1.0, 3, 0, None, None)) == "1 documents  2 words  2 words/s"
    assert "0:10 left" in str(watching.Moment(1, 2, 10.0, 50, 0, 100, 0.5))


def test_every_source_is_heard_of_before_its_documents(tmp_path):
    from gliner_cli import formats

    for name in "ab":
        (tmp_path / f"{name}.txt").write_text(name)
    heard = []
    reading = formats.read(
        [str(tmp_path)], Reading(), heard.append, lambda source: heard.append(Path(source.name).name)
    )
    assert next(reading).text == "a"
    assert heard == ["a.txt"]
    assert next(reading).text == "b"
    assert heard == ["a.txt", "b.txt"]


def test_an_extraction_tells_what_it_does(tmp_path):
    text = "Ada Lovelace met Charles Babbage in London."
    (tmp_path / "a.txt").write_text(text)
    command = [*GLINER, "extract", "a.txt", "-l", "person", "-l", "city=0.3", "--log", "json", "-v", "-o", "o.jsonl"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    said = {row["event"]: row for row in map(json.loads, done.stderr.splitlines())}
    assert done.returncode == 0, done.stderr
    assert list(said) == ["source", "loaded", "note", "checkpoint", "computing", "thresholds", "progress", "summary"]
    assert said["source"]["bytes"] == len(text)
    assert len(said["checkpoint"]["sha256"]) == 64
    assert said["computing"]["precision"] == "fp32"
    assert said["thresholds"]["thresholds"] == {"person": 0.5, "city": 0.3}
    assert "city 0.3 (own)" in said["thresholds"]["text"]
    assert (said["progress"]["percent"], said["progress"]["documents"], said["progress"]["words"]) == (100, 1, 8)
    assert [(row["label"], row["count"]) for row in said["summary"]["labels"]] == [("person", 2), ("city", 1)]
    assert said["summary"]["labels"][1]["most"] == [{"text": "London", "count": 1}]


def test_an_explanation_writes_no_file(tmp_path):
    (tmp_path / "a.txt").write_text("Ada")
    command = [*GLINER, "extract", "a.txt", "-l", "person", "--explain", "-o", "o.jsonl"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "--explain" in done.stderr
