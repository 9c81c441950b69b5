"""`--on-error`: report and go on, stop, or keep what was left out, to be mended and read again."""

import json
import re
import subprocess
import sys

import pytest

from gliner_cli import formats
from gliner_cli.cli.problems import Problems
from gliner_cli.errors import InputError, OutputError
from gliner_cli.options import Reading

BROKEN = {
    "a.jsonl": (b'{"text": "Mara"}\n{"text": "Ivo"\n{"text": 3}\n', ".jsonl", b'{"text": "Ivo"\n{"text":3}\n'),
    "a.json": (b'[{"text": "Mara"},\n{"text":\n "Ivo" "x"},\n{"text": "Ulm"}]', ".jsonl", b'{"text":  "Ivo" "x"}\n'),
    "a.conll": (b"Mara B-person\n\nIvo X-person\nran O\n\nUlm B-city\n", ".conll", b"Ivo X-person\nran O\n\n"),
    "a.csv": (b'text;n\nMara;1\nIvo\n"Ulm"x;2\n\n"c\n\xe9";3\n', ".csv", b'text;n\nIvo\n"Ulm"x;2\n"c\n\xe9";3\n'),
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
    problems.close()
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
    problems.close()
    assert (tmp_path / "out.jsonl.skipped.files").read_text().splitlines() == list(map(str, broken))


def test_what_is_not_there_and_what_is_broken_in_a_folder_are_kept_by_name(tmp_path):
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.ann").write_text("T1\tx 0 9\tMara")
    (tmp_path / "texts" / "a.txt").write_text("Mara")
    missing, problems = str(tmp_path / "no.txt"), Problems("skip", tmp_path / "out.jsonl")
    assert not list(formats.read([missing], Reading(), problems))
    assert not list(formats.read([str(tmp_path / "texts")], Reading(input_format="brat"), problems))
    problems.close()
    kept = (tmp_path / "out.jsonl.skipped.files").read_text().splitlines()
    assert kept == [missing, str(tmp_path / "texts" / "a.ann")]
    assert problems.lost == 0


def test_older_files_of_what_was_left_out_are_replaced_at_the_end(tmp_path):
    others = {"out.jsonl", "a.jsonl.skipped.txt", "out.jsonl.skipped.md"}
    old = {f"out.jsonl.skipped{which}" for which in (".txt", "2.csv", ".tsv", ".csv.partial")}
    for name in (old | others) - {"out.jsonl.skipped.md"}:
        (tmp_path / name).write_text("old")
    problems = Problems("skip", tmp_path / "out.jsonl")
    problems(InputError("x").about(b"new", ".txt"))
    problems(InputError("x").about(b"new", ".md"))
    assert {(tmp_path / name).read_text() for name in old} == {"old"}  # a kill would leave it so
    problems.close(written=False)  # the output of before is there, and so is what was left out of it
    assert {(tmp_path / name).read_text() for name in old - {"out.jsonl.skipped.txt"}} == {"old"}
    problems = Problems("skip", tmp_path / "out.jsonl")
    problems(InputError("x").about(b"newer", ".md"))
    problems.close()
    assert {path.name for path in tmp_path.iterdir()} == others
    assert (tmp_path / "out.jsonl.skipped.md").read_text() == "newer\n"


def test_what_was_left_out_is_not_replaced_while_it_is_read_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    side = tmp_path / "out.jsonl.skipped2.csv"
    side.write_text("text,n\nMara,1\nIvo\n")
    for source in (str(side), "../*/*.skipped*", side.name):
        with pytest.raises(OutputError, match="is an input") as caught:
            Problems("skip", tmp_path / "out.jsonl", [source])
        assert "-o FILE" in caught.value.hint
    Problems("skip", tmp_path / "again.jsonl", [str(side)]).close()
    Problems("report", tmp_path / "out.jsonl", [str(side)]).close()
    assert side.read_text() == "text,n\nMara,1\nIvo\n"


def test_the_end_at_the_first(tmp_path):
    with pytest.raises(InputError, match="x"):
        Problems("stop")(InputError("x"))


def test_nothing_can_be_kept_beside_standard_output():
    with pytest.raises(OutputError, match="-o FILE"):
        Problems("skip")


def test_tables_are_kept_with_their_headers_and_can_be_read_again(tmp_path):
    """Each header has its file; of what comes after the first of them only the rows are added."""
    given = {
        "a.csv": b"text;n\r\nMara;1\r\nIvo;2;3\r\n",
        "b.csv": b"\nn,text\n1,Ulm,2\n",
        "c.csv": b"text;n\r\nRom;4;5\r\n",
        "d.tsv": b'"a\nb"\ttext\nx\n',
    }
    for name, content in given.items():
        (tmp_path / name).write_bytes(content)
    problems = Problems("skip", tmp_path / "out.jsonl")
    read = formats.read([str(tmp_path / name) for name in given], Reading(), problems)
    assert [document.text for document in read] == ["Mara"]
    problems.close()
    assert [(path.name, path.read_bytes()) for path in problems.kept] == [
        ("out.jsonl.skipped.csv", b"text;n\nIvo;2;3\nRom;4;5\n"),
        ("out.jsonl.skipped2.csv", b"n,text\n1,Ulm,2\n"),
        ("out.jsonl.skipped.tsv", b'"a\nb"\ttext\nx\n'),
    ]
    assert problems.lost == 0
    for path in problems.kept:  # mended as people do: the third cell goes, the second comes
        path.write_bytes(re.sub(rb";[35]|,2", b"", path.read_bytes()).replace(b"\nx", b"\nx\tOslo"))
    again = [document.text for path in problems.kept for document in formats.read([str(path)], Reading(), problems)]
    assert again == ["Ivo", "Rom", "Ulm", "Oslo"]
    assert not [one for one in formats.named([str(tmp_path)], Reading(), pytest.fail) if "skipped" in one.name]


@pytest.mark.parametrize(
    ("flags", "code", "texts"),
    [
        ([], 1, ["Mara", "Ulm"]),
        (["--on-error", "stop"], 1, None),
        (["--on-error", "skip"], 0, ["Mara", "Ulm"]),
    ],
)
def test_a_conversion_does_as_it_is_told(flags, code, texts, tmp_path):
    (tmp_path / "a.csv").write_text("text,n\nMara,1\nIvo\nUlm,2\n")
    output = tmp_path / "o.jsonl"
    command = [sys.executable, "-m", "gliner_cli", "convert", str(tmp_path / "a.csv"), "-o", str(output), *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert done.stderr.count("error:") == 1
    assert output.exists() == (texts is not None)
    if texts:
        assert [json.loads(line)["text"] for line in output.read_text().splitlines()] == texts
    side = tmp_path / "o.jsonl.skipped.csv"
    assert side.exists() == ("skip" in flags)
    assert (str(side) in done.stderr) == side.exists()
