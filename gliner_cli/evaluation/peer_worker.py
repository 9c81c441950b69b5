"""A program: one other package that finds entities, answering requests on standard input, one line of JSON each.

`peers.py` starts it, by its path, with whatever Python (3.10 or newer) has the package. It imports nothing of ours and
nothing else but what is asked for. The first line is what to load:

    {"answer": 0, "load": "gliner", "checkpoint": …, "device": "cpu", "precision": "fp32", "threads": null}

and every further one what to do, `words` being a text's own words where its source fixed them:

    {"answer": 1, "documents": [{"text": …, "words": [[start, end], …] or null}], "labels": [[name, description], …],
     "threshold": 0.5, "nested": false, "multi_label": false, "batch_size": 8}

Each is answered by one line with the same number: `entities` has, for each document, a list of [start, end, label,
score or null], in characters; `seconds`, `cpu_seconds` and `peak_memory` (bytes) are this process's own. Any program
that answers so can be compared; lines that are no such answer are passed over. What goes wrong ends this one, and the
last line on standard error says what it was.
"""

from __future__ import annotations

import importlib
import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

Json = dict[str, Any]
Found = list[list[tuple[int, int, str, "float | None"]]]


class Gliner:
    """The reference package."""

    packages: tuple[str, ...] = ("gliner", "torch", "transformers")

    def __init__(self, asked: Json) -> None:
        gliner = importlib.import_module("gliner")
        self.model = gliner.GLiNER.from_pretrained(asked["checkpoint"], local_files_only=True, **self.options(asked))
        self.splitter = self.model.data_processor.words_splitter

    def options(self, asked: Json) -> Json:
        """How it is loaded."""
        options = {"map_location": asked["device"]}
        return options if asked["precision"] == "fp32" else {**options, "dtype": asked["precision"]}

    def find(self, asked: Json) -> Found:
        """Its `inference`, on the documents' own words where they have some."""
        documents = asked["documents"]
        fixed = any(document["words"] is not None for document in documents)
        self.model.data_processor.words_splitter = _FixedWords(self.splitter, documents) if fixed else self.splitter
        texts = [document["text"] for document in documents]
        how = {"flat_ner": not asked["nested"], **{name: asked[name] for name in ("threshold", "multi_label")}}
        rows = self.model.inference(texts, _described(asked["labels"]), batch_size=asked["batch_size"], **how)
        return [[(e["start"], e["end"], e["label"], float(e["score"])) for e in row] for row in rows]

    def evaluate(self, asked: Json) -> Json:
        """Its own `evaluate` on gold documents: what it counts, unrounded."""
        counted: Json = {}
        evaluator = importlib.import_module("gliner.evaluation.evaluator").BaseEvaluator
        count = evaluator.compute_prf

        def remembering(*arguments: Any, **options: Any) -> Any:  # evaluate() rounds all but F1 into a text
            counted.update(count(*arguments, **options))
            return dict(counted)

        evaluator.compute_prf = staticmethod(remembering)
        try:
            how = {"threshold": asked["threshold"], "batch_size": asked["batch_size"], "flat_ner": not asked["nested"]}
            names = [description or name for name, description in asked["labels"]]
            described, documents = dict(asked["labels"]), asked["documents"]
            # Of no words it makes one, [PAD], which inference() does not.
            rows = [self._gold(document, described) for document in documents if document["text"].strip()]
            _, f1 = self.model.evaluate(rows, entity_types=names, multi_label=asked["multi_label"], **how)
        finally:
            evaluator.compute_prf = staticmethod(count)
        return {"precision": float(counted["precision"]), "recall": float(counted["recall"]), "f1": float(f1)}

    def _gold(self, document: Json, described: Json) -> Json:
        """A gold document as its data sets have it: words, and entities in words, the end inclusive.

        An entity that is not on word boundaries gets a place that nothing can be found at: it counts, as missed.
        """
        text = document["text"]
        places = document["words"] or [place[1:] for place in self.splitter(text)]
        first = {start: number for number, (start, _) in enumerate(places)}
        last = {end: number for number, (_, end) in enumerate(places)}
        nowhere = itertools.count(-1, -1)
        rows = []
        for start, end, label in document["gold"]:
            place = (first[start], last[end]) if start in first and end in last else (next(nowhere),) * 2
            rows.append((*place, described.get(label) or label))
        return {"tokenized_text": [text[start:end] for start, end in places], "ner": rows}

    def export(self, asked: Json) -> Json:
        """Write the checkpoint as ONNX into a folder."""
        try:
            importlib.import_module("onnx")  # torch says too late, and in its own way, that it needs it
        except ImportError:
            return {"missing": "onnx"}
        self.model.export_to_onnx(asked["export"])
        return {}


class _FixedWords:
    """In place of the reference's splitter: the words that documents came with, in the order in which it asks."""

    def __init__(self, splitter: Callable[[str], Any], documents: list[Json]) -> None:
        self.splitter = splitter
        self.words = iter([document["words"] for document in documents if document["text"].strip()])

    def __call__(self, text: str) -> Iterator[tuple[str, int, int]]:
        words = next(self.words)
        return self.splitter(text) if words is None else ((text[a:b], a, b) for a, b in words)


class GlinerOnnx(Gliner):
    """The reference package on ONNX Runtime."""

    packages = ("gliner", "onnxruntime", "torch", "transformers")

    def options(self, asked: Json) -> Json:
        """With as many threads as asked, which ONNX Runtime takes from nowhere else."""
        runtime = importlib.import_module("onnxruntime")
        session = runtime.SessionOptions()
        session.intra_op_num_threads = asked["threads"] or 0
        provider = "CUDAExecutionProvider" if asked["device"] == "cuda" else "CPUExecutionProvider"
        options = {"session_options": session, "providers": [provider]}
        file = _onnx_file(asked["checkpoint"])
        return {"runtime": "onnxruntime", "runtime_model_file": file, "runtime_options": options}


class Gliner2:
    """GLiNER2, which has checkpoints of its own."""

    packages = ("gliner2", "torch", "transformers")

    def __init__(self, asked: Json) -> None:
        gliner2 = importlib.import_module("gliner2")
        loader = getattr(gliner2, "AutoExtractor", None) or gliner2.GLiNER2  # version 1 has only the latter
        self.model = loader.from_pretrained(asked["checkpoint"])
        if asked["device"] != "cpu":
            self.model.to(asked["device"])

    def find(self, asked: Json) -> Found:
        """Its batches; texts without words are left out, in which it finds something all the same."""
        texts = [document["text"] for document in asked["documents"]]
        rows = self.model.batch_extract_entities(
            [text for text in texts if text.strip()], _described(asked["labels"]), batch_size=asked["batch_size"],
            threshold=asked["threshold"], include_confidence=True, include_spans=True,
        )  # fmt: skip
        return _spread(asked, [self._row(row) for row in rows])

    def _row(self, answer: Json) -> list[tuple[int, int, str, float | None]]:
        found = [(label, one) for label, entities in answer["entities"].items() for one in entities]
        return sorted((one["start"], one["end"], label, float(one["confidence"])) for label, one in found)


class FastGliner:
    """gline-rs from Python: ONNX in Rust. Its threshold is 0.5 and cannot be set, nor can its threads."""

    packages = ("fast_gliner",)

    def __init__(self, asked: Json) -> None:
        loader = importlib.import_module("fast_gliner").FastGLiNER
        file = _onnx_file(asked["checkpoint"])
        self.model = loader.from_pretrained(asked["checkpoint"], onnx_path=file, execution_provider=asked["device"])

    def find(self, asked: Json) -> Found:
        """Batches of the size that was asked; texts without words are left out, on which alone it crashes."""
        texts = _written(asked)
        size, names = asked["batch_size"], [name for name, _ in asked["labels"]]
        parts = [texts[begin : begin + size] for begin in range(0, len(texts), size)]
        rows = [row for part in parts for row in self.model.predict_entities(part, names)]
        return _spread(asked, [[_in_characters(text, e) for e in row] for text, row in zip(texts, rows, strict=True)])


def _in_characters(text: str, entity: Json) -> tuple[int, int, str, float]:
    """Version 0.3 gives places in bytes."""
    start, end = entity["start"], entity["end"]
    if text[start:end] != entity["text"]:
        raw = text.encode()
        start, end = len(raw[:start].decode()), len(raw[:end].decode())
    return start, end, entity["label"], float(entity["score"])


# What spaCy's English pipelines (OntoNotes) and its others (WikiNER) call what others call by these words.
_SPACY = {
    "PERSON": ("person",), "PER": ("person",), "ORG": ("organization", "organisation", "company"),
    "GPE": ("location", "country", "city"), "LOC": ("location",), "FAC": ("facility", "location"),
    "NORP": ("nationality",), "WORK_OF_ART": ("work of art",), "PERCENT": ("percentage",), "MISC": ("miscellaneous",),
}  # fmt: skip


class Spacy:
    """A spaCy pipeline: it knows its own labels only, so the asked-for ones are looked up among them."""

    packages = ("spacy",)

    def __init__(self, asked: Json) -> None:
        self.spacy = importlib.import_module("spacy")
        if asked["device"] == "cuda":
            self.spacy.require_gpu()
        self.pipeline = self.spacy.load(asked["checkpoint"])

    def find(self, asked: Json) -> Found:
        """Its entities under the asked labels; those under no asked label are left out."""
        names = {name.lower(): name for name, _ in asked["labels"]}
        inputs = (self._input(document) for document in asked["documents"])
        rows = self.pipeline.pipe(inputs, batch_size=asked["batch_size"])
        return [list(self._row(*pair, names)) for pair in zip(asked["documents"], rows, strict=True)]

    def _input(self, document: Json) -> Any:
        if document["words"] is None:
            return document["text"]
        text, places = document["text"], document["words"]
        followed = [text[end : end + 1].isspace() for _, end in places]
        return self.spacy.tokens.Doc(self.pipeline.vocab, [text[start:end] for start, end in places], followed)

    def _row(self, document: Json, answer: Any, names: dict[str, str]) -> Iterator[tuple[int, int, str, None]]:
        places = document["words"] or [(token.idx, token.idx + len(token)) for token in answer]
        for span in answer.ents:
            known = (*_SPACY.get(span.label_, ()), span.label_.lower().replace("_", " "))
            if label := next((names[word] for word in known if word in names), None):
                yield places[span.start][0], places[span.end - 1][1], label, None


PEERS: dict[str, Any] = {
    "gliner": Gliner, "gliner-onnx": GlinerOnnx, "gliner2": Gliner2, "fast-gliner": FastGliner, "spacy": Spacy,
}  # fmt: skip


def _written(asked: Json) -> list[str]:
    """The texts with something in them."""
    return [document["text"] for document in asked["documents"] if document["text"].strip()]


def _spread(asked: Json, rows: Found) -> Found:
    """Their answers, with nothing for the texts between them."""
    answers = iter(rows)
    return [next(answers) if document["text"].strip() else [] for document in asked["documents"]]


def _described(labels: list[list[str | None]]) -> Any:
    return {name: text or name for name, text in labels} if any(text for _, text in labels) else [n for n, _ in labels]


def _onnx_file(folder: str) -> str:
    """The largest of the ONNX files: others are quantised, or parts of decoders."""
    files = sorted(Path(folder).rglob("*.onnx"), key=lambda path: path.stat().st_size)
    if not files:
        raise FileNotFoundError(f"{folder} holds no .onnx file")
    return files[-1].relative_to(folder).as_posix()


def _versions(packages: tuple[str, ...]) -> Json:
    """Of the packages; a module that is no installed package may say its own."""
    found = {"python": sys.version.split()[0]}
    for name in packages:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = str(getattr(sys.modules.get(name), "__version__", "unknown"))
    return found


def _peak_memory() -> int | None:
    """Bytes. `ru_maxrss` of a new process starts at what the one that started it held; /proc tells this one's own."""
    try:
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024
    except (OSError, IndexError):
        return None


def _loaded(asked: Json) -> tuple[Any, Json]:
    """The peer, or None where a package it needs is missing."""
    kind = PEERS[asked["load"]]
    try:
        importlib.import_module(kind.packages[0])  # whether it is there is told before anything large is loaded
        if asked["threads"] and "torch" in kind.packages:
            importlib.import_module("torch").set_num_threads(asked["threads"])
        device = _device(asked["device"], kind.packages)
        peer = kind({**asked, "device": device})
    except ImportError as error:
        return None, {"missing": error.name or str(error)}
    return peer, {"versions": _versions(kind.packages), "device": device}


def _device(name: str, packages: tuple[str, ...]) -> str:
    if name != "auto":
        return name
    return "cuda" if "torch" in packages and importlib.import_module("torch").cuda.is_available() else "cpu"


def _done(peer: Any, asked: Json) -> Json:
    if "export" in asked:
        return dict(peer.export(asked))
    if asked.get("evaluate"):
        return dict(peer.evaluate(asked))
    return {"entities": peer.find(asked)}


def main() -> None:
    """Answer until standard input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what packages print, even from C, is no answer
    sys.path[:] = [path for path in sys.path if path != str(Path(__file__).parent)]  # its modules would hide others
    peer = None
    for line in sys.stdin:
        asked = json.loads(line)
        began, cpu = time.perf_counter(), time.process_time()
        if "load" in asked:
            peer, answer = _loaded(asked)
        else:
            answer = _done(peer, asked)
        taken = {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - cpu}
        print(json.dumps({"answer": asked["answer"], **answer, **taken, "peak_memory": _peak_memory()}), file=answers)
        answers.flush()


if __name__ == "__main__":
    main()
