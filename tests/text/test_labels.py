import json

import pytest

from gliner_cli.errors import LabelError
from gliner_cli.text.labels import Labels, abbreviations, from_file, labels, merged, parsed


def test_command_line_forms():
    found = parsed(["person,Drug=0.3", "person", "musical artist"])
    assert found == Labels(("person", "Drug", "musical artist"), (None,) * 3, (None, 0.3, None))


def test_files(tmp_path):
    rows = ["person", {"name": "drug", "description": "a medicine", "threshold": 0.4}]
    (tmp_path / "a.json").write_text(json.dumps(rows))
    (tmp_path / "b.json").write_text(
        json.dumps({"person": None, "drug": {"description": "a medicine", "threshold": 0.4}})
    )
    (tmp_path / "c.txt").write_text("# what we want\nperson\n\ndrug=0.4\n")
    expected = Labels(("person", "drug"), (None, "a medicine"), (None, 0.4))
    assert from_file(tmp_path / "a.json") == from_file(tmp_path / "b.json") == expected
    assert expected.asked == ("person", "a medicine")
    assert from_file(tmp_path / "c.txt").thresholds == (None, 0.4)
    assert merged(parsed(["drug=0.9"]), expected).thresholds == (0.9, None)


@pytest.mark.parametrize("wrong", [[], [""], [" , "], ["x" * 2000], ["drug=2"], ["drug=high"]])
def test_senseless_labels_are_refused(wrong):
    with pytest.raises(LabelError) as error:
        parsed(wrong)
    assert error.value.hint


@pytest.mark.parametrize("content", ["[1]", '{"a": true}', '["a"', '{"a": {"threshold": 7}}'])
def test_senseless_files_are_refused(content, tmp_path):
    (tmp_path / "labels.json").write_text(content)
    with pytest.raises(LabelError):
        from_file(tmp_path / "labels.json")


def test_chunks_are_even_and_in_order():
    parts = labels([str(i) for i in range(60)]).chunks(25)
    assert [len(part) for part in parts] == [20, 20, 20]
    assert sum((part.names for part in parts), ()) == tuple(map(str, range(60)))


def test_abbreviations():
    assert abbreviations(labels(["PER", "person", "ORG", "Drug", "A"])) == ["PER", "ORG"]
