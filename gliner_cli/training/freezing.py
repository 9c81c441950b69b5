"""What of a network learns, and what stays as it is."""

from __future__ import annotations

from torch import nn

from gliner_cli.errors import TrainingError
from gliner_cli.network.gliner import Gliner


def freeze(network: Gliner, what: str | None) -> None:
    """Keep a part of the encoder from learning: `encoder`, `embeddings`, or `layers:N`, its embeddings and N layers."""
    if what is None:
        return
    backbone = network.encoder.backbone
    parts: list[nn.Module]
    if what == "encoder":
        parts = [backbone]
    elif what == "embeddings":
        parts = embeddings(backbone)
    elif what.startswith("layers:") and what[7:].isdecimal():
        parts = [*embeddings(backbone), *layers(backbone)[: int(what[7:])]]
    else:
        raise TrainingError(
            f"--freeze is {what!r}; encoder, embeddings or layers:N was expected.", "For example: --freeze layers:3"
        )
    for part in parts:
        part.requires_grad_(False)


def embeddings(backbone: nn.Module) -> list[nn.Module]:
    """The embedding tables of an encoder (relative positions belong to its layers)."""
    return [part for name, part in backbone.named_modules() if isinstance(part, nn.Embedding) and "rel_" not in name]


def layers(backbone: nn.Module) -> nn.ModuleList:
    """The layers of an encoder: the longest list of alike modules in it."""
    lists = [part for part in backbone.modules() if isinstance(part, nn.ModuleList)]
    return max(lists, key=len, default=nn.ModuleList())


def learning_parameters(network: nn.Module) -> tuple[int, int]:
    """How many parameters learn, and how many there are."""
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in network.parameters()]
    return sum(size for size, learns in sizes if learns), sum(size for size, _ in sizes)
