"""Scores equal to seqeval's, nervaluate's and the reference package's on random cases; the rest by hand."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
from nervaluate import Evaluator
from seqeval import metrics

from gliner_cli.checkpoint.folder import load
from gliner_cli.checkpoint.hub import located
from gliner_cli.evaluation import calibration, certainty, scoring
from gliner_cli.evaluation.scoring import Tally
from gliner_cli.inference.extractor import Extractor
from gliner_cli.types import Document, Entity, Words
from tests import tiny
from tests.formats.reading import read

LABELS = ["person", "city", "drug", "date"]
CASES = 1000


def document(
    *entities: tuple[int, int, str] | tuple[int, int, str, float], text: str = "x" * 400, words: Words | None = None
):
    return Document(
        text, entities=tuple(Entity(e[0], e[1], e[2], text[e[0] : e[1]], *e[3:]) for e in entities), words=words
    )


def numbers(tally) -> tuple[float, float, float]:
    return tally.precision, tally.recall, tally.f1


# --- Equal to others ------------------------------------------------------------------------------------------------


def random_tags(chance: random.Random, length: int) -> list[str]:
    """Any sequence of tags, also those that begin with I or change the label inside."""
    return [
        chance.choice(["O", "O", *(f"{prefix}-{label}" for prefix in "BII" for label in LABELS)]) for _ in range(length)
    ]


def of_tags(tmp_path, name: str, rows: list[list[str]]) -> list[Document]:
    path = tmp_path / name
    path.write_text("\n".join("".join(f"w\t{tag}\n" for tag in row) for row in rows))
    documents, problems = read(path)
    assert not problems
    return documents


def test_equal_to_seqeval(tmp_path):
    chance = random.Random(0)
    for case in range(CASES):
        lengths = [chance.randint(1, 12) for _ in range(chance.randint(1, 4))]
        gold_tags = [random_tags(chance, n) for n in lengths] + [["I-city"]]  # of nothing at all seqeval takes a mean
        found_tags = [
            [new if chance.random() < 0.4 else old for old, new in zip(row, random_tags(chance, len(row)), strict=True)]
            for row in gold_tags
        ]
        per_document = scoring.tallies(
            of_tags(tmp_path, "gold.conll", gold_tags), of_tags(tmp_path, "found.conll", found_tags)
        )
        theirs = metrics.classification_report(gold_tags, found_tags, output_dict=True, zero_division=0)
        micro, macro = theirs.pop("micro avg"), theirs.pop("macro avg")
        theirs.pop("weighted avg")
        for tally, report in [
            (scoring.total(per_document), micro),
            *((t, theirs[label]) for label, t in scoring.by_label(per_document).items()),
        ]:
            assert (*numbers(tally), tally.support) == pytest.approx(
                [report[k] for k in ("precision", "recall", "f1-score", "support")]
            ), case
        assert scoring.by_label(per_document).keys() == theirs.keys()
        assert scoring.macro_f1(per_document) == pytest.approx(macro["f1-score"]), case


def random_entities(chance: random.Random, flat: bool, length: int = 40) -> list[tuple[int, int, str]]:
    if flat:
        edges = sorted(chance.sample(range(length), 2 * chance.randint(0, 6)))
        places = zip(edges[::2], edges[1::2], strict=True)
    else:
        places = (
            (start, start + chance.choice([1, 2, 3, 8, 300]))
            for start in (chance.randrange(length) for _ in range(chance.randint(0, 7)))
        )
    return sorted({(start, end, chance.choice(LABELS)) for start, end in places})


def shaken(chance: random.Random, entities: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """What a system might find: some as they are, some moved, some with another label."""
    kept = [
        (start, end) if chance.random() < 0.5 else (start, end + chance.randint(0, 3))
        for start, end, _ in entities
        if chance.random() < 0.8
    ]
    labels = [label if chance.random() < 0.6 else chance.choice(LABELS) for _, _, label in entities]
    return sorted({(start, end, label) for (start, end), label in zip(kept, labels, strict=False)})


MODES = {"strict": "strict", "exact": "exact", "partial": "partial", "type": "ent_type"}


def nervaluates(gold: list[Document], found: list[Document]) -> dict[str, dict[str, object]]:
    rows = [
        [[{"label": e.label, "start": e.start, "end": e.end - 1} for e in d.entities] for d in side]
        for side in (gold, found)
    ]
    return Evaluator(*rows, tags=LABELS, loader="dict").evaluate()


def assert_same(ours: scoring.Semeval, theirs) -> None:
    counts = (theirs.correct, theirs.incorrect, theirs.partial, theirs.missed, theirs.spurious)
    assert (ours.correct, ours.incorrect, ours.partial, ours.missed, ours.spurious) == counts
    assert numbers(ours) == pytest.approx((theirs.precision, theirs.recall, theirs.f1))


@pytest.mark.parametrize("flat", [True, False])
def test_equal_to_nervaluate(flat):
    chance = random.Random(1)
    for _ in range(CASES):
        rows = [random_entities(chance, flat) for _ in range(chance.randint(1, 3))]
        gold = [document(*row) for row in rows]
        found = [
            document(*(shaken(chance, row) if chance.random() < 0.8 else random_entities(chance, flat))) for row in rows
        ]
        theirs = nervaluates(gold, found)
        for mode, name in MODES.items():
            assert_same(scoring.semeval(gold, found)[mode], theirs["overall"][name])
            for label, report in theirs["entities"].items():
                assert_same(scoring.semeval(scoring.only(gold, label), scoring.only(found, label))[mode], report[name])
        if flat:
            assert scoring.semeval(gold, found)["strict"].correct == scoring.total(scoring.tallies(gold, found)).tp


def test_equal_to_the_reference_package():
    from gliner.evaluation.evaluator import BaseNEREvaluator

    chance = random.Random(2)
    for _ in range(CASES):
        rows = [random_entities(chance, flat=False) for _ in range(4)] + [[(0, 3, "drug")]]
        twice = [row + row[:1] for row in rows]
        found = [shaken(chance, row) * 2 for row in rows[:-1]] + [[(0, 3, "drug")]]
        ours = scoring.total(scoring.tallies([document(*row) for row in twice], [document(*row) for row in found]))
        theirs = BaseNEREvaluator.compute_prf(
            *([[[e[2], e[:2]] for e in row] for row in side] for side in (twice, found))
        )
        assert numbers(ours) == pytest.approx(tuple(theirs.values()))


# --- Exact ----------------------------------------------------------------------------------------------------------


def test_what_is_in_two_documents_counts_twice_and_in_one_once():
    one, twice = document((0, 3, "drug")), document((0, 3, "drug"), (0, 3, "drug"))
    assert scoring.total(scoring.tallies([one, one], [twice, one])) == Tally(tp=2)
    assert scoring.total(scoring.tallies([twice, one], [one, document()])) == Tally(tp=1, fn=1)
    assert scoring.semeval([twice], [twice])["strict"] == scoring.Semeval(correct=1)
    assert scoring.unreachable([twice], 0)["wider than the network reads"] == 0, "not on word boundaries"
    assert scoring.unreachable([twice], None)["not on word boundaries"] == 1
    with pytest.raises(ValueError, match="shorter"):
        scoring.tallies([one], [])


def test_ratios_of_nothing_are_nothing():
    assert numbers(Tally()) == (0, 0, 0)
    assert numbers(Tally(fp=2)) == (0, 0, 0)
    assert scoring.macro_f1([{}]) == 0
    assert certainty.interval([]) == (0, 0)
    assert certainty.difference([], []) == certainty.Difference(0, 0, 0, 1)


def test_macro_leaves_out_labels_nobody_used():
    gold = [document((0, 1, "drug"), (2, 3, "city"))]
    per_document = scoring.tallies(gold, [document((0, 1, "drug"), (4, 5, "date"))])
    assert list(scoring.by_label(per_document)) == ["city", "date", "drug"]
    assert scoring.macro_f1(per_document) == pytest.approx(1 / 3)


# --- How sure -------------------------------------------------------------------------------------------------------


def system(right: float, seed: int, documents: int = 200) -> list[dict[str, Tally]]:
    """A system that finds each of three entities a document with this chance, and one that is none with the rest."""
    chance = random.Random(seed)
    rows = [sum(chance.random() < right for _ in range(3)) for _ in range(documents)]
    return [{"drug": Tally(tp, int(chance.random() > right), 3 - tp)} for tp in rows]


def test_intervals_cover_what_is_true_and_no_more():
    truth = scoring.total(system(0.7, 0, 100_000)).f1
    intervals = [certainty.interval(system(0.7, seed), seed=seed, resamples=200) for seed in range(1, 101)]
    assert 85 <= sum(low <= truth <= high for low, high in intervals) < 100
    assert all(0.02 < high - low < 0.12 for low, high in intervals)
    wide = certainty.interval(system(0.7, 1), level=0.99)
    narrow = certainty.interval(system(0.7, 1), level=0.5)
    assert wide[0] < narrow[0] < scoring.total(system(0.7, 1)).f1 < narrow[1] < wide[1]
    assert certainty.interval(system(0.7, 1), seed=5) == certainty.interval(system(0.7, 1), seed=5)


def test_no_system_differs_from_itself():
    same_one = system(0.7, 1)
    assert certainty.difference(same_one, same_one) == certainty.Difference(0, 0, 0, 1)


def test_a_clear_difference_is_significant_and_chance_is_not():
    worse, better = system(0.6, 1), system(0.8, 2)
    clear = certainty.difference(worse, better)
    assert clear.f1 == pytest.approx(scoring.total(better).f1 - scoring.total(worse).f1)
    assert 0 < clear.low < clear.f1 < clear.high
    assert clear.p == pytest.approx(1 / 1001)
    back = certainty.difference(better, worse)
    assert (back.f1, back.low, back.high) == pytest.approx((-clear.f1, -clear.high, -clear.low))
    by_chance = [
        certainty.difference(system(0.7, seed), system(0.7, seed + 1000), resamples=200).p for seed in range(1, 61)
    ]
    assert sum(p < 0.1 for p in by_chance) < 15
    assert 0.3 < sum(by_chance) / 60 < 0.7
    with pytest.raises(ValueError, match="3 and 2 documents"):
        certainty.difference(worse[:3], better[:2])


def test_p_is_the_share_of_all_exchanges_that_differ_as_much():
    chance = random.Random(6)
    for seed in range(10):
        a, b = ([{"drug": Tally(*(chance.randint(0, 3) for _ in range(3)))} for _ in range(6)] for _ in "ab")
        exchanges = itertools.product(*(((x, y), (y, x)) for x, y in zip(a, b, strict=True)))
        apart = [scoring.total(y for _, y in pairs).f1 - scoring.total(x for x, _ in pairs).f1 for pairs in exchanges]
        exact = sum(abs(one) >= abs(apart[0]) - 1e-12 for one in apart) / len(apart)
        assert certainty.difference(a, b, seed, 3000).p == pytest.approx(exact, abs=0.04)


# --- UniNER's protocol ----------------------------------------------------------------------------------------------


def spoken(text: str, *found: tuple[str, str]) -> Document:
    return document(*((text.index(part), text.index(part) + len(part), label) for part, label in found), text=text)


def test_uniner_by_hand():
    text = 'The Beatles met the "Rolling Stones", then Beatles again; an Oscar for U.S. fans'
    gold = [spoken(text, ("The Beatles", "band"), ("Rolling Stones", "band"), ("Oscar", "award"), ("U.S.", "country"))]
    forgiven = [
        spoken(text, ("Beatles", "band"), ('the "Rolling Stones"', "band"), ("an Oscar", "award"), ("U.S", "country"))
    ]
    assert scoring.uniner(gold, forgiven) == Tally(tp=4)
    assert scoring.total(scoring.tallies(gold, forgiven)).tp == 0
    repeated = [document((4, 11, "band"), (43, 50, "band"), text=text)]
    assert scoring.uniner(gold, repeated) == Tally(tp=1, fn=3)
    assert scoring.uniner(gold, [spoken(text, ("Oscar", "band"), ("fans", "band"))]) == Tally(fp=2, fn=4)
    assert scoring.uniner(gold * 2, forgiven * 2) == Tally(tp=8), "once a document"


# --- Errors ---------------------------------------------------------------------------------------------------------


def kinds(
    gold: Document, found: Document
) -> list[tuple[str, tuple[int, int, str] | None, tuple[int, int, str] | None]]:
    return [
        (error.kind, *(e and (e.start, e.end, e.label) for e in (error.gold, error.found)))
        for error in scoring.errors([gold], [found])
    ]


def test_each_kind_of_error():
    gold = document(
        (0, 5, "drug"), (10, 15, "city"), (20, 25, "date"), (30, 35, "drug"), (40, 45, "city"), (60, 65, "date")
    )
    found = document(
        (0, 5, "drug"), (10, 15, "date"), (21, 25, "date"), (30, 33, "city"), (50, 55, "city"), (45, 47, "city")
    )
    assert kinds(gold, found) == [
        ("wrong label", (10, 15, "city"), (10, 15, "date")), ("wrong boundary", (20, 25, "date"), (21, 25, "date")),
        ("wrong both", (30, 35, "drug"), (30, 33, "city")), ("missed", (40, 45, "city"), None),
        ("spurious", None, (45, 47, "city")), ("spurious", None, (50, 55, "city")), ("missed", (60, 65, "date"), None),
    ]  # fmt: skip


def test_the_most_alike_are_paired_and_each_is_used_once():
    gold = document((0, 10, "drug"), (5, 9, "city"))
    assert kinds(gold, document((0, 10, "city"), (0, 9, "drug"))) == [
        ("wrong label", (0, 10, "drug"), (0, 10, "city")), ("wrong both", (5, 9, "city"), (0, 9, "drug")),
    ]  # fmt: skip
    assert kinds(document((0, 10, "drug")), document((0, 2, "drug"), (3, 10, "drug"))) == [
        ("wrong boundary", (0, 10, "drug"), (3, 10, "drug")), ("spurious", None, (0, 2, "drug")),
    ]  # fmt: skip


def test_errors_and_tallies_account_for_the_same_entities():
    chance = random.Random(3)
    for _ in range(200):
        rows = [random_entities(chance, flat=False) for _ in range(3)]
        gold, found = [document(*row) for row in rows], [document(*shaken(chance, row)) for row in rows]
        sums = scoring.total(scoring.tallies(gold, found))
        listed = scoring.errors(gold, found)
        assert sum(error.gold is not None for error in listed) == sums.fn
        assert sum(error.found is not None for error in listed) == sums.fp
        assert all(getattr(error, side) in docs[error.document].entities for error in listed
                   for side, docs in (("gold", gold), ("found", found)) if getattr(error, side))  # fmt: skip


def test_unreachable_gold():
    text = "half-baked ideas of ours"
    gold = [document((0, 4, "x"), (0, 10, "x"), (0, 19, "x"), (11, 24, "x"), (11, 23, "x"), text=text)]
    reasons = {"not on word boundaries": 2, "wider than the network reads": 2}
    assert scoring.unreachable(gold, 2) == reasons
    assert scoring.unreachable(gold, None) == {**reasons, "wider than the network reads": 0}
    fixed = [document((0, 4, "x"), text=text, words=Words.of([(0, 4), (4, 24)]))]
    assert scoring.unreachable(fixed, 1) == dict.fromkeys(reasons, 0), "the words are the document's own"
    assert scoring.unreachable([document((0, 1, "x"), text="东京")], 1, "whitespace")["not on word boundaries"] == 1
    assert scoring.unreachable([document((0, 1, "x"), text="东京")], 1)["not on word boundaries"] == 0


# --- Thresholds -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["markerV0", "marker", "token_level"])
def extractor(request, tmp_path_factory):
    return Extractor(
        load(located(str(tiny.checkpoint_folder(tmp_path_factory.mktemp("c"), "bert", span_mode=request.param))))
    )


@pytest.mark.parametrize("options", [{}, {"nested": True}, {"multi_label": True}, {"window": "words=9"}])
def test_above_is_what_a_run_at_the_higher_threshold_finds(extractor, options):
    texts = [Document(text) for text in [*tiny.TEXTS, " ".join(tiny.TEXTS)]]
    low = list(extractor.extract(texts, tiny.LABELS, threshold=0.3, **options))
    scores = sorted({entity.score for found in low for entity in found.entities})
    assert len(scores) > 10
    for number in (1, len(scores) // 2, len(scores) - 5):
        threshold = (scores[number - 1] + scores[number]) / 2
        again = list(extractor.extract(texts, tiny.LABELS, threshold=threshold, **options))
        assert places(calibration.above(low, threshold)) == places(again)
        assert any(places(again))
        assert places(again) != places(low)


def places(documents: list[Document]) -> list[list[tuple[int, int, str]]]:
    return [[(e.start, e.end, e.label) for e in one.entities] for one in documents]


def test_above_compares_as_the_heads_do():
    barely = float(np.float32(0.3))
    assert barely > 0.3
    found = [document((0, 1, "drug", barely))]
    assert places(calibration.above(found, 0.3)) == places(calibration.above(found, {"drug": 0.3})) == [[]]
    assert places(calibration.above(found, 0.29)) == places(found)


def test_above_of_one_threshold_a_label():
    found = [document((0, 1, "drug", 0.4), (2, 3, "city", 0.4), (4, 5, "date", 0.1), (6, 7, "drug"))]
    (kept,) = calibration.above(found, {"drug": 0.5, "city": 0.3})
    assert [(e.start, e.label) for e in kept.entities] == [(2, "city"), (4, "date"), (6, "drug")]


def scored_system() -> tuple[list[Document], list[Document]]:
    """Scores of drugs mean what they say; those of cities are right from 0.2 on; dates were seen once."""
    chance = random.Random(4)
    gold, found = [], []
    for _ in range(300):
        drug, city = chance.random(), chance.random()
        gold.append(document(*[(0, 3, "drug")] * (chance.random() < drug), *[(5, 8, "city")] * (city > 0.2)))
        found.append(document((0, 3, "drug", drug), (5, 8, "city", city)))
    gold.append(document((0, 3, "date")))
    found.append(document((0, 3, "date", 0.9)))
    return gold, found


def test_a_sweep_is_a_score_at_each_threshold():
    gold, found = scored_system()
    rows = calibration.sweep(gold, found, [0.1, 0.5, 0.9])
    assert [threshold for threshold, _ in rows] == [0.1, 0.5, 0.9]
    for threshold, tally in rows:
        assert tally == scoring.total(scoring.tallies(gold, calibration.above(found, threshold)))
    assert rows[0][1].recall > rows[1][1].recall > rows[2][1].recall
    assert rows[0][1].precision < rows[1][1].precision < rows[2][1].precision


def test_best_thresholds():
    gold, found = scored_system()
    best = calibration.best_thresholds(gold, found, LABELS)
    common = max(calibration.sweep(gold, found), key=lambda row: row[1].f1)[0]
    assert best["city"] == pytest.approx(0.2, abs=0.03)
    assert best["drug"] > best["city"] + 0.05
    assert best["person"] == best["date"] == common, "seen never or once: as all"


def test_the_best_threshold_of_a_label_is_the_best_for_all_labels_together():
    chance = random.Random(5)
    gold, found = [], []
    for _ in range(300):  # a drug is right in half as many cases as its score says
        drug, city = chance.random(), chance.random()
        gold.append(document(*[(0, 3, "drug")] * (chance.random() < drug / 2), *[(5, 8, "city")] * (city > 0.2)))
        found.append(document((0, 3, "drug", drug), (5, 8, "city", city)))
    common = max(calibration.sweep(gold, found), key=lambda row: row[1].f1)[0]
    own, micro = {}, {}
    for threshold in calibration.GRID:
        counted = scoring.tallies(gold, calibration.above(found, {"city": common, "drug": threshold}))
        own[threshold], micro[threshold] = scoring.by_label(counted)["drug"].f1, scoring.total(counted).f1
    chosen = calibration.best_thresholds(gold, found, ["city", "drug"], least=0)["drug"]
    assert micro[chosen] == max(micro.values())
    assert own[chosen] < max(own.values()), "its own F1 has another best"


# --- Calibration ----------------------------------------------------------------------------------------------------


def test_reliability():
    scores = [(0.95, True), (0.85, True), (0.85, False), (1.0, False), (0.1, False), (0.0, False)]
    gold = [document(*([(0, 3, "drug")] * right)) for _, right in scores]
    found = [document((0, 3, "drug", score), (5, 6, "city")) for score, _ in scores]
    table = calibration.reliability(gold, found)
    assert [(row.low, row.high, row.count, row.right) for row in table] == [
        (0.0, 0.1, 2, 0),
        (0.8, 0.9, 2, 0.5),
        (0.9, 1.0, 2, 0.5),
    ]
    assert [row.score for row in table] == pytest.approx([0.05, 0.85, 0.975])
    assert calibration.expected_calibration_error(table) == pytest.approx((2 * 0.05 + 2 * 0.35 + 2 * 0.475) / 6)
    assert calibration.reliability([], []) == []
    assert calibration.expected_calibration_error([]) == 0


def test_scores_that_mean_what_they_say_have_no_calibration_error():
    gold, found = scored_system()
    error = {
        label: calibration.expected_calibration_error(
            calibration.reliability(scoring.only(gold, label), scoring.only(found, label))
        )
        for label in ("drug", "city")
    }
    assert error["drug"] < 0.1
    assert error["city"] > 0.25
