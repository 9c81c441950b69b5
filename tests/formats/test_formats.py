import gzip
import io
import json
import re
import sys

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gliner_cli import formats
from gliner_cli.errors import InputError, OutputError
from gliner_cli.formats.output import opened
from gliner_cli.options import Reading, Writing
from gliner_cli.types import Document, Entity, Words


def read(*arguments, **options):
    problems = []
    documents = list(formats.read(map(str, arguments), Reading(**options), problems.append))
    return documents, problems


@st.composite
def documents(draw):
    text = draw(st.text(st.characters(codec=None), max_size=60))
    assume(not re.search("[\ud800-\udbff][\udc00-\udfff]", text))  # JSON knows only the character that the pair means
    places = draw(st.lists(st.tuples(st.integers(0, 59), st.integers(1, 60)), max_size=6))
    places = [(a, b) for a, b in places if a < b <= len(text)]
    scores = st.none() | st.floats(0, 1)
    found = tuple(Entity(a, b, draw(st.text(min_size=1)), text[a:b], draw(scores)) for a, b in places)
    meta = draw(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5) | st.none(), max_size=3))
    ours = ("id", "source", "text", "entities")
    meta = {key: value for key, value in meta.items() if key not in ours}
    return Document(text, draw(st.text(min_size=1)), draw(st.text()), found, meta)


@given(st.lists(documents(), max_size=4))
def test_jsonl_round_trip(tmp_path_factory, given_documents):
    path = tmp_path_factory.mktemp("jsonl") / "a.jsonl"
    with opened(path) as stream:
        formats.FORMATS["jsonl"].write(given_documents, stream, Writing())
    assert read(path) == (given_documents, [])


WORD = st.text(st.characters(blacklist_categories=["Z", "C"]), min_size=1, max_size=5).filter(
    lambda w: w.split() == [w]
)


@given(st.lists(st.lists(st.lists(WORD, min_size=1, max_size=4), min_size=1, max_size=3), min_size=1, max_size=3))
def test_conll_round_trip(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("conll") / "a.conll"
    given_documents = [tagged(sentences) for sentences in texts]
    with opened(path) as stream:
        formats.FORMATS["conll"].write(given_documents, stream, Writing())
    found, problems = read(path)
    assert not problems
    for ours, theirs in zip(given_documents, found, strict=True):
        assert (ours.text, ours.entities, ours.words) == (theirs.text, theirs.entities, theirs.words)


def tagged(sentences):
    """The first two words of each sentence are one entity, whose label has a space."""
    text = "\n".join(map(" ".join, sentences))
    places, entities, start = [], [], 0
    for sentence in sentences:
        own = []
        for word in sentence:
            own.append((start, start + len(word)))
            start += len(word) + 1
        end = own[min(1, len(own) - 1)][1]
        entities.append(Entity(own[0][0], end, "musical artist", text[own[0][0] : end]))
        places += own
    return Document(text, "x", "x", tuple(entities), {}, Words.of(places))


@pytest.mark.parametrize(
    "tags",
    [["B-x", "I-x", "O", "B-x", "B-y"], ["B-x", "E-x", "O", "S-x", "S-y"], ["B-x", "L-x", "O", "U-x", "U-y"],
     ["I-x", "I-x", "O", "I-x", "I-y"]],
)  # fmt: skip
def test_conll_tag_schemes_mean_the_same(tags, tmp_path):
    path = tmp_path / "a.conll"
    path.write_text("".join(f"w{i} NN {tag}\n" for i, tag in enumerate(tags)) + "\nnext O\n")
    found, _ = read(path)
    assert [(e.text, e.label) for e in found[0].entities] == [("w0 w1", "x"), ("w3", "x"), ("w4", "y")]
    assert len(found) == 2, "without -DOCSTART- every sentence is a document"


def test_conll_mistakes(tmp_path):
    (tmp_path / "a.conll").write_text("a O\nb X-y\n\nc O\n")
    found, problems = read(tmp_path / "a.conll")
    assert len(found) == 1
    assert "a.conll:2" in problems[0].message
    overlapping = Document("a b", "d", None, (Entity(0, 3, "x", "a b"), Entity(0, 1, "y", "a")))
    with pytest.raises(OutputError, match="overlaps"):
        formats.FORMATS["conll"].write([overlapping], io.BytesIO(), Writing())


def test_plain_text_units(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffone\r\ntwo\n\n\n three \n".encode())
    assert [d.text for d in read(path)[0]] == ["one\r\ntwo\n\n\n three \n"]
    assert [(d.text, d.id) for d in read(path, per="paragraph")[0]] == [
        ("one\r\ntwo", f"{path}:1"),
        (" three ", f"{path}:5"),
    ]
    assert [d.text for d in read(path, per="line")[0]] == ["one", "two", "", "", " three "]


def test_wrong_bytes_are_named(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"caf\xe9")
    found, problems = read(tmp_path / "a.txt")
    assert not found
    assert "byte 3 is 0xe9" in problems[0].message
    assert "--encoding" in problems[0].hint
    assert read(tmp_path / "a.txt", encoding="latin-1")[0][0].text == "café"
    assert "no encoding" in read(tmp_path / "a.txt", encoding="klingon")[1][0].message


def test_json_mistakes_cost_one_line_each(tmp_path):
    lines = ['{"text": "a", "id": 7, "x": [1]}', "{", "[1]", '{"body": "b"}', '{"text": 1}', '{"text": "\\ud800"}', "[" * 5000,
             '{"text": "abc", "entities": [{"start": 0, "end": 9, "label": "x"}]}']  # fmt: skip
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(lines))
    found, problems = read(path)
    assert [(d.text, d.id) for d in found] == [("a", "7"), ("\ud800", f"{path}:6")]
    assert dict(found[0].meta) == {"x": [1]}
    assert [problem.message.split(" ")[0].rpartition(":")[2] for problem in problems] == ["2", "3", "4", "5", "7", "8"]
    assert "'body'" in problems[2].message
    assert "--text-field" in problems[2].hint
    assert read(path, text_field="body")[0][0].text == "b"


def test_json_array(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps([{"text": "a"}, {"text": "b"}], indent=1))
    assert [d.text for d in read(tmp_path / "a.json")[0]] == ["a", "b"]


def test_sources(tmp_path):
    folder = tmp_path / "docs"
    (folder / "deep").mkdir(parents=True)
    (folder / "b.txt").write_text("b")
    (folder / "deep" / "a.md").write_text("a")
    (folder / ".hidden.txt").write_text("h")
    (folder / "c.bin").write_text("c")
    with gzip.open(folder / "d.jsonl.gz", "wt") as file:
        file.write('{"text": "d"}\n')
    assert [d.text for d in read(folder)[0]] == ["b", "d", "a"]
    assert [d.text for d in read(f"{folder}/*.txt")[0]] == ["b"]
    found, problems = read(folder / "no.txt", folder / "b.txt", folder / "c.bin")
    assert [d.text for d in found] == ["b"]
    assert [p.message.split()[1:3] for p in problems] == [["does", "not"], ["has", "no"]]
    (tmp_path / "empty").mkdir()
    assert "looked for" in read(tmp_path / "empty")[1][0].message
    (folder / "cut.txt.gz").write_bytes((folder / "d.jsonl.gz").read_bytes()[:-6])
    assert "not a whole gzip" in read(folder / "cut.txt.gz")[1][0].message


class Endless(io.RawIOBase):
    """A stream that has had its say and never ends; reading on is the test's failure."""

    def __init__(self, content):
        self.content = content

    def readable(self):
        return True

    def readinto(self, buffer):
        assert self.content, "asked for more than was there"
        part, self.content = self.content[: len(buffer)], self.content[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)


@pytest.mark.parametrize(("content", "options"), [(b'{"text": "a"}\n', {}), (b"a\n", {"per": "line"})])
def test_the_first_document_of_an_endless_stream_comes_at_once(content, options, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(Endless(content), 64)))
    assert next(formats.read(["-"], Reading(**options), pytest.fail)).text == "a"


def test_output_is_there_only_when_whole(tmp_path):
    path = tmp_path / "out.jsonl"
    with pytest.raises(ZeroDivisionError), opened(path) as stream:
        stream.write(b"half")
        raise ZeroDivisionError
    assert not path.exists()
    assert (tmp_path / "out.jsonl.partial").read_bytes() == b"half"
    with pytest.raises(OutputError, match="cannot be written"), opened(tmp_path / "no" / "out.jsonl"):
        pass
    with pytest.raises(OutputError, match="known are"):
        formats.output_format(Writing(output=tmp_path / "out.pdf"))


def test_a_closed_stdin_is_said(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    _, problems = read("-")
    assert isinstance(problems[0], InputError)
