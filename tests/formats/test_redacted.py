import json
import os
import stat

import pytest

from gliner_cli import formats
from gliner_cli.formats.output import partial
from gliner_cli.options import Writing
from gliner_cli.types import Document, Entity

ADA = Document("Ada met Bob.", "d\ud800", "a.txt", (Entity(0, 3, "person", "Ada"), Entity(8, 11, "person", "Bob")))


@pytest.fixture
def paths(tmp_path):
    return tmp_path / "out.jsonl", tmp_path / "map.jsonl"


def write(documents, paths):
    formats.write(documents, Writing(paths[0], redact=True, redact_map=paths[1]))


def test_the_map_says_what_stood_where(paths):
    write([ADA], paths)
    (row,) = map(json.loads, paths[1].read_text().splitlines())
    assert json.loads(paths[0].read_text())["text"] == "[PERSON_1] met [PERSON_2]."
    assert (row["id"], row["source"]) == ("d\ud800", "a.txt")
    assert row["replaced"] == [
        {"start": 0, "end": 10, "placeholder": "[PERSON_1]", "text": "Ada"},
        {"start": 15, "end": 25, "placeholder": "[PERSON_2]", "text": "Bob"},
    ]


@pytest.mark.skipif(os.name == "nt", reason="rights of POSIX")
def test_nobody_else_may_read_the_map(paths):
    modes = []

    def documents():
        yield ADA
        modes.append(stat.S_IMODE(partial(paths[1]).stat().st_mode))

    for path in (paths[1], partial(paths[1])):
        path.touch()
        path.chmod(0o644)
    write(documents(), paths)
    assert [*modes, stat.S_IMODE(paths[1].stat().st_mode)] == [0o600, 0o600]


def test_a_map_may_go_to_a_pipe_whose_rights_stay(paths):
    os.mkfifo(paths[1], 0o644)
    paths[1].chmod(0o644)
    reader = os.open(paths[1], os.O_RDONLY | os.O_NONBLOCK)
    write([ADA], paths)
    assert json.loads(os.read(reader, 1000))["source"] == "a.txt"
    os.close(reader)
    assert stat.S_IMODE(paths[1].stat().st_mode) == 0o644
