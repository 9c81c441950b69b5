"""The composition: every system on every set, what is kept, what is compared, what it costs."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product

import pytest

from gliner_cli.errors import GlinerError, InputError, LabelError
from gliner_cli.evaluation import calibration, certainty, quality, scoring
from gliner_cli.evaluation.anchors import beside, published
from gliner_cli.evaluation.bench import costs, digest, grown
from gliner_cli.evaluation.quality import Answer
from gliner_cli.evaluation.request import Asked, request, sets
from gliner_cli.evaluation.systems import Context
from gliner_cli.options import Benching, Comparing, Extraction, Timing
from gliner_cli.text.labels import labels
from tests.evaluation import fakes
from tests.evaluation.fakes import Fake

QUALITY = Timing(quality=True)
TWO = [fakes.gold("a"), fakes.gold("b", fakes.SENTENCES[:3], repeat=4)]


def test_a_row_for_every_system_and_set_and_all_are_closed():
    one, other = Fake("one"), Fake("other", misses=2)
    report = fakes.report(one, other, sets=TWO)
    assert [(row["system"], row["set"]) for row in report["rows"]] == [*product(["one", "other"], ["a", "b"])]
    assert [average["system"] for average in report["averages"]] == ["one", "other"]
    assert report["averages"][0]["f1"] == 1 > report["averages"][1]["f1"] > 0
    assert one.calls[-1] == ("one", -1)
    assert other.calls[-1] == ("other", -1)
    assert report["speed"] is None
    json.dumps(report, allow_nan=False)


def test_systems_of_one_name_are_told_apart():
    report = fakes.report(Fake("same"), Fake("same", misses=2), Fake("same", misses=3))
    assert [row["system"] for row in report["rows"]] == ["same", "same 2", "same 3"]
    assert len({row["f1"] for row in report["rows"]}) == 3


def test_those_already_loaded_are_closed_if_one_cannot_be():
    one = Fake("one")
    wanted = fakes.request(one)
    with pytest.raises(InputError, match="strings are off"):
        list(grown(replace(wanted, makers=[*wanted.makers, fakes.broken])))
    assert one.calls == [("one", -1)]


def test_the_report_grows_row_by_row():
    steps = [len(report["rows"]) for report in grown(fakes.request(Fake(), sets=TWO))]
    assert steps[:2] == [1, 2]


def test_a_row_holds_what_scoring_says():
    gold, system = fakes.gold(repeat=5), Fake(misses=3, wrong="city")
    found = system.extract(gold.documents, gold.labels)
    row = quality.scored(gold.documents, Answer(found, found, 0.5))
    counted = scoring.tallies(gold.documents, found)
    assert (row["f1"], row["tp"]) == (scoring.total(counted).f1, scoring.total(counted).tp)
    assert (row["low"], row["high"]) == certainty.interval(counted)
    assert row["uniner"]["f1"] == scoring.uniner(gold.documents, found).f1
    assert sum(count for gold_label, _, count in row["confusion"] if gold_label) == 9 * 5
    assert sum(count for _, found_label, count in row["confusion"] if found_label) == 9 * 5
    assert sum(row["errors"].values()) == sum(count for a, b, count in row["confusion"] if a != b)
    assert {example["kind"] for example in row["examples"]} == row["errors"].keys()
    assert [point["threshold"] for point in row["sweep"]] == [at for at in calibration.GRID if at >= 0.5]
    assert row["best"]["f1"] >= row["f1"]
    assert quality.unpacked(json.loads(json.dumps(row["tallies"]))) == counted


def test_without_scores_no_thresholds():
    gold = fakes.gold()
    found = Fake(score=None).extract(gold.documents, gold.labels)
    row = quality.scored(gold.documents, Answer(found, found, None))
    assert (row["sweep"], row["best"], row["reliability"], row["calibration_error"]) == ([], None, [], None)


def test_averages_are_of_sets_and_pools_of_documents():
    report = fakes.report(Fake(misses=3), sets=TWO)
    average, rows = report["averages"][0], report["rows"]
    assert average["f1"] == pytest.approx(sum(row["f1"] for row in rows) / 2)
    assert average["pooled"]["tp"] == sum(row["tp"] for row in rows)
    assert average["low"] <= average["f1"] <= average["high"]
    bins = sum(one["count"] for row in rows for one in row["reliability"])
    assert sum(one["count"] for one in average["reliability"]) == bins > 0


def test_evenly_is_from_beginning_to_end():
    assert quality.evenly(range(10), 5) == [0, 2, 4, 6, 8]
    assert quality.evenly(range(3), None) == quality.evenly(range(3), 7) == [0, 1, 2]


# --- Compared ------------------------------------------------------------------------------------------------------


def test_differences_are_to_the_first():
    report = fakes.report(Fake("one"), Fake("worse", misses=2), Fake("same"), sets=TWO)
    by_name = {(one["system"], one["set"]): one for one in report["differences"]}
    assert by_name.keys() == {*product(["worse", "same"], ["a", "b", None])}
    assert by_name["worse", None]["f1"] < by_name["worse", None]["high"] < 0
    assert by_name["worse", None]["p"] < 0.05 < by_name["same", None]["p"] == 1
    assert by_name["same", "a"]["f1"] == 0


def test_published_rows_stand_beside_their_sets():
    ood = [
        "mit_movie",
        "mit_restaurant",
        *(f"crossner_{name}" for name in ("ai", "literature", "music", "politics", "science")),
    ]
    whole, part = published(ood), published(["crossner_ai"])
    large = next(row for row in whole if row["system"] == "GLiNER-L 0.3B")
    assert (large["average"], large["scores"]["crossner_ai"]) == (0.609, 0.572)
    assert all(row["average"] is None and row["scores"].keys() == {"crossner_ai"} for row in part)
    assert published(["my own"]) == []
    report = fakes.report(Fake("one"), sets=[fakes.gold(name) for name in ood])
    shown = beside(report)
    assert [row["source"] for row in shown if row["system"] == "one"] == ["measured here"] * 2
    assert len({row["counting"] for row in shown if row["system"] == "one"}) == 2


# --- Kept ----------------------------------------------------------------------------------------------------------


class Forbidden(Fake):
    def extract(self, documents, labels):
        raise AssertionError("it was asked again")


class Breaks(Fake):
    """Fails at the second set."""

    def extract(self, documents, labels):
        if self.calls:
            raise GlinerError("The power is gone.")
        return super().extract(documents, labels)


def test_what_is_finished_is_kept():
    before = fakes.report(Fake("one", misses=3), sets=TWO)
    again = fakes.report(Forbidden("one", misses=3), sets=TWO, kept=json.loads(json.dumps(before)))
    assert again["rows"] == before["rows"]
    assert again["averages"] == before["averages"]
    assert "earlier" not in again


@pytest.mark.parametrize(
    "changed", [{"misses": 2}, {"name": "other"}, {"sets": [fakes.gold("a", fakes.SENTENCES[:2])]}]
)
def test_what_would_be_another_row_is_not_kept(changed):
    before = fakes.report(Fake("one", misses=3), sets=TWO[:1])
    new = {"name": "one", "misses": 3, "sets": TWO[:1], **changed}
    wanted = new.pop("sets")
    with pytest.raises(AssertionError, match="asked again"):
        fakes.report(Forbidden(**new), sets=wanted, kept=before)


def test_broken_off_twice_nothing_is_lost():
    def until_it_breaks(*systems, kept):
        on_disk = []
        with pytest.raises(GlinerError, match="power"):
            on_disk += map(json.dumps, grown(fakes.request(*systems, sets=TWO, kept=kept)))
        return json.loads(on_disk[-1])

    whole = fakes.report(Fake("one"), Fake("two"), sets=TWO)
    kept = {**whole, "rows": [row for row in whole["rows"] if (row["system"], row["set"]) != ("one", "b")]}
    broken = until_it_breaks(Breaks("one", calls=[("one", 1)]), Fake("two"), kept=kept)
    assert len(broken["rows"]) == 1
    last = fakes.report(Fake("one"), Forbidden("two"), sets=TWO, kept=broken)
    strip = [{key: value for key, value in row.items() if key != "seconds"} for row in last["rows"]]
    assert strip == [{key: value for key, value in row.items() if key != "seconds"} for row in whole["rows"]]


def test_unanswered_documents_are_told_and_asked_again():
    report = fakes.report(Fake("one"), Fake("late", unanswered=True))
    row = report["rows"][1]
    assert row["answered"]["documents"] == 1
    assert row["answered"]["f1"] == 1 > row["f1"]
    assert row["fn"] == 7
    with pytest.raises(AssertionError, match="asked again"):
        fakes.report(Fake("one"), Forbidden("late", unanswered=True), kept=report)


def test_a_digest_is_of_all_that_scores_depend_on():
    base = fakes.gold()
    others = [
        fakes.gold(sentences=fakes.SENTENCES[:3]),
        fakes.gold(sentences=[*fakes.SENTENCES[:3], (fakes.SENTENCES[3][0], [])]),
    ]
    assert len({digest(one) for one in [base, *others]}) == 3
    assert digest(base) == digest(fakes.gold("another name"))


# --- What it costs -------------------------------------------------------------------------------------------------


def test_costs_of_a_machine_and_of_a_service():
    report = {
        "systems": {"here": {}, "there": {}, "file": {}},
        "speed": {"systems": {"here": {"documents_per_second": {"median": 10}}}},
        "rows": [
            {"system": "there", "documents": 50, "seconds": 10, "usage": {"cost": 0.2, "requests": 50}},
            {
                "system": "there",
                "documents": 80,
                "seconds": 40,
                "usage": {"cost": 0.3, "requests": 50},
                "answered": {"documents": 50},
            },
            {"system": "file", "documents": 50, "seconds": 0.1, "usage": {}},
        ],
    }
    here, there, file = costs(report, 3.6)
    assert (here["documents_per_hour"], here["per_million_documents"]) == (36_000, pytest.approx(100))
    assert (there["documents_per_hour"], there["per_million_documents"]) == (7200, pytest.approx(5000))
    assert file["per_million_documents"] is None
    assert costs(report, None)[0]["per_million_documents"] is None


# --- What is asked -------------------------------------------------------------------------------------------------


def _raise(error):
    raise error


def test_sets_are_narrowed_and_cut():
    everything = sets(Benching(), None, _raise)
    assert len(everything) >= 5
    assert sum(len(gold.documents) for gold in everything) >= 150
    narrow = sets(Benching(suite=["small/news"], limit=7), labels(["person", "city"]), _raise)
    assert len(narrow[0].documents) == 7
    assert {entity.label for one in narrow[0].documents for entity in one.entities} == {"person", "city"}
    with pytest.raises(InputError, match="it has"):
        sets(Benching(suite=["small/news"]), labels(["spacecraft"]), _raise)


def test_nonsense_is_refused_before_anything_is_computed(tmp_path):
    for asked, said in (
        (Asked(timing=Timing(sweep="depth=3")), "--sweep"),
        (Asked(comparing=Comparing(price="free", against=["openai:x"])), "--price"),
        (Asked(benching=Benching(data=[str(tmp_path / "no.jsonl")])), "no suite"),
    ):
        with pytest.raises(InputError, match=said):
            request(asked, "gliner bench", _raise)
    with pytest.raises(LabelError):
        labels([])


def test_others_are_asked_with_the_same_settings():
    asked = Asked(timing=QUALITY, comparing=Comparing(against=["gliner"]), extraction=Extraction(threshold=0.3))
    wanted = request(asked, "gliner bench", _raise)
    name, context = wanted.makers[1].args
    assert (name, context.extraction.threshold, context.batch_size) == ("gliner", 0.3, 8)
    assert isinstance(context, Context)
    untold = request(Asked(comparing=Comparing(against=["gliner"])), "gliner bench", _raise).makers[1].args[1]
    assert (untold.extraction.threshold, untold.batch_size) == (0.5, None)
    json.dumps(wanted.settings)
