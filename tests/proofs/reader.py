"""Reads hostile files in a process of its own: 2 GB of memory, 10 seconds each, and an ear for what should never happen.

Lines of JSON in, {"path", "form", "options"}; a line for each out, see `_read`. A file that ends the process has none.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from gliner_cli import formats
from gliner_cli.errors import GlinerError
from gliner_cli.formats import sources
from gliner_cli.options import Reading

MEMORY, SECONDS = 2 << 30, 10
MOST = 200_000  # documents that are read of one file

_FORBIDDEN = ("subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "socket.connect",
              "socket.getaddrinfo", "urllib.", "pickle.find_class", "os.remove", "os.rename", "os.rmdir", "os.symlink",
              "shutil.", "sqlite3.enable_load_extension", "sqlite3.load_extension")  # fmt: skip
_SCRATCH = f"{tempfile.gettempdir()}/tmp"

_heard: list[str] = []


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event.startswith(_FORBIDDEN) or (event == "open" and set(str(arguments[1])) & set("wax+")):
        place = str(arguments[0])  # a file without a name is opened by its folder's
        scratch = event in ("open", "os.remove") and (place.startswith(_SCRATCH) or place == tempfile.gettempdir())
        scratch = scratch or place == os.devnull  # as libraries do that look around when they are imported
        if not scratch:
            _heard.append(f"{event} {arguments}")


def _read(path: str, form: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """How many documents, the problems, what was raised that should not be, what was done that should not be."""
    problems: list[GlinerError] = []
    _heard.clear()
    began, count, size, raised, sample = time.process_time(), 0, 0, "", ""
    reading = Reading(input_format=form, **options)
    try:
        for document in islice(formats.read([path], reading, problems.append), MOST):
            count += 1
            size += len(document.text)
            sample = (sample + document.text)[:2000]
            for entity in document.entities:
                assert document.text[entity.start : entity.end] == entity.text, entity
    except GlinerError as error:
        problems.append(error)
    except BaseException:
        raised = traceback.format_exc()
    said = [str(problem)[:300] for problem in problems[:20]]
    return {"path": path, "documents": count, "size": size, "said": said, "raised": raised, "done": list(_heard),
            "seconds": time.process_time() - began, "sample": sample}  # fmt: skip


def main() -> None:
    sources._COPIED = 64 << 20  # so that a bomb need not be written as a whole
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
    sys.addaudithook(_hook)
    for line in sys.stdin:
        signal.setitimer(signal.ITIMER_PROF, SECONDS)  # of the processor: others may be at work; it ends the process
        signal.alarm(30 * SECONDS)
        print(json.dumps(_read(**json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
