"""Names of checkpoints to folders: what is on this machine, and what is fetched from the Hugging Face hub.

`located` never uses the network. `pull` fetches a checkpoint at one exact commit, with all that it leaves to other
repositories (the published checkpoints mostly lack their backbone's tokenizer and configuration), into the Hugging
Face cache. Every error of the hub and of the disk is translated here.
"""

from __future__ import annotations

import errno
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from gliner_cli.checkpoint.catalog import suggestion
from gliner_cli.checkpoint.tokenizer import FILES as TOKENIZER_FILES
from gliner_cli.errors import CheckpointError, HubError
from gliner_cli.network.config import NetworkConfig, refuse_unsupported

CONFIG_FILE = "gliner_config.json"
WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")
_ABOUT = ("README.md", "LICENSE", "LICENSE.md", "LICENSE.txt", "NOTICE")
_ENOUGH_TOKENIZER = {"tokenizer.json", "tokenizer_config.json"}
_TRIES, _PAUSE = 4, 1.0  # seconds before the second try, doubled for each further one


@dataclass(frozen=True)
class Located:
    """Where a checkpoint lies, and where what it leaves to its backbones' repositories lies."""

    folder: Path
    backbone: Path | None
    labels_backbone: Path | None
    name: str
    commit: str | None


@dataclass(frozen=True)
class Pulled:
    """What `pull` fetched: the place, the kind, the licence, and each file with its size in bytes."""

    place: Located
    kind: str
    licence: str | None
    files: dict[str, int]


def located(name: str, revision: str | None = None) -> Located:
    """A checkpoint on this machine: a folder, or `owner/name[@revision]` that was pulled before.

    Raises CheckpointError or HubError, whose hint is what to type.
    """
    folder = Path(name)
    if folder.is_dir():
        return Located(folder, _sub(folder, "backbone"), _sub(folder, "labels_backbone"), name, None)
    if folder.exists():
        raise CheckpointError(f"{name} is a file; a checkpoint is a folder.", f"Give its folder: -m {folder.parent}")
    repository, revision = split_name(name, revision)
    own = _cached(repository, revision)
    if own is None:
        asked = repository + (f"@{revision}" if revision else "")
        raise HubError(f"{asked} is not on this machine.", f"Fetch it once: gliner pull {asked}")
    config = NetworkConfig.from_dict(_read_json(own / CONFIG_FILE))
    labels = _cached(config.labels_backbone_name) if config.labels_backbone_name else None
    return Located(own, _cached(config.backbone_name), labels, repository, own.name)


def split_name(name: str, revision: str | None) -> tuple[str, str | None]:
    """`owner/name@revision` and `--revision` to the repository and the revision."""
    repository, _, inline = name.partition("@")
    if inline and revision and inline != revision:
        raise CheckpointError(f"Two revisions were given, {inline} and {revision}.", "Leave one of them out.")
    if repository.count("/") != 1 or repository.startswith((".", "/", "~")) or repository.endswith("/"):
        raise CheckpointError(f"{name} is neither a folder nor a hub id like owner/name.", suggestion(repository))
    return repository, inline or revision


def _sub(folder: Path, name: str) -> Path | None:
    return folder / name if (folder / name).is_dir() else None


def _cached(repository: str, revision: str | None = None) -> Path | None:
    """The snapshot of a repository in the Hugging Face cache, if it holds a configuration."""
    from huggingface_hub import try_to_load_from_cache

    if repository.count("/") > 1 or Path(repository).is_absolute():
        return None  # a path from somebody's training machine
    for name in (CONFIG_FILE, "config.json", "tokenizer_config.json"):
        found = try_to_load_from_cache(repository, name, revision=revision)
        if isinstance(found, str):
            return Path(found).parent
    return None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise CheckpointError(f"{path} is not valid JSON: {error}.", "Fetch it again: gliner pull NAME") from error
    return content if isinstance(content, dict) else {}


# --- Fetching ------------------------------------------------------------------------------------------------------


def pull(name: str, revision: str | None = None, say: Callable[[str], None] = lambda _: None) -> Pulled:
    """Fetch a checkpoint and all it needs into the Hugging Face cache, and check it.

    What we cannot run is refused before its weights are asked for. `say` is told what is being fetched.
    """
    repository, revision = split_name(name, revision)
    listing = _listing(repository, revision)
    if CONFIG_FILE not in listing.files:
        _refuse_by_config(listing)
        raise HubError(f"{repository} is no GLiNER checkpoint: it has no {CONFIG_FILE}.", suggestion(repository))
    config = NetworkConfig.from_dict(_read_json(listing.fetched(CONFIG_FILE)))
    wanted = [_weights_of(listing), *_present(listing, (*TOKENIZER_FILES, *_ABOUT))]
    wanted += sorted(file for file in listing.files if file.startswith("labels_tokenizer/"))
    sizes = {CONFIG_FILE: listing.files[CONFIG_FILE][0]}
    for file in wanted:
        say(f"{repository}: {file} ({(listing.files[file][0] or 0) / 1e6:,.1f} MB)")
        listing.fetched(file)
        sizes[file] = listing.files[file][0]
    for home, needs_config, needs_tokenizer in _left_to_others(config, listing):
        sizes |= _fetch_backbone(home, needs_config, needs_tokenizer, say)
    return Pulled(located(repository, listing.commit), config.kind, listing.licence, sizes)


@dataclass(frozen=True)
class _Listing:
    """What a repository holds at one commit: for each file its size, and its SHA-256 where the hub states it."""

    repository: str
    commit: str
    licence: str | None
    files: dict[str, tuple[int, str | None]]

    def fetched(self, file: str) -> Path:
        """The file in the cache, fetched if it is not there, and checked."""
        from huggingface_hub import hf_hub_download

        with _translated(self.repository):
            path = Path(_patiently(lambda: hf_hub_download(self.repository, file, revision=self.commit)))
        size, digest = self.files[file]
        if path.stat().st_size != size or (digest and sha256(path) != digest):
            path.resolve().unlink()
            path.unlink(missing_ok=True)
            raise HubError(
                f"{file} of {self.repository} is not what the hub says it is.", "Fetch it again: gliner pull NAME"
            )
        return path


def _listing(repository: str, revision: str | None) -> _Listing:
    from huggingface_hub import HfApi

    with _translated(repository):
        info = _patiently(lambda: HfApi().model_info(repository, revision=revision, files_metadata=True))
    files = {
        entry.rfilename: (entry.size or 0, entry.lfs.sha256 if entry.lfs else None)
        for entry in info.siblings or []
        if _harmless(entry.rfilename)
    }
    licence = (info.card_data or {}).get("license") if info.card_data else None
    listing = _Listing(repository, str(info.sha), licence, files)
    _remember(listing, revision)
    return listing


def _remember(listing: _Listing, revision: str | None) -> None:
    """Note in the cache which commit a branch is, as the hub's own client does: later, offline, names resolve."""
    from huggingface_hub import constants

    folder = Path(constants.HF_HUB_CACHE) / ("models--" + listing.repository.replace("/", "--")) / "refs"
    for name in {revision or "main"} - {listing.commit}:
        path = folder / PurePosixPath(name)
        if _harmless(name):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(listing.commit)


def _harmless(file: str) -> bool:
    """Whether a name from the hub stays inside the folder it is written to."""
    path = PurePosixPath(file)
    return not path.is_absolute() and ".." not in path.parts and "\\" not in file


def _present(listing: _Listing, names: tuple[str, ...]) -> list[str]:
    return [name for name in names if name in listing.files]


def _weights_of(listing: _Listing) -> str:
    old = sorted(name for name in listing.files if name.endswith(".pt") and "/" not in name)
    for name in (*WEIGHT_FILES, *old):
        if name in listing.files:
            return name
    raise HubError(f"{listing.repository} has no weights; looked for {', '.join(WEIGHT_FILES)} and *.pt.", "")


def _refuse_by_config(listing: _Listing) -> None:
    if "config.json" in listing.files:
        refuse_unsupported(_read_json(listing.fetched("config.json")))


def _left_to_others(config: NetworkConfig, listing: _Listing) -> Iterator[tuple[str, bool, bool]]:
    """The backbones' repositories that are needed too: whether for a configuration, whether for a tokenizer."""
    lacks_tokenizer = not _ENOUGH_TOKENIZER & listing.files.keys()
    if config.backbone is None or lacks_tokenizer:
        yield config.backbone_name, config.backbone is None, lacks_tokenizer
    if config.labels_backbone_name:
        lacks_tokenizer = not any(file.startswith("labels_tokenizer/") for file in listing.files)
        if config.labels_backbone is None or lacks_tokenizer:
            yield config.labels_backbone_name, config.labels_backbone is None, lacks_tokenizer


def _fetch_backbone(name: str, config: bool, tokenizer: bool, say: Callable[[str], None]) -> dict[str, int]:
    listing = _listing(name, None)
    wanted = ["config.json"] if config or "config.json" in listing.files else []
    wanted += _present(listing, TOKENIZER_FILES) if tokenizer else []
    for file in wanted:
        say(f"{name}: {file}")
        listing.fetched(file)
    return {f"{name}: {file}": listing.files[file][0] for file in wanted}


def _patiently(call: Callable[[], Any]) -> Any:
    """The result of a call to the hub, tried again where that can help: it is busy, or the connection was cut."""
    from httpx import TransportError
    from huggingface_hub.errors import HfHubHTTPError

    for attempt in range(_TRIES):
        try:
            return call()
        except HfHubHTTPError as error:
            if error.response.status_code not in (408, 429, 500, 502, 503, 504) or attempt == _TRIES - 1:
                raise
        except TransportError:
            if attempt == _TRIES - 1:
                raise
        time.sleep(_PAUSE * 2**attempt)
    raise AssertionError


_RETRY = "Check the connection; what was fetched is kept, the next try goes on from there."


def _meanings(repository: str) -> list[tuple[str, str, str]]:
    """Foreign errors by the name of their class, what they mean, and what to do; the more specific come first."""
    return [
        ("GatedRepoError", f"{repository} is gated: its authors want to know who uses it.",
         f"Accept its terms at https://huggingface.co/{repository}, then: hf auth login"),
        ("RevisionNotFoundError", f"{repository} has no such revision.", "Leave it out for the newest."),
        ("RepositoryNotFoundError", f"The hub knows no {repository}, or it is private.", suggestion(repository)),
        ("OfflineModeIsEnabled", "The network is switched off.",
         "Unset HF_HUB_OFFLINE; or copy a folder made elsewhere with: gliner pull NAME --to DIR"),
        ("LocalEntryNotFoundError", "The hub cannot be reached.", _RETRY),
        ("EntryNotFoundError", f"{repository} lacks a file that it lists.", "Try again, or another revision."),
        ("HfHubHTTPError", f"The hub refused or failed to send {repository}", "Try again later."),
        ("HTTPError", "The hub does not answer.", _RETRY),
        ("OSError", f"{repository} could not be fetched", _RETRY),
    ]  # fmt: skip


@contextmanager
def _translated(repository: str) -> Iterator[None]:
    """Errors of the hub, of the network and of the disk as ours."""
    from httpx import HTTPError

    try:
        yield
    except (HTTPError, OSError) as error:
        raise _translation(error, repository) from error


def _translation(error: Exception, repository: str) -> HubError:
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return HubError("The disk is full.", "Make room, or set HF_HOME to another disk.")
    ancestors = {kind.__name__ for kind in type(error).__mro__}
    message, hint = next((message, hint) for name, message, hint in _meanings(repository) if name in ancestors)
    status = getattr(getattr(error, "response", None), "status_code", None)
    return HubError(message if message.endswith(".") else f"{message} ({status or type(error).__name__}).", hint)


def sha256(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else _sha256(file)


def _sha256(file: Any) -> str:
    digest = hashlib.sha256()  # Python 3.10 has no file_digest
    for block in iter(lambda: file.read(1 << 20), b""):
        digest.update(block)
    return digest.hexdigest()
