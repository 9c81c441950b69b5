"""The report on paper: every number on the page is in the JSON, nothing is fetched, nothing escapes from its place."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from gliner_cli.errors import InputError, OutputError
from gliner_cli.evaluation import comparison, figures, pictures, report
from gliner_cli.evaluation.anchors import published
from gliner_cli.evaluation.cells import amount, between, count, percent, seconds, size, text
from gliner_cli.evaluation.page import page
from gliner_cli.evaluation.pictures import Mark
from gliner_cli.evaluation.report import markdown
from gliner_cli.evaluation.tables import full
from gliner_cli.options import Timing
from tests.evaluation import fakes
from tests.evaluation.fakes import Fake

EVIL = "<script>alert('&')</script> | *x*"
SERVED = {"requests": 1.0, "retries": 2.0, "failed": 0.0, "malformed": 3.0, "hallucinated": 4.0, "prompt_tokens": 5000.0,
          "completion_tokens": 60.0, "cost": 0.25}  # fmt: skip
EVERYTHING = Timing(repeat=3, warm_up=1, sweep="labels=1,4 words=8,64,512")
SETS = [
    fakes.gold("crossner_ai", repeat=6),
    fakes.gold(EVIL, [*fakes.SENTENCES, (f"Ada saw {EVIL} .", ["Ada=singer", f"{EVIL}=thing <b>"])], repeat=4),
]


@pytest.fixture(scope="session")
def whole():
    """A report with everything in it, hostile names too, as it comes back from the disk."""
    systems = [
        Fake("ours", misses=5),
        Fake(EVIL, misses=3, wrong="city"),
        Fake("served", used=dict(SERVED), unanswered=True),
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[2]))
        made = fakes.report(*systems, sets=SETS, timing=EVERYTHING, hourly_price=1.25)
    assert {row["set"] for row in made["rows"]} == {"crossner_ai", EVIL}
    assert made["published"]
    assert made["sweeps"]
    return json.loads(json.dumps(made))


class Reader(HTMLParser):
    """The texts of a page, each with the exact values that the elements around it carry; and its tags."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.stack: list[tuple[str, dict]] = []
        self.texts: list[tuple[str, list[tuple[str, dict]]]] = []
        self.tags: list[tuple[str, dict]] = []
        self.feed(content)
        self.close()
        assert self.stack == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "!doctype"):
            self.stack.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.stack.pop()[0] == tag

    def handle_data(self, data):
        if self.stack and self.stack[-1][0] != "style":
            self.texts.append((data, list(self.stack)))


def leaves(value):
    if isinstance(value, dict):
        for name, inner in value.items():
            yield str(name)
            yield from leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner)
    else:
        yield value


def exact(stack) -> list[float]:
    """The exact values that the innermost element with any carries."""
    for tag, attributes in reversed(stack):
        carried = attributes.get("value" if tag == "data" else "data-v")
        if carried:
            return [float(one) for one in carried.split()]
    return []


def test_every_number_on_the_page_is_in_the_json(whole):
    known = list(leaves(whole))
    numbers = {float(one) for one in known if isinstance(one, int | float)}
    strings = " ".join(one for one in known if isinstance(one, str))
    seen = 0
    for content, stack in Reader(page(whole)).texts:
        values = exact(stack)
        assert set(values) <= numbers, content
        seen += len(values)
        if not values and re.search(r"\d", content) and "tick" not in stack[-1][1].get("class", ""):
            for token in re.findall(r"[\w.:/@+-]*\d[\w.:/@+-]*", content):
                assert token.strip(".,:") in strings or token in _PROSE, content
    assert seen > 500


# Numbers that are words of a sentence: the level of the intervals, names of protocols, a time that the JSON has with a T.
_PROSE = {"95", "p50/p95", "p50/p95/p99", "F1", "SemEval-2013", "SemEval-2013's."}


def test_what_is_read_is_the_rounded_value(whole):
    for content, stack in Reader(page(whole)).texts:
        if stack[-1][0] == "data" and re.fullmatch(r"[\d.]+", content):
            value = exact(stack)[0]
            digits = len(content.partition(".")[2])
            assert (
                abs(float(content) - value) <= 0.51 * 10**-digits
                or abs(float(content) - 100 * value) <= 0.51 * 10**-digits
            )


def test_the_page_stands_alone(whole):
    content = page(whole)
    tags = Reader(content).tags
    assert not {tag for tag, _ in tags} & {"script", "link", "img", "iframe", "object", "embed", "base", "form"}
    for _, attributes in tags:
        assert not attributes.keys() & {"src", "href", "xlink:href", "action", "srcset"}
        assert not any(name.startswith("on") for name in attributes)
    assert not re.search(r"url\(|@import|https?://", content.partition("</style>")[0])
    assert "prefers-color-scheme: dark" in content


def test_nothing_escapes_from_its_place(whole):
    content = page(whole)
    assert "<script" not in content
    assert '<b>" ' not in content
    shown = "".join(data for data, _ in Reader(content).texts)
    assert "<script>alert('&')</script>" in shown


def test_pictures_are_well_formed_and_there(whole):
    found = re.findall(r"<svg.*?</svg>", page(whole), re.DOTALL)
    # F1 and speed by set, two sweeps, calibration of two systems; of each of two sets the labels and their confusion.
    assert len(found) >= 10
    for one in found:
        for element in ElementTree.fromstring(one).iter():
            for name in ("x", "y", "cx", "cy", "x1", "x2", "y1", "y2", "width", "height"):
                assert -100 < float(element.get(name, 0)) < 2500


def test_a_report_of_only_quality_or_only_speed_has_a_page():
    for timing in (Timing(quality=True), Timing(quality=True, repeat=1)):
        assert Reader(page(fakes.report(Fake(), timing=timing))).texts
    empty = fakes.report(Fake(), timing=Timing(quality=True))
    bare = {**empty, "rows": [], "averages": [], "published": []}
    assert Reader(page(bare)).texts
    assert markdown(bare)


def test_markdown_has_every_table_in_order(whole):
    content = markdown(whole)
    assert content.startswith("# checkpoint of ours against")
    for table in full(whole):
        assert f"## {table.title.split('<')[0][:12]}" in content
    for line in content.splitlines():
        if line.startswith("| "):
            assert len(re.findall(r"(?<!\\)\|", line)) > 2
    widths = [len(re.findall(r"(?<!\\)\|", line)) for line in content.splitlines() if line.startswith("|")]
    assert min(widths) >= 3
    assert "<script>" not in content


def test_the_same_numbers_in_markdown_and_page(whole):
    content, shown = markdown(whole), "".join(data for data, _ in Reader(page(whole)).texts)
    for row in whole["rows"]:
        wanted = text(between(percent, row["low"], row["high"]))
        assert wanted in content
        assert wanted in shown


def test_numbers_for_people():
    assert percent(0.4712).text == "47.1"
    assert count(12345.6).text == "12,346"
    assert (amount(5.556).text, amount(1234.5).text) == ("5.56", "1,234")
    assert (seconds(0.0123).text, seconds(1.234).text) == ("12.3 ms", "1.23 s")
    assert size(312e6).text == "312 MB"


def test_a_warning_where_the_work_was_not_the_same(whole):
    assert "NOT THE SAME WORK" in markdown(whole)
    assert 'class="note warning"' in page(whole)
    same = fakes.report(Fake("a"), timing=Timing(quality=True))
    assert "NOT THE SAME WORK" not in markdown(same)


# --- On disk -------------------------------------------------------------------------------------------------------


def test_saved_is_loaded(whole, tmp_path):
    path = tmp_path / "report.json"
    report.prepare(path.parent)
    report.save(whole, path)
    report.save_pages(whole, tmp_path)
    assert report.load(path) == report.load(tmp_path) == whole
    assert sorted(one.name for one in tmp_path.iterdir()) == ["report.html", "report.json", "report.md"]


def test_half_a_pair_of_surrogates_costs_only_itself(tmp_path):
    odd = fakes.report(
        Fake(misses=2), sets=[fakes.gold(sentences=[("Ada \ud83d sings", ["Ada=singer", "sings=thing"])])]
    )
    report.save(odd, tmp_path / "a.json")
    report.save_pages(odd, tmp_path)
    assert report.load(tmp_path / "a.json")["rows"][0]["f1"] == odd["rows"][0]["f1"]


def test_what_is_no_report_is_refused(tmp_path):
    (tmp_path / "a.json").write_text('{"format": "else"}')
    (tmp_path / "b.json").write_text("x")
    for name, said in (("a.json", "no report"), ("b.json", "no JSON"), ("c.json", "cannot be read")):
        with pytest.raises(InputError, match=said):
            report.load(tmp_path / name)
    with pytest.raises(OutputError, match="cannot be made"):
        report.prepare(tmp_path / "a.json" / "out")


def test_demands():
    measured = fakes.report(Fake(misses=3))
    f1 = measured["averages"][0]["f1"]
    assert report.demands(["F1=35", "P=0.2", "words/s=2000"]) == {"F1": 0.35, "P": 0.2, "words/s": 2000}
    assert list(report.failures(measured, {"F1": f1 - 0.01})) == []
    assert "F1 is" in next(report.failures(measured, {"F1": f1 + 0.01}))
    assert "not measured" in next(report.failures(measured, {"words/s": 1}))
    for wrong in ("F1", "F1=x", "G=3", "F1=-1"):
        with pytest.raises(InputError, match="--fail-under"):
            report.demands([wrong])


# --- Two reports ---------------------------------------------------------------------------------------------------


def test_a_report_against_itself_is_no_different():
    one = fakes.report(Fake("a", misses=3), sets=SETS)
    assert [(row["f1"], row["p"]) for row in comparison.compared(one, one)] == [(0, 1)] * 3
    assert comparison.changed(one, one) == []


def test_the_second_against_the_first():
    good, bad = fakes.report(Fake("a"), sets=SETS), fakes.report(Fake("b", misses=2), sets=SETS)
    rows = comparison.compared(good, bad)
    assert [row["set"] for row in rows] == [*(gold.name for gold in SETS), None]
    assert rows[-1]["f1"] == pytest.approx(rows[-1]["b"] - rows[-1]["a"])
    assert rows[-1]["high"] < 0
    assert rows[-1]["p"] < 0.01
    assert comparison.compared(bad, good)[-1]["f1"] == -rows[-1]["f1"]
    assert ("system 1 misses", "0", "2") in comparison.changed(good, bad)
    titles = [table.title for table in comparison.tables(good, bad)]
    assert titles == ["The second report against the first", "What else is not the same"]


def test_only_the_same_data_are_compared():
    a = fakes.report(Fake(), sets=[fakes.gold("x"), fakes.gold("y", repeat=2)])
    b = fakes.report(Fake(), sets=[fakes.gold("x"), fakes.gold("y", repeat=3)])
    assert [row["set"] for row in comparison.compared(a, b)] == ["x"]
    with pytest.raises(InputError, match="no set in common"):
        comparison.compared(a, fakes.report(Fake(), sets=[fakes.gold("x", repeat=2)]))


# --- Pictures ------------------------------------------------------------------------------------------------------


def test_ticks_are_round_and_enough():
    for most in (0.7, 1, 3, 97, 2310, 25_000, 1e6):
        ticks = pictures._ticks(most)
        assert 4 <= len(ticks) <= 8
        assert most * 0.7 < ticks[-1] <= most * 1.001


def test_axes_map_ends_to_ends():
    assert [pictures.values("x", [1, 4, 16]).share(at) for at in (1, 4, 16)] == [0, 0.5, 1]
    assert pictures.values("x", [7]).share(7) == 0.5
    assert pictures.amounts("y", 100).share(0) == 0


def test_a_value_lies_where_the_axis_says():
    picture = ElementTree.fromstring(pictures.dots("t", [("a", [(0, Mark(0.25, 0.2, 0.4, "25.0"))])], ["x"]))
    grid = sorted({float(line.get("x1")) for line in picture.iter("line") if line.get("class") == "grid"})
    (dot,) = picture.iter("circle")
    assert float(dot.get("cx")) == pytest.approx(grid[0] + 0.25 * (grid[-1] - grid[0]), abs=0.2)


def test_no_label_no_picture():
    assert figures.by_label({"by_label": {}, "set": "x"}, []) == ""
    assert figures.confusion({"by_label": {}, "set": "x", "confusion": [], "system": "y"}) == ""


def test_published_numbers_are_shares():
    assert all(0 <= score <= 1 for row in published(["crossner_ai"]) for score in row["scores"].values())


# --- In a browser --------------------------------------------------------------------------------------------------


def test_a_browser_shows_it(whole, tmp_path):
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not browser:
        pytest.skip("no Chromium is installed")
    report.save_pages(whole, tmp_path)
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
               "--disable-component-update", "--disable-sync", "--hide-scrollbars", f"--user-data-dir={tmp_path / 'profile'}",
               "--window-size=1000,3000", (tmp_path / "report.html").as_uri()]  # fmt: skip
    shot = tmp_path / "page.png"
    # Files, no pipes: helpers of the browser would keep those open.
    with (tmp_path / "seen.html").open("wb") as seen, (tmp_path / "said.txt").open("wb") as said:
        for asked in (f"--screenshot={shot}", "--dump-dom"):
            subprocess.run([browser, asked, *options], check=True, stdout=seen, stderr=said, timeout=240)
    assert shot.stat().st_size > 50_000
    shown = (tmp_path / "seen.html").read_text()
    assert len(Reader(shown).tags) == len(Reader(page(whole)).tags)
    assert shown.count("<svg") >= 9
