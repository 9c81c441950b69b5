"""Where results are written: standard output, or a file that is there only when it is whole."""

from __future__ import annotations

import gzip
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from gliner_cli.errors import OutputError


@contextmanager
def opened(output: Path | None) -> Iterator[BinaryIO]:
    """The stream to write to. A file is written as `NAME.partial` and renamed when all went well.

    If something goes wrong, `NAME.partial` stays with what was done, and a file of that name from before is untouched.
    """
    if output is None:
        yield sys.stdout.buffer
        return
    partial = output.with_name(output.name + ".partial")
    try:
        with partial.open("wb") as file:
            if output.suffix == ".gz":
                with gzip.open(file, "wb") as compressed:
                    yield cast(BinaryIO, compressed)
            else:
                yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, output)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        hint = f"What was done is in {partial}." if partial.exists() else "Check the folder and its rights."
        raise OutputError(f"{output} cannot be written: {error.strerror or error}.", hint) from error
