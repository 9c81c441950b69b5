import datetime
import zlib
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gliner_cli import formats
from gliner_cli.errors import OutputError
from gliner_cli.formats import spacy
from gliner_cli.options import Writing
from gliner_cli.types import Document, Entity, Words
from tests.formats.reading import read

pytest.importorskip("spacy")
import srsly
from spacy.tokens import Doc, DocBin, Span
from spacy.vocab import Vocab


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.spacy"


def write(documents, path, words="auto"):
    formats.write(documents, Writing(path, words=words))


@st.composite
def documents(draw):
    text = draw(st.text(st.characters(codec="utf-8") | st.sampled_from(" \n\t.Aä東"), max_size=30))
    places = draw(st.lists(st.tuples(st.integers(0, 29), st.integers(1, 30)), max_size=5, unique=True))
    scores = st.none() | st.floats(0, 1)
    found = [
        Entity(a, b, draw(st.sampled_from(["person", "музыка", "a b"])), text[a:b], draw(scores))
        for a, b in places
        if a < b <= len(text)
    ]
    meta = draw(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5) | st.none(), max_size=2))
    names = st.text(st.characters(codec="utf-8"))
    return Document(text, draw(names), draw(names), tuple(found), meta)


def sorted_entities(document):
    return sorted(document.entities, key=lambda one: (one.start, one.end, one.label))


@settings(max_examples=25)
@given(st.lists(documents(), max_size=3))
def test_round_trip(tmp_path_factory, given_documents):
    path = tmp_path_factory.mktemp("spacy") / "a.spacy"
    write(given_documents, path)
    found, problems = read(path)
    assert not problems
    for ours, theirs in zip(given_documents, found, strict=True):
        assert (ours.text, ours.id, ours.source, ours.meta) == (theirs.text, theirs.id, theirs.source, theirs.meta)
        assert sorted_entities(ours) == sorted_entities(theirs)


def test_spacy_reads_what_we_write(path):
    text = "Ada  Lovelace,\nof London."
    nested = (Entity(0, 13, "person", "Ada  Lovelace", 0.5), Entity(5, 13, "name", "Lovelace"))
    flat = Document("New York", entities=(Entity(0, 8, "city", "New York"),), words=Words.of([(0, 3), (4, 8)]))
    write([Document(text, entities=nested), flat], path)
    first, second = DocBin().from_disk(path).get_docs(Vocab())
    assert (first.text, second.text) == (text, "New York")
    assert [(span.text, span.label_) for span in first.ents] == [("Ada  Lovelace", "person")]
    assert [(span.text, span.label_) for span in first.spans["sc"]] == [
        ("Ada  Lovelace", "person"),
        ("Lovelace", "name"),
    ]
    assert [(span.text, span.label_) for span in second.ents] == [("New York", "city")]
    assert "sc" not in second.spans
    assert [token.text for token in second] == ["New", "York"]


def test_we_read_what_spacy_writes(path):
    doc = Doc(Vocab(), words=["Ada", "was", "in", "New", "York", "."], spaces=[True, True, True, True, False, False])
    doc.ents = [Span(doc, 0, 1, "PERSON"), Span(doc, 3, 5, "GPE")]
    spans = Doc(Vocab(), words=["a", "b"])
    spans.spans["sc"] = [Span(spans, 0, 2, "x"), Span(spans, 1, 2, "y")]
    DocBin(docs=[doc, spans], store_user_data=True).to_disk(path)
    (one, two), problems = read(path)
    assert not problems
    assert one == Document(
        "Ada was in New York.",
        f"{path}:1",
        str(path),
        (Entity(0, 3, "PERSON", "Ada"), Entity(11, 19, "GPE", "New York")),
        {},
        Words.of([(0, 3), (4, 7), (8, 10), (11, 14), (15, 19), (19, 20)]),
    )
    assert [(entity.text, entity.label) for entity in two.entities] == [("a b", "x"), ("b", "y")]


def test_words_are_cut_as_asked(path):
    write([Document("東京都")], path, words="whitespace")
    assert [len(document.words) for document in read(path)[0]] == [1]
    write([Document("東京都")], path)
    assert [len(document.words) for document in read(path)[0]] == [3]


def test_scores_that_are_none_are_left_out(path):
    doc = Doc(Vocab(), words=["Ada"], user_data={})
    doc.ents = [Span(doc, 0, 1, "PERSON")]
    for scores in (7, [7], [[[], 3, "PERSON", 1]], [[0, 4, "PERSON", "x"]], [[0, 3, "PERSON", float("nan")]]):
        doc.user_data["scores"] = scores
        DocBin(docs=[doc], store_user_data=True).to_disk(path)
        ((document,), problems) = read(path)
        assert not problems
        assert document.entities == (Entity(0, 3, "PERSON", "Ada"),)


@pytest.mark.parametrize(
    "content", [b"", b"no zlib", zlib.compress(b""), zlib.compress(b"\x80"), zlib.compress(b"x" * 99)]
)
def test_what_is_no_docbin_is_said(content, path):
    path.write_bytes(content)
    found, (problem,) = read(path)
    assert not found
    assert problem.message.startswith(f"{path} is not a whole DocBin")


def test_a_cut_file_is_said(path):
    write([Document("a b c")], path)
    path.write_bytes(path.read_bytes()[:-9])
    assert "is not a whole DocBin" in read(path)[1][0].message


def test_a_bomb_is_not_unpacked(path, monkeypatch):
    monkeypatch.setattr(spacy, "_LARGEST", 4 << 20)
    monkeypatch.setattr(DocBin, "from_bytes", pytest.fail)
    path.write_bytes(zlib.compress(bytes(5 << 20)))
    assert "more than 4 MB" in read(path)[1][0].message


@pytest.mark.parametrize("name", ["cats", "user_data", "span_groups"])
def test_a_bomb_of_small_values_is_not_unpacked(name, path, monkeypatch):
    box = DocBin(docs=[Doc(Vocab(), words=["a"])], store_user_data=True)
    message = srsly.msgpack_loads(zlib.decompress(box.to_bytes()))
    message[name] = [{}] * 3000 if name == "cats" else [srsly.msgpack_dumps([{}] * 3000)]
    path.write_bytes(zlib.compress(srsly.msgpack_dumps(message)))
    monkeypatch.setattr(spacy, "_MOST", 2000)
    monkeypatch.setattr(DocBin, "get_docs", pytest.fail)
    found, (problem,) = read(path)
    assert not found
    assert "more than 2,000 values" in problem.message


def test_fields_that_json_has_no_type_for_are_text(path):
    write([Document("a", "d", meta={"n": Decimal("1.50"), "b": b"\xff", "when": datetime.date(2020, 1, 2)})], path)
    assert read(path)[0][0].meta == {"n": "1.50", "b": "ff", "when": "2020-01-02"}


def test_fields_without_an_end_are_said(path):
    endless = []
    endless.append(endless)
    with pytest.raises(OutputError, match="cannot hold the fields of d"):
        write([Document("a", "d", meta={"x": endless})], path)
    assert not path.exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [("user_data", [[1]]), ("user_data", ["x"]), ("span_groups", [{}, 7]), ("tokens", b""), ("tokens", None), ("attrs", []),
     ("lengths", b"odd"), ("strings", [[]]), ("flags", []), ("cats", 7)],
)  # fmt: skip
def test_values_that_are_not_what_they_should_be_are_said(field, value, path):
    formats.write([Document("Ada met Ivo", "1")], Writing(path))
    content = srsly.msgpack_loads(zlib.decompress(path.read_bytes()))
    path.write_bytes(zlib.compress(srsly.msgpack_dumps({**content, field: value})))
    found, (problem,) = read(path)
    assert not found
    assert problem.message.startswith(f"{path} is not a whole DocBin")
