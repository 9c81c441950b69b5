"""Whether a checkpoint on this machine is whole, and self-contained folders for machines without network.

A self-contained folder holds everything a checkpoint needs as real files, and a manifest with the SHA-256 of each.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from gliner_cli.checkpoint.cache import (
    BACKBONE_FILES,
    Located,
    cache,
    config_of,
    in_cache,
    missing,
    starter,
)
from gliner_cli.checkpoint.digests import cached_digest, digest_like, sha256
from gliner_cli.checkpoint.files import CONFIG_FILE, weights_in
from gliner_cli.checkpoint.hub import Pulled
from gliner_cli.checkpoint.tokenizer import FILES as TOKENIZER_FILES
from gliner_cli.errors import GlinerError, OutputError

MANIFEST = "gliner_manifest.json"
_UNKNOWN = "?"
_WEIGHTS = (".safetensors", ".bin", ".pt")


# --- Writing -------------------------------------------------------------------------------------------------------


def bundle(pulled: Pulled, target: Path) -> Path:
    """Write a folder that needs nothing else, whole or not at all. Raises OutputError if something is in the way."""
    target = target.resolve()
    _refuse_to_replace(target)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        _write(pulled, partial)
        _replace(target, partial)
    except OSError as error:
        raise OutputError(
            f"{target} cannot be written: {error.strerror}.", "Choose another folder: --to DIR"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def _refuse_to_replace(target: Path) -> None:
    """An older bundle is replaced; anything that somebody else put there is not."""
    if target == Path.cwd():
        raise OutputError("The folder we are in cannot be replaced.", "Choose a new folder: --to DIR")
    if not target.exists():
        return
    if not target.is_dir():
        raise OutputError(f"{target} is a file.", "Choose a new folder: --to DIR")
    ours = {MANIFEST, *_stated(target)} if (target / MANIFEST).is_file() else set()
    if strangers := sorted(_names(target) - ours):
        raise OutputError(f"{target} holds other files: {', '.join(strangers[:5])}.", "Choose a new folder: --to DIR")


def _write(pulled: Pulled, folder: Path) -> None:
    folder.mkdir(parents=True)
    for name in pulled.files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(pulled.place.path(name), folder / name)
    files = {name: {"size": (folder / name).stat().st_size, "sha256": sha256(folder / name)} for name in pulled.files}
    about = {
        "name": pulled.place.name,
        "commit": pulled.place.commit,
        "kind": pulled.kind,
        "licence": pulled.licence,
        "sources": pulled.sources,
        "files": files,
    }
    (folder / MANIFEST).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


def _replace(target: Path, partial: Path) -> None:
    old = partial.with_suffix(".old")
    if target.exists():
        os.replace(target, old)
    os.replace(partial, target)
    shutil.rmtree(old, ignore_errors=True)


# --- Checking ------------------------------------------------------------------------------------------------------


def problems(place: Located) -> Iterator[str]:
    """What is wrong with a checkpoint on this machine, a line each.

    A self-contained folder is compared with its manifest, a file of the Hugging Face cache with its name, which is the
    hash of its content. A folder that is neither can not be checked, which is a problem too.
    """
    if (place.folder / MANIFEST).is_file():
        yield from _against_manifest(place.folder)
    elif place.commit is None:
        yield f"unknown: it has no {MANIFEST} to compare with; `gliner pull NAME --to DIR` writes one"
    else:
        yield from _against_names(place)
    yield from _lacking(place)


def _against_manifest(folder: Path) -> Iterator[str]:
    stated = _stated(folder)
    if not stated:
        yield f"changed: {MANIFEST} is damaged"
        return
    for name, facts in stated.items():
        yield from _changed(folder / name, name, facts)
    # `load` takes the first weights and the first tokenizer that it finds: a file too many can replace the right one.
    for name in sorted(_names(folder) - stated.keys()):
        if name.endswith(_WEIGHTS) or PurePosixPath(name).name in TOKENIZER_FILES:
            yield f"unexpected: {name} is not in the manifest"


def _changed(path: Path, name: str, facts: dict[str, Any]) -> Iterator[str]:
    if not path.is_file():
        yield f"missing: {name}"
    elif path.stat().st_size != facts["size"]:
        yield f"changed: {name} has {path.stat().st_size:,} bytes, expected {facts['size']:,}"
    else:
        yield from _other_content(path, name, facts["sha256"])


def _stated(folder: Path) -> dict[str, dict[str, Any]]:
    """The files of a manifest with size and SHA-256; empty if it is damaged, or names a place outside its folder."""
    try:
        files = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
        return files if all(_is_fact(name, facts) for name, facts in files.items()) else {}
    except (ValueError, OSError, KeyError, TypeError, AttributeError):
        return {}


def _is_fact(name: str, facts: Any) -> bool:
    inside = not PurePosixPath(name).is_absolute() and ".." not in PurePosixPath(name).parts
    return inside and isinstance(facts["size"], int) and len(facts["sha256"]) == 64


def _names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir() or path.is_symlink()}


def _against_names(place: Located) -> Iterator[str]:
    """Every file of the checkpoint, and of its backbones' those that it uses: weights there are other tools'."""
    yield from _changed_links("", place.folder, sorted(_names(place.folder)))
    for label, home in (("backbone/", place.backbone), ("labels_backbone/", place.labels_backbone)):
        if home is not None:
            yield from _changed_links(label, home, [name for name in BACKBONE_FILES if os.path.lexists(home / name)])


def _changed_links(label: str, folder: Path, names: list[str]) -> Iterator[str]:
    for name in names:
        link = folder / name
        stated = cached_digest(link)
        if stated is None:
            yield f"unknown: {label}{name} is no link into the cache, so nothing states its hash"
        elif not link.is_file():
            yield f"missing: {label}{name}"
        else:
            yield from _other_content(link, label + name, stated)


def _other_content(path: Path, name: str, stated: str) -> Iterator[str]:
    try:
        if digest_like(path, stated) != stated:
            yield f"changed: {name} has another {'SHA-256' if len(stated) == 64 else 'content'}"
    except OSError as error:
        yield f"unreadable: {name} ({error.strerror})"


def _lacking(place: Located) -> Iterator[str]:
    if not (place.folder / CONFIG_FILE).is_file():
        yield f"missing: {CONFIG_FILE}"
        return
    try:
        yield from (f"missing: {part}" for part in missing(place))
    except GlinerError as error:
        yield f"unusable: {error.message}"


# --- Listing -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Local:
    """A checkpoint in the Hugging Face cache: what to type for it (`-m reference`), and whether it would run.

    `state` is "complete", or what is the matter. `size` is in bytes, without what its backbones' repositories hold.
    """

    reference: str
    commit: str
    kind: str
    licence: str | None
    size: int
    state: str


def built_in() -> Local:
    """The starter, which is installed with the package and has no name: it is what runs if none is given."""
    folder = starter().folder
    return Local("(built in)", "", config_of(folder).kind, licence_of(folder), size(folder), "complete")


def local_checkpoints() -> list[Local]:
    """The checkpoints in the Hugging Face cache, whole or not; without those refused before their weights came."""
    folders = [path.parent for path in sorted(cache().glob(f"models--*/snapshots/*/{CONFIG_FILE}"))]
    found = [(folder, _local(folder)) for folder in folders]
    return [local for folder, local in found if local.kind != _UNKNOWN or weights_in(os.listdir(folder))]


def _local(folder: Path) -> Local:
    home = folder.parents[1]
    name = home.name.removeprefix("models--").replace("--", "/", 1)
    kind, state = _kind_and_state(name, folder)
    return Local(_typed(name, folder.name, home), folder.name, kind, licence_of(folder), size(folder), state)


def _kind_and_state(name: str, folder: Path) -> tuple[str, str]:
    try:
        kind = config_of(folder).kind
        place = in_cache(name, folder.name)
    except GlinerError as error:
        return _UNKNOWN, error.message
    lacking = missing(place) if place else ["its repository"]
    return kind, f"missing: {', '.join(lacking)}" if lacking else "complete"


def _typed(name: str, commit: str, home: Path) -> str:
    """The shortest that names this commit: `owner/name` if it is `main`, else with a tag, else with the commit."""
    refs = home / "refs"
    names = [
        path.relative_to(refs).as_posix() for path in refs.rglob("*") if path.is_file() and path.read_text() == commit
    ]
    if "main" in names:
        return name
    return f"{name}@{min(names, default=commit)}"


def licence_of(folder: Path) -> str | None:
    """The licence that a checkpoint's card states at its head."""
    card = folder / "README.md"
    head = card.read_text(encoding="utf-8", errors="replace")[:4000] if card.is_file() else ""
    found = re.match(r"---\n(?:.*\n)*?license:\s*([\w.+-]+)", head)
    return found[1] if found else None


def size(folder: Path) -> int:
    """The bytes of all files below a folder, links followed."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
