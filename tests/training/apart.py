"""Work in processes of their own, so that they can be killed, or be several.

They are forked from a process that has done nothing but import: it takes a second once, not for each of them.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import socket
import sys
from collections.abc import Callable
from itertools import islice
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch

from gliner_cli.training import diary, finished, outcome  # noqa: F401  # imported before the fork
from tests.training import toys

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload([__name__])

NOT_MEASURED = {"labels": 9, "before": 0.5, "after": 0.25}


def started(work: Callable[..., None], *arguments: Any) -> BaseProcess:
    """A process that does some work, begun."""
    process = _CONTEXT.Process(target=work, args=arguments, daemon=True)
    process.start()
    return process


def ended(process: BaseProcess) -> int:
    """Wait for the end of a process; its exit code."""
    process.join(600)
    assert process.exitcode is not None, "still running"
    return process.exitcode


def command(arguments: list[str], said: Path, suite: bool = False) -> None:
    """The command line; what it says goes to a file. The built-in suite, which takes longest, is measured if asked."""
    if not suite:
        outcome._forgotten = lambda *_: NOT_MEASURED
    os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    torch.set_num_threads(1)
    sys.argv = ["gliner", *arguments]
    from gliner_cli.cli.app import main

    main()


def command_in(folder: Path, arguments: list[str], said: Path) -> None:
    """The command line in a folder."""
    os.chdir(folder)
    command(arguments, said)


def command_in_little_room(most: int, arguments: list[str], said: Path) -> None:
    """The command line where no file can be longer than so many bytes: a full disk, as a program sees it."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    command(arguments, said)


def command_of_several(rank: int, count: int, port: int, arguments: list[str], said: Path) -> None:
    """The command line in one of several processes."""
    _join(rank, count, port)
    command(arguments, said)


def one_of_several(rank: int, count: int, port: int, folder: Path, out: Path, changed: dict[str, Any]) -> None:
    """A run in one of several processes; what came of it goes to a file."""
    _join(rank, count, port)
    torch.set_num_threads(1)
    torch.save(course_of(folder, out, changed), out / f"{rank}.pt")


def _join(rank: int, count: int, port: int) -> None:
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}


def free_port() -> int:
    """A port that nobody listens to."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def course_of(folder: Path, out: Path, changed: dict[str, Any]) -> dict[str, Any]:
    """Of a run, or its first events: its losses, its scores by step, and its weights at the end."""
    run = toys.a_run(toys.checkpoint(folder), out, **changed)
    losses = [event.loss for event in islice(run.events(), changed.get("events")) if hasattr(event, "loss")]
    return {"losses": losses, "scores": run.course.scores, "weights": toys.tensors(run)}
