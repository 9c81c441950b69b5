"""A small real hub on 127.0.0.1: the endpoints that huggingface_hub asks, with the faults that a real one has."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LARGE = 10_000  # files above this are "LFS": they are known by their SHA-256
Files = dict[str, bytes]


@dataclass
class Hub:
    """Repositories and their files, which tests change at will: each state has its own commit, old ones stay.

    `faults` maps a request ("GET model.safetensors", "HEAD …", "GET api") to what is done instead of answering it, once
    each: a status, "cut" (half of the content, then the line is dead), "other content", "html". `locked` maps gated
    repositories to the status of their files. `sent` is (method, "owner/name", file, first byte) of all requests.
    """

    repositories: dict[str, Files]
    faults: dict[str, list[int | str]] = field(default_factory=dict)
    locked: dict[str, int] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    sent: list[tuple[str, str, str, int]] = field(default_factory=list)
    revisions: set[str] = field(default_factory=set)
    past: dict[str, Files] = field(default_factory=dict)
    url: str = ""

    def commit(self, name: str) -> str:
        files = self.repositories[name]
        state = repr(sorted((file, etag(content)) for file, content in files.items()))
        commit = hashlib.sha1((name + state).encode(), usedforsecurity=False).hexdigest()
        self.past.setdefault(commit, dict(files))
        return commit

    def resolved(self, name: str, revision: str) -> str | None:
        revision = self.commit(name) if revision in ("", "main") else self.tags.get(revision, revision)
        return revision if revision in self.past else None

    def got(self, name: str | None = None) -> list[str]:
        """The files whose content was asked for, in order."""
        return [file for method, of, file, _ in self.sent if method == "GET" and file and name in (None, of)]


def etag(content: bytes) -> str:
    if len(content) > LARGE:
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def listed(name: str, commit: str, files: Files) -> dict[str, Any]:
    """What `/api/models/NAME?blobs=1` answers."""
    siblings = []
    for file, content in files.items():
        entry: dict[str, Any] = {"rfilename": file, "size": len(content), "blobId": etag(content)[:40]}
        if len(content) > LARGE:
            entry["lfs"] = {"sha256": etag(content), "size": len(content), "pointerSize": 134}
        siblings.append(entry)
    card = {"license": "apache-2.0"} if "README.md" in files else None
    return {"id": name, "modelId": name, "sha": commit, "siblings": siblings, "cardData": card, "private": False,
            "tags": [], "downloads": 0, "likes": 0}  # fmt: skip


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def answer(self) -> None:
        path = self.path.split("?")[0].strip("/").replace("%2F", "/")
        if path.startswith("api/models/"):
            name, _, revision = path.removeprefix("api/models/").partition("/revision/")
            self.api(name, revision)
        elif "/resolve/" in path:
            name, _, rest = path.partition("/resolve/")
            revision, _, file = rest.partition("/")
            self.file(name, revision, file)
        else:
            self.refuse(404)

    def fault(self, what: str) -> int | str | None:
        waiting = self.hub.faults.get(f"{self.command} {what}")
        return waiting.pop(0) if waiting else None

    def refuse(self, status: int, code: str = "", said: str = "") -> None:
        self.send({"X-Error-Code": code, "X-Error-Message": said}, b"", status)

    def send(self, headers: dict[str, str], content: bytes, status: int = 200) -> None:
        self.send_response(status)
        for header, value in {**headers, "Content-Length": str(len(content))}.items():
            if value:
                self.send_header(header, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def api(self, name: str, revision: str) -> None:
        self.hub.sent.append((self.command, name, "", 0))
        fault = self.fault("api")
        if isinstance(fault, int):
            return self.refuse(fault, said="Invalid credentials in Authorization header" if fault == 401 else "")
        if fault == "html":
            return self.send({"Content-Type": "text/html"}, b"<html>Welcome to our hotel</html>")
        if name not in self.hub.repositories:
            return self.refuse(401, "RepoNotFound")  # so does the real one, to tell nobody what is private
        commit = self.hub.resolved(name, revision)
        if commit is None:
            return self.refuse(404, "RevisionNotFound")
        about = json.dumps(listed(name, commit, self.hub.past[commit])).encode()
        return self.send({"Content-Type": "application/json"}, about)

    def file(self, name: str, revision: str, file: str) -> None:
        begin = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
        self.hub.sent.append((self.command, name, file, begin))
        self.hub.revisions.add(revision)
        if name in self.hub.locked:
            return self.refuse(self.hub.locked[name], "GatedRepo")
        content = self.hub.past.get(self.hub.resolved(name, revision) or "", {}).get(file)
        if content is None:
            return self.refuse(404, "EntryNotFound")
        fault = self.fault(file)
        if isinstance(fault, int):
            return self.refuse(fault)
        headers = {"ETag": f'"{etag(content)}"', "X-Repo-Commit": revision, "Accept-Ranges": "bytes"}
        if len(content) > LARGE:
            headers |= {"X-Linked-Etag": f'"{etag(content)}"', "X-Linked-Size": str(len(content))}
        if begin:
            headers["Content-Range"] = f"bytes {begin}-{len(content) - 1}/{len(content)}"
        if fault == "cut":
            return self.cut(headers, content[begin:])
        sent = content[begin:] if fault != "other content" else b"x" * len(content[begin:])
        return self.send(headers, sent, 206 if begin else 200)

    def cut(self, headers: dict[str, str], content: bytes) -> None:
        self.send_response(200)
        for header, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(header, value)
        self.end_headers()
        self.wfile.write(content[: len(content) // 2])
        self.wfile.flush()
        self.close_connection = True


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    for name in hub.repositories:
        hub.commit(name)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("OurHandler", (Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
