"""A million documents need no more memory than ten thousand, and files cost little beside the network.

DOCUMENTS sets the million. Figures are printed: run with -s.
"""

import csv
import json
import os
import subprocess
import time
from dataclasses import replace

import pytest

from gliner_cli import formats
from gliner_cli.jobs import job
from gliner_cli.jobs.chunks import chunks, one_by_one
from gliner_cli.jobs.run import Run
from gliner_cli.options import Job, Reading, Writing
from tests.proofs.fake_job import COMMAND, ROOT

pytestmark = pytest.mark.slow

DOCUMENTS = int(os.environ.get("DOCUMENTS", "1000000"))


def rows(count):
    """Short documents, every one with names of its own."""
    for i in range(count):
        yield {
            "id": f"d{i}",
            "text": f"In letter {i} Mara{i:x} writes to Ivo{i * 7919:x} of the house in Oslo.",
            "page": f"p. {i}",
        }


def as_jsonl(path, made):
    with path.open("w") as file:
        file.writelines(json.dumps(row) + "\n" for row in made)


def as_csv(path, made):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["id", "text", "page"])
        writer.writeheader()
        writer.writerows(made)


def as_parquet(path, made):
    import pyarrow
    import pyarrow.parquet

    schema = pyarrow.schema([(name, pyarrow.string()) for name in ("id", "text", "page")])
    with pyarrow.parquet.ParquetWriter(path, schema) as file:
        group = []
        for row in made:
            group.append(row)
            if len(group) == 20_000:
                file.write_table(pyarrow.Table.from_pylist(group, schema))
                group = []
        file.write_table(pyarrow.Table.from_pylist(group, schema))


def as_sqlite(path, made):
    import sqlite3

    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE docs (id TEXT, text TEXT, page TEXT)")
    connection.executemany("INSERT INTO docs VALUES (:id, :text, :page)", made)
    connection.commit()
    connection.close()


MADE = {"jsonl": as_jsonl, "csv": as_csv, "parquet": as_parquet, "sqlite": as_sqlite}


def peak(folder, suffix, count, *options):
    """The most memory that the command had, in MB, and its seconds."""
    given, output = folder / f"in-{count}.{suffix}", folder / f"out-{count}.{suffix}"
    MADE[suffix](given, rows(count))
    began = time.perf_counter()
    process = subprocess.Popen([*COMMAND, "extract", given, "-l", "name", "-o", output, *options], cwd=ROOT)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    record = json.loads((folder / f"{output.name}.run.json").read_text())
    assert (record["documents"], record["entities"]) == (count, {"name": 4 * count})
    given.unlink()
    output.unlink()
    return usage.ru_maxrss / 1024, time.perf_counter() - began


def test_ten_times_the_documents_are_not_kept(tmp_path):
    few, many = (peak(tmp_path, "jsonl", count)[0] for count in (2_000, 20_000))
    assert many - few < 6, f"{few:.0f} MB, {many:.0f} MB: {(many - few) * 1e6 / 18_000:.0f} bytes a document"


@pytest.mark.parametrize("suffix", MADE)
def test_a_million_documents(tmp_path, suffix):
    few, _ = peak(tmp_path, suffix, min(10_000, DOCUMENTS // 10))
    many, seconds = peak(tmp_path, suffix, DOCUMENTS)
    ratio = many / few
    print(f"{suffix}: {few:.0f} MB, {DOCUMENTS:,} documents {many:.0f} MB in {seconds:.0f} s: {ratio:.3f} times")
    assert ratio <= 1.2


@pytest.mark.parametrize("suffix", MADE)
@pytest.mark.parametrize("sentences", [1, 8])
def test_what_reading_and_writing_cost(tmp_path, suffix, sentences):
    """Reading, the journal and writing, beside the network of the starter; seconds for 1,000 documents of so many
    sentences. Both are timed by the clock, the shortest of three."""
    import gliner_cli

    count = 1000
    given = tmp_path / f"in.{suffix}"
    MADE[suffix](given, ({**row, "text": " ".join([row["text"]] * sentences)} for row in rows(count)))
    extractor = gliner_cli.load()
    known = {}

    def read():
        return formats.read([str(given)], Reading(), pytest.fail)

    def extract():
        for chunk in chunks(read()):
            for document in extractor.extract(chunk.documents, ["person", "city"]):
                known[document.id] = document.entities

    def read_and_write():
        answers = one_by_one(lambda asked: (replace(one, entities=known[one.id]) for one in asked))
        output = tmp_path / f"out.{suffix}"
        journal = job.journal(output, {}, resume=True)
        answered = job.answered(chunks(read()), answers, journal, Job())
        formats.write(Run(pytest.fail).done(answered), Writing(output=output))
        journal.forget()

    both, files = shortest(extract), shortest(read_and_write)
    read_only = shortest(lambda: [None for _ in read()])
    share = files / (both - read_only)
    print(
        f"{suffix}, {sentences} sentences: reading and writing {files:.3f} s, extraction {both - read_only:.2f} s: {share:.1%}"
    )
    assert len(known) == count
    assert share <= 0.05


def shortest(action):
    found = []
    for _ in range(3):
        began = time.perf_counter()
        action()
        found.append(time.perf_counter() - began)
    return min(found)
