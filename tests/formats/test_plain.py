import time

import pytest

from tests.formats.reading import read


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.txt"


@pytest.mark.parametrize("text", ["", " \n", "a\r\nb\rc\u2028d\x00\x0c\n\n", "\u200bשלום 👩‍👩‍👧 e\u0301"])
def test_a_file_is_kept_as_it_is(text, path):
    path.write_bytes(text.encode())
    (document,), problems = read(path)
    assert (document.text, document.id, document.source) == (text, str(path), str(path))
    assert not problems


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1", "shift_jis"])
def test_lines_in_any_encoding(encoding, path):
    lines = ["one", "", "¶ two" if encoding == "latin-1" else "二", "three\r"]
    path.write_bytes("\n".join(lines).encode(encoding))
    found, problems = read(path, per="line", encoding=encoding)
    assert [(document.text, document.id) for document in found] == [
        (line, f"{path}:{number}") for number, line in enumerate(lines, start=1)
    ]
    assert not problems


@pytest.mark.parametrize("mark", ["utf-8", "utf-16-le"])
def test_a_byte_order_mark_is_no_text(mark, path):
    path.write_bytes("\ufeffa".encode(mark))
    assert [read(path, per=per, encoding=mark)[0][0].text for per in ("file", "paragraph", "line")] == ["a"] * 3


@pytest.mark.parametrize(
    ("content", "encoding", "said"),
    [
        (b"\xef\xbb\xbfok\ncaf\xe9 x\nok\n", "utf-8", "byte 9 is 0xe9"),  # the mark is counted
        (b"ok\n\x81ok\n", "cp1252", "byte 3 is 0x81"),
        ("ok".encode("utf-16-le") + b"\x00\xdcxx", "utf-16-le", "byte 4 is 0x00"),
        (b"ok\n" * 50_000 + b"\xff", "ascii", "byte 150000 is 0xff"),
    ],
)
@pytest.mark.parametrize("per", ["file", "paragraph", "line"])
def test_a_wrong_byte_is_named_by_its_place_in_the_file(content, encoding, said, per, path):
    path.write_bytes(content)
    problem = read(path, encoding=encoding, per=per)[1][0]
    assert problem.message.startswith(str(path))
    assert said in problem.message
    assert "--encoding" in problem.hint


def test_a_wrong_byte_costs_only_its_line(path):
    path.write_bytes(b"a\n\xff\nc\n")
    found, (problem,) = read(path, per="line")
    assert [document.text for document in found] == ["a", "c"]
    assert problem.message.startswith(f"{path}:2 ")


@pytest.mark.parametrize("encoding", ["klingon", "rot13", "undefined", "", "utf\x008"])
def test_an_encoding_that_is_none_is_said_once(encoding, path):
    path.write_text("a")
    found, (problem,) = read(path, path, encoding=encoding)
    assert not found
    assert "no encoding" in problem.message


@pytest.mark.parametrize("content", [b"x" * 10_000_000, b"word word\n" * 1_000_000], ids=["a line", "lines"])
def test_ten_megabytes_in_one_paragraph(content, path):
    path.write_bytes(content)
    began = time.perf_counter()
    assert len(read(path, per="paragraph")[0][0].text) == len(content.rstrip(b"\n"))
    assert time.perf_counter() - began < 5  # adding line to line took minutes
