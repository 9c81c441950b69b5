"""What of the hub is on this machine: names of checkpoints to folders, without the network.

A checkpoint is a folder of its own, or lies in the Hugging Face cache, with what it leaves to its backbones'
repositories beside it.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from gliner_cli.checkpoint.catalog import suggestion, suggestion_for
from gliner_cli.checkpoint.files import CONFIG_FILE, files_of, read_json, weights_in
from gliner_cli.checkpoint.tokenizer import FILES as TOKENIZER_FILES
from gliner_cli.checkpoint.tokenizer import has_tokenizer
from gliner_cli.errors import CheckpointError, HubError
from gliner_cli.network.config import NetworkConfig

BACKBONE_FILES = ("config.json", *TOKENIZER_FILES)
LABELS = "labels_tokenizer/"
_REPOSITORY = re.compile(r"(\b[\w.-]+\b/)?\b[\w.-]{1,96}\b", re.ASCII)


@dataclass(frozen=True)
class Located:
    """Where a checkpoint lies, and where what it leaves to its backbones' repositories lies."""

    folder: Path
    backbone: Path | None
    labels_backbone: Path | None
    name: str
    commit: str | None

    def path(self, file: str) -> Path:
        """Where a file lies that a self-contained folder has as `file`: `model.safetensors`, `backbone/vocab.txt`."""
        top, _, rest = file.partition("/")
        home = {"backbone": self.backbone, "labels_backbone": self.labels_backbone}.get(top)
        return home / rest if home and rest else self.folder / file


def starter() -> Located:
    """The small checkpoint that is installed with the package."""
    return Located(Path(__file__).parent / "starter", None, None, "starter", None)


def located(name: str, revision: str | None = None) -> Located:
    """A checkpoint on this machine: a folder, or `owner/name[@revision]` that was pulled before.

    Raises CheckpointError or HubError, whose hint is what to type.
    """
    folder = Path(name)
    if folder.is_dir():
        if revision:
            raise CheckpointError(f"{name} is a folder; it has no revision {revision}.", "Leave --revision out.")
        return Located(folder, _sub(folder, "backbone"), _sub(folder, "labels_backbone"), name, None)
    if folder.exists():
        raise CheckpointError(f"{name} is a file; a checkpoint is a folder.", f"Give its folder: -m {folder.parent}")
    if not _is_hub_id(name.partition("@")[0]):
        message = f"There is no folder {name}, and it is no hub id like owner/name."
        raise CheckpointError(message, suggestion(name))
    repository, revision = split_name(name, revision)
    asked = reference(repository, revision)
    place = in_cache(repository, revision)
    if place is None:
        hint = f"{suggestion_for(repository)}Fetch it once: gliner pull {asked}"
        raise HubError(f"{asked} is not on this machine, as a folder or pulled.", hint)
    if lacking := missing(place):
        message = f"{asked} is on this machine only in part; missing: {', '.join(lacking)}."
        raise HubError(message, f"Fetch the rest: gliner pull {asked}")
    return place


def backbone_folder(name: str, revision: str | None = None) -> Path:
    """A bare encoder on this machine: a folder, or a repository of the hub that some tool has fetched before.

    Raises HubError, whose hint is what to type.
    """
    if os.path.isdir(name):
        return Path(name)
    repository, revision = split_name(name, revision)
    folder = _snapshot(repository, revision or "main", ("config.json",))
    if folder is None:
        at = f" --revision {revision}" if revision else ""
        raise HubError(f"The backbone {name} is not on this machine.", f"Fetch it once: hf download {repository}{at}")
    return folder


def split_name(name: str, revision: str | None) -> tuple[str, str | None]:
    """`owner/name@revision` and `--revision` to the repository and the revision."""
    repository, _, inline = name.partition("@")
    if inline and revision and inline != revision:
        raise CheckpointError(f"Two revisions were given, {inline} and {revision}.", "Leave one of them out.")
    if not _is_hub_id(repository):
        raise CheckpointError(f"{name} is no hub id like owner/name.", suggestion(repository))
    return repository, inline or revision


def _is_hub_id(name: str) -> bool:
    return "/" in name and is_repository(name)


def reference(repository: str, revision: str | None) -> str:
    """What to type for a repository at a revision."""
    return f"{repository}@{revision}" if revision else repository


def in_cache(repository: str, revision: str | None = None) -> Located | None:
    """A checkpoint in the Hugging Face cache, whole or not; None if it is not there."""
    folder = _snapshot(repository, revision or "main", (CONFIG_FILE,))
    if folder is None:
        return None
    config = config_of(folder)
    ref = pin(repository, folder.name)
    backbone = _backbone_snapshot(config.backbone_name, ref)
    return Located(folder, backbone, _backbone_snapshot(config.labels_backbone_name, ref), repository, folder.name)


def missing(place: Located) -> list[str]:
    """What a checkpoint on this machine lacks to run, in words."""
    config = config_of(place.folder)
    lacking = [] if weights_in(files_of(place.folder)) else ["its weights"]
    for gap in gaps(config, place.folder):
        home = place.backbone if gap.subfolder == "backbone" else place.labels_backbone
        if gap.tokenizer and not (home and has_tokenizer(home)):
            lacking.append(f"the tokenizer of {gap.repository}")
        if gap.config and not (home and (home / "config.json").is_file()):
            lacking.append(f"the configuration of {gap.repository}")
    return lacking


def config_of(folder: Path) -> NetworkConfig:
    """The network configuration in a folder of the cache. Raises CheckpointError, UnsupportedError."""
    return NetworkConfig.from_dict(read_json(folder / CONFIG_FILE))


def cache() -> Path:
    """The Hugging Face cache."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def user_cache() -> Path:
    """Where our own files lie that can be made or fetched again: `gliner` in the user's cache (XDG_CACHE_HOME)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gliner"


def _sub(folder: Path, name: str) -> Path | None:
    return folder / name if (folder / name).is_dir() else None


def is_repository(name: object) -> bool:
    """Whether a name can be a repository's, by the hub's rules. Checkpoints also name places on somebody's disk."""
    return isinstance(name, str) and _REPOSITORY.fullmatch(name) is not None and not re.search(r"--|\.\.|\.git$", name)


def _snapshot(repository: str, revision: str, files: tuple[str, ...]) -> Path | None:
    """The folder of the cache that holds a repository at a revision, if any of these files is in it."""
    from huggingface_hub import try_to_load_from_cache

    for name in files:
        found = try_to_load_from_cache(repository, name, revision=revision)
        if isinstance(found, str):
            return Path(found).parent
    return None


def _backbone_snapshot(repository: str | None, ref: str) -> Path | None:
    """A backbone's files: those fetched with the checkpoint, or what another tool left there as its newest."""
    if repository is None or not is_repository(repository):
        return None
    return _snapshot(repository, ref, BACKBONE_FILES) or _snapshot(repository, "main", BACKBONE_FILES)


def pin(repository: str, commit: str) -> str:
    """The ref under which the cache notes with which commit of its backbone's repository a checkpoint was pulled.

    A ref of our own: `main` moves when other tools, or other checkpoints, fetch other files of a newer commit.
    """
    return f"gliner/{repository.replace('/', '--')}/{commit}"


@dataclass(frozen=True)
class Gap:
    """What a checkpoint leaves to a backbone's repository; in a self-contained folder it lies in `subfolder`."""

    repository: str
    subfolder: str
    config: bool
    tokenizer: bool


def gaps(config: NetworkConfig, folder: Path) -> list[Gap]:
    """What has to come from elsewhere, by the configuration and the tokenizer files of the checkpoint's own folder."""
    found = [Gap(config.backbone_name, "backbone", config.backbone is None, not has_tokenizer(folder))]
    if config.labels == "encoder":
        lacks_tokenizer = not has_tokenizer(folder / LABELS)
        name = str(config.labels_backbone_name)
        found.append(Gap(name, "labels_backbone", config.labels_backbone is None, lacks_tokenizer))
    return [gap for gap in found if gap.config or gap.tokenizer]
