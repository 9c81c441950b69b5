"""Weight files to tensors, and published weight names to ours and back.

Files: safetensors, or PyTorch's own format read with `weights_only=True` — nothing that a file says is ever run. The
table of names is read left to right to load and right to left to save; inside a backbone names are the same.
"""

from __future__ import annotations

import argparse
import pickle
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from gliner_cli.checkpoint.files import WEIGHT_FILES, files_of, weights_in
from gliner_cli.errors import CheckpointError
from gliner_cli.network.encoder import FromTransformers
from gliner_cli.network.gliner import Gliner
from gliner_cli.network.prepacked import refuse_emptied

#            published                                 ours
NAMES = (
    ("token_rep_layer.bert_layer.model.", "encoder.backbone."),
    ("token_rep_layer.bert_layer.layers_fuser.", "encoder.fuser."),
    ("token_rep_layer.projection.", "encoder.projection."),
    ("token_rep_layer.labels_encoder.model.", "labels.encoder.text.backbone."),
    ("token_rep_layer.labels_encoder.layers_fuser.", "labels.encoder.text.fuser."),
    ("token_rep_layer.labels_projection.", "labels.encoder.text.projection."),
    ("rnn.lstm.", "lstm."),
    ("span_rep_layer.span_rep_layer.", "head.spans."),
    ("prompt_rep_layer.", "head.label_projection."),
    ("scorer.", "head."),
)
# In published files, needed by nobody: position numbers that were once saved, poolers that GLiNER does not use.
_UNUSED = re.compile(
    r"\.(bert_layer|labels_encoder)\.model\.(embeddings\.position_ids$|embeddings\.token_type_ids$|pooler\.)"
)
_COMPILED = "_orig_mod."
_WORDS = "encoder.backbone.embeddings.word_embeddings.weight"  # ours; our own encoders read it in any type


def weight_file(folder: Path) -> Path:
    """The file of a folder that holds the weights. Raises CheckpointError if there is none."""
    name = weights_in(files_of(folder))
    if name is None:
        looked = ", ".join((*WEIGHT_FILES, "*.pt"))
        raise CheckpointError(f"{folder} has no weights; looked for {looked}.", "Fetch it again: gliner pull NAME")
    return folder / name


def read_weights(path: Path) -> dict[str, Tensor]:
    """Tensors by published name, mapped from the file where the format allows it.

    Raises CheckpointError for a file that is damaged or that holds anything but tensors.
    """
    tensors = _safetensors(path) if path.suffix == ".safetensors" else _pickled(path)
    return {name.replace(_COMPILED, ""): tensor for name, tensor in tensors.items()}


def _safetensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            aliases = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise _damaged(path, error) from error
    # Tensors shared under two names are stored once; the file's metadata says {the other name: the stored one}.
    return tensors | {name: tensors[stored] for name, stored in aliases.items() if stored in tensors}


def _pickled(path: Path) -> dict[str, Tensor]:
    try:
        # v0 files hold their settings as a Namespace, which is inert. What torch warns of fails below, or is nothing.
        with torch.serialization.safe_globals([argparse.Namespace]), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content: Any = torch.load(path, map_location="cpu", weights_only=True, mmap=_is_zip(path))
    except pickle.UnpicklingError as error:
        message = f"{path} holds more than tensors and was not loaded: {str(error).splitlines()[0]}"
        raise CheckpointError(message, "Ask its author for a model.safetensors file.") from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise _damaged(path, error) from error
    content = content.get("model_weights", content) if isinstance(content, Mapping) else content
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise CheckpointError(f"{path} does not hold a table of tensors, as a weight file does.")
    return dict(content)


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def _damaged(path: Path, error: Exception) -> CheckpointError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return CheckpointError(
        f"The weight file {path} ({path.stat().st_size:,} bytes) is damaged: {reason}.",
        "It was perhaps cut off; fetch it again: gliner pull NAME",
    )


def to_ours(published: str) -> str:
    """Our name of a published weight; a name that is not in the table stays as it is."""
    return _renamed(published, NAMES)


def to_published(ours: str) -> str:
    """The published name of one of our weights."""
    return _renamed(ours, tuple((mine, theirs) for theirs, mine in NAMES))


def _renamed(name: str, table: Iterable[tuple[str, str]]) -> str:
    for before, after in table:
        if name.startswith(before):
            return after + name.removeprefix(before)
    return name


class Unfilled(TorchFunctionMode):
    """Networks built within begin with no random weights, for those that are read instead.

    (On "meta", where nothing is filled, torch loads its compiler to do so: a second at every start.)
    """

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if getattr(function, "__module__", None) == nn.init.__name__:
            return args[0] if args else (kwargs or {})["tensor"]
        return function(*args, **(kwargs or {}))


def fill(network: Gliner, tensors: Mapping[str, Tensor], lean: bool = False) -> None:
    """Put published tensors into a network, strictly, as float32; what is stored so is used where it lies.

    `lean`: the table of words, the largest of all and looked up only, keeps the 16 bits it is stored in.

    Raises CheckpointError that lists, by published name, what is missing, unexpected or of another shape.
    """
    given = {to_ours(name): tensor for name, tensor in tensors.items() if not _UNUSED.search(name)}
    expected = network.state_dict()
    _share_tied(given, expected)
    problems = [*_missing(expected, given), *_unexpected(expected, given), *_misshapen(expected, given)]
    if problems:
        raise CheckpointError(
            "The weights do not fit the network that gliner_config.json describes:\n  " + "\n  ".join(problems),
            "The checkpoint is damaged, incomplete, or of a kind we do not know.",
        )
    small = _WORDS if lean and not isinstance(network.encoder.backbone, FromTransformers) else None
    ready = {name: _ready(tensor, name == small) for name, tensor in given.items()}
    network.load_state_dict(ready, strict=True, assign=True)


def _ready(tensor: Tensor, small: bool) -> Tensor:
    if small and tensor.itemsize == 2:
        return tensor.clone()  # a view would keep all of the file in memory
    return tensor.float() if tensor.is_floating_point() else tensor


def _share_tied(given: dict[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Give a tensor that the network holds under two names (T5's embeddings) to both, if the file has but one."""
    holders: dict[int, list[str]] = {}
    for name, tensor in expected.items():
        holders.setdefault(id(tensor) if tensor.is_meta else tensor.data_ptr(), []).append(name)
    for names in holders.values():
        stored = next((name for name in names if name in given), None)
        if stored and len(names) > 1:
            given.update({name: given[stored] for name in names if name not in given})


_SHOWN = 20


def _missing(expected: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[str]:
    return _listed("missing", [to_published(name) for name in expected if name not in given])


def _unexpected(expected: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[str]:
    return _listed("unexpected", [to_published(name) for name in given if name not in expected])


def _misshapen(expected: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[str]:
    differing = [name for name in expected if name in given and given[name].shape != expected[name].shape]
    shapes = (f"{to_published(n)} is {list(given[n].shape)}, expected {list(expected[n].shape)}" for n in differing)
    return _listed("wrong shape", list(shapes))


def _listed(what: str, names: list[str]) -> list[str]:
    more = [f"… and {len(names) - _SHOWN} more {what}"] if len(names) > _SHOWN else []
    return [f"{what}: {name}" for name in names[:_SHOWN]] + more


def published_weights(network: nn.Module) -> dict[str, Tensor]:
    """A network's tensors under their published names, each stored once, ready to be written."""
    refuse_emptied(network)
    unique = {tensor.data_ptr(): name for name, tensor in reversed(network.state_dict().items())}
    kept = set(unique.values())
    return {
        to_published(name): tensor.detach().contiguous().clone()
        for name, tensor in network.state_dict().items()
        if name in kept
    }
