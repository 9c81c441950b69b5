import json
from pathlib import Path

import pytest

from gliner_cli import formats
from gliner_cli.errors import OutputError
from gliner_cli.options import Writing
from gliner_cli.types import Document, Entity
from tests.formats.reading import read

pyarrow = pytest.importorskip("pyarrow")

GIVEN = [
    Document(
        "Ada in Rom 😀", "1", "s", (Entity(0, 3, "person", "Ada", 0.5), Entity(0, 6, "x", "Ada in")), {"n": 1, "t": "a"}
    ),
    Document("", "2", "s", (), {"n": 2, "t": None}),
]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def library(tmp_path, monkeypatch):
    found = pytest.importorskip("datasets")
    found.disable_progress_bars()
    return found


def write(documents, folder):
    formats.write(documents, Writing(folder, "datasets"))


def test_round_trip(folder):
    write(GIVEN, folder)
    found, problems = read(folder, input_format="datasets")
    assert (found, problems) == (GIVEN, [])
    assert sorted(path.name for path in folder.parent.iterdir()) == ["out"]


def test_the_library_reads_what_we_write(folder, library):
    write(GIVEN, folder)
    found = library.load_from_disk(str(folder))
    assert found["text"][:] == [document.text for document in GIVEN]
    assert found[0]["entities"][0] == {"start": 0, "end": 3, "text": "Ada", "label": "person", "score": 0.5}


def test_we_read_what_the_library_writes(folder, library):
    plain = library.Dataset.from_dict({"body": ["a", "b", "c"], "id": [7, 8, 9]}).filter(lambda row: row["id"] != 8)
    library.DatasetDict({"train": plain, "test": plain.select([1])}).save_to_disk(str(folder))
    found, problems = read(folder, input_format="datasets", text_field="body")
    assert not problems
    assert [(document.text, document.id) for document in found] == [("a", "7"), ("c", "9"), ("c", "9")]


def test_words_with_class_labels(folder, library):
    features = library.Features(
        {
            "tokens": library.Sequence(library.Value("string")),
            "ner_tags": library.Sequence(library.ClassLabel(names=["O", "B-PER", "I-PER"])),
        }
    )
    rows = {"tokens": [["Ada", "Byron", "wrote"], ["a"], ["b"]], "ner_tags": [[1, 2, 0], [0, 0], [0]]}
    library.Dataset.from_dict(rows, features=features).save_to_disk(str(folder))
    (first, second), (problem,) = read(folder, input_format="datasets")
    assert (first.text, first.entities) == ("Ada Byron wrote", (Entity(0, 9, "PER", "Ada Byron"),))
    assert len(first.words) == 3
    assert second.text == "b"
    assert ":2 has not as many tags as words" in problem.message


def test_what_is_no_such_folder_is_said(folder, tmp_path):
    folder.mkdir()
    assert "state.json cannot be read" in read(folder, input_format="datasets")[1][0].message
    (tmp_path / "a.txt").write_text("a")
    assert "is no folder" in read(tmp_path / "a.txt", input_format="datasets")[1][0].message


@pytest.mark.parametrize("name", ["../secret.arrow", "/etc/passwd", "..", "", 7, None])
def test_a_folder_cannot_lead_out_of_itself(name, folder):
    write(GIVEN, folder)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name}]}))
    found, (problem,) = read(folder, input_format="datasets")
    assert not found
    assert "is no file or folder in it" in problem.message


@pytest.mark.parametrize("content", ["{", "[]", "{}", "[" * 5000])
def test_a_broken_description_is_said(content, folder):
    write(GIVEN, folder)
    (folder / "state.json").write_text(content)
    assert len(read(folder, input_format="datasets")[1]) == 1


def test_a_cut_file_is_said(folder):
    write(GIVEN, folder)
    (path,) = folder.glob("*.arrow")
    path.write_bytes(path.read_bytes()[:200])
    assert "is not a whole Arrow file" in read(folder, input_format="datasets")[1][0].message


def test_what_is_there_is_not_overwritten(folder):
    folder.mkdir()
    (folder / "mine").write_text("mine")
    with pytest.raises(OutputError, match="is there already"):
        write(GIVEN, folder)
    assert (folder / "mine").read_text() == "mine"


def test_an_unfinished_folder_has_not_its_name(folder):
    def failing():
        yield GIVEN[0]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write(failing(), folder)
    assert not folder.exists()
    write(GIVEN, folder)
    assert read(folder, input_format="datasets")[0] == GIVEN


def test_rows_are_those_of_any_table_of_arrow(folder, tmp_path):
    write(GIVEN, folder)
    columns = {
        "text": pyarrow.array(["a", "b"]),
        "n": pyarrow.array([1, 2], pyarrow.int16()),
        "when": pyarrow.array([10**12, 0], pyarrow.timestamp("s")),  # the year 33658
        "fine": pyarrow.array([1, 1], pyarrow.timestamp("ns")),
    }
    (path,) = folder.glob("*.arrow")
    given = pyarrow.table(columns)
    with pyarrow.ipc.new_stream(path, given.schema) as file:
        file.write_table(given)
    (document,), (problem,) = read(folder, input_format="datasets")
    assert f"{path}:1 cannot be read" in problem.message
    assert (document.text, document.meta["fine"]) == ("b", "1970-01-01 00:00:00.000000001")
    formats.write([document], Writing(tmp_path / "b.arrow"))
    with pyarrow.ipc.open_file(tmp_path / "b.arrow") as file:
        assert [file.schema.field(name).type for name in ("n", "when", "fine")] == given.schema.types[1:]


def test_a_column_that_is_no_text_is_said(folder):
    write(GIVEN, folder)
    found, (problem,) = read(folder, input_format="datasets", text_field="n")
    assert not found
    assert "has the type int64 in its column 'n'" in problem.message


def test_the_folder_one_is_in(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").touch()
    with pytest.raises(OutputError, match="is there already"):
        write(GIVEN, Path("."))


def test_there_is_a_folder_to_be_in(tmp_path):
    with pytest.raises(OutputError, match="there is no folder") as caught:
        write(GIVEN, tmp_path / "no" / "out")
    assert "mkdir -p" in caught.value.hint


def test_an_error_of_the_documents_is_none_of_the_output(folder):
    def failing():
        yield GIVEN[0]
        raise FileNotFoundError("a checkpoint")

    with pytest.raises(FileNotFoundError, match="a checkpoint"):
        write(failing(), folder)


@pytest.mark.parametrize("argument", [".", "*"])
def test_such_a_folder_is_known_by_its_files(argument, folder):
    write(GIVEN, folder)
    given = folder if argument == "." else folder.parent / argument
    assert read(given) == (GIVEN, [])


def test_all_splits_of_a_folder_that_is_known(folder, library):
    rows = library.Dataset.from_dict({"text": ["a", "b"]})
    library.DatasetDict({"train": rows, "test": rows.select([1])}).save_to_disk(str(folder))
    found, problems = read(folder)
    assert ([document.text for document in found], problems) == (["a", "b", "b"], [])


def test_a_state_alone_makes_no_such_folder(folder):
    folder.mkdir()
    (folder / "state.json").write_text('[{"text": "a"}]')
    assert [document.text for document in read(folder)[0]] == ["a"]
