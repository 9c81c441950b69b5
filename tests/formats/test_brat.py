import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gliner_cli.errors import OutputError
from gliner_cli.formats import brat
from gliner_cli.options import Writing
from gliner_cli.types import Document, Entity
from tests.formats.made import documents, mutated
from tests.formats.reading import read

LABEL = st.sampled_from(["person", "Person", "medical condition", "medical_condition", "人", "a#b", "[x]"])


def put(folder, name, text, annotations):
    (folder / f"{name}.txt").write_bytes(text.encode())
    (folder / f"{name}.ann").write_bytes(annotations.encode())
    return folder / f"{name}.ann"


@given(st.lists(documents(scores=st.none(), text=st.text(max_size=30), label=LABEL), max_size=4))
@settings(max_examples=20)
def test_what_is_written_is_read_back(tmp_path_factory, given):
    path = tmp_path_factory.mktemp("brat") / "out"
    brat.write_to((Document(d.text, f"{n}", None, d.entities) for n, d in enumerate(given)), path, Writing())
    found, problems = read(path, input_format="brat")
    assert not problems
    assert [(d.id, d.text, d.entities) for d in found] == [(f"{n}", d.text, d.entities) for n, d in enumerate(given)]


def test_one_file_and_everything_that_is_no_entity(tmp_path):
    lines = [
        "T1\tPER 0 3\tAda",
        "#1\tNote T1\tx",
        "R1\tknows Arg1:T1 Arg2:T2",
        "T2\tORG 8 11;16 20\tThe Club",
        "A1\tOld T1",
        "*\tEquiv T1 T2",
    ]
    (document,), problems = read(put(tmp_path, "a", "Ada met The big Club.", "\n".join(lines)))
    assert not problems
    assert [(e.text, e.label) for e in document.entities] == [("Ada", "PER"), ("The big Club", "ORG")]
    assert document.id == str(tmp_path / "a")


def test_types_are_called_what_they_are_shown_as(tmp_path):
    (tmp_path / "visual.conf").write_text("[labels]\n# none\nPER | person | P\nORG\n[drawing]\nORG | bgColor:red\n")
    (document,), _ = read(put(tmp_path, "a", "Ada UN", "T1\tPER 0 3\tAda\nT2\tORG 4 6\tUN\n"))
    assert [entity.label for entity in document.entities] == ["person", "ORG"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("T1\tPER 0 99\tAda", "does not fit"),
        ("T1\tPER 3 3\t", "does not fit"),
        ("T1\tPER 0 x\tAda", "does not fit"),
        ("T1\tPER 0 3", "does not fit"),
        ("T1\tPER 1 3\tAda", "says 'Ada', but its text has 'da' there"),
        (f"T1\tPER 0 {'9' * 5000}\tAda", "does not fit"),
    ],
)
def test_what_does_not_fit_is_said_and_costs_one_document(line, said, tmp_path):
    put(tmp_path, "a", "Ada", f"\n{line}\n")
    put(tmp_path, "b", "Bob", "")
    found, (problem,) = read(tmp_path, input_format="brat")
    assert [document.text for document in found] == ["Bob"]
    assert problem.message.startswith(f"{tmp_path / 'a.ann'}:2 ")
    assert said in problem.message


def test_a_text_is_read_once_and_one_that_is_missing_is_said(tmp_path):
    put(tmp_path, "a", "Ada", "T1\tPER 0 3\tAda")
    (tmp_path / "b.txt").write_text("Bob")
    assert [(d.text, len(d.entities)) for d in read(tmp_path)[0]] == [("Ada", 1), ("Bob", 0)]
    assert [len(d.entities) for d in read(tmp_path / "a.txt")[0]] == [0]
    (tmp_path / "a.txt").unlink()
    assert "a.txt cannot be read" in read(tmp_path / "a.ann")[1][0].message
    assert "is no .ann file" in read(tmp_path / "b.txt", input_format="brat")[1][0].message


def test_names_and_types_are_safe_and_unique(tmp_path):
    names = ["../x/y.txt:1", "A", "a", "", None, "人" * 100, "..", "\ud800"]
    labels = ["medical condition", "medical_condition", "人", "药"]
    entities = tuple(Entity(0, 1, label, "a") for label in labels)
    brat.write_to([Document("a\nb", name, None, entities) for name in names], tmp_path / "out", Writing())
    assert {path.stem for path in (tmp_path / "out").glob("*.txt")} == {
        "x_y.txt_1", "A", "a-2", "document", "document-2", "人" * 40, "document-3", "document-4"
    }  # fmt: skip
    conf = (tmp_path / "out" / "annotation.conf").read_text()
    assert (
        conf
        == "[entities]\nmedical_condition\nmedical_condition_2\ntype\ntype_2\n\n[relations]\n\n[events]\n\n[attributes]\n"
    )
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_an_entity_over_lines_is_in_pieces_for_brat(tmp_path):
    brat.write_to([Document("a\nb", "1", None, (Entity(0, 3, "x", "a\nb"),))], tmp_path / "out", Writing())
    assert (tmp_path / "out" / "1.ann").read_text() == "T1\tx 0 1;2 3\ta b\n"


@pytest.mark.parametrize("label", ["", " a", "a|b", "a\nb"])
def test_labels_that_cannot_be_held(label, tmp_path):
    with pytest.raises(OutputError, match="entities of letter 7"):
        brat.write_to([Document("a", "letter 7", None, (Entity(0, 1, label, "a"),))], tmp_path / "out", Writing())
    assert not (tmp_path / "out").exists()


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    with pytest.raises(OutputError, match="is there already"):
        brat.write_to([], tmp_path.parent, Writing())
    (tmp_path / "empty").mkdir()
    brat.write_to([], tmp_path / "empty", Writing())
    assert (tmp_path / "empty" / "annotation.conf").exists()


def test_mutations_are_problems_and_no_tracebacks(tmp_path):
    for bad in mutated(b"T1\tPER 0 3\tAda\nT2\tORG 4 7;8 11\tmet Bob\n"):
        path = put(tmp_path, "a", "Ada met Bob.", "")
        path.write_bytes(bad)
        read(path)
