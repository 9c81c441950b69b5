"""What the tests of training share: invented texts with entities, tiny checkpoints, and runs over them."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from gliner_cli.checkpoint.cache import located
from gliner_cli.checkpoint.folder import Checkpoint, load
from gliner_cli.inference.prompt import PieceMaker
from gliner_cli.network.dropout import Dropout
from gliner_cli.network.gliner import Gliner
from gliner_cli.options import Choice, Finetuning, Learning, Reading, Teaching
from gliner_cli.text.words import words
from gliner_cli.training.finetune import Materials, Run
from gliner_cli.training.lessons import Lesson, Teacher, lesson
from gliner_cli.training.loop import Learner
from gliner_cli.training.order import Order
from gliner_cli.training.passages import Passage, Remark, passages
from gliner_cli.types import Document, Entity

PEOPLE = ["Marta Silva", "Okafor", "Yuki Tanaka", "Lena Vogel", "Amalia"]
CITIES = ["Porto", "Genoa", "Tunis", "Lisbon", "Graz"]
BOATS = ["Oriana", "Tarn Queen", "Alpina"]
_SENTENCES = [
    "{person} left {city} at dawn .",
    "{person} and {person} sold the {boat} in {city} .",
    "The {boat} is bound for {city} with {person} .",
    "Nobody at desk {number} said why .",
    "{city} was under water , said {person} .",
]
_NAMES = {"person": PEOPLE, "city": CITIES, "boat": BOATS}


def marked(*parts: str | tuple[str, str], **fields: Any) -> Document:
    """A document of plain parts and of (text, label) parts, joined with spaces."""
    text, entities = "", list[Entity]()
    for part in parts:
        text += " " if text else ""
        said, label = part if isinstance(part, tuple) else (part, "")
        if label:
            entities.append(Entity(len(text), len(text) + len(said), label, said))
        text += said
    return Document(text, **{"id": text[:20], "entities": tuple(entities), **fields})


def invented(count: int, seed: int = 0) -> list[Document]:
    """So many sentences about people, cities and boats, no two the same."""
    chance = random.Random(seed)
    made: dict[str, Document] = {}
    while len(made) < count:
        parts: list[str | tuple[str, str]] = []
        for word in chance.choice(_SENTENCES).replace("{number}", str(len(made))).split():
            label = word.strip("{}")
            parts.append((chance.choice(_NAMES[label]), label) if label in _NAMES else word)
        one = marked(*parts, id=f"toy:{len(made)}", source="toy")
        made.setdefault(one.text, one)
    return list(made.values())


# --- Files ----------------------------------------------------------------------------------------------------------


def written(path: Path, documents: Sequence[Document]) -> Path:
    """The documents as a file, in the form that its name asks for: .jsonl, .rows.jsonl or .conll."""
    form = _as_conll if path.suffix == ".conll" else _as_row if ".rows" in path.name else _as_jsonl
    path.write_text("".join(form(document) for document in documents), encoding="utf-8")
    return path


def _as_jsonl(document: Document) -> str:
    entities = [{"start": e.start, "end": e.end, "label": e.label} for e in document.entities]
    return json.dumps({"text": document.text, "entities": entities, **document.meta}) + "\n"


def _as_row(document: Document) -> str:
    spans = [(first, stop - 1, label) for first, stop, label in in_words(document)]
    return json.dumps({"tokenized_text": document.text.split(), "ner": spans}) + "\n"


def _as_conll(document: Document) -> str:
    tags = {}
    for first, stop, label in in_words(document):
        tags |= {place: f"{'I' if place > first else 'B'}-{label}" for place in range(first, stop)}
    return "".join(f"{word}\t{tags.get(n, 'O')}\n" for n, word in enumerate(document.text.split())) + "\n"


def in_words(document: Document) -> list[tuple[int, int, str]]:
    """The entities of a document that begin and end with words, in words."""
    cut = document.words or words(document.text)
    starts, ends = {at: n for n, at in enumerate(cut.starts)}, {at: n for n, at in enumerate(cut.ends, start=1)}
    return [(starts[e.start], ends[e.end], e.label) for e in document.entities if e.start in starts and e.end in ends]


# --- Networks and lessons -------------------------------------------------------------------------------------------


def checkpoint(folder: Path) -> Checkpoint:
    """The checkpoint in a folder."""
    return load(located(str(folder)))


def cut(
    documents: Sequence[Document], of: Checkpoint, annotated: Sequence[str] = ()
) -> tuple[list[Passage], list[Remark]]:
    """The passages of documents, and the remarks made."""
    remarks: list[Remark] = []
    return list(passages(documents, PieceMaker(of), annotated, remarks.append)), remarks


def teacher(
    documents: Sequence[Document], of: Checkpoint, annotated: Sequence[str] = (), rehearsed: bool = False,
    **teaching: Any,
) -> Teacher:  # fmt: skip
    """A teacher of these documents."""
    return Teacher(cut(documents, of, annotated)[0], PieceMaker(of), Teaching(**teaching), 0, rehearsed)


def lessons(
    of: Checkpoint, documents: Sequence[Document], step: int = 0, most: int = 200, rehearsed: bool = False
) -> list[Lesson]:
    """The lessons of one step, over all the documents."""
    one = teacher(documents, of, ("person", "city", "boat"), rehearsed)
    groups = one.lessons(step, len(documents), most)
    return [lesson(n, group, one.maker, of.labels_tokenizer) for n, group in enumerate(groups)]


SETTINGS = Learning(
    steps=4,
    batch=8,
    encoder_rate=3e-3,
    head_rate=3e-3,
    number_format="fp32",
    device="cpu",
    micro_tokens=200,
    positive_weight=3.0,
)


def a_run(of: Checkpoint, output: Path, documents: Sequence[Document] | None = None, **changed: Any) -> Run:
    """A run over invented texts; `changed` are fields of any of its options."""
    train = invented(24) if documents is None else list(documents)
    learning, teaching, finetuning = (
        replace(options, **{name: value for name, value in changed.items() if hasattr(options, name)})
        for options in (SETTINGS, Teaching(), Finetuning(output=output, evaluations=2, blend=1.0, save_every=1e9))
    )
    materials = Materials.of(train, changed.get("dev_documents", invented(8, 1)), changed.get("keep_documents", ()), 0)
    return Run(of, materials, teaching, learning, finetuning, torch.device("cpu"))


def an_order(model: Path, train: Path, output: Path, **changed: Any) -> Order:
    """What a command line would order."""
    finetuning = Finetuning(output=output, evaluations=2)
    fields = {n: v for n, v in changed.items() if hasattr(finetuning, n)}
    learning = replace(SETTINGS, **{n: v for n, v in changed.items() if n not in fields})
    return Order((str(train),), replace(finetuning, **fields), learning, Teaching(), Choice(str(model)), Reading())


def tensors(run: Run) -> dict[str, torch.Tensor]:
    """A copy of the network's weights."""
    return {name: value.detach().clone() for name, value in run.checkpoint.network.state_dict().items()}


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Whether all tensors are equal, bit by bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def learner(of: Checkpoint, steps: int = 10, before: Gliner | None = None, **changed: Any) -> Learner:
    """A learner of a checkpoint's network."""
    return Learner(of.network, replace(SETTINGS, **changed), steps, torch.device("cpu"), before)


def without_dropout(of: Checkpoint) -> Checkpoint:
    """The same checkpoint, nothing being dropped when it learns."""
    for part in of.network.modules():
        if isinstance(getattr(part, "dropout", None), float):
            part.dropout = 0.0
        if hasattr(part, "attend"):
            part.attend = replace(part.attend, dropout=0.0)
        if isinstance(part, Dropout):
            part.rate = 0.0
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
        if isinstance(getattr(part, "config", None), dict):
            part.config |= {name: 0.0 for name in part.config if name.endswith("dropout_prob")}
    return of
