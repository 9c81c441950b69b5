"""What goes wrong at night: one clear line, the exit code that the README names, and everything before is safe."""

import json
import os
import resource
import signal
import subprocess
import sys
import time

import pytest

from tests.proofs.fake_job import COMMAND, ROOT, Nursery

LABEL = ["-l", "name"]


def rows(count, name="d"):
    return [{"id": f"{name}{i}", "text": f"Text {i} of Mara and Ivo{i}"} for i in range(count)]


def written(path, made):
    path.write_text("".join(json.dumps(row) + "\n" for row in made))
    return path


def ids(path):
    return [json.loads(line)["id"] for line in path.read_text().splitlines()]


def names(made):
    return [row["id"] for row in made]


class Runs:
    """Runs of the command in one folder, and what they said."""

    def __init__(self, nursery, said):
        self._nursery, self._said, self.said, self._heard = nursery, said, "", 0

    def run(self, *arguments, do=None):
        """The exit code; `do` is a command for the shell, run when the second chunk is computed."""
        environment = {"FAKE_DO": f"1:{do}" if do else "-1:"}
        code = self._nursery.run(["extract", *arguments, *LABEL], environment).code
        content = self._said.read_text()
        self.said, self._heard = content[self._heard :], len(content)
        assert "Traceback" not in self.said, self.said
        return code

    def complaints(self):
        return [line for line in self.said.splitlines() if line.startswith("gliner: error:")]


@pytest.fixture(scope="module")
def nursery(tmp_path_factory):
    said = tmp_path_factory.mktemp("nursery") / "said"
    with Nursery(said) as nursery:
        yield Runs(nursery, said)


@pytest.fixture
def job(nursery, tmp_path):
    written(tmp_path / "a.jsonl", rows(200))
    return nursery


def one_complaint(job):
    (said,) = job.complaints()
    return said


# A full disk


@pytest.fixture
def disk(tmp_path):
    """A file system of 64 kB, and what gives it room."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(place)]
    if os.name == "nt" or subprocess.run(mounted, capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a small disk")
    more = ["mount", "-o", "remount,size=64m", str(place)]
    yield place, lambda: subprocess.run(more, check=True, capture_output=True)
    subprocess.run(["umount", str(place)], check=True)


FORMATS = [
    "o.jsonl",
    "o.jsonl.gz",
    "o.csv",
    "o.parquet",
    "o.arrow",
    "o.sqlite",
    "o.spacy",
    "o.html",
    "brat",
    "datasets",
]


def written_as(path):
    return ["-o", path, *([] if path.suffix else ["--to", path.name])]


@pytest.mark.parametrize("output", FORMATS)
def test_a_full_disk(job, tmp_path, disk, output):
    place, give_room = disk
    written(tmp_path / "a.jsonl", rows(900))
    path = place / output
    if before := output not in ("brat", "datasets", "o.sqlite"):
        path.write_bytes(b"before")
    arguments = [tmp_path / "a.jsonl", *written_as(path), "--resume"]
    assert job.run(*arguments) == 1
    assert "No space left" in one_complaint(job) or "full" in one_complaint(job), job.said
    assert path.read_bytes() == b"before" if before else not path.exists()
    give_room()
    assert job.run(*arguments) == 0, job.said
    assert job.run(tmp_path / "a.jsonl", *written_as(tmp_path / output)) == 0, job.said
    assert content(path) == content(tmp_path / output)
    assert sorted(one.name for one in place.iterdir()) == [output, f"{output}.run.json"]


def content(path):
    if path.is_file():
        return path.read_bytes()
    return {str(one.relative_to(path)): one.read_bytes() for one in path.rglob("*") if one.is_file()}


@pytest.mark.parametrize("where", [["-o", "/dev/full"], []], ids=["file", "stdout"])
def test_a_device_that_is_full(tmp_path, where):
    written(tmp_path / "a.jsonl", rows(200))
    with open("/dev/full", "w") as full:
        done = subprocess.run([*COMMAND, "extract", tmp_path / "a.jsonl", *LABEL, *where], cwd=ROOT, text=True,
                              stdout=full, stderr=subprocess.PIPE, check=False)  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.count("gliner: error:") == 1
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_limit_on_the_size_of_files(tmp_path):
    written(tmp_path / "a.jsonl", rows(900))
    small = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))  # noqa: E731
    done = subprocess.run([*COMMAND, "extract", tmp_path / "a.jsonl", *LABEL, "-o", tmp_path / "o.jsonl"], cwd=ROOT,
                          text=True, capture_output=True, check=False, preexec_fn=small)  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.count("gliner: error:") == 1
    assert "File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "o.jsonl").exists()


# Inputs and outputs that change under the job


def test_an_input_that_is_deleted_midway_costs_only_itself(job, tmp_path):
    for name in "bc":
        written(tmp_path / f"{name}.jsonl", rows(50, name))
    inputs = [tmp_path / f"{name}.jsonl" for name in "abc"]
    assert job.run(*inputs, "-o", tmp_path / "o.jsonl", do=f"rm {tmp_path}/b.jsonl") == 1
    assert "b.jsonl" in one_complaint(job)
    assert ids(tmp_path / "o.jsonl") == names(rows(200)) + names(rows(50, "c"))
    (failure,) = json.loads((tmp_path / "o.jsonl.run.json").read_text())["failures"]
    assert "b.jsonl" in failure


def test_an_input_whose_disk_fails_costs_only_itself(job, tmp_path):
    (tmp_path / "b.jsonl").symlink_to("/proc/self/mem")  # opens, and cannot be read
    written(tmp_path / "c.jsonl", rows(50, "c"))
    inputs = [tmp_path / f"{name}.jsonl" for name in "abc"]
    assert job.run(*inputs, "-o", tmp_path / "o.jsonl") == 1
    assert "b.jsonl cannot be read: Input/output error" in one_complaint(job)
    assert ids(tmp_path / "o.jsonl") == names(rows(200)) + names(rows(50, "c"))


@pytest.mark.parametrize("within_a_line", [True, False])
def test_an_input_that_is_cut_midway_is_named(job, tmp_path, within_a_line):
    made = rows(9000)
    path = written(tmp_path / "a.jsonl", made)
    lines = path.read_bytes().splitlines(keepends=True)
    size = sum(map(len, lines[:5000])) + (within_a_line and 5)
    assert job.run(path, "-o", tmp_path / "o.jsonl", do=f"truncate -s {size} {path}") == 1
    assert "a.jsonl" in job.complaints()[-1]
    assert ids(tmp_path / "o.jsonl") == names(made[:5000])


@pytest.mark.parametrize("suffix", ["parquet", "sqlite"])
def test_a_table_that_is_cut_midway_is_named(job, tmp_path, suffix):
    written(tmp_path / "all.jsonl", rows(9000))
    path = tmp_path / f"a.{suffix}"
    assert job.run(tmp_path / "all.jsonl", "-o", path) == 0, job.said
    query = ["--query", "SELECT * FROM entities"] if suffix == "sqlite" else []
    cut = f"truncate -s 30000 {path}"
    assert job.run(path, *query, "-o", tmp_path / "o.jsonl", do=cut) == 1
    assert path.name in job.complaints()[-1]
    kept = list(map(json.loads, (tmp_path / "o.jsonl").read_text().splitlines()))
    assert 24 <= len(kept) < 9000
    texts = {row["id"]: row["text"] for row in rows(9000)}
    assert all(row["text"] == texts[row["id"]] for row in kept)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_input_whose_permission_is_lost_midway_costs_only_itself(job, tmp_path):
    written(tmp_path / "b.jsonl", rows(50, "b"))
    inputs = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    assert job.run(*inputs, "-o", tmp_path / "o.jsonl", do=f"chmod 0 {tmp_path}/b.jsonl") == 1
    assert "b.jsonl cannot be read: Permission denied" in one_complaint(job)
    assert ids(tmp_path / "o.jsonl") == names(rows(200))


@pytest.mark.parametrize("output", ["o.jsonl", "o.parquet", "o.sqlite", "brat"])
def test_an_output_folder_that_vanishes(job, tmp_path, output):
    (tmp_path / "out").mkdir()
    path = tmp_path / "out" / output
    assert job.run(tmp_path / "a.jsonl", *written_as(path), do=f"rm -r {tmp_path}/out") == 1
    assert str(path) in one_complaint(job)
    assert "results are whole" not in job.said


def test_an_output_that_becomes_a_folder(job, tmp_path):
    path = tmp_path / "o.jsonl"
    assert job.run(tmp_path / "a.jsonl", "-o", path, do=f"mkdir {path}") == 1
    assert "folder" in one_complaint(job) or "directory" in one_complaint(job)
    assert ids(tmp_path / "o.jsonl.partial") == names(rows(200))


# Signals


@pytest.mark.parametrize(("number", "code"), [("INT", 130), ("TERM", 143)])
def test_one_signal_finishes_what_is_begun_and_says_how_to_go_on(job, tmp_path, number, code):
    made = written(tmp_path / "a.jsonl", rows(600))
    job.run(made, "-o", tmp_path / "unbroken.jsonl")
    arguments = [made, "-o", tmp_path / "o.jsonl"]
    assert job.run(*arguments, do=f"kill -{number} $PPID") == code
    assert "--resume" in job.said
    assert ids(tmp_path / "o.jsonl.partial") == names(rows(8 + 16))  # the second chunk was begun
    assert json.loads((tmp_path / "o.jsonl.run.json").read_text())["state"] == "stopped"
    assert not (tmp_path / "o.jsonl").exists()
    assert job.run(*arguments) == 1  # by mistake: nothing is lost
    assert "--resume" in job.said
    assert job.run(*arguments, "--resume") == 0
    assert "24 of them known" in job.said
    assert (tmp_path / "o.jsonl").read_bytes() == (tmp_path / "unbroken.jsonl").read_bytes()


@pytest.mark.parametrize("output", ["o.jsonl", "o.parquet", "o.sqlite"])
def test_two_signals_leave_now(job, tmp_path, output):
    made = written(tmp_path / "a.jsonl", rows(600))
    job.run(made, "-o", tmp_path / f"unbroken-{output}")
    arguments = [made, "-o", tmp_path / output]
    assert job.run(*arguments, do="kill -INT $PPID; sleep 0.1; kill -INT $PPID; sleep 30") == 130
    assert not (tmp_path / output).exists()
    assert job.run(*arguments, "--resume") == 0
    assert "8 of them known" in job.said
    assert (tmp_path / output).read_bytes() == (tmp_path / f"unbroken-{output}").read_bytes()


def test_a_job_that_got_nowhere_does_not_bind_the_next_one(job, tmp_path):
    arguments = [tmp_path / "a.jsonl", "-o", tmp_path / "o.jsonl"]
    assert job.run(*arguments, "-t", "0.3", do=None) == 0
    journal = tmp_path / "o.jsonl.journal"
    journal.write_text('{"journal": 1, "threshold": 0.9}\n')  # as one leaves it that is killed while it loads
    assert job.run(*arguments) == 0, job.said
    assert not journal.exists()


# Streams


def streams(*arguments, closing, **options):
    return subprocess.run(["bash", "-o", "pipefail", "-c", f'"$@" {closing}', "-", *COMMAND, *map(str, arguments)],
                          cwd=ROOT, capture_output=True, text=True, check=False, **options)  # fmt: skip


def test_a_closed_standard_input():
    done = streams("extract", *LABEL, closing="<&-")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("gliner: error:") == 1
    assert "Standard input is closed" in done.stderr


def test_a_closed_standard_output(tmp_path):
    written(tmp_path / "a.jsonl", rows(20))
    done = streams("extract", tmp_path / "a.jsonl", *LABEL, closing=">&-")
    assert done.returncode == 1
    assert done.stderr.count("gliner: error:") == 1
    assert "Standard output is closed" in done.stderr
    assert "Traceback" not in done.stderr


def test_all_streams_closed_and_a_file_to_write(tmp_path):
    written(tmp_path / "a.jsonl", rows(20))
    done = streams("extract", tmp_path / "a.jsonl", *LABEL, "-o", tmp_path / "o.jsonl", closing="<&- >&- 2>&-")
    assert done.returncode == 0
    assert ids(tmp_path / "o.jsonl") == names(rows(20))


@pytest.mark.parametrize("form", ["jsonl", "json", "csv", "conll"])
def test_a_reader_that_leaves(tmp_path, form):
    written(tmp_path / "a.jsonl", rows(20_000))
    done = streams("extract", tmp_path / "a.jsonl", *LABEL, "-q", "--to", form, closing="| head -n 1")
    assert done.stderr == ""
    assert done.returncode == 0
    assert done.stdout.count("\n") == 1


# A worker


@pytest.mark.slow
def test_the_real_command_when_a_worker_is_killed(tmp_path):
    written(tmp_path / "a.jsonl", rows(4000))
    command = [sys.executable, "-m", "gliner_cli", "extract", str(tmp_path / "a.jsonl"), "-l", "person,city"]
    subprocess.run([*command, "-o", tmp_path / "alone.jsonl"], check=True, cwd=ROOT, capture_output=True)
    process = subprocess.Popen([*command, "-o", tmp_path / "o.jsonl", "--workers", "2"], cwd=ROOT,
                               stderr=subprocess.PIPE, text=True)  # fmt: skip
    killed, partial = 0, tmp_path / "o.jsonl.partial"
    while process.poll() is None and killed < 3:
        time.sleep(0.3)
        if not partial.exists() or not partial.stat().st_size:
            continue
        for worker in workers_of(process.pid)[:1]:
            os.kill(worker, signal.SIGKILL)
            killed += 1
        time.sleep(1)
    said = process.communicate(timeout=600)[1]
    assert process.returncode == 0, said
    assert killed, "it was done before a worker could be killed: give it more documents"
    print(f"{killed} workers were killed")
    assert close(tmp_path / "o.jsonl") == close(tmp_path / "alone.jsonl")


def workers_of(parent):
    """The processes that compute: multiprocessing has another, which tracks resources."""
    found = subprocess.run(
        ["ps", "-o", "pid=,args=", "--ppid", str(parent)], capture_output=True, text=True, check=False
    )
    return [int(line.split()[0]) for line in found.stdout.splitlines() if "spawn_main" in line]


def close(path):
    """Another number of threads adds in another order: scores may differ in their last digits."""
    found = list(map(json.loads, path.read_text().splitlines()))
    for row in found:
        for entity in row["entities"]:
            entity["score"] = round(entity["score"], 4)
    return found
