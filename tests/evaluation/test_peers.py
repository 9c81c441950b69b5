"""Other packages in processes of their own: what they say is translated, what they do wrong is said."""

from __future__ import annotations

import random
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import pytest

from gliner_cli.errors import GlinerError, InputError, LabelError, MissingExtraError
from gliner_cli.evaluation.peers import BATCH_SIZES, Peer, peer, reference_evaluator
from gliner_cli.evaluation.program import Program
from gliner_cli.options import Computing, Extraction
from gliner_cli.text.labels import labels
from gliner_cli.text.words import words
from gliner_cli.types import Document, Entity, Words

LABELS = labels(["person", "city"])
DOCUMENTS = [Document("Ada met Bob in Zürich 😀 Paris."), Document(""), Document("x " * 50_000), Document("Bob .")]
FOUND = [[(0, 3, "person")], [], [], [(0, 3, "person")]]

GOOD = """
def answer(asked):
    rows = [[[0, 3, "person", 0.5]] if len(d["text"]) in range(3, 99) else [] for d in asked["documents"]]
    return {"answer": asked["answer"], "entities": rows, "seconds": 0.25}
"""
LOOP = """
import json, os, subprocess, sys, time
for line in sys.stdin:
    asked = json.loads(line)
    BODY
    print(json.dumps(answer(asked)), flush=True)
"""


def program(folder, body="", before="", after=GOOD):
    """A tool of somebody's, as a script."""
    script = folder / "tool.py"
    loop = LOOP.replace("BODY", textwrap.indent(textwrap.dedent(body), "    ").strip() or "pass")
    script.write_text(f"{before}\n{after}\n{loop}")
    return Program("tool", [sys.executable, str(script)])


@pytest.fixture
def tool(tmp_path, request):
    made = []

    def make(*arguments, **options):
        made.append(Peer("tool", program(tmp_path, *arguments, **options), Extraction(), 8, {"protocol": "its own"}))
        return made[-1]

    yield make
    for one in made:
        one.close()


def places(documents):
    return [[(e.start, e.end, e.label) for e in document.entities] for document in documents]


def test_a_tool_that_works_is_asked_many_times_and_started_once(tool):
    one = tool("assert asked['threshold'] == 0.5 and asked['labels'] == [['person', None], ['city', None]]")
    for _ in range(3):
        found = one.extract(DOCUMENTS, LABELS)
        assert places(found) == FOUND
        assert [document.text for document in found] == [document.text for document in DOCUMENTS]
    assert one.usage()["seconds"] == 0.75  # as it says itself
    assert one.at(0.3).about()["threshold"] == 0.3
    assert one.about()["threshold"] == 0.5


def test_noise_is_passed_over(tool):
    noise = """
    print("Loading model ... 100%", "{", "[1, 2]", "null", '{"answer": 77, "entities": []}', sep="\\n")
    os.write(1, b"\\xff\\xfe no text at all\\n")
    print("{\\"answer\\": ", asked["answer"] - 1, ', "entities": []}', flush=True)
    """
    assert places(tool(noise).extract(DOCUMENTS, LABELS)) == FOUND


def test_words_and_labels_arrive_as_they_are(tool):
    own = "assert asked['documents'][0]['words'] == [[0, 3], [3, 5]] and asked['labels'] == [['a', 'what a is']]"
    tool(own).extract([Document("Ada's", words=Words.of([(0, 3), (3, 5)]))], labels({"a": "what a is"}))


def test_a_tool_that_dies_says_its_last_words_and_starts_anew(tool, tmp_path):
    body = f"""
    if not os.path.exists({str(tmp_path / "died")!r}):
        open({str(tmp_path / "died")!r}, "w").close()
        sys.exit("the last line\\nout of memory")
    """
    one = tool(body)
    with pytest.raises(GlinerError, match="tool ended without an answer: out of memory"):
        one.extract(DOCUMENTS, LABELS)
    assert places(one.extract(DOCUMENTS, LABELS)) == FOUND


def test_a_tool_that_crashes_without_a_word(tool):
    with pytest.raises(GlinerError, match="it said nothing, exit status -11"):
        tool("os.kill(os.getpid(), 11)").extract(DOCUMENTS, LABELS)


@pytest.mark.parametrize(
    "body",
    [
        "time.sleep(60)",
        "while True: print('still loading', flush=True)",
        "os.close(1); time.sleep(60)",
        "subprocess.Popen(['sleep', '60']); sys.exit(1)",  # what it started holds its output open
    ],
)
def test_a_tool_that_hangs_is_ended_with_all_it_started(tool, monkeypatch, body):
    monkeypatch.setattr("gliner_cli.evaluation.peers._ANSWERING", 0.8)
    monkeypatch.setattr("gliner_cli.evaluation.peers._EACH", 0.0)
    one = tool(body)
    one.program.start()
    pid = one.program._running.process.pid
    began = time.perf_counter()
    with pytest.raises(GlinerError, match=r"tool (gave no|ended without an) answer"):
        one.extract(DOCUMENTS, LABELS)
    assert time.perf_counter() - began < 10
    until = time.perf_counter() + 5
    while pid in groups() and time.perf_counter() < until:  # a signal takes its time
        time.sleep(0.01)
    assert pid not in groups()


def groups():
    """The process groups in which something still runs."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, group = path.read_text().rpartition(")")[2].split()[:3]
        except OSError:  # it has just ended
            continue
        found |= {int(group)} if state != "Z" else set()
    return found


def test_a_tool_that_reads_nothing_blocks_nobody(tool, monkeypatch):
    monkeypatch.setattr("gliner_cli.evaluation.peers._ANSWERING", 0.8)
    monkeypatch.setattr("gliner_cli.evaluation.peers._EACH", 0.0)
    one = tool(before="import time; time.sleep(60)")
    with pytest.raises(GlinerError, match="gave no answer in 1 s"):
        one.extract([Document("x" * 1_000_000)], LABELS)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("[[]]", "answered for 1 documents; 4 were asked about"),
        ("[[]] * 5", "answered for 5 documents"),
        ("None", "answered for no documents"),
        ("[[[0, 99, 'person', 0.5]], [], [], []]", "no entity of a text of 30 characters"),
        ("[[[3, 3, 'person', 0.5]], [], [], []]", "no entity"),
        ("[[[0, 3, None, 0.5]], [], [], []]", "no entity"),
        ("[['Ada'], [], [], []]", "no entity"),
        ("[None, [], [], []]", "answered None for a document"),
    ],
)
def test_an_answer_to_something_else_is_an_error(tool, rows, said):
    answer = f"def answer(asked): return {{'answer': asked['answer'], 'entities': {rows}}}"
    with pytest.raises(GlinerError, match=said):
        tool(after=answer).extract(DOCUMENTS, LABELS)


def test_a_program_that_is_not_there():
    with pytest.raises(InputError, match="cannot be started") as raised:
        peer("gliner2", "x", Extraction(), Computing(), Path("/no/such/python"))
    assert "--python" in raised.value.hint


def test_thresholds_of_single_labels_are_refused(tool):
    with pytest.raises(LabelError, match="no thresholds of single labels"):
        tool().extract(DOCUMENTS, labels({"person": 0.3}))


def test_the_fastest_batch_size_is_found_once(tool):
    slow = 'return {"answer": asked["answer"], "entities": [[]], "seconds": abs(asked["batch_size"] - 16) + 0.1}'
    one = tool(after=f"def answer(asked): {slow}")
    one.batch_size = None
    one.extract([Document("x")], LABELS)
    assert one.batch_size == 16
    assert one.about()["batch_size"] == 16
    assert one.program._number == len(BATCH_SIZES) + 2  # one to warm up, and the question itself


# --- The packages, played by small modules of their names -------------------------------------------------------------

GLINER2 = """
print("welcome to gliner2")
import os; os.write(1, b"from C\\n")
class AutoExtractor:
    @classmethod
    def from_pretrained(cls, folder): return cls()
    def batch_extract_entities(self, texts, names, batch_size, threshold, include_confidence, include_spans):
        print("computing"); assert all(text.strip() for text in texts)
        row = lambda t, n: [dict(text=w, confidence=.75, start=t.index(w), end=t.index(w) + len(w)) for w in known[n] if w in t]
        known = {"city": ["Paris", "Zürich"], "person": ["Bob", "Ada"]}
        return [{"entities": {name: row(text, name) for name in names}} for text in texts]
"""
FAST_GLINER = """
class FastGLiNER:
    @classmethod
    def from_pretrained(cls, folder, onnx_path, execution_provider):
        assert (onnx_path, execution_provider) == ("onnx/large.onnx", "cpu"); return cls()
    def predict_entities(self, texts, names):
        assert 0 < len(texts) <= 2 and all(text.strip() for text in texts)
        known = [("Ada", "person"), ("Bob", "person"), ("Zürich", "city"), ("Paris", "city")]
        at = lambda t, w: len(t[: t.index(w)].encode())
        return [[dict(text=w, label=l, score=.75, start=at(t, w), end=at(t, w) + len(w.encode())) for w, l in known if w in t]
                for t in texts]
"""
SPACY = """
class Span:
    def __init__(self, start, end, label): self.start, self.end, self.label_ = start, end, label
class Token:
    def __init__(self, idx, text): self.idx, self.text = idx, text
    def __len__(self): return len(self.text)
class Doc(list):
    def __init__(self, vocab, words, spaces): super().__init__(Token(-1, w) for w in words); self.spaces = spaces
class tokens: Doc = Doc
def load(name):
    assert name == "en"; return Pipeline()
class Pipeline:
    vocab = None
    def pipe(self, inputs, batch_size):
        for one in inputs:
            doc = one if isinstance(one, Doc) else Doc(None, [], [])
            if doc is not one: doc.extend(Token(i, w) for i, w in split(one))
            known = {"Ada": "PERSON", "Bob": "PERSON", "Zürich": "GPE", "Paris": "GPE", "😀": "NORP"}
            doc.ents = [Span(i, i + 1, known[t.text]) for i, t in enumerate(doc) if t.text in known]
            yield doc
def split(text):
    import re; return [(m.start(), m[0]) for m in re.finditer(r"\\w+|\\S", text)]
"""
NAMED = [Document("Ada met Bob in Zürich 😀 Paris."), Document(" "), Document("Bob .")]
EXPECTED = [[(0, 3, "person"), (8, 11, "person"), (15, 21, "city"), (24, 29, "city")], [], [(0, 3, "person")]]


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Puts a module where the worker finds it, as long as it does not ignore PYTHONPATH."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def write(name, content):
        (tmp_path / f"{name}.py").write_text(content)
        return tmp_path

    return write


@pytest.mark.parametrize(
    ("kind", "module", "content"),
    [("gliner2", "gliner2", GLINER2), ("fast-gliner", "fast_gliner", FAST_GLINER), ("spacy", "spacy", SPACY)],
)
def test_each_package_is_understood(package, kind, module, content):
    folder = package(module, content)
    (folder / "onnx").mkdir()
    (folder / "onnx" / "large.onnx").write_bytes(b"12")
    (folder / "onnx" / "quantised.onnx").write_bytes(b"1")
    one = peer(kind, "en" if kind == "spacy" else str(folder), Extraction(), Computing(device="cpu"), batch_size=2)
    try:
        found = one.extract(NAMED, LABELS)
        assert places(found) == EXPECTED
        scores = {e.score for document in found for e in document.entities}
        assert scores == ({None} if kind == "spacy" else {0.75})
        about = one.about()
        assert about["versions"]["python"] == sys.version.split()[0]
        assert module in about["versions"]
        assert 0 < one.usage()["seconds"] < 5
        assert sys.platform != "linux" or 5e6 < one.peak_memory < 3e8  # not what the tests' own process holds
    finally:
        one.close()


def test_spacy_reads_the_words_that_are_given(package):
    package("spacy", SPACY)
    one = peer("spacy", "en", Extraction(), Computing(device="cpu"))
    document = Document("in  Zürich- Ada", words=Words.of([(0, 2), (4, 10), (10, 11), (12, 15)]))
    try:
        assert places(one.extract([document], labels(["Country", "person"]))) == [
            [(4, 10, "Country"), (12, 15, "person")]
        ]
    finally:
        one.close()


def test_a_package_is_taken_from_the_python_that_has_it(package, tmp_path):
    package("gliner2", GLINER2)
    bare = tmp_path / "python"  # one that does not find the module
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -E -S "$@"\n')
    bare.chmod(0o755)
    one = peer("gliner2", "x", Extraction(), Computing(device="cpu"), bare)
    assert one.program.command[0] == sys.executable
    one.close()


def test_a_missing_package_says_how_to_get_it(package):
    package("gliner2", "raise ModuleNotFoundError('No module', name='gliner2')")
    with pytest.raises(MissingExtraError) as raised:
        peer("gliner2", "x", Extraction(), Computing())
    assert raised.value.message.startswith(f"gliner2 needs gliner2, which {sys.executable}")
    assert raised.value.hint.startswith("pip install 'gliner2[local]', or --python PATH")


# --- The reference package itself -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    from tests.tiny import checkpoint_folder

    return checkpoint_folder(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture(scope="module")
def reference(folder):
    pytest.importorskip("gliner", reason="the reference package is not installed: pip install '.[dev]'")
    one = peer("gliner", str(folder), Extraction(), Computing(device="cpu", threads=1))
    yield one
    one.close()


def gold(seed):
    """Documents with and without words of their own, with entities some of which a network may find, some never."""
    from tests.tiny import LABELS as NAMES
    from tests.tiny import TEXTS

    chance = random.Random(seed)
    made = []
    for text in [*TEXTS, ""]:
        own = Words.of([(m, n) for m, n in zip(*_split(text), strict=True)]) if chance.random() < 0.5 else None
        cut = own or words(text, "whitespace")
        entities = []
        for _ in range(min(3, len(cut))):
            first = chance.randrange(len(cut))
            last = min(len(cut) - 1, first + chance.randrange(8))
            start, end = cut.starts[first], cut.ends[last]
            entities.append(Entity(start, end, chance.choice(NAMES), text[start:end]))
        if len(text) > 20:
            entities.append(Entity(1, 3, NAMES[0], text[1:3]))  # on no word boundary
        made.append(Document(text, entities=tuple(entities), words=own))
    return made


def _split(text):
    starts = [i for i, c in enumerate(text) if c != " " and (not i or text[i - 1] == " ")]
    return starts, [text.find(" ", start) if " " in text[start:] else len(text) for start in starts]


@pytest.mark.parametrize("threshold", [0.3, 0.5])
def test_our_count_is_the_references_own_to_the_last_digit(reference, folder, threshold):
    from gliner_cli.evaluation.scoring import tallies, total
    from gliner_cli.inference.extractor import load
    from tests.tiny import LABELS as NAMES

    asked, documents = labels(NAMES), gold(0)
    documents += [replace(one, entities=one.entities[::2]) for one in reference.at(threshold).extract(documents, asked)]
    judge = reference_evaluator(reference.at(threshold), documents, asked)
    theirs = total(tallies(documents, reference.at(threshold).extract(documents, asked)))
    ours = total(tallies(documents, list(load(str(folder)).extract(documents, asked, threshold=threshold))))
    for counted in (theirs, ours):
        assert (counted.precision, counted.recall, counted.f1) == (judge.precision, judge.recall, judge.f1)
    assert 0.1 < judge.f1 < 0.9, judge


def test_the_reference_reads_the_words_that_are_given(reference):
    text = "Marta Silva opened a small bakery ."
    whole = Document(text, words=Words.of([(0, 11), (12, len(text))]))
    from tests.tiny import LABELS as NAMES

    found = reference.at(0.01).extract([Document(""), whole, Document(text)], labels(NAMES))
    assert {e.start for e in found[1].entities} <= {0, 12}
    assert {e.end for e in found[1].entities} <= {11, len(text)}
    assert {e.start for e in found[2].entities} - {0, 12}
