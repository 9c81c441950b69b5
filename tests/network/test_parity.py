"""Ours equals the reference package: the same random checkpoint, the same scores, the same entities.

For every kind × span mode × backbone a tiny checkpoint is built, filled with random weights and saved by the reference
package `gliner`, loaded by us, and both are asked the same. The table of the largest differences is printed at the end
of the run.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from gliner_cli.checkpoint.folder import load as load_checkpoint
from gliner_cli.checkpoint.hub import located
from gliner_cli.inference.batching import padded
from gliner_cli.inference.extractor import Extractor
from gliner_cli.inference.prompt import WordPieces
from gliner_cli.options import Extraction
from gliner_cli.text.labels import labels
from gliner_cli.text.words import words
from gliner_cli.types import Document
from tests.tiny import LABELS, TEXTS, combinations, published_config, randomize, with_label_encoder

gliner = pytest.importorskip("gliner", reason="the reference package is not installed: pip install '.[dev]'")

CLASSES = {
    ("prompt", False): ("UniEncoderSpanConfig", "UniEncoderSpanGLiNER"),
    ("prompt", True): ("UniEncoderTokenConfig", "UniEncoderTokenGLiNER"),
    ("encoder", False): ("BiEncoderSpanConfig", "BiEncoderSpanGLiNER"),
    ("encoder", True): ("BiEncoderTokenConfig", "BiEncoderTokenGLiNER"),
}
# Where a row's scores depend on the padding of its batch, the reference is right in a batch of one only.
PADDED_WRONGLY = {"markerV1", "markerV2"}


def reference(folder: Path, labels: str, backbone: str, **fields: Any) -> Any:
    """A random checkpoint by the reference package, saved to a folder."""
    import gliner.config
    import gliner.model

    config = published_config(folder / "tokenizer", backbone, **fields)
    if labels == "encoder":
        config = with_label_encoder(config, folder / "labels")
    config_name, model_name = CLASSES[labels, fields["span_mode"] == "token_level"]
    described = getattr(gliner.config, config_name)(**config)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = getattr(gliner.model, model_name).load_from_config(described, backbone_from_pretrained=False)
        randomize(made.model)
        made.save_pretrained(folder / "checkpoint", safe_serialization=len(fields) % 2 == 0)
    return made.eval()


def reference_scores(model: Any, texts: list[str]) -> list[torch.Tensor]:
    """The reference's probabilities for each text, in one batch, cut to the text's own words."""
    prepared = model.prepare_batch(texts, LABELS)
    batch = model.collate_batch(prepared["input_x"], prepared["entity_types"])
    logits = model.run_batch(batch).logits
    return [torch.sigmoid(row[: len(tokens)]) for row, tokens in zip(logits, prepared["tokens"], strict=True)]


def our_logits(extractor: Extractor, texts: list[str]) -> torch.Tensor:
    """Ours, likewise, in one batch."""
    plan = extractor.plan(labels(LABELS), Extraction())
    cuts = [words(text) for text in texts]
    pieces = [WordPieces(extractor._maker, text, cut) for text, cut in zip(texts, cuts, strict=True)]
    rows = [plan.prompts[0][1].around(own, 0, len(cut)) for own, cut in zip(pieces, cuts, strict=True)]
    return extractor.backend.logits(padded(rows, plan.label_vectors))


def our_scores(extractor: Extractor, texts: list[str]) -> list[torch.Tensor]:
    """Our probabilities for each text, cut to its own words."""
    rows = zip(our_logits(extractor, texts), texts, strict=True)
    return [torch.sigmoid(row[: len(words(text))]) for row, text in rows]


def settled_by_reference(
    model: Any, extractor: Extractor, texts: list[str], **options: Any
) -> list[list[tuple[Any, ...]]]:
    """The entities that the reference's decoder makes of our logits."""
    prepared = model.prepare_batch(texts, LABELS)
    batch = model.collate_batch(prepared["input_x"], prepared["entity_types"])
    rows = model.decoder.decode(batch["tokens"], batch["id_to_classes"], our_logits(extractor, texts), **options)
    places = zip(rows, prepared["start_token_map"], prepared["end_token_map"], strict=True)
    return [[(starts[s.start], ends[s.end], s.entity_type) for s in row] for row, starts, ends in places]


def low_and_high(scores: list[torch.Tensor], mode: str) -> list[float]:
    """Thresholds that enough scores pass that there is much to settle; a token span needs all of its words to pass."""
    values = torch.cat([score.flatten() for score in scores])
    shares = (0.2, 0.4) if mode == "token_level" else (0.5, 0.9)
    return [float(values.quantile(share)) + 1e-6 for share in shares]


def largest_difference(ours: list[torch.Tensor], theirs: list[torch.Tensor]) -> float:
    """Over all that lies inside a text: ours is 0 (minus infinity) for a stretch that leaves it."""
    pairs = zip(ours, theirs, strict=True)
    return max(float(((a - b).abs() * (a > 0)).max()) for a, b in pairs)


def entities(extractor: Extractor, texts: list[str], **options: Any) -> list[list[tuple[Any, ...]]]:
    found = extractor.extract([Document(text) for text in texts], LABELS, **options)
    return [[(e.start, e.end, e.label) for e in document.entities] for document in found]


def reference_entities(model: Any, texts: list[str], one_by_one: bool, **options: Any) -> list[list[tuple[Any, ...]]]:
    found = model.inference(texts, LABELS, batch_size=1 if one_by_one else 8, **options)
    return [[(e["start"], e["end"], e["label"]) for e in row] for row in found]


def name(combination: dict[str, Any]) -> str:
    return " ".join(str(v) if k in ("labels", "backbone", "span_mode") else f"{k}={v}" for k, v in combination.items())


@pytest.mark.parametrize("combination", list(combinations()), ids=name)
@pytest.mark.filterwarnings("ignore")  # the reference's and transformers' own
def test_equal_to_the_reference(combination: dict[str, Any], tmp_path: Path, parity_table: list[Any]) -> None:
    model = reference(tmp_path, **combination)
    extractor = Extractor(load_checkpoint(located(str(tmp_path / "checkpoint"), None)))
    padding_matters = combination["span_mode"] in PADDED_WRONGLY or combination.get("fuse_layers", False)

    one_by_one = [s for text in TEXTS for s in reference_scores(model, [text])]
    together = one_by_one if padding_matters else reference_scores(model, TEXTS)
    alone = [s for text in TEXTS for s in our_scores(extractor, [text])]
    difference = max(largest_difference(alone, one_by_one), largest_difference(our_scores(extractor, TEXTS), together))

    found = 0
    for flat in (True, False):
        for multi_label in (True, False):
            for threshold in low_and_high(one_by_one, combination["span_mode"]):
                options = {"threshold": threshold, "multi_label": multi_label}
                ours = entities(extractor, TEXTS, nested=not flat, **options)
                theirs = reference_entities(model, TEXTS, padding_matters, flat_ner=flat, **options)
                # Two candidates can differ by less than the rounding of a score; then the reference must settle
                # *our* scores as we do.
                assert ours in (theirs, settled_by_reference(model, extractor, TEXTS, flat_ner=flat, **options))
                found += sum(map(len, ours))
    parity_table.append((name(combination), difference, found))
    assert difference <= 1e-5
    assert found > 100, "nothing found on either side proves nothing"
