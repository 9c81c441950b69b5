"""A bi-encoder's label vectors, kept on disk from run to run: a thousand labels are asked again tomorrow.

A file is named by the hash of all that its vectors are made of, the label encoder's weights as they are in memory among
it, so a checkpoint that was trained on in the meantime is another one, and what is read is what would be computed, to
the last bit. Nothing here may fail: a file that cannot be read is computed again, one that cannot be written is not.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from gliner_cli._version import __version__
from gliner_cli.checkpoint.cache import user_cache
from gliner_cli.network.config import NetworkConfig
from gliner_cli.network.encoder import FromTransformers

# To hash a weight takes about as long as the multiplications with it for thirty labels of seven pieces each.
LEAST_LABELS = 64
_MOST_FILES, _MOST_BYTES = 100, 256 << 20
_DAY = 24 * 60 * 60
_NAME = "vectors"


def from_disk_or(
    compute: Callable[[], Tensor], pieces: Tensor, counts: Tensor, encoder: nn.Module, config: NetworkConfig
) -> Tensor:
    """The vectors (C, D) of labels, given as pieces (C, P) and their counts (C,): from disk, or computed and kept."""
    first = next(encoder.parameters())
    path = folder() / f"{_digest(pieces, counts, encoder, config)}.safetensors"
    with suppress(OSError, SafetensorError, KeyError):
        vectors: Tensor = load_file(path, device=str(first.device))[_NAME]
        if vectors.shape == (len(pieces), config.hidden_size) and vectors.dtype == first.dtype:
            os.utime(path)
            return vectors
    made = compute()
    with suppress(OSError, SafetensorError):
        _keep(made, path)
    return made


def folder() -> Path:
    """Where they lie: `gliner/label-vectors` in the user's cache (XDG_CACHE_HOME)."""
    return user_cache() / "label-vectors"


def _digest(pieces: Tensor, counts: Tensor, encoder: nn.Module, config: NetworkConfig) -> str:
    digest = hashlib.sha256(repr((config.labels_backbone, *_computed_by(encoder))).encode())
    for name, tensor in [("pieces", pieces), ("counts", counts), *sorted(encoder.state_dict().items())]:
        digest.update(repr((name, tensor.dtype, tuple(tensor.shape))).encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _computed_by(encoder: nn.Module) -> Iterator[str]:
    """The code and the machine: the last bits depend on the device, its instructions and the number of threads, too."""
    yield __version__
    yield torch.__version__
    if any(isinstance(part, FromTransformers) for part in encoder.modules()):
        yield version("transformers")
    yield str(next(encoder.parameters()).device)
    yield torch.backends.cpu.get_cpu_capability()
    yield str(torch.get_num_threads())


def _keep(vectors: Tensor, path: Path) -> None:
    """Write them in one step, then make room."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}.partial")
    try:
        save_file({_NAME: vectors.contiguous()}, partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    _make_room(path.parent)


def _make_room(folder: Path) -> None:
    """The latest used files stay, up to so many and so large; what a process that died began to write goes."""
    latest = sorted(folder.glob("*.safetensors"), key=lambda file: file.stat().st_mtime, reverse=True)
    size = 0
    for number, file in enumerate(latest):
        size += file.stat().st_size
        if number >= _MOST_FILES or size > _MOST_BYTES:
            file.unlink(missing_ok=True)
    for begun in folder.glob("*.partial"):
        if time.time() - begun.stat().st_mtime > _DAY:
            begun.unlink(missing_ok=True)
