"""`push`: a checkpoint's folder to the Hugging Face hub, checked first, and of it only what belongs to the checkpoint.

Where the login comes from (HF_TOKEN, `hf auth login`) is the client's business; here it is only kept out of messages.
"""

from __future__ import annotations

import glob
import shlex
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gliner_cli._version import __version__
from gliner_cli.checkpoint.cache import LABELS, config_of, gaps, is_repository, located, reference, split_name
from gliner_cli.checkpoint.digests import is_digest
from gliner_cli.checkpoint.files import CONFIG_FILE, WEIGHT_FILES, files_of, weights_in
from gliner_cli.checkpoint.folder import load
from gliner_cli.checkpoint.hub_errors import patiently, quiet_client, translated
from gliner_cli.checkpoint.tokenizer import FILES as TOKENIZER_FILES
from gliner_cli.errors import CheckpointError, HubError

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_TOKENIZERS = (*TOKENIZER_FILES, *(LABELS + name for name in TOKENIZER_FILES))
_RESULTS = ("report.md", "report.json", "learning.svg", "lora.safetensors")
# What an older push left of these would be loaded in place of the new, or would tell of other weights.
_REPLACED = (CONFIG_FILE, *WEIGHT_FILES, *_TOKENIZERS, *_RESULTS)
_TERMS = ("LICENSE", "LICENCE", "NOTICE")
_RUN = "training"  # where `gliner finetune` keeps what it needs to go on

_LOGIN = "Log in with a token that may write: hf auth login; or set HF_TOKEN, which goes before it."
_AGAIN = "Type the same again: what has arrived is not sent twice."


@dataclass(frozen=True)
class Pushed:
    """What `push` did. `files` are the bytes of each file; `new` is False if the hub had all of it already."""

    reference: str
    commit: str
    page: str
    files: dict[str, int]
    new: bool


def push(
    folder: Path,
    name: str,
    revision: str | None = None,
    private: bool = False,
    message: str | None = None,
    bars: bool = False,
    say: Callable[[dict[str, int]], None] = lambda _: None,
) -> Pushed:
    """Upload a checkpoint; the repository and the branch `revision` are made if they are not there.

    Afterwards the branch holds the files of this checkpoint: those of an older one are deleted there, other files stay.
    `say` is told what will be sent, before the hub is asked for anything. `bars` shows the client's own on stderr.
    """
    if "/" not in name:
        raise HubError(f"{name} names no owner.", f"gliner push {shlex.quote(str(folder))} OWNER/{name}")
    repository, revision = split_name(name, revision)
    if revision and is_digest(revision):
        raise HubError(f"{revision} is a commit, which nothing can be added to.", "Name a branch: --revision BRANCH")
    files = contents(folder)
    # In this order: the client, when it is imported, makes itself heard again.
    with _logged_in(repository) as api, quiet_client():
        say(files)
        before = _prepared(api, repository, revision, private)
        if bars:
            _show_bars()
        commit = api.upload_folder(
            repo_id=repository,
            folder_path=folder,
            revision=revision,
            commit_message=message or f"Checkpoint, pushed by gliner {__version__}",
            allow_patterns=[glob.escape(file) for file in files],
            delete_patterns=list(_REPLACED),
        ).oid
    if not is_digest(commit):
        raise HubError(f"The hub names no commit for {repository}.", "Check HF_ENDPOINT.")
    page = f"{api.endpoint}/{repository}/commit/{commit}"
    return Pushed(reference(repository, revision), commit, page, files, commit != before)


def contents(folder: Path) -> dict[str, int]:
    """The files of a checkpoint's folder that are pushed, with their bytes.

    Raises CheckpointError for a folder that does not load, here or after others have pulled it.
    """
    if not folder.is_dir():
        hint = "Name the folder of a checkpoint: gliner push FOLDER owner/name"
        raise CheckpointError(f"There is no folder {folder}.", hint)
    if (folder / _RUN).is_dir() and not (folder / CONFIG_FILE).is_file():
        message = f"The run in {folder} has not ended: it has no checkpoint yet."
        raise CheckpointError(message, f"Go on with it: gliner finetune --resume {folder}")
    load(located(str(folder)))
    for gap in gaps(config_of(folder), folder):
        if not is_repository(gap.repository):
            message = f"{folder} leaves files to {gap.repository!r}, a place on this machine."
            raise CheckpointError(message, f"In {CONFIG_FILE}, name a repository of the hub that has them.")
    own = files_of(folder)
    _check_card(folder / "README.md")
    about = sorted(name for name in own if name == "README.md" or name.startswith(_TERMS))
    names = (CONFIG_FILE, weights_in(own) or "", *_TOKENIZERS, *_RESULTS, *about)
    return {name: (folder / name).stat().st_size for name in names if (folder / name).is_file()}


def _check_card(card: Path) -> None:
    """The client reads it without a look at what it is."""
    try:
        if card.is_file():
            card.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{card} is not UTF-8.", "Save it as UTF-8 and type the same again.") from error


def _prepared(api: HfApi, repository: str, revision: str | None, private: bool) -> str | None:
    """Sees to it that repository and branch are there; the branch's newest commit, None if it is new."""
    from huggingface_hub.errors import RevisionNotFoundError

    patiently(lambda: api.create_repo(repository, private=private or None, exist_ok=True))
    info = patiently(lambda: api.model_info(repository))
    if private and not info.private:  # it was there before; the client leaves it public without a word
        hint = f"Make it private at {api.endpoint}/{repository}/settings, or leave --private out."
        raise HubError(f"{repository} is there already, and public; nothing was sent.", hint)
    if revision is None:
        return info.sha
    try:
        return patiently(lambda: api.model_info(repository, revision=revision)).sha
    except RevisionNotFoundError:
        patiently(lambda: api.create_branch(repository, branch=revision, exist_ok=True))
        return None


def _show_bars() -> None:
    """The client's own bars for what is sent, unlike those for what is fetched, show no signed addresses."""
    from huggingface_hub.utils.tqdm import enable_progress_bars

    enable_progress_bars()


# --- The login, and what the hub can have against it -----------------------------------------------------------------


@contextmanager
def _logged_in(repository: str) -> Iterator[HfApi]:
    """The client with this machine's login. What is raised here never shows the token, not even with `--debug`."""
    from huggingface_hub import HfApi, constants, get_token

    if constants.HF_HUB_OFFLINE:
        hint = "Unset HF_HUB_OFFLINE and type the same again."
        raise HubError("The network is switched off (HF_HUB_OFFLINE): nothing can be pushed.", hint)
    with translated(repository):
        token = get_token()
    if not token:
        raise HubError("Nobody is logged in to the hub on this machine.", _LOGIN)
    try:
        with translated(repository), _refusals(repository):
            yield HfApi(token=token)
    except HubError as error:
        if token not in "".join(traceback.format_exception(error)):
            raise
        raise HubError(error.message.replace(token, "(token)"), error.hint.replace(token, "(token)")) from None


@contextmanager
def _refusals(repository: str) -> Iterator[None]:
    """Errors that mean something else for what is sent than for what is fetched; all others go by."""
    try:
        yield
    except (OSError, ValueError, RuntimeError) as error:
        # "Error while uploading": what was the matter stands behind it.
        cause = error.__cause__ if isinstance(error, RuntimeError) and error.__cause__ else error
        if meaning := _meaning(cause, repository):
            raise HubError(*meaning) from error
        if cause is error:
            raise
        raise cause from None


def _meaning(error: BaseException, repository: str) -> tuple[str, str] | None:
    from huggingface_hub.errors import HfHubHTTPError

    if isinstance(error, HfHubHTTPError):
        return _answer(error.response.status_code, error.server_message, repository)
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename} cannot be read: {error.strerror}.", ""
    if isinstance(error, PermissionError):  # of the store of large files
        return _answer(403, str(error), repository)
    if isinstance(error, RuntimeError):
        return f"{repository}: not all was sent ({type(error).__name__}).", _AGAIN + " Or set HF_HUB_DISABLE_XET=1."
    # The client's own words: of a card, or a large file, that the hub does not take.
    if type(error) is ValueError:
        return f"{repository}: {_one_line(str(error))}", "No file was changed there. Mend it and type the same again."
    return None


def _answer(status: int, said: str | None, repository: str) -> tuple[str, str] | None:
    """What an answer of the hub means and what to do; None where that is the same as for `pull`."""
    reason = f": {_one_line(said)}" if said else "."
    if status == 401:
        return "The hub does not accept the login (HTTP 401).", _LOGIN
    if status == 403:
        owner = repository.partition("/")[0]
        hint = f"If {owner} is you or yours: {_LOGIN[0].lower()}{_LOGIN[1:]} If not: push to a name of your own."
        return f"This login may not write to {repository} (HTTP 403){reason}", hint
    if 400 <= status < 500 and status not in (404, 408, 429):
        return f"The hub refuses what was sent to {repository} (HTTP {status}){reason}", ""
    return None


def _one_line(text: str) -> str:
    """A text from the hub that is safe to print."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:300]
