"""Gold sets: raw files equal the rows made of them, only what was published passes, people's own files in any form."""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import replace
from pathlib import Path

import pytest

from gliner_cli.errors import InputError
from gliner_cli.evaluation import corpora, raw, scoring, suites
from gliner_cli.evaluation.corpora import Corpus
from gliner_cli.formats import rows
from gliner_cli.text.labels import labels

COLUMNS = "The\tO\nKestrel\tB-organisation\nFund\tI-organisation\nof\tO\nPorto\tB-city-state\nhired\tO\nAda\tB-misc\n\n# id 1\tdomain=en\n#\tO\nRain _ _ O\n"
LABELS = ("organization", "city state")
ROWS = [
    (["The", "Kestrel", "Fund", "of", "Porto", "hired", "Ada"], [(1, 2, "organization"), (4, 4, "city state")]),
    (["#", "Rain"], []),
]


@pytest.fixture
def tiny(monkeypatch, tmp_path) -> Corpus:
    """A published set of two sentences; the cache is a folder of the test's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    corpus = Corpus("tiny", LABELS, "CC0", "someone/corpus", "0" * 40, "a/test.txt", tags={"organisation": "organization"},
                    sha256=hashlib.sha256(COLUMNS.encode()).hexdigest(), digest=corpora.digest(ROWS), counts=(2, 2, 9))  # fmt: skip
    monkeypatch.setattr(corpora, "corpora", lambda: {"tiny": corpus})
    monkeypatch.setattr(corpora, "suites", lambda: {"all": ("tiny",)})
    return corpus


def put(folder: Path, name: str, content: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def as_lines(found) -> str:
    return "".join(json.dumps({"tokens": words, "spans": spans}) + "\n" for words, spans in found)


def sets(*names: str, data_dir: Path | None = None) -> list[suites.GoldSet]:
    problems: list[Exception] = []
    found = list(suites.gold_sets(names, data_dir, problems.append))
    assert not problems
    return found


# --- Published ------------------------------------------------------------------------------------------------------


def test_raw_files_equal_the_rows_made_of_them(shared):
    folder = shared / "data"
    with_raw = [corpus for corpus in corpora.corpora().values() if (folder / corpus.raw).is_file()]
    assert {corpus.name for corpus in with_raw} >= set(corpora.suites()["ood"])
    for corpus in with_raw:
        assert corpus.sha256
        theirs = [json.loads(line) for line in (folder / corpus.rows).read_text(encoding="utf-8").splitlines()]
        renamed = {"programming language": "program language"}
        expected = [
            (
                row["tokens"],
                [(a, b, renamed.get(label, label)) for a, b, label in row["spans"] if label != "miscellaneous"],
            )
            for row in theirs
        ]
        assert corpora.read(corpus, folder / corpus.raw) == expected, corpus.name


def test_every_published_set_that_is_at_hand(shared):
    counts = {}
    for corpus in corpora.corpora().values():
        if (shared / "data" / corpus.name).is_dir():
            (gold,) = sets(corpus.name, data_dir=shared / "data")
            assert {entity.label for document in gold.documents for entity in document.entities} == set(
                gold.labels.names
            )
            assert not scoring.unreachable(gold.documents, None)["not on word boundaries"]
            counts[gold.name] = len(gold.documents)
    assert {name: counts[name] for name in corpora.suites()["ood"]} == {
        "mit_movie": 2443, "mit_restaurant": 1521, "crossner_ai": 431, "crossner_literature": 416, "crossner_music": 465,
        "crossner_politics": 651, "crossner_science": 543,
    }  # fmt: skip
    assert len(counts) == 21


def test_the_list_is_sound():
    listed = corpora.corpora()
    assert {name for names in corpora.suites().values() for name in names} <= set(listed)
    for corpus in listed.values():
        assert corpus.sha256 or corpus.digest or corpus.counts, f"{corpus.name} could be anything"
        assert len(set(corpus.labels)) == len(corpus.labels)
        assert set(corpus.tags.values()) <= set(corpus.labels)
        assert corpus.reader in raw.READERS
        assert len(corpus.commit) == 40
        assert corpus.url.startswith(f"https://raw.githubusercontent.com/{corpus.repository}/{corpus.commit}/")
    assert listed["crossner_ai"].labels[10] == "program language"
    assert not any("miscellaneous" in corpus.labels for corpus in listed.values())


def test_a_local_copy_in_every_layout(tiny, tmp_path):
    raw_copy, row_copy = tmp_path / "raw copy", tmp_path / "row copy"
    put(raw_copy, tiny.raw, COLUMNS)
    other = [
        (words, [(a, b, "organisation" if label == "organization" else label) for a, b, label in reversed(spans)])
        for words, spans in ROWS
    ]
    put(row_copy, tiny.rows, as_lines([*other[:1], (other[1][0], [(1, 1, "miscellaneous")])]))
    put(corpora.cache_folder(), tiny.raw, COLUMNS)
    for folder in (raw_copy, row_copy, None, tmp_path / "nothing here"):
        (gold,) = sets("tiny", data_dir=folder)
        assert (gold.labels.names, gold.licence, gold.nested) == (LABELS, "CC0", False)
        assert gold.source == f"someone/corpus@{'0' * 40}/a/test.txt"
        assert [document.text for document in gold.documents] == ["The Kestrel Fund of Porto hired Ada", "# Rain"]
        assert [(e.text, e.label) for e in gold.documents[0].entities] == [
            ("Kestrel Fund", "organization"),
            ("Porto", "city state"),
        ]
        assert len(gold.documents[0].words) == 7
    assert [gold.name for gold in sets("all", "tiny", "all")] == ["tiny"], "each once"


def test_what_was_not_published_does_not_pass(tiny, tmp_path, monkeypatch):
    place = put(tmp_path, tiny.raw, COLUMNS.replace("Porto", "Lisbon"))
    for known, what in (
        (tiny, "SHA-256"),
        (replace(tiny, sha256=""), "words or entities differ"),
        (
            replace(tiny, sha256="", digest="", counts=(2, 3, 9)),
            "it has 2 sentences, 2 entities, 9 words, not 2 sentences, 3",
        ),
    ):
        monkeypatch.setattr(corpora, "corpora", lambda known=known: {"tiny": known})
        with pytest.raises(InputError, match="not tiny as it was published") as caught:
            sets("tiny", data_dir=tmp_path)
        assert what in caught.value.message
        assert "gliner pull --suite tiny" in caught.value.hint
    place.unlink()
    put(tmp_path, tiny.rows, as_lines(ROWS[:1]))
    monkeypatch.setattr(corpora, "corpora", lambda: {"tiny": tiny})
    with pytest.raises(InputError, match="words or entities differ"):
        sets("tiny", data_dir=tmp_path)


def test_what_is_not_here_is_said_before_anything_is_read(tiny, tmp_path):
    with pytest.raises(InputError) as caught:
        suites.gold_sets(["small", "tiny"], tmp_path, print)
    assert str(tmp_path / "tiny") in caught.value.message
    assert str(corpora.cache_folder() / "tiny") in caught.value.message
    assert caught.value.hint == "gliner pull --suite tiny"
    with pytest.raises(InputError, match="no suite, no set, no file and no folder; known are small, all, tiny"):
        suites.gold_sets(["crosner"], None, print)
    with pytest.raises(InputError, match="'small'; known are all, tiny"):
        corpora.named("small")


def test_sentences_in_lines():
    found = list(raw.inline("show:O the:O 7:30:B-HOURS show:I-HOURS <=> <NULL>\n\nrain:O <=> x\n"))
    assert found == [(["show", "the", "7:30", "show"], [(2, 3, "HOURS")]), (["rain"], [])]


def test_tags_of_any_kind():
    chance = random.Random(0)
    for _ in range(300):
        tags = [chance.choice(["O", "B-a", "I-a", "B-b-c", "I-b-c"]) for _ in range(8)]
        text = "\r\n".join(f"w{n} \t{tag}" for n, tag in enumerate(tags)) + "\r\n \r\n\r\nx O"
        first, second = raw.columns(text)
        assert second == (["x"], [])
        assert first[0] == [f"w{n}" for n in range(8)]
        covered = {n: label for a, b, label in first[1] for n in range(a, b + 1)}
        assert covered == {n: tag[2:] for n, tag in enumerate(tags) if tag != "O"}
        assert {a for a, _, _ in first[1]} >= {n for n, tag in enumerate(tags) if tag[0] == "B"}


# --- Built in -------------------------------------------------------------------------------------------------------


def test_the_built_in_suite():
    found = sets("small")
    assert [gold.name for gold in found] == [
        f"small/{name}" for name in ("news", "science", "medicine", "shopping", "social", "scripts")
    ]
    documents = [document for gold in found for document in gold.documents]
    assert len(documents) >= 150
    assert len({document.text for document in documents}) == len(documents)
    assert len({name for gold in found for name in gold.labels.names}) >= 25
    for gold in found:
        counts = scoring.by_label(scoring.tallies(gold.documents, gold.documents))
        assert 5 <= len(gold.labels) <= 9
        assert min(tally.support for tally in counts.values()) >= 4, gold.name
        assert set(scoring.unreachable(gold.documents, 12).values()) == {0}
        assert not gold.nested
        assert any(not document.entities for document in gold.documents)
        for document in gold.documents:
            assert [document.text[e.start : e.end] for e in document.entities] == [e.text for e in document.entities]
            assert all(e.text == e.text.strip() for e in document.entities)
    assert not any(document.text.isascii() for document in found[-1].documents)


def test_one_of_the_built_in_sets(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small").mkdir()
    assert [gold.name for gold in sets("small/social", "small/news", "small/social")] == ["small/social", "small/news"]
    assert len(sets("small")) == 6, "whatever lies around"
    put(tmp_path, "small/mine.jsonl", as_lines(ROWS))
    assert [gold.name for gold in sets("small/mine.jsonl")] == ["small/mine.jsonl"]
    with pytest.raises(InputError, match="has no small/sports; it has small/news"):
        sets("small/sports")


# --- People's own ---------------------------------------------------------------------------------------------------

OWN = {
    "words.jsonl": as_lines(ROWS[:1]),
    "reference.json": json.dumps([{"tokenized_text": words, "ner": spans} for words, spans in ROWS[:1]]),
    "text.jsonl": json.dumps({"text": "The Kestrel Fund of Porto hired Ada", "tokens": 3, "entities": [
        {"start": 4, "end": 16, "label": "organization"}, {"start": 20, "end": 25, "label": "city state"}]}),
    "tags.conll": "The O\nKestrel B-organization\nFund I-organization\nof O\nPorto B-city\n",
}  # fmt: skip


@pytest.mark.parametrize("name", OWN)
def test_files_in_every_readable_format(tmp_path, name):
    (gold,) = sets(str(put(tmp_path, name, OWN[name])))
    assert gold.name == gold.source == str(tmp_path / name)
    assert gold.labels.names[-1] == "organization"
    assert len(gold.labels) == 2
    assert [e.text for e in gold.documents[0].entities] == ["Kestrel Fund", "Porto"]


def test_a_folder_is_its_test_files_or_all(tmp_path):
    for name, content in OWN.items():
        put(tmp_path, name, content)
    assert [Path(gold.name).name for gold in sets(str(tmp_path))] == sorted(OWN)
    put(tmp_path, "test.jsonl", OWN["words.jsonl"])
    put(tmp_path, "train.jsonl", OWN["words.jsonl"])
    assert [Path(gold.name).name for gold in sets(str(tmp_path))] == ["test.jsonl"]


def test_what_cannot_be_read_is_a_problem_and_nothing_at_all_an_error(tmp_path):
    path = put(tmp_path, "gold.jsonl", OWN["words.jsonl"] + '{"tokens": ["a"], "spans": [[5, 5, "x"]]}\n')
    problems: list[Exception] = []
    (gold,) = suites.gold_sets([str(path)], None, problems.append)
    assert len(gold.documents) == len(problems) == 1
    path.write_text('{"text": "nothing here"}\n')
    with pytest.raises(InputError, match="holds no gold entities in 1 documents"):
        sets(str(path))


def test_other_labels():
    gold = suites.from_documents(
        "mine", [rows.document(row, "1", "x") for row in ROWS], labels(["city state", "river"])
    )
    assert gold.labels.names == ("city state", "river")
    assert [[e.text for e in document.entities] for document in gold.documents] == [["Porto"], []]
    assert suites.relabelled(gold, labels(["river"])).documents[0].entities == ()


def test_nested_gold_is_noticed():
    words = ["University", "of", "Porto"]
    for spans, nested in (
        ([(0, 2, "a"), (2, 2, "b")], True),
        ([(0, 1, "a"), (2, 2, "b")], False),
        ([(0, 1, "a"), (0, 1, "b")], False),
    ):
        assert suites.from_documents("mine", [rows.document((words, spans), "1", "x")]).nested is nested
