import base64
import hashlib
import io
import re
from collections import Counter
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gliner_cli import formats
from gliner_cli.errors import OutputError
from gliner_cli.formats import page, page_marks
from gliner_cli.options import Writing
from gliner_cli.types import Document, Entity

EMPTY = {"meta", "input"}  # elements without an end
WRITTEN = {"html", "head", "meta", "title", "style", "body", "a", "header", "p", "h1", "main", "article", "h2", "bdi", "small",
           "div", "mark", "i", "details", "summary", "dl", "dt", "dd", "aside", "label", "span", "output", "input", "section",
           "button", "ul", "li", "b", "ol", "script"}  # fmt: skip


class Read(HTMLParser):
    """A page as another parser understands it."""

    def __init__(self, content):
        super().__init__()
        self.open, self.tags, self.attributes, self.marks = [], Counter(), Counter(), []
        self.texts, self.content = [], {}
        self.feed(content)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags[tag] += 1
        self.attributes.update(name for name, _ in attributes)
        attributes = dict(attributes)
        if attributes.get("class") == "text":
            self.texts.append([])
        if tag == "mark":
            self.marks.append(attributes)
        if tag not in EMPTY:
            self.open.append((tag, attributes))

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        tag = self.open[-1][0] if self.open else None
        self.content[tag] = self.content.get(tag, "") + data
        if any(attributes.get("class") == "text" for _, attributes in self.open):
            over = Counter(attributes["data-l"] for tag, attributes in self.open if tag == "mark")
            self.texts[-1] += [(character, over) for character in data]

    def text(self, number=0):
        return "".join(character for character, _ in self.texts[number])


def written(documents, **options):
    stream = io.BytesIO()
    page.write(documents, stream, Writing(**options))
    return stream.getvalue().decode()


def document(text, *places, **fields):
    """A text with entities: (start, end, label) or (start, end, label, score)."""
    entities = tuple(Entity(start, end, label, text[start:end], *score) for start, end, label, *score in places)
    return Document(text, entities=entities, **fields)


def legend(content):
    names = r'<button type="button" aria-pressed="true" class="[^"]+"><b>(.*?)</b><span>([\d,]+)</span>'
    return {name: int(count.replace(",", "")) for name, count in re.findall(names, content)}


def frequent(content):
    names = r'<button type="button" class="[^"]+"><bdi>(.*?)</bdi> <small>(.*?)</small><span>([\d,]+)</span>'
    return [(name, label, int(count.replace(",", ""))) for name, label, count in re.findall(names, content)]


# --- Marks ---------------------------------------------------------------------------------------------------------


@st.composite
def marked_documents(draw):
    letters = st.sampled_from("ab <>&\"'\n\té́אبم👩\u200d🇧🇷東") | st.characters(exclude_categories=["Cs"])
    text = draw(st.text(letters, min_size=1, max_size=30))
    assume("\r" not in text and not page_marks._UNSEEN.search(text))
    places = st.tuples(st.integers(0, 29), st.integers(1, 30), st.sampled_from("xyz"))
    return document(text, *(one for one in draw(st.lists(places, max_size=8)) if one[0] < one[1] <= len(text)))


@settings(max_examples=60, derandomize=True)
@given(marked_documents())
def test_every_character_lies_in_the_marks_of_its_entities(given_document):
    read = Read(written([given_document]))
    numbers = {}
    for mark in read.marks:
        if "data-n" in mark:
            numbers[mark["data-n"]] = mark["data-l"]
    expected = [
        (character, Counter(numbers[one.label] for one in given_document.entities if one.start <= place < one.end))
        for place, character in enumerate(given_document.text)
    ]
    assert read.texts == [expected]
    named = Counter(mark["data-n"] for mark in read.marks if "data-n" in mark)
    assert named == Counter(one.label for one in given_document.entities)


def test_nested_entities_lie_in_one_another_and_the_inner_names_all_labels():
    read = Read(written([document("University of Paris", (14, 19, "city", 0.966), (0, 19, "school", 0.9))]))
    outer, inner = read.marks
    assert (outer["data-n"], outer["title"], outer["data-s"]) == ("school", "school 0.90", "0.90")
    assert (inner["data-n"], inner["title"], inner["data-s"]) == ("city", "city 0.97 · school 0.90", "0.97")
    assert outer["class"] != inner["class"]


def test_crossing_entities_are_cut_and_named_once():
    content = written([document("ABCD", (0, 3, "x"), (1, 4, "y"))])
    shape = re.sub(
        r"<mark[^>]*?(?: data-n=\"(.)\")?(?: data-t=\"(.*?)\")?>", r"[\1\2:", content.split('dir="auto">')[1]
    )
    assert shape.startswith("[x:A[:BC</mark></mark>[yBCD:D</mark></div>")
    assert frequent(content) == [("ABC", "x", 1), ("BCD", "y", 1)]


def test_several_labels_on_the_same_words():
    read = Read(written([document("Curie", (0, 5, "person"), (0, 5, "physicist"))]))
    assert [mark["title"] for mark in read.marks] == ["person", "physicist · person"]
    assert [mark["data-n"] for mark in read.marks] == ["person", "physicist"]


def test_too_many_on_the_same_words_are_counted_not_drawn():
    places = [(number, 4000 - number, "x") for number in range(2000)]
    content = written([document("a" * 4000, *places)])
    assert Read(content).tags["mark"] == page_marks.DEEPEST == legend(content)["x"]
    assert "1,984 more entities could not be drawn" in content


def test_a_staircase_of_entities_stays_small():
    places = [(number, number + 1000, "x") for number in range(3000)]
    assert len(written([document("a" * 4000, *places)])) < 4_000_000


# --- Characters ----------------------------------------------------------------------------------------------------


def test_what_cannot_be_seen_is_shown():
    unseen = "\0\x07\x0b\x1b\x7f\x85\u2028\u202e\u2066\ud800\ufeff\U000e0041"
    read = Read(written([document(unseen)]))
    assert read.text() == "".join(f"U+{ord(character):04X}" for character in unseen)
    assert read.tags["i"] == len(unseen)


def test_what_writing_needs_is_kept():
    kept = "a\tb\nc\xa0d\u200ce\u200df\u200eg\u200fh\xad\u200b 🏴\U000e0067\U000e0062\U000e007f 👩\u200d👧 e\u0301"
    assert Read(written([document(kept)])).text() == kept


def test_line_ends_are_lines_even_where_an_entity_cuts_them():
    text = "a\r\nb\r\nc\rd"
    read = Read(written([document(text, (0, 2, "x"), (3, 5, "y"))]))
    assert read.text() == "a\nb\ncU+000Dd"
    assert [bool(over) for _, over in read.texts[0]][:4] == [True, False, True, False]


HOSTILE = [
    "</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", '"><svg onload=alert(1)>', "' onclick='x", "]]>", "<!--",
    "</style>", "</textarea></title>", "&lt;b&gt; &amp; &#60;", "\u2028\u2029", "${1}`", "javascript:alert(1)", "<\0script>", "\ud800",
]  # fmt: skip


@pytest.mark.parametrize("hostile", HOSTILE)
def test_nothing_of_a_document_is_markup(hostile):
    entity = Entity(0, len(hostile), hostile, hostile, 0.5)
    fields = {hostile: hostile, "nested": {hostile: [hostile]}}
    content = written([Document(hostile, hostile, f"/{hostile}", (entity,), fields)])
    read = Read(content)
    assert read.text() == page_marks.plain(hostile)
    assert set(read.tags) <= WRITTEN
    assert read.tags["script"] == read.tags["style"] == 1
    assert not [name for name in read.attributes if name.startswith("on") or name in ("src", "style")]
    assert set(re.findall(r'href="(.)', content)) == {"#"}


def test_the_policy_allows_this_script_and_this_style_and_nothing_else():
    content = written([document("a")])
    policy = re.search(r'http-equiv="Content-Security-Policy" content="(.*?)"', content)[1]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    for kind in ("style", "script"):
        inside = re.search(f"<{kind}>(.*?)</{kind}>", content, re.DOTALL)[1]
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert rules.pop(f"{kind}-src") == f"'sha256-{digest}'"
    assert rules == {"default-src": "'none'", "base-uri": "'none'", "form-action": "'none'"}
    assert "://" not in content


# --- The page ------------------------------------------------------------------------------------------------------


def test_counts_and_the_most_frequent():
    first = document("Ada met Ada in Rome", (0, 3, "person"), (8, 11, "person"), (15, 19, "city"))
    second = document("Rome, Ada", (0, 4, "person"), (6, 9, "person", 0.9))
    content = written([first, second])
    assert legend(content) == {"person": 4, "city": 1}
    assert frequent(content) == [("Ada", "person", 3), ("Rome", "city", 1), ("Rome", "person", 1)]
    assert re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", content) == [
        ("documents", "2"),
        ("entities", "5"),
        ("labels", "2"),
    ]


def test_memory_is_bounded_and_what_is_frequent_stays(monkeypatch):
    monkeypatch.setattr(page, "_COUNTED", 100)
    rare = (
        document(f"Ada and n{number}", (0, 3, "person"), (8, 9 + len(str(number)), "name")) for number in range(1000)
    )
    content = written(rare)
    assert frequent(content)[0] == ("Ada", "person", 1000)
    assert legend(content) == {"person": 1000, "name": 1000}
    assert "may be too small" in content


def test_scores_can_be_filtered_only_where_there_are_any():
    assert 'id="score"' in written([document("Ada", (0, 3, "person", 0.5))])
    assert 'id="score"' not in written([document("Ada", (0, 3, "person"))])


def test_names_and_fields():
    content = written(
        [document("a", id="notes/1", source="notes", meta={"n": [1, None], "s": "x"}), document("b", source="-")]
    )
    assert '<a href="#d1">1</a> <bdi>notes/1</bdi> </h2>' in content
    assert "<bdi>Document 2</bdi> <small>-</small>" in content
    assert (
        "<summary>2 fields</summary><dl><div><dt>n</dt><dd>[1, null]</dd></div><div><dt>s</dt><dd>x</dd></div></dl>"
        in content
    )


def test_a_page_of_nothing():
    read = Read(written([]))
    assert not read.tags["article"]
    assert set(read.tags) <= WRITTEN


def test_each_document_is_written_before_the_next_is_asked_for():
    stream = io.BytesIO()

    def documents():
        for number in range(3):
            assert stream.getvalue().count(b"<article") == number
            yield document("a")

    page.write(documents(), stream, Writing())
    assert stream.getvalue().count(b"<article") == 3


def test_the_same_documents_are_the_same_bytes_anywhere(tmp_path):
    documents = [document("Ada in Rome", (0, 3, "person", 0.9), (7, 11, "city"), meta={"a": 1})]
    for name in ("a.html", "b.htm"):
        formats.write(documents, Writing(output=tmp_path / name))
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.htm").read_bytes() == written(documents).encode()


def test_the_page_is_no_xml(tmp_path):
    with pytest.raises(OutputError, match="XML"):
        formats.write([document("a")], Writing(output=tmp_path / "a.xhtml"))


def test_the_text_can_be_read_back_by_a_reader_of_pages(tmp_path):
    pytest.importorskip("selectolax")
    text = "Ada <b>met</b> Bob & Eve in Rome"
    formats.write([document(text, (0, 3, "person"))], Writing(output=tmp_path / "a.html"))
    (found,) = formats.read([str(tmp_path / "a.html")], formats.Reading(), pytest.fail)
    assert text in found.text.splitlines()


# --- Colours -------------------------------------------------------------------------------------------------------


def luminance(colour):
    parts = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    """As WCAG 2 defines it."""
    dark, light = sorted(map(luminance, (one, other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_colours_can_be_read(scheme):
    styles = [(Path(page.__file__).parent / name).read_text() for name in ("house.css", "page.css")]
    rules = [part for style in styles for part in style.split("@media (prefers-color-scheme: dark)")[: scheme + 1]]
    named = {name: colour for rule in rules for name, colour in re.findall(r"--(\w+): (#\w{6});", rule)}
    for soft in ("ink", "soft", "accent"):
        assert contrast(named[soft], named["paper"]) >= 4.5
    for number in range(page_marks.COLOURS):
        assert contrast(named[f"c{number}"], named[f"t{number}"]) >= 4.5
        assert contrast(named[f"c{number}"], named["paper"]) >= 4.5
        assert contrast(named["ink"], named[f"t{number}"]) >= 7


def test_many_labels_have_colours_and_lines_of_their_own():
    assert len({page_marks.colour(number) for number in range(36)}) == 36
    assert page_marks.colour(36) == page_marks.colour(0)


def test_fields_json_cannot_hold_are_shown():
    assert "<dd>[&quot;1/2&quot;]</dd>" in written([document("a", meta={"n": [Fraction(1, 2)]})])
