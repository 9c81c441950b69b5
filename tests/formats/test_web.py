import pytest

from tests.formats.reading import read

pytest.importorskip("selectolax")


def shown(tmp_path, markup):
    (tmp_path / "a.html").write_text(markup)
    ((document,), problems) = read(tmp_path / "a.html")
    assert not problems
    return document.text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<p>Ada  <b>Love</b>lace\n was<p>born", "Ada Lovelace was\nborn"),
        ("a<br>b<br><br>c", "a\nb\n\nc"),
        ("<div><div> x </div></div>y", "x\ny"),
        ("<ul><li>one<li>two</ul><h1>three</h1>four", "one\ntwo\nthree\nfour"),
        ("Caf&eacute; &amp; &#x1F600; 5&nbsp;km", "Café & 😀 5\xa0km"),
        ("<table><tr><th>a<th>b<tr><td><p>1</p></td><td>2</td></table>z", "a\tb\n1\t2\nz"),
        ("<table><tr><td></td><td>x</td><td></td></tr><tr><td>y</td></tr></table>", "x\ny"),
        ("<p>head</p><table><tr><td></td><td>x</td></tr></table>", "head\n\tx"),
        ("<pre>a\n  b\n</pre>c", "a\n  b\n\nc"),
        ("a <script>if (1 < 2) no()</script><style>p {}</style><template>no</template><noscript>no</noscript>b", "a b"),
        (
            "a<span hidden>no</span><i style='display : none'>no</i><i style='VISIBILITY:hidden'>no</i>b<!-- no -->",
            "ab",
        ),
        ("<p>שלום <b>עולם</b>", "שלום עולם"),
        ("", ""),
        ("just text, < and >", "just text, < and >"),
        ("<td>loose</td></tr></p></div>", "loose"),
    ],
)
def test_the_text_that_a_browser_shows(markup, text, tmp_path):
    assert shown(tmp_path, markup) == text


def test_the_title_is_kept_and_is_no_text(tmp_path):
    path = tmp_path / "a.htm"
    path.write_text("<!doctype html><head><title> A\n &lt;b&gt; </title><body>text")
    ((document,), _) = read(path)
    assert (document.text, document.id, document.source, dict(document.meta)) == (
        "text", str(path), str(path), {"title": "A <b>"},
    )  # fmt: skip


# Which Python knows, and browsers do not: they would make something else of the bytes.
NO_ENCODINGS = ("punycode", "idna", "unicode_escape", "raw_unicode_escape", "utf-7", "rot13", "cp037")


@pytest.mark.parametrize(
    ("content", "asked", "text"),
    [
        ("é".encode(), "utf-8", "é"),
        ("\ufeffé".encode(), "utf-8", "é"),
        ("<p>é".encode("utf-16"), "utf-8", "é"),
        ("<meta charset=iso-8859-1><p>“é”".encode("cp1252"), "utf-8", "“é”"),
        ("<meta http-equiv=Content-Type content='text/html; charset=Shift_JIS'><p>東京".encode("shift_jis"), "utf-8", "東京"),
        ("<meta charset=klingon><p>é".encode(), "utf-8", "é"),
        *((f"<meta charset={name}><p>é+AOk-\\xe9-x".encode(), "utf-8", "é+AOk-\\xe9-x") for name in NO_ENCODINGS),
        ("<meta charset=ibm866><p>дом".encode("cp866"), "utf-8", "дом"),
        ("<meta charset=gb2312><p>中文".encode("gb2312"), "utf-8", "中文"),
        ("<meta charset=latin-1><p>дом".encode("cp1251"), "cp1251", "дом"),
        ("<meta charset=cp1251><p>дом".encode("cp1251"), "auto", "дом"),
        (("<p>" + "Президент прибыл в Москву. " * 9).encode("cp1251"), "auto", ("Президент прибыл в Москву. " * 9).strip()),
    ],
)  # fmt: skip
def test_how_a_page_is_encoded(content, asked, text, tmp_path):
    (tmp_path / "a.html").write_bytes(content)
    assert [document.text for document in read(tmp_path / "a.html", encoding=asked)[0]] == [text]


def test_a_wrong_byte_is_named(tmp_path):
    (tmp_path / "a.html").write_bytes(b"<p>caf\xe9")
    found, (problem,) = read(tmp_path / "a.html")
    assert not found
    assert "byte 6 is 0xe9" in problem.message


@pytest.mark.parametrize("content", [b"<!DOCTYPE html><p>x", b"\n <HTML><p>x"])
def test_a_page_is_known_by_its_beginning(content, tmp_path):
    (tmp_path / "page").write_bytes(content)
    assert read(tmp_path / "page")[0][0].text == "x"


def test_a_page_deeper_than_any_is_refused_at_once(tmp_path):
    (tmp_path / "a.html").write_text("<div>" * 200_000 + "x")
    found, (problem,) = read(tmp_path / "a.html")
    assert not found
    assert "elements in one another" in problem.message
    assert shown(tmp_path, "<div>" * 1000 + "x") == "x"
    assert shown(tmp_path, "<p>x" * 10_000).count("x") == 10_000


@pytest.mark.parametrize("markup", ["<div></b>", "<div/>", "<a;>"])
def test_elements_that_are_hardly_ended_are_deep_too(markup, tmp_path):
    (tmp_path / "a.html").write_text(markup * 100_000 + "x")
    assert "elements in one another" in read(tmp_path / "a.html")[1][0].message


def test_many_elements_within_deep_ones_are_refused_at_once(tmp_path):
    (tmp_path / "a.html").write_text("<div>" * 4900 + "<div>x</div>" * 100_000)
    assert "elements in one another" in read(tmp_path / "a.html")[1][0].message


def test_what_programs_compare_is_no_element(tmp_path):
    script = "<script>" + "for (i=0;i<n;i++) x();" * 6000 + "</script>"
    picture = "<svg>" + "<path d='M0 0'/>" * 10_000 + "</svg>"
    assert shown(tmp_path, f"<p>a {script} {picture} b" + "<p><b>c</b>" * 1000).startswith("a b\nc\nc")
