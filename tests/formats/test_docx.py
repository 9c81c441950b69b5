import zipfile

import pytest

from gliner_cli.formats import docx as docx_format
from tests.formats.reading import read

docx = pytest.importorskip("docx")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.docx"


def test_paragraphs_and_tables_in_their_order(path):
    file = docx.Document()
    file.core_properties.title = "A title"
    file.sections[0].header.paragraphs[0].text = "not this"
    file.add_heading("A heading")
    file.add_paragraph("Ada ").add_run("Lovelace").bold = True
    file.add_paragraph("")
    file.add_paragraph("one\ttwo\nthree", style="List Bullet")
    table = file.add_table(2, 3)
    for place, text in [((0, 0), "a"), ((0, 1), "b"), ((0, 2), "c"), ((1, 2), "z")]:
        table.cell(*place).text = text
    table.cell(1, 0).merge(table.cell(1, 1)).text = "both\nlines"
    file.add_paragraph("end שלום 😀")
    file.save(path)
    ((document,), problems) = read(path)
    assert not problems
    assert document.text == "A heading\nAda Lovelace\n\none\ttwo\nthree\na\tb\tc\nboth lines\tz\nend שלום 😀"
    assert (document.id, document.source, dict(document.meta)) == (str(path), str(path), {"title": "A title"})


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no zip at all"])
def test_what_is_no_archive_is_said(content, path):
    path.write_bytes(content)
    found, (problem,) = read(path)
    assert not found
    assert problem.message.startswith(f"{path} is not a whole DOCX file")


def rewritten(path, change):
    """A DOCX whose text is something else."""
    docx.Document().save(path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, change(content) if name == "word/document.xml" else content)


@pytest.mark.parametrize("change", [lambda content: content[:300], lambda content: b"", lambda content: b"<x/>"])
def test_a_broken_part_is_said(change, path):
    rewritten(path, change)
    found, (problem,) = read(path)
    assert not found
    assert problem.message.startswith(f"{path} is not a whole DOCX file")


def test_entities_of_xml_are_not_resolved(path, tmp_path):
    (tmp_path / "secret").write_text("secret")
    kind = b'<!DOCTYPE d [<!ENTITY e SYSTEM "file://%s">]>' % str(tmp_path / "secret").encode()
    rewritten(path, lambda content: content.replace(b"?>", b"?>" + kind, 1).replace(b"<w:sectPr", b"<w:p><w:r><w:t>&e;</w:t></w:r></w:p><w:sectPr", 1))  # fmt: skip
    found, _ = read(path)
    assert "secret" not in "".join(document.text for document in found)


SPAN = b'<w:tbl><w:tr><w:tc><w:tcPr><w:gridSpan w:val="2147483647"/></w:tcPr><w:p><w:r><w:t>wide</w:t></w:r></w:p></w:tc></w:tr></w:tbl>'
CELL = b"<w:tr><w:tc><w:tcPr><w:vMerge%s/></w:tcPr><w:p><w:r><w:t>%s</w:t></w:r></w:p></w:tc></w:tr>"


def test_merged_cells_are_neither_a_bomb_nor_read_again(path):
    high = b"<w:tbl>" + CELL % (b' w:val="restart"', b"high") + CELL % (b"", b"") * 3000 + b"</w:tbl>"
    rewritten(path, lambda content: content.replace(b"<w:sectPr", SPAN + high + b"<w:sectPr", 1))
    ((document,), problems) = read(path)
    assert not problems
    assert document.text == "wide\nhigh" + "\n" * 3000


def test_a_bomb_is_not_unpacked(path, monkeypatch):
    monkeypatch.setattr(docx_format, "LONGEST", 1 << 20)
    rewritten(path, lambda content: content + b" " * (2 << 20))
    found, (problem,) = read(path)
    assert not found
    assert "2 MB of it in one part of text" in problem.message


def test_a_password_or_an_unknown_compression_is_said(path):
    docx.Document().save(path)
    whole = path.read_bytes()
    for flag, said in [(1, "encrypted"), (1 << 5, "patched"), (1 << 6, "encryption")]:
        content = bytearray(whole)
        central = content.index(b"PK\x01\x02")  # of the first part
        content[6] |= flag
        content[central + 8] |= flag
        path.write_bytes(content)
        found, (problem,) = read(path)
        assert not found
        assert problem.message.startswith(f"{path} is not a whole DOCX file")
        assert said in problem.message
