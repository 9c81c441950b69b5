"""A job that is killed, again and again, ends with what an unbroken one gives; no document is lost or doubled.

The slow proofs take their number of kills from KILLS and their chance from SEED; a failure prints all that happened:
run it again with its seed.
"""

import csv
import gzip
import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

import pytest

from gliner_cli import formats
from gliner_cli.options import Reading
from tests.proofs.fake_job import ROOT, Nursery

pytestmark = pytest.mark.slow

KILLS, SEED = int(os.environ.get("KILLS", "200")), int(os.environ.get("SEED", "1"))
OUTPUTS = ["o.jsonl", "o.jsonl.gz", "o.parquet", "new.sqlite", "old.sqlite"]
PLACES = ["Oslo 🌊", "القاهرة Cairo", "Québec", "Łódź", "東京 Tokyo"]


def rows(count, name):
    for i in range(count):
        text = f"Text {i % 97} of Mara and Ivo{i % 89}, who met in {PLACES[i % 5]}.\n" + "Again. " * (i % 7)
        yield {"id": f"{name}{i}", "text": text, "page": f"p. {i}"}


def inputs(folder, count):
    """Files of several formats with `count` documents in all, and the names of these."""
    folder.mkdir()
    made = [list(rows(count - 2 * (count // 3), "a")), *(list(rows(count // 3, name)) for name in "bc")]
    (folder / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in made[0]))
    with gzip.open(folder / "b.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(row) + "\n" for row in made[1])
    with (folder / "c.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, made[2][0])
        writer.writeheader()
        writer.writerows(made[2])
    return [row["id"] for part in made for row in part]


def found(path):
    """What a result holds: its bytes, or all that is in a database.

    The bytes of a database would do in all cases but one: killed between the renaming and the end of the journal, the
    resumed job finds its own table in a database that is there, and fills it anew, which changes the file's counter.
    """
    if path.suffix != ".sqlite":
        return path.read_bytes()
    connection = sqlite3.connect(path)
    dumped = list(connection.iterdump())
    connection.close()
    return dumped


def names(path):
    query = "SELECT * FROM entities" if path.suffix == ".sqlite" else None
    return [document.id for document in formats.read([str(path)], Reading(query=query), pytest.fail)]


@dataclass
class Job:
    """A command that is run again until it is done, and what its output was before."""

    nursery: Nursery
    folder: object
    output: str
    options: tuple = ()
    deaths: list = field(default_factory=list)
    codes: Counter = field(default_factory=Counter)

    def __post_init__(self):
        self.folder.mkdir()
        self.path = self.folder / self.output
        if self.output == "old.sqlite":
            connection = sqlite3.connect(self.path)
            connection.execute("CREATE TABLE theirs (x)")
            connection.executemany("INSERT INTO theirs VALUES (?)", [(i,) for i in range(2000)])
            connection.commit()
            connection.close()
        elif self.output != "new.sqlite":
            self.path.write_bytes(b"before")

    def run(self, death=("", 0), pause=0.0):
        """One run, that dies so. None if it did not, otherwise its exit code."""
        kind, at = death
        environment = {"FAKE_DEATH": f"{kind}:{at}" if kind not in ("", "moment") else ":", "FAKE_PAUSE": str(pause),
                       "FAKE_FOLDER": str(self.folder), "FAKE_COUNTS": str(self.folder.parent / "counts")}  # fmt: skip
        arguments = ["extract", self.folder.parent / "in", "-l", "name", "-o", self.path, "--resume", *self.options]
        ended = self.nursery.run(arguments, environment, at if kind == "moment" else None)
        self.deaths.append((kind, at, ended.code))
        self.codes[ended.code] += 1
        return ended

    def until_done(self, chosen, most):
        """Run it again and again, `most` times to a chosen death."""
        for number in range(most + 1):
            death, pause = chosen() if number < most else (("", 0), 0.0)
            code = self.run(death, pause).code
            if code == 0:
                return
            allowed = (-signal.SIGKILL, -signal.SIGXFSZ) if death[0] else ()
            assert code in allowed, f"{code}: {self.deaths}"
            self.whole_or_not_there()
        raise AssertionError(self.deaths)

    def whole_or_not_there(self):
        """What the user sees at any time. A database that was being filled is mended when it is opened: not by us."""
        filling = self.path.with_name(f"{self.output}-journal").exists()
        if self.path.exists() and not filling and self.output != "old.sqlite":
            assert found(self.path) in (b"before", unbroken(self)), self.deaths

    def counts(self):
        return json.loads((self.folder.parent / "counts").read_text())


_UNBROKEN = {}


def unbroken(job):
    return _UNBROKEN[job.folder.parent, job.output, job.options]


def expected(nursery, tmp_path, output, documents, options=()):
    """The result of an unbroken run, checked, with its seconds and how many lines and events it took."""
    one = Job(nursery, tmp_path / "unbroken", output, options)
    pause = 0.02
    seconds = one.run(pause=pause).seconds
    assert one.codes == {0: 1}
    assert names(one.path) == documents
    counts = {}
    for kind in ("line", "file"):
        other = Job(nursery, tmp_path / f"unbroken-{kind}", output, options)
        assert other.run((kind, 0)).code == 0
        assert found(other.path) == found(one.path), "two unbroken runs differ"
        counts[kind] = other.counts()[kind]
        assert counts[kind] > 5
    _UNBROKEN[tmp_path, output, options] = found(one.path)
    return seconds, pause, counts


def chooser(chance, seconds, pause, counts, largest):
    """A death of a random kind at a random place; all kinds but `byte` are kill -9."""

    def chosen():
        kind = chance.choice(["moment", "moment", "moment", "line", "line", "file", "file", "byte"])
        if kind == "moment":
            return (kind, chance.uniform(0, 1.05 * seconds)), pause
        if kind == "byte":
            return (kind, chance.randint(1, largest)), 0.0
        return (kind, chance.randint(1, counts[kind])), 0.0

    return chosen


@pytest.fixture
def nursery(tmp_path):
    with Nursery(tmp_path / "said") as nursery:
        yield nursery
    said = (tmp_path / "said").read_text()
    assert "Traceback" not in said, said[-3000:]
    assert not re.search("error", said), said[-3000:]


def left(job):
    return {path.name for path in job.folder.iterdir()} - {job.output}


@pytest.mark.parametrize("output", ["o.jsonl", "new.sqlite"])
def test_killed_before_each_thing_that_is_done_to_a_file(nursery, tmp_path, output):
    documents = inputs(tmp_path / "in", 60)
    unbroken = Job(nursery, tmp_path / "unbroken", output)
    assert unbroken.run(("file", 0)).code == 0
    assert names(unbroken.path) == documents
    events = unbroken.counts()["file"]
    assert events > 5
    for at in range(1, events + 1):
        job = Job(nursery, tmp_path / f"killed-{at}", output)
        assert job.run(("file", at)).code == -signal.SIGKILL
        assert job.run().code == 0
        assert found(job.path) == found(unbroken.path), f"killed before event {at}"
        assert left(job) == {f"{output}.run.json"}


@pytest.mark.parametrize("options", [(), ("--dedupe",)], ids=["all", "dedupe"])
@pytest.mark.parametrize("output", OUTPUTS)
def test_killed_at_random(nursery, tmp_path, output, options):
    documents = inputs(tmp_path / "in", 600)
    chance = random.Random(f"{SEED} {output} {options}")
    seconds, pause, counts = expected(nursery, tmp_path, output, documents, options)
    largest = max(path.stat().st_size for path in (tmp_path / "unbroken").iterdir())
    chosen = chooser(chance, seconds, pause, counts, largest)
    wanted, kills, jobs = KILLS / len(OUTPUTS) / 2, Counter(), 0
    while kills[-signal.SIGKILL] < wanted:
        jobs += 1
        job = Job(nursery, tmp_path / f"killed-{jobs}", output, options)
        job.until_done(chosen, chance.randint(1, 9))
        print(f"seed {SEED} {output} {options} job {jobs}: {job.deaths}")
        kills += job.codes
        assert found(job.path) == unbroken(job), f"seed {SEED} job {jobs}: {job.deaths}"
        assert left(job) == {f"{output}.run.json"}
        assert json.loads((job.folder / f"{output}.run.json").read_text())["documents"] == len(documents)
    said = f"{kills[-signal.SIGKILL]} by kill -9 and {kills[-signal.SIGXFSZ]} within a write, over {jobs} jobs"
    print(f"seed {SEED}: {output} {options}: equal after {said}")


@pytest.mark.parametrize("output", ["o.jsonl", "o.parquet"])
def test_the_real_command_killed_at_random(tmp_path, output):
    documents = inputs(tmp_path / "in", 1500)
    command = [sys.executable, "-m", "gliner_cli", "extract", str(tmp_path / "in"), "-l", "person,city", "--resume"]
    began = time.perf_counter()
    subprocess.run([*command, "-o", tmp_path / output], check=True, cwd=ROOT, capture_output=True)
    seconds = time.perf_counter() - began
    assert names(tmp_path / output) == documents
    chance, deaths, again = random.Random(SEED), [], tmp_path / f"again-{output}"
    for _ in range(3):
        process = subprocess.Popen([*command, "-o", again], cwd=ROOT, stderr=subprocess.DEVNULL)
        time.sleep(chance.uniform(0.3, 0.9) * seconds)
        process.kill()
        deaths.append(process.wait())
    subprocess.run([*command, "-o", again], check=True, cwd=ROOT, capture_output=True)
    print(f"seed {SEED} {output}: {deaths}")
    assert -signal.SIGKILL in deaths
    assert again.read_bytes() == (tmp_path / output).read_bytes(), deaths
