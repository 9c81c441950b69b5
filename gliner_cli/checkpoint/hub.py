"""`pull`: a checkpoint from the Hugging Face hub, at one exact commit, checked, with all that it leaves to others.

The published checkpoints mostly lack their backbone's tokenizer and configuration, which lie in repositories of their
own. Everything goes into the Hugging Face cache, where `located` finds it without network. Names, sizes and commits
that come from the hub are checked before they are used.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from gliner_cli.checkpoint.cache import (
    BACKBONE_FILES,
    LABELS,
    Gap,
    Located,
    cache,
    config_of,
    gaps,
    in_cache,
    is_repository,
    located,
    pin,
    reference,
    split_name,
)
from gliner_cli.checkpoint.catalog import suggestion
from gliner_cli.checkpoint.digests import digest_like
from gliner_cli.checkpoint.files import CONFIG_FILE, WEIGHT_FILES, read_json, weights_in
from gliner_cli.checkpoint.hub_errors import patiently, quiet_client, translated
from gliner_cli.checkpoint.tokenizer import FILES as TOKENIZER_FILES
from gliner_cli.checkpoint.tokenizer import has_tokenizer
from gliner_cli.errors import HubError
from gliner_cli.network.config import NetworkConfig, refuse_unsupported

__all__ = ["Located", "Pulled", "located", "pull"]

_ABOUT = ("README.md", "LICENSE", "LICENCE", "NOTICE")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_RESERVED = re.compile(r'[\\:*?"<>|]')  # means something to one system or another
_TIMEOUT = 30.0  # seconds of silence while the hub lists a repository


@dataclass(frozen=True)
class Fetching:
    """A file about to be fetched; `size` in bytes if the hub states it; `again` if the one that is here has changed."""

    repository: str
    file: str
    size: int | None
    again: bool
    blobs: Path

    def __str__(self) -> str:
        size = f" ({self.size / 1e6:,.1f} MB)" if self.size and self.size > 1e5 else ""
        return f"{self.repository}: {self.file}{size}{', as it has changed on this disk' if self.again else ''}"

    def arrived(self) -> int:
        """The bytes that have come so far. The client says so too, but in every version in another way."""
        try:
            coming = [path.stat() for path in self.blobs.glob("*.incomplete")]
        except OSError:  # it has just arrived
            return 0
        return max(coming, key=lambda stat: stat.st_mtime).st_size if coming else 0


Say = Callable[[Fetching], None]


@dataclass(frozen=True)
class Pulled:
    """What `pull` fetched: the place, what to call it from now on (`-m reference`), its kind and its licence.

    `files` are the bytes of each file, by the name it has in a self-contained folder; `sources` says which repository
    its sub-folders are from, as `owner/name@commit`.
    """

    place: Located
    reference: str
    kind: str
    licence: str | None
    files: dict[str, int]
    sources: dict[str, str]


def pull(name: str, revision: str | None = None, say: Say = lambda _: None) -> Pulled:
    """Fetch a checkpoint and all it needs into the Hugging Face cache, and check it.

    What we cannot run is refused before its weights are asked for. `say` is told of each file before it is fetched.
    """
    repository, revision = split_name(name, revision)
    with quiet_client():
        listing = _listing(repository, revision)
        config = _accepted(listing)
        files = _fetch(listing, _small_files(listing), say)
        sources = {}
        # The weights come last: they take the time, and everything else can still turn out not to be had.
        for gap in gaps(config, listing.folder):
            backbone, its_files = _filled(gap, listing, say)
            files |= {f"{gap.subfolder}/{file}": size for file, size in its_files.items()}
            sources[gap.subfolder] = f"{backbone.repository}@{backbone.commit}"
        files |= _fetch(listing, [_weights_of(listing)], say)
        # Noted when all is there: a name that worked without network works on if a newer commit cannot be had whole.
        listing.remember(revision or "main")
    place = in_cache(repository, listing.commit)
    assert place is not None  # noqa: S101
    return Pulled(place, reference(repository, revision), config.kind, listing.licence, files, sources)


@dataclass(frozen=True)
class _Stated:
    """What the hub says about a file; None where it does not."""

    size: int | None
    digest: str | None


@dataclass(frozen=True)
class _Listing:
    """What a repository holds at one commit."""

    repository: str
    commit: str
    licence: str | None
    files: dict[str, _Stated]

    @property
    def home(self) -> Path:
        return cache() / f"models--{self.repository.replace('/', '--')}"

    @property
    def folder(self) -> Path:
        return self.home / "snapshots" / self.commit

    def fetched(self, file: str, say: Say = lambda _: None) -> Path:
        """The file in the cache, fetched if it is not there, and checked."""
        path = self.folder / file
        was_here = path.is_file()
        if was_here and not self._differs(path, file):
            return path
        say(Fetching(self.repository, file, self.files[file].size, was_here, self.home / "blobs"))
        if was_here:
            _drop(path)
        path = self._downloaded(file)
        if self._differs(path, file):
            _drop(path)
            message = f"{file} of {self.repository} is not what the hub says it is; it was thrown away."
            raise HubError(
                message, f"Type the same again; if it stays so, check the proxy: {file} is changed on its way."
            )
        return path

    def _downloaded(self, file: str) -> Path:
        from huggingface_hub import hf_hub_download

        with translated(self.repository):
            return Path(patiently(lambda: hf_hub_download(self.repository, file, revision=self.commit)))

    def _differs(self, path: Path, file: str) -> bool:
        stated = self.files[file]
        if stated.size is not None and path.stat().st_size != stated.size:
            return True
        return stated.digest is not None and digest_like(path, stated.digest) != stated.digest

    def remember(self, ref: str) -> None:
        """Note in the cache that a branch, tag or name of our own is this commit, as the hub's own client does."""
        if ref == self.commit or not _is_harmless(ref):
            return
        path = self.home / "refs" / ref
        partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
        with translated(self.repository):
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text(self.commit)
            os.replace(partial, path)


def _drop(path: Path) -> None:
    """Remove a file of the cache and all that it links to: a newer cache has two links before the content."""
    while path.is_symlink():
        link, path = path, path.parent / os.readlink(path)
        link.unlink()
    path.unlink(missing_ok=True)


def _listing(repository: str, revision: str | None) -> _Listing:
    from huggingface_hub import HfApi

    asked = reference(repository, revision)
    with translated(asked):
        info = patiently(
            lambda: HfApi().model_info(repository, revision=revision, files_metadata=True, timeout=_TIMEOUT)
        )
    if not _COMMIT.fullmatch(info.sha or ""):
        raise HubError(f"The hub gives no commit for {asked}.", "Check HF_ENDPOINT.")
    files = {
        entry.rfilename: _Stated(entry.size, entry.lfs.sha256 if entry.lfs else entry.blob_id)
        for entry in info.siblings or []
        if _is_harmless(entry.rfilename)
    }
    licence = info.card_data.get("license") if info.card_data else None
    return _Listing(repository, str(info.sha), _one_line(licence), files)


def _one_line(text: object) -> str | None:
    """A text from the hub that is safe to print."""
    shown = "".join(c for c in str(text or "") if c.isprintable())
    return shown[:80] or None


def _is_harmless(file: str) -> bool:
    """Whether a name from the hub stays inside the folder it is written to, on every system, and prints as it is."""
    path = PurePosixPath(file)
    inside = bool(path.parts) and not path.is_absolute() and ".." not in path.parts
    return inside and file.isprintable() and not _RESERVED.search(file)


def _accepted(listing: _Listing) -> NetworkConfig:
    """The configuration, if it is one that we run; what it is, by name, if not."""
    if CONFIG_FILE in listing.files:
        listing.fetched(CONFIG_FILE)
        config = config_of(listing.folder)
        _weights_of(listing)
        return config
    if "config.json" in listing.files:
        refuse_unsupported(read_json(listing.fetched("config.json")))
    message = f"{listing.repository} is no GLiNER checkpoint: it has no {CONFIG_FILE}."
    raise HubError(message, suggestion(listing.repository))


def _weights_of(listing: _Listing) -> str:
    weights = weights_in(listing.files)
    if weights is None:
        looked = f"{', '.join(WEIGHT_FILES)} and *.pt"
        raise HubError(f"{listing.repository} has no weights; looked for {looked}.", "See `gliner models` for others.")
    return weights


def _small_files(listing: _Listing) -> list[str]:
    """The files of a checkpoint that we use or that say what it is, except its weights."""
    wanted = {CONFIG_FILE, *TOKENIZER_FILES, *(LABELS + name for name in TOKENIZER_FILES)}
    return [file for file in sorted(listing.files) if file in wanted or ("/" not in file and file.startswith(_ABOUT))]


def _fetch(listing: _Listing, files: Iterable[str], say: Say) -> dict[str, int]:
    """Fetch files of a repository; their sizes in bytes."""
    return {file: listing.fetched(file, say).stat().st_size for file in files}


def _filled(gap: Gap, owner: _Listing, say: Say) -> tuple[_Listing, dict[str, int]]:
    """Fetch what a checkpoint leaves to a backbone's repository, never its weights: the repository and the files."""
    if not is_repository(gap.repository):
        message = f"{owner.repository} leaves files to {gap.repository!r}, a place on its author's machine."
        raise HubError(message, "It cannot be completed. See `gliner models` for others.")
    try:
        backbone = _listing(gap.repository, None)
        files = _fetch(backbone, _wanted(gap, backbone), say)
        if gap.tokenizer and not has_tokenizer(backbone.folder):
            raise HubError("it has no tokenizer.")
        backbone.remember(pin(owner.repository, owner.commit))
        if not (backbone.home / "refs" / "main").exists():  # where it is, other tools may need it to stay
            backbone.remember("main")
    except HubError as error:
        message = f"{owner.repository} needs files of its backbone {gap.repository}: {error.message}"
        raise HubError(message, error.hint) from error
    return backbone, files


def _wanted(gap: Gap, backbone: _Listing) -> list[str]:
    if gap.config and "config.json" not in backbone.files:
        raise HubError("it has no config.json.")
    names = BACKBONE_FILES if gap.tokenizer else ("config.json",)
    return [name for name in names if name in backbone.files]
