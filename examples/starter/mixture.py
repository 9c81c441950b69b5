"""The three training mixtures of the built-in starter checkpoint, made from folders of public corpora.

    python examples/starter/mixture.py CORPORA first.jsonl second.jsonl third.jsonl

CORPORA holds a folder for each corpus of the tables below with `train.jsonl.gz`, rows {"tokens", "spans": [[first,
last, type], …]}, the last word included. The passages beside this script were written for this project: typed text
marked inline, `[Lise Meitner|physicist]`, and behind ` ## ` types that are not in it. They teach most of all: the first
mixture has all corpora and the passages twice, the second the passages and a part of the corpora, as a third of it,
the third is half passages and a third biology, under more names (a few of these texts come twice).
Documents say what they were annotated for: `labels` where a corpus is complete for its types, `negatives` where a
passage names types that are not in it.

Corpora without a stated licence, or for non-commercial use, are not in the tables, nor is anything of the evaluation
sets.
"""

from __future__ import annotations

import gzip
import json
import random
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

OPEN = "open_en"
PASSAGES = Path(__file__).parent / "passages"


# Other words for the types of the public corpora; a row uses one of them, or the corpus's own.
SYNONYMS = {
    "person": ("individual", "name of a person", "people"),
    "location": ("place", "geographical location", "geopolitical entity"),
    "organization": ("organisation", "institution", "company or institution"),
    "politician": ("political leader", "statesman"),
    "artist": ("musician or actor", "performer"),
    "artist or author": ("artist", "writer or musician"),
    "musical work": ("song or album", "song", "music piece"),
    "musical group": ("band", "music group"),
    "sports group": ("sports team", "team"),
    "human settlement": ("city", "town or village", "populated place"),
    "written work": ("book", "publication", "literary work"),
    "film or show": ("film", "movie", "film or series"),
    "facility": ("building", "building or facility"),
    "public company": ("company", "listed company"),
    "private company": ("company", "firm"),
    "company": ("corporation", "business"),
    "educational institution": ("university", "university or school"),
    "media or newspaper": ("media outlet", "newspaper"),
    "award": ("prize",),
    "military conflict": ("battle or war", "war"),
    "disease": ("illness", "medical condition", "disorder"),
    "software": ("computer program", "software product"),
    "medication or vaccine": ("drug", "medicine"),
    "chemical": ("chemical compound", "substance"),
    "method": ("algorithm", "technique"),
    "task": ("problem", "research task"),
    "metric": ("evaluation metric", "measure"),
    "material": ("data set",),
    "application": ("software application", "app"),
    "language": ("programming language",),
    "restaurant type": ("kind of restaurant",),
    "served dish": ("dish",),
    "movie name": ("movie title", "film title"),
    "cuisine": ("type of food",),
    "date": ("day", "calendar date"),
    "time": ("time of day",),
    "price": ("cost", "amount of money"),
}
_SYNONYM = 0.4
_MATERIAL_IN = "scierc"  # the only corpus whose materials are data sets


class Corpus(NamedTuple):
    """How many rows of a corpus go into the mixture, and whether it is complete for its types; other words for them."""

    rows: int
    complete: bool = True
    renamed: dict[str, str] = {}  # noqa: RUF012
    synonyms: dict[str, tuple[str, ...]] = SYNONYMS


_ROLES = {
    "date": "departure,check in,appointment,outbound departure,check out,dropoff,return,leaving,event,visit,pickup",
    "time": "departure,appointment,outbound departure,pickup,inbound departure,event,leaving,show",
    "city": "origin,destination,pickup",
    "location": "from,to,event,pickup",
}
_SLOTS = {
    **{f"{role} {name}": name for name, roles in _ROLES.items() for role in roles.split(",")},
    "city of event": "city", "origin": "city", "destination": "city", "where to": "location", "venue": "location",
    "fare": "price", "ride fare": "price", "directed by": "director", "street address": "address",
    "average rating": "rating",
}  # fmt: skip
_FEW_NERD = {
    "country, city or state": "location", "other organization": "organization", "biological thing": "organism",
    "road, railway, highway or transit": "road or railway", "other product": "product", "other art": "work of art",
    "attack, battle, war or military conflict": "military conflict",
}  # fmt: skip
_MULTICONER = {
    "other person": "person", "other location": "location", "other product": "product", "visual work": "film or show",
}  # fmt: skip

CORPORA = {
    OPEN: Corpus(100_000, complete=False),
    "few_nerd_part": Corpus(6000, renamed=_FEW_NERD),
    "multiconer2_en": Corpus(6000, renamed=_MULTICONER),
    "semcor_wordnet": Corpus(2500, complete=False),
    "text2kg": Corpus(2500, complete=False, renamed={"human": "person", "taxon": "species"}),
    "redocred": Corpus(700, complete=False),
    "litbank": Corpus(700),
    "sgd": Corpus(1500, complete=False, renamed=_SLOTS),
    "multidogo": Corpus(500),
    "snips": Corpus(1200),
    "home_assistant": Corpus(800),
    "nlupp": Corpus(200),
    "music_reco_ner": Corpus(300),
    "stackoverflow": Corpus(1000),
    "annoctr": Corpus(400),
    "cyner": Corpus(300),
    "scierc": Corpus(1200, renamed={"other scientific term": "scientific term", "generic term": "generic noun"}),
    "maccrobat": Corpus(500),
    "materials_synthesis": Corpus(200),
    "sofc_exp": Corpus(150),
    "fire_finance": Corpus(300),
    "sec_filings": Corpus(200),
    "tasteset": Corpus(150),
    "wlp": Corpus(300),
    "textile_gpt4o": Corpus(80),
    "llm_synth_mixed": Corpus(500),
    "skillspan": Corpus(300),
    "craft": Corpus(300),
    "bc5cdr": Corpus(500),
    "bionlp13cg": Corpus(300),
    "anatem": Corpus(100),
    "bc2gm": Corpus(100),
    "bio_biored": Corpus(400),
    "bio_tmvar3": Corpus(150),
    "wnut17": Corpus(800),
    "broad_twitter": Corpus(800),
}

# The third round: biology, its types also under the names that other corpora have for the same.
_GENES = ("gene", "protein", "gene or protein", "gene or gene product")
_BIOLOGICAL = {
    "gene": _GENES,
    "gene or gene product": _GENES,
    "organism": ("species", "organism or species"),
    "organism taxon": ("organism", "species"),
    "species": ("organism",),
    "chemical": ("chemical compound", "simple chemical"),
    "simple chemical": ("chemical",),
    "cellular component": ("part of a cell", "cell structure"),
    "anatomy": ("anatomical structure",),
}
_BIOLOGY_ROWS = {
    "bc2gm": 1000, "craft": 800, "bionlp13cg": 800, "bio_biored": 500, "bio_nlm_gene": 300, "bio_gnormplus": 300,
    "anatem": 300,
}  # fmt: skip
BIOLOGY = {name: Corpus(rows, synonyms=_BIOLOGICAL) for name, rows in _BIOLOGY_ROWS.items()}


def main(corpora: Path, first: Path, second: Path, third: Path) -> None:
    """Write the mixtures, shuffled, the same each time."""
    chance = random.Random(0)  # noqa: S311
    passages = [_marked(line) for path in sorted(PASSAGES.glob("*/*.txt")) for line in _lines(path)]
    passages += _chosen(corpora / OPEN, CORPORA[OPEN], chance)
    public = [
        row for name, corpus in CORPORA.items() if name != OPEN for row in _chosen(corpora / name, corpus, chance)
    ]
    _write(first, [*passages, *passages, *public], chance)
    _write(second, [*passages, *chance.sample(public, len(passages) // 2)], chance)
    biology = [row for name, corpus in BIOLOGY.items() for row in _chosen(corpora / name, corpus, chance)]
    half = len(biology) // 2
    _write(third, [*chance.sample(passages, 3 * half), *chance.sample(public, half), *biology], chance)


def _write(path: Path, rows: list[dict[str, Any]], chance: random.Random) -> None:
    chance.shuffle(rows)
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    print(f"{path}: {len(rows)} documents")


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _marked(line: str) -> dict[str, Any]:
    """A passage marked inline as a document."""
    marked, _, absent = line.strip().partition(" ## ")
    text, entities, place = "", [], 0
    for match in re.finditer(r"\[([^\[\]|]+)\|([^\[\]|]+)\]", marked):
        text += marked[place : match.start()]
        entities.append({"start": len(text), "end": len(text) + len(match[1]), "label": match[2]})
        text, place = text + match[1], match.end()
    negatives = [name.strip() for name in absent.split(";") if name.strip()]
    return {"id": "passages", "text": text + marked[place:], "entities": entities, "negatives": negatives}


def _chosen(folder: Path, corpus: Corpus, chance: random.Random) -> Iterator[dict[str, Any]]:
    rows = list(_rows(folder))
    types = sorted({corpus.renamed.get(label, label) for row in rows for *_, label in row["spans"]})
    for row in chance.sample(rows, min(corpus.rows, len(rows))):
        yield _document(row, folder.name, corpus, types, chance)


def _rows(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob("train*.jsonl.gz")):
        if not path.name.endswith(".docs.jsonl.gz"):
            with gzip.open(path, "rt", encoding="utf-8") as file:
                yield from map(json.loads, file)


def _document(
    row: dict[str, Any], name: str, corpus: Corpus, types: list[str], chance: random.Random
) -> dict[str, Any]:
    text, starts = "", []
    for token in row["tokens"]:
        text += " " if text else ""
        starts.append(len(text))
        text += token
    worded = {label: _worded(label, name, corpus.synonyms, chance) for label in types} if name != OPEN else {}
    entities = []
    for first, last, given in row["spans"]:
        label = corpus.renamed.get(given, given)
        start, end = starts[first], starts[last] + len(row["tokens"][last])
        entities.append({"start": start, "end": end, "label": worded.get(label, label)})
    known = {"negatives": row.get("negatives", [])} if not corpus.complete else {"labels": sorted(set(worded.values()))}
    return {"id": name, "text": text, "entities": entities, **known}


def _worded(label: str, name: str, synonyms: dict[str, tuple[str, ...]], chance: random.Random) -> str:
    choices = synonyms.get(label, ())
    if (label == "material" and name != _MATERIAL_IN) or (label == "language" and name != "stackoverflow"):
        choices = ()
    return chance.choice(choices) if choices and chance.random() < _SYNONYM else label


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
