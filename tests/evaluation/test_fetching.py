"""`gliner pull --suite` against a real server that misbehaves; what is in the cache afterwards is what was published."""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from huggingface_hub import constants

from gliner_cli.cli.app import main
from gliner_cli.errors import GlinerError, HubError, OutputError
from gliner_cli.evaluation import corpora, suites
from gliner_cli.evaluation.corpora import Corpus
from gliner_cli.evaluation.fetching import fetched

CONTENT = b"Porto\tB-city\nsleeps\tO\n\nRain\tO\n"


@dataclass
class Files:
    """What lies at which path; `faults` are done once each instead: a status, "cut", "other content"."""

    content: dict[str, bytes]
    faults: list[int | str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


class Handler(BaseHTTPRequestHandler):
    files: Files

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.files.asked.append(self.path)
        fault = self.files.faults.pop(0) if self.files.faults else None
        content = self.files.content.get(self.path)
        if fault == "other content":
            content = b"Welcome to our hotel"
        status = fault if isinstance(fault, int) else 200 if content is not None else 404
        self.send_response(status)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        self.wfile.write((content or b"")[: 3 if fault == "cut" else None])


@pytest.fixture
def corpus(monkeypatch, tmp_path) -> Corpus:
    one = Corpus(
        "tiny", ("city",), "CC0", "someone/corpus", "c" * 40, "a/test.txt", sha256=hashlib.sha256(CONTENT).hexdigest()
    )
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(corpora, "corpora", lambda: {"tiny": one})
    monkeypatch.setattr(corpora, "suites", lambda: {"all": ("tiny",)})
    return one


@pytest.fixture
def server(corpus, monkeypatch) -> Iterator[Files]:
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        assert address[0] == "127.0.0.1", f"a test asked for {address}"
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    files = Files({f"/someone/corpus/{'c' * 40}/a/test.txt": CONTENT})
    listening = ThreadingHTTPServer(("127.0.0.1", 0), type("OurHandler", (Handler,), {"files": files}))
    thread = threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    monkeypatch.setattr(corpora, "HOST", f"http://127.0.0.1:{listening.server_port}")
    yield files
    listening.shutdown()
    listening.server_close()
    thread.join()


def said(call: Callable[[], Any]) -> GlinerError:
    with pytest.raises(GlinerError) as caught:
        call()
    assert not list(corpora.cache_folder().rglob("*.*")), "nothing is kept"
    return caught.value


def test_a_set_is_fetched_once(corpus, server):
    told: list[Corpus] = []
    for _ in range(2):
        done = fetched(corpus, say=told.append)
        assert (done.path.read_bytes(), done.sentences, done.sha256) == (CONTENT, 2, corpus.sha256)
    assert told == [corpus]
    assert len(server.asked) == 1
    (gold,) = suites.gold_sets(["all"], None, print)
    assert gold.documents[0].entities[0].text == "Porto"
    assert [path.name for path in corpora.cache_folder().rglob("*") if path.is_file()] == ["test.txt"]


def test_what_has_changed_on_this_disk_is_fetched_again(corpus, server):
    path = fetched(corpus).path
    path.write_bytes(CONTENT[:-3])
    assert fetched(corpus).path.read_bytes() == CONTENT


@pytest.mark.parametrize("fault", [429, 500, 503, "cut"])
def test_a_busy_server_is_asked_again_but_not_for_ever(corpus, server, fault):
    server.faults = [fault] * 100
    error = said(lambda: fetched(corpus))
    assert isinstance(error, HubError)
    assert ("does not answer" if fault == "cut" else f"HTTP {fault}") in error.message
    assert "--data-dir DIR, with DIR/tiny/raw/someone+corpus/a/test.txt" in error.hint
    assert len(server.asked) == 4
    server.faults = [fault] * 2
    assert fetched(corpus).sentences == 2


def test_what_is_not_what_was_published_is_thrown_away(corpus, server):
    server.faults = ["other content"]
    error = said(lambda: fetched(corpus))
    assert "thrown away" in error.message
    assert "SHA-256" in error.message


def test_what_is_gone(corpus, server):
    server.content.clear()
    error = said(lambda: fetched(corpus))
    assert "HTTP 404" in error.message
    assert "may have moved" in error.hint
    assert len(server.asked) == 1


def test_no_network(corpus, server, monkeypatch):
    monkeypatch.setattr(corpora, "HOST", "http://127.0.0.1:9")
    assert said(lambda: fetched(corpus)).message == "http://127.0.0.1:9 does not answer (ConnectError)."
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "switched off" in said(lambda: fetched(corpus)).message
    assert server.asked == []


def test_a_folder_that_cannot_be_written(corpus, server, tmp_path):
    (tmp_path / "file").write_text("")
    error = said(lambda: fetched(corpus, tmp_path / "file"))
    assert isinstance(error, OutputError)
    assert "--to DIR" in error.hint


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["gliner", *arguments])
    with pytest.raises(SystemExit) as left:
        main()
    return int(left.value.code or 0)


def test_the_command(corpus, server, monkeypatch, capfd, tmp_path):
    assert run(monkeypatch, "pull", "--suite", "all", "--suite", "tiny") == 0
    out, err = capfd.readouterr()
    assert "tiny: 2 sentences, licence: CC0" in out
    assert corpus.sha256 in out
    assert out.endswith("\ngliner bench --suite all --suite tiny\n")
    assert err == f"gliner: tiny: {corpus.url}\n"
    assert run(monkeypatch, "pull", "--suite", "all", "--to", str(tmp_path / "my data")) == 0
    assert f"gliner bench --data-dir '{tmp_path / 'my data'}' --suite all" in capfd.readouterr().out
    (gold,) = suites.gold_sets(["tiny"], tmp_path / "my data", print)
    assert len(gold.documents) == 2


def test_the_command_used_wrongly(corpus, server, monkeypatch, capfd):
    for arguments, what in (
        ([], "Name a checkpoint"), (["someone/x", "--suite", "all"], "pulled by itself"), (["--suite", "all", "--revision", "v1"], "pulled by itself"),
    ):  # fmt: skip
        assert run(monkeypatch, "pull", *arguments) == 2
        assert what in capfd.readouterr().err
    assert run(monkeypatch, "pull", "--suite", "odd") == 1
    assert "There is no published suite or set 'odd'; known are all, tiny." in capfd.readouterr().err
    assert server.asked == []
