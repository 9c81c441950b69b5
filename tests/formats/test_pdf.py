import json

import pytest

from gliner_cli.formats import jsonl
from gliner_cli.types import Document, Entity
from tests.formats.reading import read

pdfium = pytest.importorskip("pypdfium2")


def pdf(*pages):
    """A PDF whose pages hold lines of text, made by hand."""
    kids = b" ".join(b"%d 0 R" % (4 + 2 * number) for number in range(len(pages)))
    parts = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [%s] /Count %d >>" % (kids, len(pages)),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    for number, lines in enumerate(pages):
        drawn = b"BT /F1 12 Tf 14 TL 72 720 Td %s ET" % b" ".join(
            b"(%s) Tj T*" % line.encode("cp1252") for line in lines
        )
        parts.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >>"
            b" /Contents %d 0 R >>" % (5 + 2 * number)
        )
        parts.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(drawn), drawn))
    content, places = b"%PDF-1.4\n", []
    for number, part in enumerate(parts, start=1):
        places.append(len(content))
        content += b"%d 0 obj\n%s\nendobj\n" % (number, part)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    return content + b"xref\n0 %d\n0000000000 65535 f \n%strailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (
        len(parts) + 1, table, len(parts) + 1, len(content),
    )  # fmt: skip


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.pdf"


def test_the_pages_are_one_document_and_their_places_are_kept(path):
    path.write_bytes(pdf(["Ada Lovelace met", "Mr Babbage."], ["“Second” page"]))
    ((document,), problems) = read(path)
    assert not problems
    assert document.text == "Ada Lovelace met\nMr Babbage.\n\n“Second” page"
    assert (document.id, document.source, dict(document.meta)) == (str(path), str(path), {"pages": [0, 30]})
    assert document.text[30:38] == "“Second”"


def test_a_word_cut_at_the_end_of_a_line_stays_cut(path):
    path.write_bytes(pdf(["born in Lon-", "don, well-known"]))
    assert read(path)[0][0].text == "born in Lon-\ndon, well-known"


def test_pages_without_text_are_said_once(path):
    path.write_bytes(pdf(["one"], [], ["three"], []))
    ((document,), (problem,)) = read(path)
    assert (document.text, document.meta["pages"]) == ("one\n\n\n\nthree\n\n", [0, 5, 7, 14])
    assert problem.message == f"{path}: 2 of 4 pages hold no text (scanned?)."


def test_a_scan_is_no_document(path):
    path.write_bytes(pdf([], []))
    found, (problem,) = read(path)
    assert not found
    assert "2 of 2 pages" in problem.message


@pytest.mark.parametrize("content", [b"", b"%PDF-1.4 x", b"no pdf at all", pdf(["a"])[:150]])
def test_a_broken_file_is_said(content, path):
    path.write_bytes(content)
    found, (problem,) = read(path)
    assert not found
    assert problem.message.startswith(f"{path} is not a whole PDF")


def test_an_encrypted_file_is_said(path, monkeypatch):
    def refused(path):
        raise pdfium.PdfiumError("Failed to load document (PDFium: Incorrect password error).")

    path.write_bytes(pdf(["a"]))
    monkeypatch.setattr(pdfium, "PdfDocument", refused)
    (problem,) = read(path)[1]
    assert problem.message == f"{path} is encrypted."
    assert "qpdf --decrypt" in problem.hint


def test_a_broken_page_costs_only_itself(path, monkeypatch):
    whole = pdfium.PdfDocument.__getitem__

    def failing(self, number):
        if number == 1:
            raise pdfium.PdfiumError("Failed to load page.")
        return whole(self, number)

    path.write_bytes(pdf(["one"], ["two"], ["three"]))
    monkeypatch.setattr(pdfium.PdfDocument, "__getitem__", failing)
    ((document,), problems) = read(path)
    assert document.text == "one\n\n\n\nthree"
    assert problems[0].message == f"{path}, page 2 cannot be read: Failed to load page."


def test_a_pdf_is_known_by_its_beginning(tmp_path):
    (tmp_path / "file").write_bytes(pdf(["text"]))
    assert read(tmp_path / "file")[0][0].text == "text"


@pytest.mark.parametrize(
    ("pages", "expected"),
    [([0, 3, 3, 9], [1, 3, None]), ([1, 2], None), (7, None), ([0, True], None), ([0, 4, 2], None)],
)
def test_entities_have_their_page(pages, expected):
    found = tuple(Entity(start, start + 1, "x", "abcdef"[start]) for start in (0, 5))
    row = json.loads(jsonl.line(Document("abcdef", "d", "d", found, {"pages": pages})))
    assert [entity.get("page") for entity in row["entities"]] == (expected or [None, None])[:2]
    assert row["pages"] == pages
