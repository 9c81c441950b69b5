"""Hashes of files' contents, as the hub states them: SHA-256 for large files, git's own for small ones."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Any

from gliner_cli.checkpoint.files import files_of, weights_in

_DIGEST = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_BLOCK = 1 << 20


def sha256(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    return _digest(path, hashlib.sha256())


def fingerprint(folder: Path) -> dict[str, str]:
    """What tells one checkpoint from another: the SHA-256 of its weights, and its commit where it came from the hub."""
    weights = weights_in(files_of(folder))
    if weights is None:
        return {}
    known = cached_digest(folder / weights)
    digest = known if known and len(known) == 64 else sha256(folder / weights)
    commit = {"commit": folder.name} if folder.parent.name == "snapshots" else {}
    return {"sha256": digest, **commit}


def settings_digest(folder: Path) -> str:
    """One SHA-256 of what lies beside the weights and decides answers too: configuration and tokenizer."""
    found = (name for name in sorted(files_of(folder)) if name.endswith((".json", ".model", ".txt")))
    files = {name: sha256(folder / name) for name in found if "/" not in name}
    return hashlib.sha256(repr(files).encode()).hexdigest()


def is_digest(name: str) -> bool:
    """Whether a name can be the hash of a content: 64 digits are SHA-256, 40 are git's."""
    return _DIGEST.fullmatch(name) is not None


def digest_like(path: Path, stated: str) -> str:
    """The hash of a file's content, of the same kind as `stated`."""
    if len(stated) == 64:
        return sha256(path)
    # Git hashes a header with the length before the content.
    return _digest(path, hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False))


def _digest(path: Path, digest: Any) -> str:
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return str(digest.hexdigest())


def cached_digest(link: Path) -> str | None:
    """What a file of the Hugging Face cache is named after: the hash of its content; None where it tells none.

    Only the first link counts: behind it newer caches share contents under names of another kind.
    """
    name = Path(os.readlink(link)).name if link.is_symlink() else ""
    return name if is_digest(name) else None
