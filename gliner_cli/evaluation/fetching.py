"""`pull --suite`: raw files of published sets from where they are published, checked before they are kept."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gliner_cli.errors import HubError, InputError, OutputError
from gliner_cli.evaluation import corpora
from gliner_cli.evaluation.corpora import Corpus

_TRIES, _PAUSE = 4, 1.0  # seconds before the second try, doubled for each further one
_BUSY = (408, 429, 500, 502, 503, 504)
_TIMEOUT = 30.0  # seconds of silence

Say = Callable[[Corpus], None]


@dataclass(frozen=True)
class Fetched:
    """A set that is here and whole: its raw file, what is in it, and the SHA-256 of the file."""

    corpus: Corpus
    path: Path
    sentences: int
    sha256: str


def fetched(corpus: Corpus, folder: Path | None = None, say: Say = lambda _: None) -> Fetched:
    """A set in the cache, or in a folder with its layout; fetched if it is not there or not whole.

    `say` is told before something is fetched. Nothing is kept that is not what was published.
    """
    path = (folder or corpora.cache_folder()) / corpus.raw
    try:
        return _whole(corpus, path, path.read_bytes())
    except (OSError, InputError):
        say(corpus)
    content = _downloaded(corpus)
    try:
        done = _whole(corpus, path, content)
    except InputError as error:
        hint = "Type the same again; if it stays so, a proxy changes it on its way, or it is no longer what it was."
        raise HubError(f"{corpus.url} was thrown away: {error.message}", hint) from error
    _keep(path, content)
    return done


def _whole(corpus: Corpus, path: Path, content: bytes) -> Fetched:
    found = corpora.of_raw(corpus, content, path.name)
    return Fetched(corpus, path, len(found), hashlib.sha256(content).hexdigest())


def _keep(path: Path, content: bytes) -> None:
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        os.replace(partial, path)
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror}."
        raise OutputError(message, "Name a folder that can be: --to DIR, or set XDG_CACHE_HOME.") from error


def _downloaded(corpus: Corpus) -> bytes:
    from httpx import HTTPError
    from huggingface_hub import constants

    bring = f"Or bring the file: bench --data-dir DIR, with DIR/{corpus.raw}"
    if constants.HF_HUB_OFFLINE:
        raise HubError("The network is switched off (HF_HUB_OFFLINE).", f"Unset HF_HUB_OFFLINE. {bring}")
    try:
        status, content = _patiently(corpus.url)
    except HTTPError as error:
        message = f"{corpora.HOST} does not answer ({type(error).__name__})."
        raise HubError(message, f"Check the connection and type the same again. {bring}") from error
    if status != 200:
        hint = "Try again later." if status in _BUSY else "It may have moved."
        raise HubError(f"{corpus.url} is not to be had (HTTP {status}).", f"{hint} {bring}")
    return content


def _patiently(url: str) -> tuple[int, bytes]:
    """The status and the content at an address, asked again where that can help. These files are a few MB at most."""
    from httpx import Client, TransportError

    with Client(timeout=_TIMEOUT, follow_redirects=True) as client:
        for attempt in range(1, _TRIES):
            try:
                answer = client.get(url)
                if answer.status_code not in _BUSY:
                    return answer.status_code, answer.content
            except TransportError:
                pass
            time.sleep(_PAUSE * 2 ** (attempt - 1))
        answer = client.get(url)
        return answer.status_code, answer.content
