"""A process that answers lines of JSON with lines of JSON.

One that dies, hangs or prints noise is an error of the call, and of nothing else: the next call starts it anew.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, Any

from gliner_cli.errors import GlinerError, InputError

Json = dict[str, Any]
_LOADING = 900.0  # seconds within which it must answer its first line


class Program:
    """Started when it is first asked. `first` is what it is told at every start; `greeting` is its answer to that."""

    def __init__(
        self, name: str, command: Sequence[str], first: Mapping[str, Any] | None = None, threads: int | None = None
    ) -> None:
        self.name, self.command, self.first, self.threads = name, list(command), first, threads
        self.greeting: Json = {}
        self._running: _Running | None = None
        self._number = 0

    def ask(self, request: Mapping[str, Any], seconds: float) -> Json:
        """The answer. Raises GlinerError if there is none within so many seconds."""
        self.start()
        return self._asked(request, seconds)

    def start(self) -> None:
        """Start it, unless it runs. Raises InputError if there is no such program."""
        if self._running is not None:
            return
        self._running = _started(self.command, self.threads)
        self._number = 0
        if self.first is not None:
            self.greeting = self._asked(self.first, _LOADING)

    def close(self) -> None:
        """End it at once; it has nothing to save."""
        if self._running is not None:
            self._running.end()
        self._running = None

    def _asked(self, request: Mapping[str, Any], seconds: float) -> Json:
        assert self._running is not None  # noqa: S101
        number, self._number = self._number, self._number + 1
        line = json.dumps({"answer": number, **request}).encode() + b"\n"
        with self._running.at_most(seconds) as over:
            objects = map(_object, self._running.told(line))
            answer = next((found for found in objects if found.get("answer") == number), None)
        if answer is not None:
            return answer
        last = self._running.last_words()
        self.close()
        what = f"gave no answer in {seconds:.0f} s" if over.is_set() else "ended without an answer"
        raise GlinerError(f"{self.name} {what}: {last}", "Leave it out, or run it alone to see what is wrong.")


@dataclass(frozen=True)
class _Running:
    """A process in a session of its own, so that what it starts ends with it; its standard error goes to a file."""

    process: subprocess.Popen[bytes]
    errors: IO[bytes]
    ended: threading.Event

    def told(self, line: bytes) -> Iterator[bytes]:
        """The lines it prints after being told one, until it ends."""
        assert self.process.stdin is not None  # noqa: S101
        assert self.process.stdout is not None  # noqa: S101
        with suppress(BrokenPipeError):  # it has died; that its output ends says so too
            self.process.stdin.write(line)
            self.process.stdin.flush()
        return iter(self.process.stdout.readline, b"")

    @contextmanager
    def at_most(self, seconds: float) -> Iterator[threading.Event]:
        """End it when the time is over: whoever waits for it then, to read or to write, waits no longer."""
        over = threading.Event()

        def end() -> None:
            over.set()
            self.kill()

        timer = threading.Timer(seconds, end)
        timer.start()
        try:
            yield over
        finally:
            timer.cancel()
            timer.join()

    def kill(self) -> None:
        """Once only: later its number may be another's."""
        if self.ended.is_set():
            return
        self.ended.set()
        with suppress(ProcessLookupError):
            if hasattr(os, "killpg"):
                os.killpg(self.process.pid, signal.SIGKILL)
            else:
                self.process.kill()
        self.process.wait()

    def last_words(self) -> str:
        """The last line on its standard error; what it ended with where it said nothing (-11: it crashed)."""
        self.kill()
        self.errors.seek(0)
        said = self.errors.read().decode("utf-8", "replace").strip().rpartition("\n")[2][:300]
        return said or f"it said nothing, exit status {self.process.returncode}"

    def end(self) -> None:
        """Leave nothing of it."""
        self.kill()
        for stream in (self.process.stdin, self.process.stdout, self.errors):
            with suppress(BrokenPipeError):  # of what was written to a process that has died
                if stream:
                    stream.close()


def _started(command: Sequence[str], threads: int | None) -> _Running:
    variables = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}  # nothing is fetched while we measure
    if threads:
        variables |= {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    errors = tempfile.TemporaryFile()  # noqa: SIM115  a pipe that nobody reads would fill up
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
            env={**os.environ, **variables}, start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        errors.close()
        raise InputError(
            f"{command[0]} cannot be started: {error.strerror}.", "Give a program: --python PATH"
        ) from error
    return _Running(process, errors, threading.Event())


def _object(line: bytes) -> Json:
    """The object in a line; an empty one if the line is anything else, as what packages print at will."""
    try:
        value = json.loads(line)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
