"""The page of results as a real browser has it: its text, its filters when they are clicked, how fast it opens."""

import random

import pytest

from gliner_cli import formats
from gliner_cli.formats import page_marks
from gliner_cli.options import Writing
from gliner_cli.types import Document, Entity
from tests.formats import browser

if not browser.CHROMIUM:
    pytest.skip("no Chromium is installed", allow_module_level=True)


def document(text, *found):
    """A text with the first place of each phrase: (phrase, label, score)."""
    places = ((text.index(phrase), phrase, label, score) for phrase, label, score in found)
    return Document(
        text, entities=tuple(Entity(at, at + len(phrase), label, phrase, score) for at, phrase, label, score in places)
    )


ALERT = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
DOCUMENTS = [
    document("Ada Lovelace met Ada's friend in Rome.", ("Ada Lovelace", "person", 0.9), ("Ada", "first name", 0.6), ("Rome", "city", 0.4)),
    document("Nothing is found here, nor is Adam."),
    document("الشاعرة فدوى طوقان في نابلس\nand a line about Rome", ("فدوى طوقان", "person", 0.8), ("نابلس", "city", 0.7), ("Rome", "city", 0.95)),
    document("👩\u200d👧 in São Paulo 🇧🇷, Cafe\u0301 Zoë", ("👩\u200d👧", "emoji", 0.5), ("São Paulo 🇧🇷", "city", 0.9), ("Cafe\u0301", "café", 0.3)),
    document("New York Times Square Garden", ("New York Times", "newspaper", 0.8), ("Times Square", "place", 0.7)),
    document(f"{ALERT} \u202e\0 a\r\nb", (ALERT, ALERT, 0.9), ("a\r\nb", "lines", 0.2)),
]  # fmt: skip


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with browser.page(tmp_path_factory.mktemp("browser")) as page:
        yield page


@pytest.fixture
def opened(running, tmp_path):
    running.open(written(DOCUMENTS, tmp_path))
    return running


def written(documents, folder):
    path = folder / "page.html"
    formats.write(documents, Writing(output=path))
    return path


def shown(page):
    """The numbers of the documents that are shown."""
    return page.js(
        "[...document.querySelectorAll('article')].filter(one => !one.hidden).map(one => Number(one.id.slice(1)))"
    )


def marks(page):
    """The text and label of each entity that is drawn in a document that is shown."""
    asked = "[...document.querySelectorAll('article:not([hidden]) mark[data-n]:not(.off)')].map(one => [one.dataset.t ?? one.textContent, one.dataset.n])"
    return [tuple(one) for one in page.js(asked)]


def most(page):
    return page.js(
        "[...document.querySelectorAll('#frequent button')].map(one => [one.className, ...[...one.children].map(part => part.textContent)])"
    )


def legend(page):
    return dict(
        page.js(
            "[...document.querySelectorAll('#legend button')].map(one => [one.firstChild.textContent, one.lastChild.textContent])"
        )
    )


# Each character (code points, as ours) of each text, with the numbers of the labels it is in, innermost first.
CHARACTERS = """[...document.querySelectorAll('.text')].map(text => {
  const found = [], walker = document.createTreeWalker(text, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const labels = [];
    for (let one = walker.currentNode.parentElement; one !== text; one = one.parentElement) if (one.localName === 'mark') labels.push(one.dataset.l);
    for (const character of walker.currentNode.data) found.push([character, labels.join(' ')]);
  }
  return found;
})"""


def test_each_character_is_marked_as_it_should_be(opened):
    found = opened.js(CHARACTERS)
    numbers = dict(
        opened.js("[...document.querySelectorAll('mark[data-n]')].map(one => [one.dataset.n, one.dataset.l])")
    )
    for ours, theirs in zip(DOCUMENTS, found, strict=True):
        assert "".join(character for character, _ in theirs) == page_marks.plain(ours.text)
        if page_marks.plain(ours.text) == ours.text:
            for place, (_, labels) in enumerate(theirs):
                over = [
                    numbers[page_marks.label_name(one.label)] for one in ours.entities if one.start <= place < one.end
                ]
                assert sorted(labels.split()) == sorted(over)


def test_nothing_runs_and_nothing_is_asked_for(opened, tmp_path):
    complaints, asked = opened.said()
    assert complaints == []
    assert asked == [(tmp_path / "page.html").as_uri()]
    assert opened.js("[document.scripts.length, document.images.length]") == [1, 0]


def test_a_script_that_got_in_would_not_run(opened):
    opened.js(
        "document.body.append(Object.assign(document.createElement('script'), {textContent: 'globalThis.ran = true'}))"
    )
    opened.js("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"globalThis.ran = true\">')")
    opened.settle()
    assert opened.js("globalThis.ran === undefined")
    assert "Content Security Policy" in " ".join(opened.said()[0])


def test_labels_are_hidden_and_shown_by_a_click(opened):
    before = marks(opened), most(opened), legend(opened)
    opened.click("#legend li:nth-child(1) button")  # person
    assert marks(opened) == [one for one in before[0] if one[1] != "person"]
    assert opened.js("document.querySelector('#legend button').getAttribute('aria-pressed')") == "false"
    assert ("Ada", "first name") in marks(opened)  # it lies in a mark that is hidden now
    assert most(opened) == [one for one in before[1] if one[2] != "person"]
    opened.click("#legend li:nth-child(1) button")
    assert (marks(opened), most(opened), legend(opened)) == before


def test_all_and_none(opened):
    before = marks(opened)
    opened.click("#both button:last-child")
    assert marks(opened) == []
    assert opened.js("document.getElementById('status').textContent") == "6 documents, 0 entities shown"
    opened.click("#both button:first-child")
    assert marks(opened) == before


def test_the_lowest_score_is_chosen_by_keys(opened):
    opened.js("document.getElementById('score').focus()")
    opened.key("End", 35)
    assert marks(opened) == []
    for _ in range(10):
        opened.key("ArrowLeft", 37)
    assert opened.js("document.getElementById('least').textContent") == "0.90"
    high = [(page_marks.entity_name(one), page_marks.label_name(one.label)) for document in DOCUMENTS for one in document.entities
            if one.score >= 0.9]  # fmt: skip
    assert marks(opened) == high
    assert legend(opened)["city"] == "2"


def test_only_documents_with_entities(opened):
    opened.click("#hits")
    assert shown(opened) == [1, 3, 4, 5, 6]
    opened.click("#both button:last-child")
    opened.click("#legend li:nth-child(3) button")  # city
    assert shown(opened) == [1, 3, 4]


def test_searching(opened):
    opened.click("#query")
    opened.type("ada")
    assert shown(opened) == [1, 2]
    assert opened.js("CSS.highlights.get('found').size") == 3
    assert opened.js("[...CSS.highlights.get('found')].map(String)") == ["Ada", "Ada", "Ada"]
    opened.type(" lovelace  met")  # through the ends of marks
    assert shown(opened) == [1]
    assert opened.js("[...CSS.highlights.get('found')].map(String)") == ["Ada Lovelace met"]
    opened.js("document.getElementById('query').select()")
    opened.type("(")
    assert shown(opened) == [6]


def test_a_frequent_entity_is_searched_for_by_a_click(opened):
    assert [one[1] for one in most(opened)][0] == "Rome"
    opened.click("#frequent button")
    assert shown(opened) == [1, 3]


def test_keys_reach_the_filters_first(opened):
    reached = []
    for _ in range(6):
        opened.key("Tab", 9)
        reached.append(
            opened.js(
                "document.activeElement.className + document.activeElement.id + document.activeElement.textContent"
            )
        )
    assert reached[1:] == ["query", "score", "hits", "All", "None"]
    assert reached[0].startswith("skip")


@pytest.mark.parametrize("width", [420, 1200])
def test_it_fits(running, tmp_path, width):
    running.open(written(DOCUMENTS, tmp_path), size=(width, 900))
    assert running.js("document.documentElement.scrollWidth") == width
    panel, text = running.js(
        "['#panel', '#documents'].map(one => document.querySelector(one).getBoundingClientRect().top)"
    )
    assert panel < text or width > 860


def test_on_paper_everything_is_there(opened):
    opened.call("Emulation.setEmulatedMedia", media="print")
    styles = "[getComputedStyle(document.querySelector('article:last-child')).contentVisibility, getComputedStyle(document.getElementById('filters')).display]"
    assert opened.js(styles) == ["visible", "none"]


def made(number, words=200):
    """Documents of so many words, one in ten an entity."""
    chance = random.Random(0)
    for _ in range(number):
        parts, found, at = [], [], 0
        for _ in range(words):
            name = chance.random() < 0.1
            part = chance.choice(
                ["Ada Lovelace", "Berlin", "Siemens"] if name else ["the", "river", "report", "between", "open"]
            )
            if name:
                found.append(Entity(at, at + len(part), part[0], part, round(chance.random(), 3)))
            parts.append(part)
            at += len(part) + 1
        yield Document(" ".join(parts), entities=tuple(found))


def test_two_thousand_documents_open_in_three_seconds(running, tmp_path):
    """In time of the page's processor, not of a clock: other work of the machine is not the page's."""
    path = written(made(2000), tmp_path)
    page = running.another()
    page.open(path)
    assert page.busy() < 3
    assert len(shown(page)) == 2000
    page.click("#legend button")
    assert page.js("document.querySelectorAll('mark.off').length > 10000")
