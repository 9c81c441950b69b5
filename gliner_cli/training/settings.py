"""What a user did not choose, chosen by the size of the data and by what the network has learned already."""

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


def chosen(options: Learning, passages: int, encoder: int, fresh: bool, device: torch.device) -> Learning:
    """The options with every None filled. `encoder` is its number of parameters, `fresh` that its heads are new."""
    batch = options.batch or (8 if passages < 400 else 16 if passages < 5000 else 32)
    rate = options.encoder_rate
    if rate is None:
        rate = next(new if fresh else trained for size, new, trained in _RATES if encoder <= size)
    heads = options.head_rate if options.head_rate is not None else rate * _HEADS_OVER_ENCODER
    number_format = options.number_format
    if number_format == "auto":
        number_format = native_format(device)
    return replace(
        options,
        batch=batch,
        steps=options.steps or _steps(passages, batch, fresh),
        encoder_rate=rate,
        head_rate=heads,
        number_format=number_format,
    )


def _steps(passages: int, batch: int, fresh: bool) -> int:
    """Many rounds of a small set, so that the network settles, few of a large one: 30 of 100 passages, 3 of 10,000.

    Twice as many of 100 passages, and half as many again of 200, gave no better dev F1 (CrossNER).
    """
    rounds = max(2.0, min(40.0, 300 / math.sqrt(max(passages, 1)))) * (3 if fresh else 1)
    return max(50, round(rounds * passages / batch))
