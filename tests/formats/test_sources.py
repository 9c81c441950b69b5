import bz2
import gzip
import itertools
import lzma
import os
import subprocess
import sys
import tempfile
import threading

import pytest

from gliner_cli import formats
from gliner_cli.errors import InputError
from gliner_cli.formats import decoding
from gliner_cli.formats.compression import compression
from gliner_cli.formats.sources import Source, sources
from gliner_cli.options import Reading
from tests.formats.reading import read, stdin


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """docs/a.txt, docs/deep/b.txt, docs/empty/, docs/.git/c.txt; the working directory is above them."""
    for name in ("docs/a.txt", "docs/deep/b.txt", "docs/.git/c.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(path.stem)
    (tmp_path / "docs/empty").mkdir()
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("tree")
@pytest.mark.parametrize(
    ("argument", "texts", "said"),
    [
        ("docs", "ab", []),
        ("docs/**", "ab", []),  # each file once, although the folders match too
        ("docs/**/*.txt", "ab", []),
        ("docs/*", "ab", ["docs/empty holds no file to read; looked for"]),
        ("docs/*.md", "", ["docs/*.md matches no file"]),
        ("docs/no.txt", "", ["docs/no.txt does not exist"]),
        ("", "", ["'' does not exist"]),  # an empty shell variable is not the working directory
        ("Ada Lovelace was born in London. " * 20, "", ["Ada Lovelace was born"]),  # too long for a file's name
    ],
)
def test_what_an_argument_names(argument, texts, said):
    found, problems = read(argument)
    assert "".join(document.text for document in found) == texts
    assert [problem.message.startswith(start) for problem, start in zip(problems, said, strict=True)] == [True] * len(
        said
    )


@pytest.mark.usefixtures("tree")
def test_a_missing_file_among_many_costs_only_itself():
    found, problems = read("docs/a.txt", "docs/no.txt", "docs/deep/b.txt")
    assert [document.text for document in found] == ["a", "b"]
    assert [type(problem) for problem in problems] == [InputError]


@pytest.mark.usefixtures("tree")
def test_a_folder_that_cannot_be_listed_is_said(monkeypatch):
    listed = os.scandir

    def refused(path):
        if str(path).endswith("deep"):
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", refused)
    found, problems = read("docs")
    assert [document.text for document in found] == ["a"]
    assert problems[0].message == "docs/deep cannot be read: Permission denied."


@pytest.mark.parametrize(("name", "write"), [("a.txt", open), ("a.txt.gz", gzip.open)])
def test_position_ends_at_the_size_on_disk(name, write, tmp_path):
    with write(tmp_path / name, "wb") as file:
        file.write(os.urandom(300_000).hex().encode() + b"\n")
    (source,) = sources([str(tmp_path / name)], formats.READABLE, pytest.fail)
    assert (source.position, source.size) == (0, (tmp_path / name).stat().st_size)
    with source.opened() as stream:
        stream.read(1000)
        assert 0 < source.position < source.size
        stream.read()
    assert source.position == source.size


def test_nobody_knows_the_size_of_standard_input():
    assert Source("-").size is None


def test_what_a_cut_archive_still_holds_is_read(tmp_path):
    lines = b"".join(b"%s\n" % os.urandom(20).hex().encode() for _ in range(20_000))
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(lines)[:-9])
    found, problems = read(tmp_path / "a.txt.gz", per="line")
    assert len(found) > 15_000
    assert "not a whole gzip file" in problems[0].message


def test_a_file_that_is_no_archive_is_said(tmp_path):
    (tmp_path / "a.txt.gz").write_text("plain")
    assert "not a whole gzip file" in read(tmp_path / "a.txt.gz")[1][0].message


@pytest.mark.parametrize(
    ("chunks", "documents"),
    [
        ([b"\n \n", b' {"text": "a"}\n'], [("a", "-:3")]),
        ([b"\xef\xbb", b'\xbf{"text": "a"}'], [("a", "-:1")]),
        ([b"\n", b"plain {\n"], [("\nplain {\n", "-")]),
        ([], [("", "-")]),
    ],
)
def test_standard_input_is_jsonl_if_an_object_begins_it(chunks, documents, monkeypatch):
    monkeypatch.setattr(sys, "stdin", stdin(chunks))
    found, problems = read("-")
    assert [(document.text, document.id) for document in found] == documents
    assert not problems


@pytest.mark.parametrize(
    ("chunk", "options", "text"),
    [
        (b'{"text": "a"}\n', {}, "a"),
        (b"a\n", {"per": "line"}, "a"),
        (b"a\nb\n\n", {"per": "paragraph"}, "a\nb"),
        (b"a O\nb O\n\n", {"input_format": "conll"}, "a b"),
        ("a\n".encode("utf-16-le"), {"per": "line", "encoding": "utf-16-le"}, "a"),
    ],
)
def test_documents_come_while_the_stream_goes_on(chunk, options, text, monkeypatch):
    monkeypatch.setattr(sys, "stdin", stdin(itertools.repeat(chunk)))  # without an end
    endless = formats.read(["-"], Reading(**options), pytest.fail)
    assert [document.text for document in itertools.islice(endless, 1000)] == [text] * 1000


@pytest.mark.parametrize("options", [{}, {"input_format": "jsonl"}])
def test_standard_input_that_fails_is_said(options, monkeypatch):
    def failing():
        raise IsADirectoryError(21, "Is a directory")
        yield b""

    monkeypatch.setattr(sys, "stdin", stdin(failing()))
    assert read("-", **options)[1][0].message == "- cannot be read: Is a directory."


def test_one_source_can_be_read_by_itself(tmp_path):
    (tmp_path / "a.txt").write_text("a")
    documents = formats.documents(Source("a", tmp_path / "a.txt"), Reading(input_format="text"), pytest.fail)
    assert [document.text for document in documents] == ["a"]


def test_a_format_that_is_none_ends_the_run_before_anything_is_read():
    with pytest.raises(InputError, match=r"'xml' is no format that can be read; known are .*conll.*jsonl.*text"):
        formats.read(["never looked at"], Reading(input_format="xml"), pytest.fail)


def test_an_unknown_suffix_names_the_known_ones_and_the_option(tmp_path):
    (tmp_path / "a.xyz").write_text("a")
    _, (problem,) = read(tmp_path / "a.xyz")
    assert all(suffix in problem.message for suffix in formats.READABLE)
    assert "--from" in problem.hint
    assert read(tmp_path / "a.xyz", input_format="text")[0][0].text == "a"


def test_formats_load_nothing_heavy():
    code = "import sys, gliner_cli.formats; print({'torch', 'numpy', 'transformers'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"


def zstd(content):
    module = pytest.importorskip("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
    return module.compress(content)


PACKED = [(".gz", "gzip", gzip.compress), (".bz2", "bzip2", bz2.compress), (".xz", "xz", lzma.compress), (".zst", "zstd", zstd)]  # fmt: skip


@pytest.mark.parametrize(("ending", "name", "pack"), PACKED)
def test_compressed_files_are_read_as_what_is_in_them(ending, name, pack, tmp_path):
    path = tmp_path / f"a.jsonl{ending.upper()}"
    path.write_bytes(pack(b'{"text": "a"}\n') + pack(b'{"text": "b"}\n'))  # two archives in one file are one
    found, problems = read(path)
    assert [document.text for document in found] == ["a", "b"]
    assert not problems
    with Source("a", path).file() as copy:
        assert copy.read_bytes().count(b"text") == 2


@pytest.mark.parametrize(("ending", "name", "pack"), PACKED)
@pytest.mark.parametrize(
    "damage", [lambda content: content[:-7], lambda content: b"plain text", lambda content: content[:3]]
)
def test_a_broken_archive_is_said(damage, ending, name, pack, tmp_path):
    path = tmp_path / f"a.txt{ending}"
    path.write_bytes(damage(pack(os.urandom(1000))))
    found, problems = read(path)
    assert not found
    assert problems[0].message.startswith(f"{path} is not a whole {name} file")


def test_names_are_those_of_what_is_in_an_archive():
    assert [Source(name).suffix for name in ("a.TXT.GZ", "a.csv.xz", "a.zst", "a.b.bz2", "a.gz.txt")] == [
        ".txt", ".csv", "", ".b", ".txt",
    ]  # fmt: skip
    assert compression("a.txt") is None


@pytest.mark.parametrize(
    ("per", "said"), [("file", "is one document of more than 64 MB"), ("line", ":1 is a line of more than 64 MB")]
)
def test_a_gigabyte_of_zeros_ends_at_once(per, said, tmp_path):
    resource = pytest.importorskip("resource")
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(bytes(16 << 20), 1) * 64)  # a gigabyte
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found, (problem,) = read(path, per=per)
    assert not found
    assert said in problem.message
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 << 10


@pytest.mark.parametrize("per", ["file", "line", "paragraph"])
def test_what_is_too_long_is_said(per, tmp_path, monkeypatch):
    monkeypatch.setattr(decoding, "LONGEST", 100)
    monkeypatch.setattr("gliner_cli.formats.plain.LONGEST", 100)
    monkeypatch.setattr(decoding.whole, "__defaults__", (100,))
    (tmp_path / "a.txt").write_bytes(b"ok\n\n" + b"word\n" * 30 + b"x" * 101)
    found, problems = read(tmp_path / "a.txt", per=per)
    assert [document.text for document in found][:1] == ([] if per == "file" else ["ok"])
    assert len(problems) == 1
    (tmp_path / "a.txt").write_bytes(b"x" * 100)
    assert read(tmp_path / "a.txt", per=per)[1] == []


def test_what_has_to_be_unpacked_first_has_a_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules["gliner_cli.formats.sources"], "_COPIED", 1000)
    (tmp_path / "a.pdf.gz").write_bytes(gzip.compress(bytes(1001)))
    with pytest.raises(InputError, match="can only be read from a file"), Source("a", tmp_path / "a.pdf.gz").file():
        pass


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("latin-1", "Der Bürgermeister von Köln, Jürgen Groß, besuchte die Universität Zürich.\n"),
        ("cp1252", "Jean-François a payé 20 € à l’hôtel « Étoile » près de Nîmes, où il était né.\n"),
        ("utf-16", "日本 Ada\n"),
        ("utf-16-le", "Ada Lovelace was born in London in 1815 and worked with Charles Babbage.\n"),
        ("shift_jis", "東京都の小池百合子知事は、横浜市で開かれた会議に出席した。\n"),
        ("cp1251", "Президент России Владимир Путин прибыл в Москву из Санкт-Петербурга.\n"),
        ("utf-8", "žluťoučký kůň 東京\n"),
        ("utf-8-sig", "žluťoučký kůň\n"),
        ("ascii", "plain\n"),
        ("ascii", ""),
    ],
)
@pytest.mark.parametrize("times", [1, 5000])
def test_an_encoding_is_told_by_the_bytes(encoding, text, times, tmp_path):
    (tmp_path / "a.txt").write_bytes((text * times).encode(encoding))
    ((document,), problems) = read(tmp_path / "a.txt", encoding="auto")
    assert not problems
    assert document.text == text * times


@pytest.fixture
def piped(tmp_path):
    """Makes a named pipe that gives some content once."""
    if not hasattr(os, "mkfifo"):
        pytest.skip("no named pipes here")
    writers = []

    def pipe(content, name="pipe"):
        os.mkfifo(tmp_path / name)
        writers.append(threading.Thread(target=(tmp_path / name).write_bytes, args=[content], daemon=True))
        writers[-1].start()
        return tmp_path / name

    yield pipe
    for writer in writers:
        writer.join(10)


@pytest.mark.parametrize(("name", "pack"), [("pipe", bytes), ("pipe.gz", gzip.compress)])
def test_a_named_pipe_loses_nothing(name, pack, piped):
    lines = b"\n" + b'{"text": "a"}\n' * 20_000  # more than a pipe holds
    found, problems = read(piped(pack(lines), name))
    assert not problems
    assert [document.text for document in found] == ["a"] * 20_000


def test_a_pipe_of_the_shell_loses_nothing():
    if not os.path.isdir("/dev/fd"):
        pytest.skip("no /dev/fd here")
    reading, writing = os.pipe()
    os.write(writing, b'{"text": "a"}\n')
    os.close(writing)
    try:
        found, problems = read(f"/dev/fd/{reading}")
    finally:
        os.close(reading)
    assert ([document.text for document in found], problems) == (["a"], [])


def test_libraries_that_seek_get_a_copy_of_a_pipe(piped):
    source = Source("pipe", piped(b"%PDF-1.4 x" * 20_000))
    assert source.beginning().startswith(b"%PDF")
    with source.file() as path:
        assert path.is_file()
        assert path.read_bytes() == b"%PDF-1.4 x" * 20_000


def test_a_pipe_that_is_no_archive_is_said(piped):
    found, (problem,) = read(piped(b"plain", "pipe.gz"))
    assert not found
    assert "is not a whole gzip file" in problem.message


def test_a_format_that_is_not_installed_costs_only_its_files(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pypdfium2", None)
    for name, content in [("a.txt", "a"), ("b.pdf", "%PDF"), ("c.txt", "c")]:
        (tmp_path / name).write_text(content)
    found, (problem,) = read(tmp_path)
    assert [document.text for document in found] == ["a", "c"]
    assert (type(problem), problem.message) == (InputError, "Reading PDF needs packages that are not installed.")
    assert "gliner-cli[documents]" in problem.hint
    assert problem.part == (os.fsencode(tmp_path / "b.pdf"), ".files")


@pytest.mark.parametrize(
    ("form", "names"),
    [
        ("text", ["a.txt", "b.md"]),
        ("jsonl", ["a.jsonl", "a.ndjson.gz"]),
        ("json", ["a.json"]),
        ("csv", ["a.csv"]),
        ("prodigy", ["a.json", "a.jsonl", "a.ndjson.gz"]),
        ("rows", ["a.json", "a.jsonl", "a.ndjson.gz"]),
        ("brat", ["."]),
    ],
)
def test_a_folder_is_read_for_the_format_that_was_said(form, names, tmp_path):
    for name in ["a.txt", "a.ann", "b.md", "a.json", "a.jsonl", "a.ndjson.gz", "a.csv", "a.pdf"]:
        (tmp_path / name).write_text("")
    found = formats.named([str(tmp_path)], Reading(input_format=form), pytest.fail)
    assert [os.path.relpath(source.path, tmp_path) for source in found] == names


def test_texts_beside_annotations_are_read_with_these_unless_texts_were_asked_for(tmp_path):
    for name in ["a.txt", "a.ann", "b.txt"]:
        (tmp_path / name).write_text("")
    for form, names in [("auto", ["a.ann", "b.txt"]), ("text", ["a.txt", "b.txt"])]:
        found = formats.named([str(tmp_path)], Reading(input_format=form), pytest.fail)
        assert [source.path.name for source in found] == names


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="/dev/full is Linux")
def test_a_temporary_folder_that_is_full_is_not_the_fault_of_the_input(tmp_path, monkeypatch):
    (tmp_path / "a.db.gz").write_bytes(gzip.compress(bytes(300_000)))
    monkeypatch.setattr(tempfile, "tempdir", "/scratch")
    monkeypatch.setattr(tempfile, "NamedTemporaryFile", lambda **_: open("/dev/full", "wb", buffering=0))  # noqa: SIM115
    found, (problem,) = read(tmp_path / "a.db.gz")
    assert not found
    assert problem.message == (
        f"{tmp_path / 'a.db.gz'} can only be read from a copy, and the temporary folder /scratch is full."
    )
    assert "TMPDIR=" in problem.hint
    assert problem.part == (os.fsencode(tmp_path / "a.db.gz"), ".files")  # to be tried again


def test_a_temporary_folder_that_is_not_there_is_said(tmp_path, monkeypatch):
    (tmp_path / "a.db.gz").write_bytes(gzip.compress(b"x"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "no"))
    _, (problem,) = read(tmp_path / "a.db.gz")
    assert f"folder {tmp_path / 'no'} cannot be written: No such file or directory." in problem.message
