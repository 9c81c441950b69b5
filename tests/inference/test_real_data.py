"""Long proofs on real data and real sizes: pytest -m slow."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time

import pytest

import gliner_cli
from gliner_cli.checkpoint.cache import starter
from gliner_cli.types import Document

pytestmark = pytest.mark.slow
# REFERENCE: the labels of the published benchmark, without "miscellaneous".
LABELS = {
    "ai": "organization,university,location,person,conference,country,researcher,task,product,algorithm,program language,"
    "field,metrics",
    "science": "university,event,astronomical object,person,protein,enzyme,scientist,chemical element,discipline,award,"
    "organization,location,chemical compound,country,academic journal,theory",
}
REPEATS = 5


@pytest.mark.filterwarnings("ignore")
def test_equal_entities_and_faster_than_the_reference(shared):
    gliner = pytest.importorskip("gliner")
    theirs = gliner.GLiNER.from_pretrained(str(starter().folder), local_files_only=True)
    ours = gliner_cli.load()
    ratios = []
    for repeat in range(REPEATS):
        seconds = {"ours": 0.0, "theirs": 0.0}
        for domain, names in LABELS.items():
            labels = names.split(",")
            with (shared / "data" / f"crossner_{domain}" / "test.jsonl").open() as file:
                texts = [" ".join(json.loads(line)["tokens"]) for line in file]
            began = time.perf_counter()
            found = [d.entities for d in ours.extract([Document(text) for text in texts], labels)]
            middle = time.perf_counter()
            expected = theirs.inference(texts, labels, flat_ner=True, threshold=0.5)
            seconds["ours"] += middle - began
            seconds["theirs"] += time.perf_counter() - middle
            assert [[(e.start, e.end, e.label) for e in row] for row in found] == [
                [(e["start"], e["end"], e["label"]) for e in row] for row in expected
            ]
            scores = [
                (a.score, b["score"]) for x, y in zip(found, expected, strict=True) for a, b in zip(x, y, strict=True)
            ]
            assert len(scores) > 1000
            assert max(abs(a - b) for a, b in scores) < 1e-5
        ratios.append(seconds["theirs"] / seconds["ours"])
        print(
            f"round {repeat}: ours {seconds['ours']:.1f} s, reference {seconds['theirs']:.1f} s, ratio {ratios[-1]:.2f}"
        )
    print(f"median ratio {statistics.median(ratios):.2f}")
    assert statistics.median(ratios) >= 1.8


def peak(words: int) -> int:
    """The peak memory, in kB, of a process that reads one document of so many words."""
    code = (
        "import resource, gliner_cli; from gliner_cli.types import Document;"
        "base = 'Ada Lovelace met Charles Babbage in London while Marta Silva baked bread in Porto . '.split();"
        f"text = ' '.join(base[i % len(base)] for i in range({words}));"
        "row, = gliner_cli.load().extract([Document(text)], ['person', 'city']);"
        "assert row.entities[-1].end > len(text) - 200;"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    return int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def test_memory_does_not_grow_with_the_document():
    small, large = peak(10_000), peak(1_000_000)
    print(f"10,000 words {small / 1024:.0f} MB, 1,000,000 words {large / 1024:.0f} MB")
    assert large < 1.5 * small + 6_000  # and the text itself, 6 MB


def test_cold_start_is_faster_than_importing_the_reference(tmp_path):
    pytest.importorskip("gliner")
    (tmp_path / "a.txt").write_text("Ada Lovelace lived in London.")
    ours = [sys.executable, "-m", "gliner_cli", "extract", str(tmp_path / "a.txt"), "-l", "person", "-q"]
    theirs = [sys.executable, "-c", "import gliner"]
    ratios = []
    for _ in range(REPEATS):
        seconds = []
        for command in (ours, theirs):
            began = time.perf_counter()
            subprocess.run(command, capture_output=True, check=True)
            seconds.append(time.perf_counter() - began)
        ratios.append(seconds[0] / seconds[1])
        print(f"ours {seconds[0]:.2f} s, import gliner {seconds[1]:.2f} s")
    assert statistics.median(ratios) < 1
