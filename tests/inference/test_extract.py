import pytest
import torch

import gliner_cli
from gliner_cli.checkpoint.folder import load, save
from gliner_cli.checkpoint.hub import located
from gliner_cli.errors import CheckpointError, DeviceError, LabelError
from gliner_cli.inference.counts import Counts
from gliner_cli.inference.extractor import Extractor
from gliner_cli.inference.torch_backend import PRECISIONS
from gliner_cli.jobs.workers import Workers
from gliner_cli.network.prepacked import fastest
from gliner_cli.options import Computing
from gliner_cli.types import Document, Words
from tests import tiny


@pytest.fixture(scope="module", params=["deberta-v2", "bert"])
def extractor(request, tmp_path_factory):
    return Extractor(load(located(str(tiny.checkpoint_folder(tmp_path_factory.mktemp("c"), request.param)))))


def found(extractor, texts, labels=tiny.LABELS, **options):
    return [d.entities for d in extractor.extract([Document(text) for text in texts], labels, **options)]


def places(rows):
    return [[(e.start, e.end, e.label) for e in row] for row in rows]


def test_offsets_and_order(extractor):
    texts = ["", " \n ", *tiny.TEXTS, "\u200b", "\ud800 x", "a" * 5000, "e\u0301 🙂👩‍👧 ابن سينا \x00"]
    rows = found(extractor, texts, threshold=0.3)
    assert len(rows) == len(texts)
    assert rows[0] == rows[1] == ()
    for text, row in zip(texts, rows, strict=True):
        assert [text[e.start : e.end] for e in row] == [e.text for e in row]
        assert [e.start for e in row] == sorted(e.start for e in row)
    assert sum(map(len, rows)) > 20


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_text_without_pieces_is_answered(tmp_path, precision):
    of = load(located(str(tiny.checkpoint_folder(tmp_path, "bert", labels_encoder="bert"))))
    few = Extractor(of, Computing(precision=precision))
    assert found(few, tiny.TEXTS[:1], threshold=0.3)[0]
    assert len(found(few, ["\u200b"], threshold=0.3)) == 1


@pytest.mark.parametrize("precision", ["fp32", "int8", "bf16"])
@pytest.mark.parametrize("kind", [{}, {"labels_encoder": "bert"}], ids=["uni", "bi"])
def test_weights_that_nobody_else_holds_may_be_given_up_and_the_answers_are_the_same(tmp_path, kind, precision):
    folder = str(tiny.checkpoint_folder(tmp_path, "bert", **kind))
    kept = Extractor(load(located(folder)), Computing(precision=precision))
    sole = gliner_cli.load(folder, precision=precision)
    for _ in range(2):
        assert found(sole, tiny.TEXTS, threshold=0.3) == found(kept, tiny.TEXTS, threshold=0.3) != []
    held = [sum(p.numel() for p in one.checkpoint.network.parameters()) for one in (kept, sole)]
    packs = fastest() is not None and precision == "fp32" and not kind
    assert (held[1] < held[0]) == packs
    if packs:
        for use in (Extractor, lambda it: save(it, tmp_path / "saved"), lambda it: Workers(sole, *[None] * 2, 2, None)):
            with pytest.raises(CheckpointError, match="were given up"):
                use(sole.checkpoint)


@pytest.mark.parametrize("precision", ["fp32", "int8", "bf16"])
@pytest.mark.parametrize("stored", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("kind", [("bert",), ("deberta-v2",), ("bert", "bert")], ids=["bert", "deberta", "bi"])
def test_a_table_of_words_in_16_bits_is_held_in_them_and_the_answers_are_the_same(tmp_path, kind, stored, precision):
    whole = load(located(str(tiny.checkpoint_folder(tmp_path / "whole", kind[0], labels_encoder="".join(kind[1:])))))
    whole.network.to(stored)
    save(whole, tmp_path / "half")
    kept = Extractor(load(located(str(tmp_path / "half"))), Computing(precision=precision))
    lean = gliner_cli.load(str(tmp_path / "half"), precision=precision)
    assert found(lean, tiny.TEXTS, threshold=0.3) == found(kept, tiny.TEXTS, threshold=0.3) != []
    own = PRECISIONS[precision]
    assert [_table(one).dtype for one in (kept, lean)] == [own, stored if own == torch.float32 else own]


def _table(extractor):
    return extractor.backend.network.encoder.backbone.embeddings.word_embeddings.weight


def test_a_batch_is_its_rows_one_by_one(extractor):
    alone = [found(extractor, [text])[0] for text in tiny.TEXTS]
    for batch_tokens in (1, 200, 100_000):
        extractor.computing = Computing(batch_tokens=batch_tokens)
        together = found(extractor, tiny.TEXTS * 3)
        assert places(together) == places(alone * 3)


def test_short_texts_are_not_windowed_and_long_ones_lose_nothing(extractor):
    assert places(found(extractor, tiny.TEXTS)) == places(found(extractor, tiny.TEXTS, window="words=64"))
    text = " ".join(tiny.TEXTS * 6)
    counts = Counts()
    whole = list(extractor.extract([Document(text)], tiny.LABELS, counts=counts))[0].entities
    assert counts.windows > 3
    assert max(e.end for e in whole) > 0.9 * len(text)
    spans = sorted((e.start, e.end) for e in whole)
    assert all(a[1] <= b[0] for a, b in zip(spans, spans[1:], strict=False)), "flat over the whole document"
    for window in ("sentences", "words=10"):
        assert found(extractor, [text], window=window)[0]


def test_markers_in_the_text_are_text(extractor):
    text = "Marta <<ENT>> Silva <<SEP>> opened [SEP] a bakery"
    words = Words.of([(0, 5), (6, 13), (14, 19), (20, 27), (28, 34), (35, 40), (41, 42), (43, 49)])
    plan = extractor.plan(gliner_cli.inference.extractor.labels(["<<ENT>>", "city"]), gliner_cli.options.Extraction())
    marker = extractor.checkpoint.config.class_token_index
    row = plan.prompts[0][1].around(_pieces(extractor, text, words), 0, len(words))
    assert (row.pieces == marker).sum() == 2 == len(row.label_at)
    assert row.pieces[row.label_at].tolist() == [marker] * 2


def _pieces(extractor, text, words):
    from gliner_cli.inference.prompt import WordPieces

    return WordPieces(extractor._maker, text, words)


def test_words_without_pieces_move_no_offset(extractor):
    """The reference counts words it has seen pieces of, so every later offset would shift by one (its PR 394)."""
    words = Words.of([(0, 5), (6, 7), (8, 13)])
    row = _pieces(extractor, "Marta \x01 Silva", words).cut(0, 3)[1]
    assert row[0] == 0
    assert row[2] > 0


def test_more_labels_than_trained_are_asked_in_parts(extractor):
    names = [f"{label} {i}" for i in range(7) for label in tiny.LABELS]
    plan = extractor.plan(gliner_cli.inference.extractor.labels(names), gliner_cli.options.Extraction())
    assert [len(part) for part, _ in plan.prompts] == [17, 18]
    rows = found(extractor, tiny.TEXTS, names, threshold=0.1, nested=True, multi_label=True)
    assert {e.label for row in rows for e in row} & set(names[:17])
    assert {e.label for row in rows for e in row} & set(names[17:])


def test_own_thresholds(extractor):
    labels = {"person": 0.05, "city": 1.0}
    rows = found(extractor, tiny.TEXTS, labels)
    assert {e.label for row in rows for e in row} == {"person"}
    assert min(e.score for row in rows for e in row) < 0.5


def test_wrong_requests(extractor):
    for labels in ([], [""], ["x" * 2000]):
        with pytest.raises(LabelError):
            extractor("text", labels)
    with pytest.raises(DeviceError, match="cuda"):
        Extractor(extractor.checkpoint, Computing(device="cuda"))
    with pytest.raises(DeviceError, match="fp16"):
        Extractor(extractor.checkpoint, Computing(device="cpu", precision="fp16"))


def test_a_bert_never_sees_more_than_it_can(tmp_path):
    folder = tiny.checkpoint_folder(tmp_path, "bert", max_len=2000)
    extractor = Extractor(load(located(str(folder))))
    assert extractor.checkpoint.piece_limit == 512
    rows = found(extractor, ["word " * 3000])
    assert rows


def test_the_starter_finds_people_and_places():
    row = gliner_cli.load()("Ada Lovelace met Charles Babbage in London.", ["person", "city"])
    assert [(e.text, e.label) for e in row] == [
        ("Ada Lovelace", "person"),
        ("Charles Babbage", "person"),
        ("London", "city"),
    ]
