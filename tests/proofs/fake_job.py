"""The real command with another extractor: all of `gliner extract` but the network, and ways to die at a chosen place.

`python -m tests.proofs.fake_job extract a.txt -l person …` is one run. `Nursery` starts many, each forked from one
process that has imported everything, so that a kill is a matter of milliseconds.

Capitalised words are the entities. Their scores depend on all texts that went through together: documents that a
resumed job cuts into other chunks than before have other scores.

The environment decides what happens: FAKE_PAUSE: seconds a chunk takes; FAKE_DO: "2:COMMAND", run in a shell when the
chunk of that number is computed; FAKE_DEATH: "KIND:NUMBER", see `_arm`; FAKE_COUNTS: a file that tells how many lines
and events there were.
"""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType, ModuleType, SimpleNamespace
from typing import Any

from gliner_cli.cli.app import main as gliner
from gliner_cli.types import Document, Entity

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "tests.proofs.fake_job"]

_TRACED = tuple(f"{ROOT / 'gliner_cli' / part}{os.sep}" for part in ("formats", "jobs", "cli"))
_FILE_EVENTS = ("open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "sqlite3.connect")
_WORD = re.compile(r"\b[A-Z]\w+")


class FakeExtractor:
    """What `gliner_cli.inference.extractor.chosen` gives in place of a real one."""

    checkpoint = SimpleNamespace(folder=Path(__file__).parent, config=SimpleNamespace(max_types=25))
    backend = SimpleNamespace(device="cpu")

    def __init__(self) -> None:
        self._pause = float(os.environ.get("FAKE_PAUSE", "0"))
        chunk, _, self._command = os.environ.get("FAKE_DO", "-1:").partition(":")
        self._chunk, self._done = int(chunk), 0

    def parts(self, asked: Any, extraction: Any) -> int:
        return 1

    def origin(self, asked: Any, label: str, extraction: Any) -> tuple[float, str]:
        return 0.5, "default"

    def plan(self, asked: Any, extraction: Any) -> str:
        return str(asked.names[0])

    def run(self, plan: str, documents: Iterable[Document], counts: Any = None) -> Iterator[Document]:
        together = list(documents)
        if self._done == self._chunk:
            subprocess.run(self._command, shell=True, check=True)
        self._done += 1
        time.sleep(self._pause)
        salt = 0
        for document in together:
            salt = zlib.crc32(document.text.encode("utf-8", "surrogatepass"), salt)
        for document in together:
            if counts:
                counts.documents += 1
                counts.words += 1
            yield replace(document, entities=tuple(_entities(document.text, plan, salt)))


def _entities(text: str, label: str, salt: int) -> Iterator[Entity]:
    for found in _WORD.finditer(text):
        yield Entity(found.start(), found.end(), label, found[0], zlib.crc32(found[0].encode(), salt) / 2**32)


def main(arguments: list[str]) -> None:
    """One run, in this process; it ends it."""
    module = ModuleType("gliner_cli.inference.extractor")
    module.chosen = lambda choice, computing, sole: FakeExtractor()  # type: ignore[attr-defined]
    sys.modules[module.__name__] = module
    sys.argv = ["gliner", *arguments]
    counts = _Counts()
    _arm(*os.environ.get("FAKE_DEATH", ":").split(":"), counts)
    try:
        gliner()
    finally:
        sys.settrace(None)
        if path := os.environ.get("FAKE_COUNTS"):
            Path(path).write_text(json.dumps({"line": counts.lines, "file": counts.files}))


@dataclass
class _Counts:
    lines: int = 0
    files: int = 0


def _arm(kind: str, number: str, counts: _Counts) -> None:
    """Die before the line of ours of that number; before what is done to a file as that number; or by the kernel, at
    the byte of that number of any file."""
    at = int(number or -1)
    if kind == "line":
        sys.settrace(_tracer(at, counts))
    elif kind == "file":
        sys.addaudithook(_hook(at, counts))
    elif kind == "byte":
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (at, at))


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _tracer(at: int, counts: _Counts) -> Any:
    def local(frame: FrameType, event: str, argument: Any) -> Any:
        if event == "line":
            counts.lines += 1
            if counts.lines == at:
                _die()
        return local

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        return local if frame.f_code.co_filename.startswith(_TRACED) else None

    return trace


def _hook(at: int, counts: _Counts) -> Callable[[str, tuple[Any, ...]], None]:
    folder = os.environ["FAKE_FOLDER"]

    def heard(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _FILE_EVENTS and arguments and folder in str(arguments[0]):
            counts.files += 1
            if counts.files == at:
                _die()

    return heard


@dataclass(frozen=True)
class Ended:
    """How a run ended: its exit code, or minus the signal's number; seconds; and the most memory it had, in bytes."""

    code: int
    seconds: float
    peak: int


class Nursery:
    """A process that has imported all there is to import, and of which runs are forked. Use as a context."""

    def __init__(self, said: Path) -> None:
        self._said = said  # what the runs write on standard error

    def __enter__(self) -> Nursery:
        with self._said.open("wb") as said:
            self._process = subprocess.Popen(
                [*COMMAND, "--nursery"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True
            )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def run(self, arguments: Iterable[object], environment: Mapping[str, str], seconds: float | None = None) -> Ended:
        """One run; it is killed after so many seconds if it has not ended."""
        asked = {"arguments": list(map(str, arguments)), "environment": dict(environment), "seconds": seconds}
        assert self._process.stdin
        assert self._process.stdout
        print(json.dumps(asked), file=self._process.stdin, flush=True)
        return Ended(**json.loads(self._process.stdout.readline()))


def _nursery() -> None:
    import pyarrow.parquet  # noqa: F401

    import gliner_cli.jobs.job
    import gliner_cli.jobs.run  # noqa: F401
    from gliner_cli.formats import arrow_columns, sqlite

    arrow_columns._ROWS, sqlite._AT_ONCE = 150, 100  # so that few documents are several groups and transactions
    for line in sys.stdin:
        asked = json.loads(line)
        began = time.perf_counter()
        child = os.fork()
        if not child:
            _be_child(asked)
        print(json.dumps(_watched(child, began, asked["seconds"])), flush=True)


def _be_child(asked: Mapping[str, Any]) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.environ.update(asked["environment"])
    try:
        main(asked["arguments"])
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else int(bool(left.code))
        sys.stderr.flush()
        os._exit(code)
    finally:
        os._exit(99)


def _watched(child: int, began: float, seconds: float | None) -> dict[str, Any]:
    while True:
        pid, status, usage = os.wait4(child, 0 if seconds is None else os.WNOHANG)
        passed = time.perf_counter() - began
        if pid:
            return {"code": os.waitstatus_to_exitcode(status), "seconds": passed, "peak": usage.ru_maxrss * 1024}
        if passed >= (seconds or 0):
            os.kill(child, signal.SIGKILL)
            seconds = None
        else:
            time.sleep(0.001)


if __name__ == "__main__":
    _nursery() if sys.argv[1:] == ["--nursery"] else main(sys.argv[1:])
