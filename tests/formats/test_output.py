import bz2
import gzip
import io
import lzma
import os
import stat
import sys
import zlib
from pathlib import Path

import pytest

from gliner_cli import formats
from gliner_cli.errors import OutputError
from gliner_cli.formats.output import opened, partial
from gliner_cli.options import Reading, Writing
from gliner_cli.types import Document


def write(path, content=b"new"):
    with opened(path) as stream:
        stream.write(content)
        stream.flush()


def test_a_file_of_before_is_there_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "out.jsonl"
    write(path, b"old")
    with opened(path) as stream:
        stream.write(b"new")
        assert (path.read_bytes(), partial(path).read_bytes()) == (b"old", b"new")  # through at once
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["out.jsonl"]


def test_an_archive_is_whole_and_the_same_every_time(tmp_path):
    write(tmp_path / "a.jsonl.gz", b"x" * 1000)
    write(tmp_path / "b.jsonl.GZ", b"x" * 1000)
    assert gzip.decompress((tmp_path / "a.jsonl.gz").read_bytes()) == b"x" * 1000
    assert (tmp_path / "a.jsonl.gz").read_bytes() == (tmp_path / "b.jsonl.GZ").read_bytes()


@pytest.mark.parametrize(("ending", "compress"), [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)])
def test_an_archive_of_many_documents_is_as_small_as_one_of_their_bytes(ending, compress, tmp_path):
    documents = [Document(f"Ada met {number} people.", str(number)) for number in range(500)]
    for name in ("a.jsonl", f"a.jsonl.{ending}"):
        formats.write(documents, Writing(tmp_path / name))
    at_once = len(compress((tmp_path / "a.jsonl").read_bytes()))
    assert (tmp_path / f"a.jsonl.{ending}").stat().st_size < 1.02 * at_once


def test_who_reads_along_at_a_pipe_of_an_archive_has_each_document_at_once(tmp_path):
    pipe = tmp_path / "pipe.jsonl.gz"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with opened(pipe) as stream:
        stream.write(b"first")
        stream.flush()
        assert zlib.decompressobj(31).decompress(os.read(reader, 1000)) == b"first"
    os.close(reader)


def test_what_was_done_before_an_interruption_can_be_unpacked(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    with pytest.raises(KeyboardInterrupt), opened(path) as stream:
        stream.write(b"half")
        raise KeyboardInterrupt
    assert gzip.decompress(partial(path).read_bytes()) == b"half"
    assert not path.exists()


def test_an_error_of_the_block_is_not_an_error_of_the_output(tmp_path):
    with pytest.raises(FileNotFoundError), opened(tmp_path / "out.jsonl"):
        Path("/no/such/checkpoint").read_bytes()


def test_a_link_stays_a_link_and_a_private_file_private(tmp_path):
    write(tmp_path / "real.jsonl", b"old")
    (tmp_path / "real.jsonl").chmod(0o600)
    (tmp_path / "link.jsonl").symlink_to("real.jsonl")
    write(tmp_path / "link.jsonl")
    assert (tmp_path / "link.jsonl").is_symlink()
    assert (tmp_path / "real.jsonl").read_bytes() == b"new"
    assert stat.S_IMODE((tmp_path / "real.jsonl").stat().st_mode) == 0o600


def test_a_pipe_is_written_to_and_not_replaced(tmp_path):
    # A pipe of our own stands for all devices: were /dev/null named here and this broken, root would lose it.
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write(pipe)
    assert os.read(reader, 100) == b"new"
    os.close(reader)
    assert os.listdir(tmp_path) == ["pipe"]
    assert pipe.is_fifo()


def test_a_disk_that_fills_up_leaves_what_was_done(tmp_path, monkeypatch):
    resource = pytest.importorskip("resource")
    path, limits = tmp_path / "out.jsonl", resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OutputError, match=r"out\.jsonl cannot be written") as caught, opened(path) as stream:
            stream.write(b"x" * 999)
            stream.write(b"yyy")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.hint == f"What was done is in {partial(path)}."
    assert partial(path).read_bytes() == b"x" * 999 + b"y"


def test_places_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "folder").mkdir()
    (tmp_path / "locked.jsonl").write_text("old")
    for name, said, hint in [
        ("folder", "it is a folder", "folder/entities.jsonl"),
        ("no/out.jsonl", "there is no folder", "mkdir -p"),
        ("x" * 255, "File name too long", "-o FILE"),
    ]:
        with pytest.raises(OutputError, match=said) as caught:
            write(tmp_path / name)
        assert hint in caught.value.hint
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # tests may run as root, who may write anything
    with pytest.raises(OutputError, match="write-protected"):
        write(tmp_path / "locked.jsonl")
    assert sorted(os.listdir(tmp_path)) == ["folder", "locked.jsonl"]


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="/proc is Linux")
def test_a_folder_that_takes_no_files():
    with pytest.raises(OutputError, match="cannot be written"):
        write(Path("/proc/self/out.jsonl"))


class Stdout:
    """A standard output that fails as it is told to."""

    def __init__(self, error):
        self.buffer, self.closed, self.error = self, False, error

    def write(self, content):
        raise self.error


@pytest.mark.parametrize(
    ("error", "expected", "said"),
    [
        (
            OSError(28, "No space left on device"),
            OutputError,
            "Standard output cannot be written: No space left on device",
        ),
        (BrokenPipeError(32, "Broken pipe"), BrokenPipeError, "Broken pipe"),
    ],
)
def test_standard_output_that_fails(error, expected, said, monkeypatch):
    monkeypatch.setattr(sys, "stdout", Stdout(error))
    with pytest.raises(expected, match=said):
        write(None)


def test_standard_output_that_is_closed_is_said(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(OutputError, match="closed"):
        write(None)


def test_standard_output_gets_the_bytes(capfdbinary):
    write(None, b"\xffbytes")
    assert capfdbinary.readouterr().out == b"\xffbytes"


def test_texts_alone_are_not_what_a_suffix_asks_for(tmp_path):
    with pytest.raises(OutputError, match="without what was found"):
        formats.output_format(Writing(tmp_path / "a.txt"))
    assert formats.output_format(Writing(tmp_path / "a.txt", redact=True)).name == "text"


@pytest.mark.parametrize("name", [form.name for form in formats.FORMATS.values() if form.write])
def test_every_document_is_written_through_at_once(name):
    class Flushed(io.BytesIO):
        def flush(self):
            through.append(self.getvalue())

    def documents():
        for text in ("a", "b"):
            yield Document(text, text)
            assert f"{text}" in through[-1].decode()

    through = []
    stream = Flushed()
    formats.FORMATS[name].write(documents(), stream, Writing())
    assert through[-1] == stream.getvalue()


@pytest.mark.parametrize(
    ("output", "asked", "name"),
    [
        (None, "auto", "jsonl"),
        ("a.CONLL", "auto", "conll"),
        ("a.conll.gz", "auto", "conll"),
        ("a.txt", "conll", "conll"),
        ("/dev/stdout", "auto", "jsonl"),
    ],
)
def test_the_output_format(output, asked, name):
    writing = Writing(Path(output) if output else None, asked)
    assert formats.output_format(writing).name == name
    assert formats.output_format(writing) is formats.FORMATS[name]


@pytest.mark.parametrize(("output", "asked"), [("a.pdf", "auto"), ("a.xyz", "auto"), (None, "pdf"), (None, "xml")])
def test_a_format_that_cannot_be_written(output, asked):
    with pytest.raises(OutputError, match=r"that can be written; known are .*conll.*jsonl") as caught:
        formats.output_format(Writing(Path(output) if output else None, asked))
    assert "--format" in caught.value.hint


@pytest.mark.parametrize(("ending", "unpack"), [("gz", gzip.open), ("bz2", bz2.open), ("xz", lzma.open), ("zst", None)])
def test_archives_of_all_kinds(ending, unpack, tmp_path):
    if unpack is None:
        name = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
        unpack = pytest.importorskip(name).open
    for name in ("a", "b"):
        formats.write([Document("x", "x")], Writing(tmp_path / f"{name}.jsonl.{ending}"))
    with unpack(tmp_path / f"a.jsonl.{ending}") as stream:
        assert stream.read() == b'{"id":"x","source":null,"text":"x","entities":[]}\n'
    assert (tmp_path / f"a.jsonl.{ending}").read_bytes() == (tmp_path / f"b.jsonl.{ending}").read_bytes()


def test_texts_alone_are_written_a_blank_line_between_them(tmp_path):
    writing = Writing(tmp_path / "a.txt", "text")
    formats.write([Document("a\nb", "1"), Document("", "2"), Document("\ud800", "3")], writing)
    assert (tmp_path / "a.txt").read_bytes() == "a\nb\n\n\n\n\ufffd\n".encode()


@pytest.mark.parametrize("name", ["a.jsonl", "a.sqlite", "brat"])
def test_the_name_of_what_is_whole_is_on_disk(name, tmp_path, monkeypatch):
    synced, fsync = [], os.fsync

    def heard(number):
        synced.append((os.path.realpath(f"/proc/self/fd/{number}"), (tmp_path / name).exists()))
        fsync(number)

    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("no /proc here")
    monkeypatch.setattr(os, "fsync", heard)
    formats.write([Document("x", "x")], Writing(tmp_path / name, "brat" if name == "brat" else "auto"))
    assert synced[-1] == (str(tmp_path), True)


@pytest.mark.parametrize("name", ["docs/a.jsonl", "docs/../docs/a.jsonl", "link.jsonl"])
def test_an_input_is_not_replaced_by_its_results(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.jsonl").write_text('{"text": "a"}')
    (tmp_path / "docs" / "b.jsonl").write_text('{"text": "b"}')
    (tmp_path / "link.jsonl").symlink_to("docs/a.jsonl")
    writing = Writing(Path(name))
    with pytest.raises(OutputError, match="is named as an input") as caught:
        formats.read(["docs/b.jsonl", "docs/a.jsonl"], Reading(), pytest.fail, writing=writing)
    assert "-o FILE" in caught.value.hint
    for folder in ("docs", "docs/*.jsonl"):  # what an earlier run left there is no document
        found = formats.read([folder], Reading(), pytest.fail, writing=writing)
        assert [document.text for document in found] == ["b"]


@pytest.mark.parametrize("argument", ["docs", "docs/*.jsonl"])
def test_the_only_input_is_not_replaced_by_nothing(argument, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.jsonl").write_text('{"text": "a"}')
    with pytest.raises(OutputError, match="is named as an input"):
        formats.read([argument], Reading(), pytest.fail, writing=Writing(Path("docs/a.jsonl")))
