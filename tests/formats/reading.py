"""What the tests of all formats share: read something, write something, a stream that gives what it is told to."""

import io

from gliner_cli import formats
from gliner_cli.options import Reading, Writing


def read(*arguments, **options):
    """All documents, and all problems."""
    problems = []
    return list(formats.read(map(str, arguments), Reading(**options), problems.append)), problems


def written(name, documents, words="auto"):
    stream = io.BytesIO()
    formats.FORMATS[name].write(documents, stream, Writing(words=words))
    return stream.getvalue()


def stdin(chunks):
    """A standard input that gives one chunk a call, and ends where they end."""
    return io.TextIOWrapper(io.BufferedReader(Raw(iter(chunks))))


class Raw(io.RawIOBase):
    def __init__(self, chunks):
        self.chunks = chunks

    def readable(self):
        return True

    def readinto(self, buffer):
        chunk = next(self.chunks, b"")
        buffer[: len(chunk)] = chunk
        return len(chunk)
