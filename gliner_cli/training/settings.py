"""What a user did not choose, chosen by the size of the data, what the network has learned already, and the device."""

from __future__ import annotations

import math
from dataclasses import replace

import torch

from gliner_cli.options import Learning
from gliner_cli.training.loop import native_format

# A small encoder learns well at rates that would wreck a large one. A trained network forgets what it is not taught the
# faster it learns: the starter on CrossNER AI, 5e-5: dev F1 61.7, other labels 70.1 -> 68.8; 7e-5: 62.2, 65.0 (mixed
# with what it was, see `blending.py`: 61.4, 69.8).
# (parameters of the encoder up to, rate of a fresh one, of a trained one)
_RATES = ((40e6, 1.5e-4, 7e-5), (150e6, 4.5e-5, 1.5e-5), (float("inf"), 1.5e-5, 1e-5))
_HEADS_OVER_ENCODER = 3.0
# A new network is asked for types that it was never taught, and is sure of too few. MiniLM after 15 minutes of Few-NERD
# on 2 cores, one run each, F1 of the seven OOD sets at 0.5: 3: 29.3 (687 updates, on a faster machine); 10: 30.7 (589;
# 32.2 at the best threshold).
_POSITIVE, _POSITIVE_ANEW = 3.0, 10.0
# A head computes the padding of a batch, and less of it where a step is several batches of rows of like length. Pieces
# a second on 2 cores by the most at once: MiniLM, 32 texts of Few-NERD a step: 6144: 1,089, 2048: 1,255, 1344: 1,247,
# 1024: 1,226; the starter, 8 of CrossNER politics, built-in ones among them: 886, 924, 863, 867.
_AT_ONCE, _AT_ONCE_ON_CPU = 6144, 2048


def chosen(options: Learning, passages: int, encoder: int, fresh: bool, device: torch.device) -> Learning:
    """The options with every None filled. `encoder` is its number of parameters, `fresh` that its heads are new."""
    batch = options.batch or (8 if passages < 400 else 16 if passages < 5000 else 32)
    rate = options.encoder_rate
    if rate is None:
        rate = next(new if fresh else trained for size, new, trained in _RATES if encoder <= size)
    heads = options.head_rate if options.head_rate is not None else rate * _HEADS_OVER_ENCODER
    positive = options.positive_weight
    if positive is None:
        positive = _POSITIVE_ANEW if fresh else _POSITIVE
    return replace(
        options,
        batch=batch,
        steps=options.steps or _steps(passages, batch, fresh),
        encoder_rate=rate,
        head_rate=heads,
        positive_weight=positive,
        number_format=native_format(device) if options.number_format == "auto" else options.number_format,
        micro_tokens=options.micro_tokens or (_AT_ONCE_ON_CPU if device.type == "cpu" else _AT_ONCE),
    )


def _steps(passages: int, batch: int, fresh: bool) -> int:
    """Many rounds of a small set, so that the network settles, few of a large one: 30 of 100 passages, 3 of 10,000.

    Twice as many of 100 passages, and half as many again of 200, gave no better dev F1 (CrossNER).
    """
    rounds = max(2.0, min(40.0, 300 / math.sqrt(max(passages, 1)))) * (3 if fresh else 1)
    return max(50, round(rounds * passages / batch))
