"""Whether this installation can work, and on what: findings, each with what to type next. Never uses the network."""

from __future__ import annotations

import locale
import os
import platform
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, Literal

from gliner_cli._version import __version__
from gliner_cli.errors import GlinerError
from gliner_cli.evaluation import machine, selftest

State = Literal["fine", "look", "broken"]
PACKAGE = "gliner-cli"
_HUB = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HOME", "HF_HUB_CACHE", "HF_ENDPOINT")
_PRIVATE = ("HF_TOKEN", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")  # may hold what nobody should see
_MEASURED = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_bf16", "bf16")
_ROOM = 2 << 30  # bytes that a large checkpoint takes
_REINSTALL = f"pip install --force-reinstall {PACKAGE}"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `broken` ends with exit code 1; `look` is worth a look; `hint`: what to type."""

    about: str
    name: str
    said: str
    state: State = "fine"
    hint: str = ""


def findings() -> Iterator[Finding]:
    """All of them, in the order in which people want to know, each as soon as it is known."""
    yield from _environment()
    able = True
    for finding in _loaded():
        able = able and finding.state != "broken"
        yield finding
    yield from _extras()
    if able:
        yield from _devices(machine.card("gliner doctor"))
    yield from _offline()
    yield from _terminal()
    if able:
        yield from _checkpoints()
        yield _self_test()


# --- Packages ------------------------------------------------------------------------------------------------------


def _environment() -> Iterator[Finding]:
    yield Finding("environment", "gliner", f"{__version__} in {Path(__file__).parents[1]}")
    yield Finding("environment", "python", f"{sys.version.split()[0]}, {sys.executable}")
    yield Finding("environment", "system", platform.platform())
    for name, extra in _required():
        if not extra:
            version = _installed(name)
            state: State = "fine" if version else "broken"
            yield Finding("environment", name, version or "missing", state, "" if version else _REINSTALL)


def _extras() -> Iterator[Finding]:
    """Extras as they are declared, each complete or with the line that makes it so."""
    wanted: dict[str, list[str]] = {}
    for name, extra in _required():
        if extra and extra != "dev":
            wanted.setdefault(extra, []).append(name)
    for extra, names in sorted(wanted.items()):
        lacking = [name for name in names if _installed(name) is None]
        said = (
            f"missing: {', '.join(lacking)}" if lacking else ", ".join(f"{name} {_installed(name)}" for name in names)
        )
        yield Finding("extras", extra, said, hint=f"pip install '{PACKAGE}[{extra}]'" if lacking else "")


def _required() -> Iterator[tuple[str, str]]:
    """What the package says it requires: (name, extra or nothing), without what other systems or Pythons need."""
    try:
        requirements = metadata.requires(PACKAGE) or []
    except metadata.PackageNotFoundError:  # run from a folder that was never installed
        return
    for requirement in requirements:
        name = re.match(r"[\w.-]+", requirement)
        extra = re.search(r"extra\s*==\s*[\"']([\w-]+)", requirement)
        if name and ("python_version" not in requirement or extra):
            yield name[0], extra[1] if extra else ""


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _loaded() -> Iterator[Finding]:
    """Whether the packages with compiled parts load at all: what is broken there no version tells."""
    for name in ("torch", "tokenizers", "safetensors"):
        try:
            import_module(name)
        except (ImportError, OSError) as error:
            hint = f"pip install --force-reinstall {name}"
            yield Finding("environment", f"{name} loads", f"no: {error}".splitlines()[0], "broken", hint)


# --- Devices -------------------------------------------------------------------------------------------------------


def _devices(card: dict[str, Any]) -> Iterator[Finding]:
    import torch

    allowed = card["cores_allowed"]
    yield Finding("devices", "processor", card["processor"])
    yield Finding("devices", "cores", f"{card['cores']}, {allowed} allowed here; torch uses {card['threads']} threads")
    yield Finding("devices", "instructions", ", ".join(_instructions(card["flags"])))
    if card["memory"]:
        yield Finding("devices", "memory", f"{card['memory'] / 1e9:.1f} GB")
    yield _busy(card["load_before"], allowed)
    gpu = card["gpu"]
    cuda = f"{gpu['name']}, {gpu['memory'] / 1e9:.1f} GB" if gpu else f"none (torch {torch.__version__})"
    yield Finding("devices", "cuda", cuda)
    yield Finding("devices", "mps", "there" if torch.backends.mps.is_available() else "none")


def _instructions(flags: list[str]) -> list[str]:
    """Each of those that make a difference, there or not: what is missing explains a speed as well."""
    return [f"{name} {'yes' if name in flags else 'no'}" for name in _MEASURED]


def _busy(load: float | None, cores: int) -> Finding:
    if load is None:
        return Finding("devices", "load", "not known")
    if load <= cores:
        return Finding("devices", "load", f"{load}")
    return Finding("devices", "load", f"{load} on {cores} cores: other programs slow this one", "look", "top")


# --- Checkpoints ---------------------------------------------------------------------------------------------------


def _checkpoints() -> Iterator[Finding]:
    from gliner_cli.checkpoint import bundle
    from gliner_cli.checkpoint.cache import cache

    folder = cache()
    yield _cache(folder)
    yield from (_checkpoint(local) for local in (bundle.built_in(), *bundle.local_checkpoints()))
    if name := os.environ.get("GLINER_MODEL"):
        yield _chosen(name)


def _cache(folder: Path) -> Finding:
    """The cache's folder; of one that is not there yet, whether it can be made."""
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(there).free
    said = f"{folder}, {free / 1e9:.1f} GB free"
    if not os.access(there, os.W_OK):
        return Finding("checkpoints", "cache", f"{said}; not writable", "look", "export HF_HOME=FOLDER")
    if free < _ROOM:
        return Finding("checkpoints", "cache", f"{said}; large checkpoints need more", "look", "export HF_HOME=FOLDER")
    return Finding("checkpoints", "cache", said)


def _checkpoint(local: Any) -> Finding:
    whole = local.state == "complete"
    said = f"{local.kind}, {local.size / 1e6:,.0f} MB" + ("" if whole else f"; {local.state}")
    hint = f"gliner pull {local.reference}" if local.state.startswith("missing") else ""
    return Finding("checkpoints", local.reference, said, "fine" if whole else "look", hint)


def _chosen(name: str) -> Finding:
    """What `GLINER_MODEL` names is what every command uses: if it is not there, none works."""
    from gliner_cli.checkpoint.cache import located

    try:
        return Finding("checkpoints", "GLINER_MODEL", f"{name}, in {located(name).folder}")
    except GlinerError as error:
        return Finding("checkpoints", "GLINER_MODEL", error.message, "broken", error.hint or "unset GLINER_MODEL")


# --- Surroundings --------------------------------------------------------------------------------------------------


def _offline() -> Iterator[Finding]:
    for name in _HUB:
        if name in os.environ:
            yield Finding("network", name, os.environ[name])
    hidden = [name for name in _PRIVATE if name in os.environ]
    if hidden:
        yield Finding("network", "also set", ", ".join(hidden))
    offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
    used = "never: HF_HUB_OFFLINE is set" if offline else "only by pull, push, and bench with a service"
    yield Finding("network", "used", used, hint="unset HF_HUB_OFFLINE" if offline else "")


def _terminal() -> Iterator[Finding]:
    streams = {"stdin": sys.stdin, "stdout": sys.stdout, "stderr": sys.stderr}
    terminals = [name for name, stream in streams.items() if stream and stream.isatty()]
    yield Finding("terminal", "terminal", ", ".join(terminals) or "none of stdin, stdout, stderr")
    encoding = (sys.stdout.encoding or "") if sys.stdout else ""
    utf8 = encoding.lower().replace("-", "") == "utf8"
    said = f"{encoding or 'none'} (locale {locale.getlocale()[1] or 'C'})"
    yield Finding("terminal", "encoding", said, "fine" if utf8 else "look", "" if utf8 else "export PYTHONUTF8=1")
    yield Finding("terminal", "colours", "off: NO_COLOR is set" if os.environ.get("NO_COLOR") else "on a terminal")


# --- Proof ---------------------------------------------------------------------------------------------------------


def _self_test(answers: Callable[[], Iterator[selftest.Found]] = selftest.answers) -> Finding:
    """Whether the starter finds what it should, and how long loading and three sentences take."""
    began = time.perf_counter()
    try:
        wrong = selftest.differences(answers())
    except (GlinerError, OSError, RuntimeError) as error:
        return Finding("self test", "starter", str(error), "broken", _REINSTALL)
    if wrong:
        return Finding("self test", "starter", "; ".join(wrong), "broken", _REINSTALL)
    seconds = time.perf_counter() - began
    return Finding("self test", "starter", f"{len(selftest.KNOWN)} sentences as they should be, {seconds:.1f} s")
