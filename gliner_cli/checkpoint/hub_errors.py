"""What the hub's client, the network and the disk can raise, as our errors; and asking again where that can help.

Nothing here repeats a foreign message word for word: some hold signed addresses.
"""

from __future__ import annotations

import errno
import logging
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from gliner_cli.checkpoint.catalog import suggestion
from gliner_cli.errors import HubError

_T = TypeVar("_T")
_TRIES, _PAUSE = 4, 1.0  # seconds before the second try, doubled for each further one
_BUSY = (408, 429, 500, 502, 503, 504)

_AGAIN = "Check the connection and type the same again: files that are complete are kept."
_LOGIN = "Log in with a token that may read it: hf auth login, or set HF_TOKEN."
_STATUSES = {
    401: ("The hub wants a login that it accepts", _LOGIN),
    403: ("The hub forbids it", _LOGIN),
    404: ("The hub does not have it", "See `gliner models` for known names."),
    429: ("The hub was asked too often", "Wait some minutes; with a login (hf auth login) more is allowed."),
}
_TROUBLE = ("The hub is in trouble", "Try again later: files that are complete are kept.")


@contextmanager
def quiet_client() -> Iterator[None]:
    """Silences the client's own bars and warnings: they show signed addresses; what matters is an error of ours."""
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    logger = logging.getLogger("huggingface_hub")
    level, had_bars = logger.level, not are_progress_bars_disabled()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="huggingface_hub")
        logger.setLevel(logging.ERROR)
        disable_progress_bars()
        try:
            yield
        finally:
            logger.setLevel(level)
            if had_bars:
                enable_progress_bars()


def patiently(call: Callable[[], _T]) -> _T:
    """The result of a call to the hub, tried again where that can help: it is busy, or the connection was cut."""
    from httpx import TransportError, UnsupportedProtocol
    from huggingface_hub.errors import HfHubHTTPError

    for attempt in range(1, _TRIES):
        try:
            return call()
        except HfHubHTTPError as error:
            if error.response.status_code not in _BUSY:
                raise
        except TransportError as error:
            if isinstance(error, UnsupportedProtocol):
                raise
        time.sleep(_PAUSE * 2 ** (attempt - 1))
    return call()


@contextmanager
def translated(asked: str) -> Iterator[None]:
    """Errors of the hub, of the network and of the disk as ours. `asked` is `owner/name` or `owner/name@revision`."""
    from httpx import HTTPError, InvalidURL

    try:
        yield
    # The client raises ValueError and KeyError for an answer that is none of a hub (a login page of a hotel), and the
    # library below it for large files RuntimeError.
    except (HTTPError, InvalidURL, OSError, ValueError, KeyError, RuntimeError) as error:
        message, hint = _meaning(_root(error), asked)
        raise HubError(message, hint) from error


def _root(error: BaseException) -> BaseException:
    """What was the matter when the client says that a file is neither here nor to be had."""
    from huggingface_hub.errors import LocalEntryNotFoundError

    while isinstance(error, LocalEntryNotFoundError) and error.__cause__ is not None:
        error = error.__cause__
    return error


def _meaning(error: BaseException, asked: str) -> tuple[str, str]:
    """An error's message and hint. The more specific kinds come first."""
    from httpx import HTTPError, UnsupportedProtocol
    from huggingface_hub import constants, errors

    repository = asked.partition("@")[0]
    url = constants.ENDPOINT
    table: tuple[tuple[type[BaseException], str, str], ...] = (
        (errors.GatedRepoError, f"{repository} is gated: its authors want to know who uses it.",
         f"Accept its terms at {url}/{repository}, then log in: hf auth login, or set HF_TOKEN."),
        (errors.RevisionNotFoundError, f"{asked}: there is no such revision.", f"The newest: gliner pull {repository}"),
        (errors.RepositoryNotFoundError, f"The hub knows no {repository}, or it is private.",
         f"{suggestion(repository)} If it is private: hf auth login, or set HF_TOKEN."),
        (errors.EntryNotFoundError, f"{repository} lacks a file that it lists.", "Type the same again."),
        (errors.OfflineModeIsEnabled, "The network is switched off (HF_HUB_OFFLINE).",
         f"Unset HF_HUB_OFFLINE; or bring a folder made elsewhere with: gliner pull {asked} --to DIR"),
    )  # fmt: skip
    for kind, message, hint in table:
        if isinstance(error, kind):
            return message, hint
    if isinstance(error, errors.HfHubHTTPError):
        status = error.response.status_code
        message, hint = _STATUSES.get(status, _TROUBLE)
        return f"{asked}: {message} (HTTP {status}).", hint
    if isinstance(error, HTTPError) and not isinstance(error, UnsupportedProtocol):
        return f"The hub at {url} does not answer ({type(error).__name__}).", _AGAIN
    if isinstance(error, OSError):
        return _disk_meaning(error, asked)
    return _odd_meaning(error, asked)


def _disk_meaning(error: OSError, asked: str) -> tuple[str, str]:
    from huggingface_hub import constants

    where = f"the Hugging Face cache {constants.HF_HUB_CACHE}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk is full: {asked} did not fit into {where}.", "Make room, or set HF_HOME to another disk."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{where[0].upper()}{where[1:]} cannot be written.", "Set HF_HOME to a folder that you may write to."
    return f"{asked} could not be fetched whole ({type(error).__name__}).", _AGAIN


def _odd_meaning(error: BaseException, asked: str) -> tuple[str, str]:
    from huggingface_hub import constants

    if isinstance(error, RuntimeError):
        return f"{asked} could not be fetched whole ({type(error).__name__}).", _AGAIN + " Or set HF_HUB_DISABLE_XET=1."
    return f"What answers at {constants.ENDPOINT} is no Hugging Face hub.", "Check the connection, and HF_ENDPOINT."
