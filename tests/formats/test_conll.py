import pytest
from hypothesis import given
from hypothesis import strategies as st

from gliner_cli.errors import OutputError
from gliner_cli.types import Document, Entity, Words
from tests.formats.reading import read, written

WORD = st.text(min_size=1, max_size=5).filter(lambda word: not any(map(str.isspace, word)))
LABEL = st.sampled_from(["person", "medical condition", "B-side", "O", "人"])


@st.composite
def documents(draw):
    """Sentences of words, some of them empty of entities; entities lie inside a sentence, next to each other too."""
    places, entities, text = [], [], ""
    for sentence in draw(st.lists(st.lists(WORD, min_size=1, max_size=6), max_size=3)):
        own = []
        for word in sentence:
            text += ("\n" if not own else " ") if places or own else ""
            own.append((len(text), len(text) + len(word)))
            text += word
        places += own
        cuts = sorted(draw(st.sets(st.integers(0, len(own)), max_size=4)))
        entities += [
            (own[first][0], own[stop - 1][1], draw(LABEL)) for first, stop in zip(cuts, cuts[1:], strict=False)
        ]
    found = tuple(Entity(start, end, label, text[start:end]) for start, end, label in entities)
    return Document(text, entities=found, words=Words.of(places))


@given(st.lists(documents(), max_size=3))
def test_what_is_written_is_read_back(tmp_path_factory, given):
    path = tmp_path_factory.mktemp("conll") / "a.conll"
    path.write_bytes(written("conll", given))
    found, problems = read(path)
    assert not problems
    assert [(d.text, d.entities, d.words) for d in found] == [(d.text, d.entities, d.words) for d in given]


@pytest.fixture
def read_lines(tmp_path):
    def lines(text, name="a.conll", **options):
        (tmp_path / name).write_bytes(text.encode() if isinstance(text, str) else text)
        found, problems = read(tmp_path / name, **options)
        return found, [problem.message.removeprefix(f"{tmp_path}/") for problem in problems]

    return lines


def found_in(document):
    return [(entity.text, entity.label) for entity in document.entities]


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("I-x I-x B-x O I-y", [("a b", "x"), ("c", "x"), ("e", "y")]),  # IOB1
        ("B-x I-x B-x O B-y", [("a b", "x"), ("c", "x"), ("e", "y")]),  # IOB2
        ("B-x E-x S-x O S-y", [("a b", "x"), ("c", "x"), ("e", "y")]),  # BIOES
        ("B-x L-x U-x O U-y", [("a b", "x"), ("c", "x"), ("e", "y")]),  # BILOU
        ("B-x I-y E-y B-x _", [("a", "x"), ("b c", "y"), ("d", "x")]),
        ("S-x I-x E-x I-x O", [("a", "x"), ("b c", "x"), ("d", "x")]),
        ("L-x E-x O O B-x-y", [("a", "x"), ("b", "x"), ("e", "x-y")]),
    ],
)
@pytest.mark.parametrize("line", ["{} {}", "{}\tNN  \t{}\r", " {}  NN I-NP {} ", "{}\t{}\t"])
def test_tag_schemes(tags, expected, line, read_lines):
    (document,), problems = read_lines(
        "\n".join(line.format(*pair) for pair in zip("abcde", tags.split(), strict=True))
    )
    assert document.text == "a b c d e"
    assert found_in(document) == expected
    assert not problems


def test_entities_end_with_their_sentence(read_lines):
    (document,), _ = read_lines("-DOCSTART- -X- O O\n\na B-x\n\nb I-x\n")
    assert (document.text, found_in(document)) == ("a\nb", [("a", "x"), ("b", "x")])


def test_documents_are_what_lies_between_markers_or_else_sentences(read_lines):
    marked, _ = read_lines("-DOCSTART- O\n\na O\n\nb O\n-DOCSTART-\n-DOCSTART-\tO\n\n\n\nc O\n\n")
    assert [(d.text, d.id.rpartition("/")[2]) for d in marked] == [
        ("a\nb", "a.conll:1"),
        ("", "a.conll:6"),
        ("c", "a.conll:7"),
    ]
    single, _ = read_lines("\n\na O\nb O\n\n\n \t\nc O")
    assert [(d.text, d.id.rpartition("/")[2]) for d in single] == [("a b", "a.conll:3"), ("c", "a.conll:8")]
    assert read_lines("") == ([], [])


def test_comments_are_no_words_and_a_number_sign_is_one(read_lines):
    found, problems = read_lines("# sent_id = 1\n# text = a # 1\n#\na O\n# B-x\n1\tI-x\n#\tO\n\n# only this\n\n#b O\n")
    assert [(d.text, found_in(d)) for d in found] == [("a # 1 #", [("# 1", "x")]), ("#b", [])]
    assert not problems


def test_a_word_may_have_no_tag_and_keeps_its_odd_spaces(read_lines):
    (document,), _ = read_lines("10\u00a0000 O\n\u3000\n\x0b\tO\nNew York\tB-city\n")
    assert document.text == "10\u00a0000 \u3000 \x0b New York"
    assert found_in(document) == [("New York", "city")]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"b PERSON", "has the tag 'PERSON'; O, or one like B-person, was expected"),
        (b"b B-", "has the tag 'B-'"),
        (b"b b-x", "has the tag 'b-x'"),
        (b"b X-x", "has the tag 'X-x'"),
        (b"\tO", "has a tag without a word"),
        (b"\xff O", "is not utf-8: byte 4 is 0xff"),
    ],
)
@pytest.mark.parametrize("marker", [b"", b"-DOCSTART- O\n"])
def test_a_line_that_is_none_is_named_and_costs_its_document(line, said, marker, read_lines):
    if marker:
        said = said.replace("byte 4", "byte 17")
    found, (problem,) = read_lines(marker + b"a O\n" + line + b"\n\n" + marker + b"c O\n")
    assert [document.text for document in found] == ["c"]
    assert problem.startswith(f"a.conll:{3 if marker else 2} {said}")


def test_text_of_ours_is_written_by_words_and_sentences():
    text = "Dr. Ada met Bob. They left."
    entities = (Entity(4, 7, "person", "Ada"), Entity(13, 14, "letter", "o"))  # of "Bob", a part
    assert written("conll", [Document(text, entities=entities)]).decode() == (
        "-DOCSTART-\tO\n\nDr\tO\n.\tO\nAda\tB-person\nmet\tO\nBob\tB-letter\n.\tO\n\nThey\tO\nleft\tO\n.\tO\n\n"
    )
    assert written("conll", [Document("ab", None)], "char").decode() == "-DOCSTART-\tO\n\na\tO\nb\tO\n\n"


def test_no_sentence_begins_inside_an_entity(read_lines):
    text = "He read Who? Me! Then he left."
    (document,), _ = read_lines(written("conll", [Document(text, entities=(Entity(8, 16, "title", "Who? Me!"),))]))
    assert found_in(document) == [("Who ? Me !", "title")]


@pytest.mark.parametrize(
    ("places", "label", "said"),
    [
        ([(0, 3), (2, 5)], "x", "'b c' overlaps"),
        ([(0, 5), (2, 3)], "x", "'b' overlaps"),
        ([(0, 1), (0, 1)], "x", "'a' overlaps"),
        ([(1, 2)], "x", "' ' covers no word"),
        ([(0, 1)], "a\tb", "'a' has the label"),
        ([(0, 1)], "", "'a' has the label"),
    ],
)
def test_what_conll_cannot_hold(places, label, said):
    text = "a b c"
    entities = tuple(Entity(start, end, label, text[start:end]) for start, end in places)
    with pytest.raises(OutputError, match=f"entities of letter 7: {said}") as caught:
        written("conll", [Document(text, "letter 7", entities=entities)])
    assert "--format jsonl" in caught.value.hint


def test_a_lone_surrogate_is_written_as_a_replacement(read_lines):
    (document,), problems = read_lines(written("conll", [Document("a \ud800")]))
    assert (document.text, problems) == ("a \ufffd", [])


def test_an_empty_text_is_a_document_too(read_lines):
    found, _ = read_lines(written("conll", [Document(""), Document("a"), Document("")]))
    assert [document.text for document in found] == ["", "a", ""]


@pytest.mark.parametrize(
    ("line", "columns"),
    [
        ("{} {} NN 7", "1,2"),
        ("7 {1} NN {0}", "4,2"),
        ("{} _ _ {} _ NN", " 1 , 4 "),
        ("New York\t{}\t\t{}", "2,4"),
    ],
)
@pytest.mark.parametrize("name", ["a.conll", "a.tsv"])
def test_columns_can_be_named(line, columns, name, read_lines):
    text = "# sent_id = 7\n" + "\n".join(line.format(*pair) for pair in [("#", "B-x"), ("a", "I-x"), ("b", "O")])
    (document,), problems = read_lines(text, name, input_format="conll", columns=columns)
    assert (document.text, found_in(document), problems) == ("# a b", [("# a", "x")], [])


def test_a_line_without_the_named_columns_costs_its_document(read_lines):
    found, problems = read_lines("a NN O\nb O\n\nc NN O\n", columns="1,3")
    assert [document.text for document in found] == ["c"]
    assert problems == ["a.conll:2 has 2 columns; 3 were expected. Its document is left out."]


@pytest.mark.parametrize("columns", ["", "1", "0,1", "2,2", "-1,2", "a,b", "1,2,3", "1,99999", "١,٢"])
def test_columns_that_are_none_are_said(columns, read_lines):
    found, (problem,) = read_lines("a O\n", columns=columns)
    assert not found
    assert problem.startswith(f"--columns {columns} is none")


@pytest.mark.parametrize(
    ("text", "before", "said"),
    [
        ("-DOCSTART- O\n\n" + "word O\n\n" * 300, [], "a.conll:1 begins a document of more than"),
        ("-DOCSTART- O\n\nb O\n-DOCSTART-\n" + "word O\n\n" * 300, ["b"], "a.conll:4 begins a document of more than"),
        ("a O\n\n" + "word O\n" * 300, ["a"], "a.conll:3 begins a sentence of more than"),
        ("x\n" * 300, [], "a.conll:1 begins a sentence of more than"),  # few bytes, and many lines
    ],
)
def test_what_has_no_ends_is_not_held(text, before, said, read_lines, monkeypatch):
    monkeypatch.setattr("gliner_cli.formats.conll.LONGEST", 2000)
    found, (problem,) = read_lines(text)
    assert [document.text for document in found] == before
    assert problem.startswith(said)


def test_many_short_documents_are_not_too_long(read_lines, monkeypatch):
    monkeypatch.setattr("gliner_cli.formats.conll.LONGEST", 2000)
    for text in ("-DOCSTART- O\n\nword O\n\n" * 300, "word O\n\n" * 300):
        found, problems = read_lines(text)
        assert (len(found), problems) == (300, [])
