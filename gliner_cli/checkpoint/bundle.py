"""Self-contained folders: everything a checkpoint needs, with the SHA-256 of each file; and whether one is whole."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from gliner_cli.checkpoint.hub import CONFIG_FILE, WEIGHT_FILES, Located, Pulled, sha256
from gliner_cli.checkpoint.tokenizer import FILES as TOKENIZER_FILES
from gliner_cli.errors import OutputError

MANIFEST = "gliner_manifest.json"


def bundle(pulled: Pulled, target: Path) -> Path:
    """Write a folder that needs nothing else, whole or not at all. Raises OutputError if something is in the way."""
    if target.exists() and any(target.iterdir()) and not (target / MANIFEST).is_file():
        raise OutputError(f"{target} is not empty and no bundle of ours.", "Choose a new folder: --to DIR")
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    place = pulled.place
    _copy(place.folder, partial)
    for folder, name in ((place.backbone, "backbone"), (place.labels_backbone, "labels_backbone")):
        if folder is not None:
            _copy(folder, partial / name, ("config.json", *TOKENIZER_FILES))
    files = {str(path.relative_to(partial)): _facts(path) for path in sorted(partial.rglob("*")) if path.is_file()}
    about = {"name": place.name, "commit": place.commit, "kind": pulled.kind, "licence": pulled.licence, "files": files}
    (partial / MANIFEST).write_text(json.dumps(about, indent=2), encoding="utf-8")
    shutil.rmtree(target, ignore_errors=True)
    os.replace(partial, target)
    return target


def _copy(source: Path, target: Path, names: tuple[str, ...] = ()) -> None:
    """The files of a folder as real files: in the cache they are links."""
    for path in sorted(source.rglob("*")):
        inside = path.relative_to(source)
        if path.is_file() and (not names or str(inside) in names):
            (target / inside).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path.resolve(), target / inside)


def _facts(path: Path) -> dict[str, int | str]:
    return {"size": path.stat().st_size, "sha256": sha256(path)}


def problems(place: Located) -> Iterator[str]:
    """What is wrong with a checkpoint on this machine, a line each: against its manifest, or the cache's own names."""
    if (place.folder / MANIFEST).is_file():
        yield from _against_manifest(place.folder)
    else:
        for path in sorted(place.folder.rglob("*")):
            if path.is_symlink():
                yield from _against_name(path)
    if not (place.folder / CONFIG_FILE).is_file():
        yield f"missing: {CONFIG_FILE}"
    if not any((place.folder / name).is_file() for name in WEIGHT_FILES) and not list(place.folder.glob("*.pt")):
        yield f"missing: weights ({' or '.join(WEIGHT_FILES)})"


def _against_manifest(folder: Path) -> Iterator[str]:
    for name, facts in json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"].items():
        path = folder / name
        if not path.is_file():
            yield f"missing: {name}"
        elif path.stat().st_size != facts["size"]:
            yield f"changed: {name} has {path.stat().st_size:,} bytes, expected {facts['size']:,}"
        elif sha256(path) != facts["sha256"]:
            yield f"changed: {name} has another SHA-256"


def _against_name(link: Path) -> Iterator[str]:
    """A file of the cache is named by its content: SHA-256 for large files, git's own hash for small ones."""
    blob = link.resolve()
    if not blob.is_file():
        yield f"missing: {link.name}"
        return
    if len(blob.name) == 64:
        found = sha256(blob)
    else:
        content = blob.read_bytes()
        found = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    if found != blob.name:
        yield f"changed: {link.name} is not what was fetched"


def local_checkpoints() -> list[Located]:
    """The checkpoints in the Hugging Face cache."""
    from huggingface_hub import constants

    found = []
    for path in sorted(Path(constants.HF_HUB_CACHE).glob(f"models--*/snapshots/*/{CONFIG_FILE}")):
        name = path.parents[2].name.removeprefix("models--").replace("--", "/", 1)
        found.append(Located(path.parent, None, None, name, path.parent.name))
    return found


def size(folder: Path) -> int:
    """The bytes of all files below a folder, links followed."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
