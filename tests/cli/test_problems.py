"""`--on-error`: report and go on, stop, or keep what was left out, to be mended and read again."""

import pytest

from gliner_cli import formats
from gliner_cli.cli.problems import Problems
from gliner_cli.errors import InputError, OutputError
from gliner_cli.options import Reading

BROKEN = {
    "a.jsonl": (b'{"text": "Mara"}\n{"text": "Ivo"\n{"text": 3}\n', ".jsonl", b'{"text": "Ivo"\n{"text":3}\n'),
    "a.json": (b'[{"text": "Mara"},\n{"text":\n "Ivo" "x"},\n{"text": "Ulm"}]', ".jsonl", b'{"text":  "Ivo" "x"}\n'),
    "a.conll": (b"Mara B-person\n\nIvo X-person\nran O\n\nUlm B-city\n", ".conll", b"Ivo X-person\nran O\n\n"),
    "a.csv": (b'text;n\nMara;1\nIvo\n"Ulm"x;2\n\n"c\n\xe9";3\n', ".csv", b'Ivo\n"Ulm"x;2\n"c\n\xe9";3\n'),
    "b.jsonl": (b'{"text": "Mara"}\n[1, "Ivo"]\n', ".jsonl", b'[1, "Ivo"]\n'),
    "a.txt": (b"Mara\n\xff\xfe\nIvo\n", ".txt", b"\xff\xfe\n\n"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_left_out_is_kept_as_it_was(name, tmp_path, capsys):
    content, suffix, expected = BROKEN[name]
    (tmp_path / name).write_bytes(content)
    problems = Problems("skip", tmp_path / "out.jsonl")
    read = list(formats.read([str(tmp_path / name)], Reading(per="line"), problems))
    assert len(read) in (1, 2)
    kept = tmp_path / f"out.jsonl.skipped{suffix}"
    assert problems.kept == [kept]
    assert kept.read_bytes() == expected
    assert name in capsys.readouterr().err


def test_files_that_cannot_be_read_are_kept_by_name(tmp_path):
    broken = [tmp_path / name for name in ("a.xyz", "b.xyz")]
    for path in broken:
        path.write_text("?")
    problems = Problems("skip", tmp_path / "out.jsonl")
    assert not list(formats.read(map(str, broken), Reading(), problems))
    assert (tmp_path / "out.jsonl.skipped.files").read_text().splitlines() == list(map(str, broken))


def test_what_is_not_there_and_what_is_broken_in_a_folder_are_kept_by_name(tmp_path):
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.ann").write_text("T1\tx 0 9\tMara")
    (tmp_path / "texts" / "a.txt").write_text("Mara")
    missing, problems = str(tmp_path / "no.txt"), Problems("skip", tmp_path / "out.jsonl")
    assert not list(formats.read([missing], Reading(), problems))
    assert not list(formats.read([str(tmp_path / "texts")], Reading(input_format="brat"), problems))
    kept = (tmp_path / "out.jsonl.skipped.files").read_text().splitlines()
    assert kept == [missing, str(tmp_path / "texts" / "a.ann")]
    assert problems.lost == 0


def test_an_older_file_of_what_was_left_out_is_replaced(tmp_path):
    (tmp_path / "out.jsonl.skipped.txt").write_text("old")
    Problems("skip", tmp_path / "out.jsonl")(InputError("x").about(b"new", ".txt"))
    assert (tmp_path / "out.jsonl.skipped.txt").read_text() == "new\n\n"


def test_the_end_at_the_first(tmp_path):
    with pytest.raises(InputError, match="x"):
        Problems("stop")(InputError("x"))


def test_nothing_can_be_kept_beside_standard_output():
    with pytest.raises(OutputError, match="-o FILE"):
        Problems("skip")
