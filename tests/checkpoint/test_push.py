"""`push` to a real server that behaves as the hub does: what arrives, what never does, and what a person is told."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants
from huggingface_hub.utils import close_session

from gliner_cli.checkpoint import hub, upload
from gliner_cli.checkpoint.folder import load
from gliner_cli.errors import CheckpointError, GlinerError, HubError
from tests import tiny
from tests.checkpoint import hub_server
from tests.checkpoint.hub_server import Files, Hub, serving

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content:DeprecationWarning")  # the client's way to send a file
NAME = "me/my-model"
SECRET = "hf_thisIsMyOwnToken"
LOGIN = "hf auth login"
CARD = b"---\nlibrary_name: gliner\nbase_model: urchade/gliner_small-v2.1\n---\n# card"


@pytest.fixture
def folder(tmp_path) -> Path:
    """What `gliner finetune` leaves, and what people leave beside it."""
    folder = tmp_path / "my model [2]"
    folder.mkdir()
    tiny.checkpoint_folder(folder)
    for name, content in {
        "README.md": CARD, "report.md": b"# Report", "report.json": b"{}", "learning.svg": b"<svg/>",
        "lora.safetensors": random.Random(0).randbytes(20_000), "LICENSE": b"law", "gliner_manifest.json": b"{}",
        "pytorch_model.bin": b"older", "train.jsonl": b"somebody's texts", ".env": b"HF_TOKEN=x", "report.md~": b"x",
        "training/order.json": b"{}", "training/log.jsonl": b"{}", "training/state-a": b"s" * 20_000,
        "training/checkpoint/model.safetensors": b"half", "training/report.md": b"x", "sub/README.md": b"x",
    }.items():  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


PUSHED = {"gliner_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "README.md", "report.md",
          "report.json", "learning.svg", "lora.safetensors", "LICENSE"}  # fmt: skip


@pytest.fixture
def server(tmp_path, monkeypatch) -> Iterator[Hub]:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    monkeypatch.setenv("HF_TOKEN", SECRET)
    for name, value in {
        "HF_HUB_CACHE": str(tmp_path / "cache"), "HF_HOME": str(tmp_path), "HF_TOKEN_PATH": str(tmp_path / "token"),
        "HF_HUB_DISABLE_XET": True, "HF_HUB_OFFLINE": False, "HF_HUB_DISABLE_TELEMETRY": True,
    }.items():  # fmt: skip
        monkeypatch.setattr(constants, name, value)
    with serving(Hub({}, token=SECRET, owners={"me"})) as running:
        at(running.url, monkeypatch)
        yield running
    close_session()


def at(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")


@pytest.fixture
def gliner(monkeypatch, capfd) -> Callable[..., tuple[int, str, str]]:
    from gliner_cli.cli.app import main

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["gliner", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        out, err = capfd.readouterr()
        assert SECRET not in out + err
        return int(left.value.code or 0), out, err

    return run


def said(call: Callable[[], Any]) -> GlinerError:
    with pytest.raises(GlinerError) as caught:
        call()
    assert SECRET not in str(caught.value)
    return caught.value


def content(folder: Path, names: set[str]) -> Files:
    return {name: (folder / name).read_bytes() for name in names}


def on_the_hub(server: Hub, name: str = NAME) -> Files:
    return {file: content for file, content in server.repositories[name].items() if file != ".gitattributes"}


# --- What arrives --------------------------------------------------------------------------------------------------


def test_what_arrives_is_the_folder_byte_for_byte_and_comes_back(server, folder):
    pushed = upload.push(folder, NAME)
    assert on_the_hub(server) == content(folder, PUSHED), "and nothing of the run, nor of what lies beside it"
    assert pushed.files == {name: (folder / name).stat().st_size for name in PUSHED}
    assert (pushed.commit, pushed.new, pushed.reference) == (server.commit(NAME), True, NAME)
    assert pushed.page == f"{server.url}/{NAME}/commit/{pushed.commit}"
    pulled = hub.pull(NAME)
    for name in pulled.files:
        assert (pulled.place.folder / name).read_bytes() == (folder / name).read_bytes()
    assert load(hub.located(NAME)).tokenizer is not None
    assert pulled.files.keys() >= {"gliner_config.json", "model.safetensors", "tokenizer.json", "README.md", "LICENSE"}


def test_a_bi_encoder_takes_its_second_tokenizer_along(server, tmp_path):
    (tmp_path / "bi").mkdir()
    folder = tiny.checkpoint_folder(tmp_path / "bi", labels_encoder="someone/labels")
    upload.push(folder, NAME)
    own = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert "labels_tokenizer/tokenizer.json" in own
    assert on_the_hub(server) == content(folder, own)
    assert hub.pull(NAME).sources == {}
    assert load(hub.located(NAME)).labels_tokenizer is not None


def test_the_way_of_the_newer_client(server, folder, monkeypatch):
    pytest.importorskip("hf_xet")
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
    monkeypatch.setattr(hub_server, "LARGE", 10**9)  # its store of large files is no HTTP that can be played here
    upload.push(folder, NAME)
    assert on_the_hub(server) == content(folder, PUSHED)
    server.faults = {"POST change": [403]}
    (folder / "report.md").write_bytes(b"other")
    assert f"may not write to {NAME}" in said(lambda: upload.push(folder, NAME)).message


def test_a_second_push_replaces_the_checkpoint_and_leaves_what_is_no_part_of_it(server, folder):
    first = upload.push(folder, NAME)
    again = upload.push(folder, NAME)
    assert (again.commit, again.new) == (first.commit, False)
    server.repositories[NAME] |= {"pytorch_model.bin": b"older", "spm.model": b"x", "notes.txt": b"mine"}
    (folder / "lora.safetensors").unlink()
    (folder / "README.md").unlink()
    assert upload.push(folder, NAME).new
    expected = content(folder, PUSHED - {"lora.safetensors", "README.md"})
    assert on_the_hub(server) == {**expected, "notes.txt": b"mine", "README.md": CARD}


def test_a_branch(server, folder):
    main = upload.push(folder, NAME).commit
    (folder / "report.md").write_bytes(b"other")
    pushed = upload.push(folder, NAME, "try/1", message="More drugs")
    assert (pushed.reference, pushed.new) == (f"{NAME}@try/1", True)
    assert (server.commit(NAME), server.tags) == (main, {"try/1": pushed.commit})
    assert server.past[pushed.commit]["report.md"] == b"other"
    assert server.messages[-1] == "More drugs"
    assert not upload.push(folder, f"{NAME}@try/1").new
    assert hub.pull(pushed.reference).place.commit == pushed.commit
    assert "is a commit" in said(lambda: upload.push(folder, NAME, main)).message


def test_private_is_private_or_nothing_is_sent(server, folder):
    upload.push(folder, NAME, private=True)
    assert server.private == {NAME}
    upload.push(folder, NAME, private=True)
    server.private.clear()
    (folder / "report.md").write_bytes(b"secret")
    error = said(lambda: upload.push(folder, NAME, private=True))
    assert "public; nothing was sent" in error.message
    assert "--private" in error.hint
    assert server.repositories[NAME]["report.md"] == b"# Report"
    upload.push(folder, NAME)
    assert server.private == set()


# --- What is refused before anything is sent -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gone", "message"),
    [("gliner_config.json", "The run in {} has not ended"), ("model.safetensors", "weights"), ("tokenizer.json", "no tokenizer")],
)  # fmt: skip
def test_a_folder_that_is_no_whole_checkpoint(server, folder, gone, message):
    (folder / gone).unlink()
    (folder / "pytorch_model.bin").unlink()
    error = said(lambda: upload.push(folder, NAME))
    assert isinstance(error, CheckpointError)
    assert message.format(folder) in error.message
    assert server.sent == []


def test_a_folder_that_would_not_load(server, folder, tmp_path):
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    assert "model.safetensors" in said(lambda: upload.push(folder, NAME)).message
    assert "There is no folder" in said(lambda: upload.push(tmp_path / "gone", NAME)).message
    (tmp_path / "empty").mkdir()
    assert "no GLiNER checkpoint" in said(lambda: upload.push(tmp_path / "empty", NAME)).message
    assert server.sent == []


def test_a_folder_that_others_could_not_load(server, folder):
    """A self-contained folder whose tokenizer is from a place on its author's machine."""
    (folder / "backbone").mkdir()
    (folder / "tokenizer.json").rename(folder / "backbone" / "tokenizer.json")
    assert load(hub.located(str(folder))).tokenizer is not None
    assert "a place on this machine" in said(lambda: upload.push(folder, NAME)).message
    assert server.sent == []


def test_names_that_are_none(server, folder):
    assert said(lambda: upload.push(folder, "my-model")).hint == f"gliner push '{folder}' OWNER/my-model"
    assert "no hub id" in said(lambda: upload.push(folder, "a/b/c")).message
    assert "Two revisions" in said(lambda: upload.push(folder, f"{NAME}@a", "b")).message
    assert server.sent == []


# --- Logins, a hub and a network as they are -----------------------------------------------------------------------


def test_nobody_is_logged_in(server, folder, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    error = said(lambda: upload.push(folder, NAME))
    assert isinstance(error, HubError)
    assert LOGIN in error.hint
    assert server.sent == []
    Path(constants.HF_TOKEN_PATH).write_text(SECRET)  # as `hf auth login` leaves it
    assert upload.push(folder, NAME).new


def test_a_login_that_is_not_accepted(server, folder):
    server.token = "another"
    error = said(lambda: upload.push(folder, NAME))
    assert "does not accept the login (HTTP 401)" in error.message
    assert LOGIN in error.hint
    assert server.repositories == {}


def test_the_repository_of_somebody_else(server, folder):
    for there in ({}, {"urchade/gliner": {"notes.txt": b"theirs"}}):
        server.repositories = dict(there)
        error = said(lambda: upload.push(folder, "urchade/gliner"))
        assert "may not write to urchade/gliner (HTTP 403)" in error.message
        assert "push to a name of your own" in error.hint
        assert LOGIN in error.hint
        assert server.repositories == there
    server.faults = {"POST create": [403]}
    server.repositories = {}
    assert "(HTTP 403)." in said(lambda: upload.push(folder, NAME)).message


@pytest.mark.parametrize("what", ["validate", "preupload", "batch", "store", "change"])
@pytest.mark.parametrize(
    ("status", "message"),
    [(401, "does not accept the login"), (403, "may not write"), (413, "refuses what was sent"), (404, "does not have it")],
)  # fmt: skip
def test_refusals_on_the_way(server, folder, what, status, message):
    server.faults = {f"{'PUT' if what == 'store' else 'POST'} {what}": [(status, "So it is")]}
    error = said(lambda: upload.push(folder, NAME))
    assert message in error.message
    assert on_the_hub(server) == {}
    assert upload.push(folder, NAME).new


def test_a_token_that_the_hub_repeats_is_not_shown(server, folder, gliner, monkeypatch):
    said_by_hub = f"the token {SECRET} is read-only"
    server.faults = {"POST create": [(403, said_by_hub)] * 3}
    assert "the token (token) is read-only" in said(lambda: upload.push(folder, NAME)).message
    code, _, err = gliner("push", folder, NAME)
    assert code == 1
    assert "(token) is read-only" in err
    monkeypatch.setenv("GLINER_DEBUG", "1")
    import traceback

    with pytest.raises(HubError) as caught:
        upload.push(folder, NAME)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_card_that_the_hub_does_not_take(server, folder):
    (folder / "README.md").write_bytes(b"---\nbase_model: the built-in starter\n---\n")
    error = said(lambda: upload.push(folder, NAME))
    assert 'README.md. - "base_model" with value "the built-in starter" is not valid' in error.message
    assert on_the_hub(server) == {}
    (folder / "README.md").write_bytes(b"\xff\xfe")
    assert "not UTF-8" in said(lambda: upload.push(folder, NAME)).message


def test_a_busy_hub_is_asked_again(server, folder):
    server.faults = {"POST create": [503, 429], "GET api": [500], "POST preupload": [503], "PUT store": [500] * 2}
    assert upload.push(folder, NAME).new
    assert not any(server.faults.values())
    (folder / "lora.safetensors").write_bytes(random.Random(1).randbytes(20_000))
    server.faults = {"PUT store": [500] * 100}
    assert "in trouble (HTTP 500)" in said(lambda: upload.push(folder, NAME)).message


def test_no_network(server, folder, monkeypatch):
    at("http://127.0.0.1:9", monkeypatch)
    error = said(lambda: upload.push(folder, NAME))
    assert error.message == "The hub at http://127.0.0.1:9 does not answer (ConnectError)."


def test_what_answers_is_no_hub(server, folder):
    server.faults = {"GET api": ["html"]}
    assert "is no Hugging Face hub" in said(lambda: upload.push(folder, NAME)).message


# --- The command ---------------------------------------------------------------------------------------------------


def test_the_command(server, gliner, folder):
    code, out, err = gliner("push", folder, NAME, "--private", "--revision", "v2", "--message", "More drugs")
    assert code == 0
    assert out.startswith(f"{NAME}@v2 at {server.tags['v2']}\n")
    for line in (f"{server.url}/{NAME}/commit/{server.tags['v2']}", "bytes  lora.safetensors", "bytes  in all"):
        assert line in out
    assert out.endswith(f"\n\ngliner pull {NAME}@v2\n")
    assert err.startswith(f"gliner: {folder}: 10 files, ")
    assert "\r" not in err, "bars are for terminals"
    assert "training" not in out
    code, out, err = gliner("push", folder, NAME, "--private", "--revision", "v2")
    assert code == 0
    assert "there already" in err


def test_the_command_in_a_process_of_its_own(server, folder, tmp_path):
    upload.push(folder, NAME)
    environment = {**os.environ, "HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path), "HF_HUB_DISABLE_XET": "1"}
    for offline, code, expected in (("0", 0, "there already"), ("1", 1, "switched off (HF_HUB_OFFLINE)")):
        command = [sys.executable, "-m", "gliner_cli", "push", str(folder), NAME]
        environment["HF_HUB_OFFLINE"] = offline
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode, bool(done.stdout)) == (code, not code)
        assert expected in done.stderr
        assert all(line.startswith(("gliner: ", "        ")) for line in done.stderr.splitlines()), (
            "the client is quiet"
        )
        assert SECRET not in done.stdout + done.stderr
