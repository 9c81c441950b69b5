"""A small real hub on 127.0.0.1: the endpoints that huggingface_hub asks, with the faults that a real one has."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "c" * 40
LARGE = 10_000  # files above this are "LFS": their ETag is their SHA-256


class Hub:
    """Repositories as {name: {file: content}}. `faults` maps a file name to the answers to give before the true one."""

    def __init__(self, repositories: dict[str, dict[str, bytes]]) -> None:
        self.repositories = repositories
        self.faults: dict[str, list[int | str]] = {}
        self.asked: Counter[str] = Counter()
        self.sent: list[tuple[str, int]] = []  # (file, first byte) of every answer with content
        self.gated: set[str] = set()
        self.url = ""


def etag(content: bytes) -> str:
    if len(content) > LARGE:
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, body: bool) -> None:
            path = self.path.split("?")[0].strip("/")
            if path.startswith("api/models/"):
                self.api(path.removeprefix("api/models/"))
            elif "/resolve/" in path:
                name, _, rest = path.partition("/resolve/")
                self.file(name, rest.split("/", 1)[1], body)
            else:
                self.refuse(404)

        def refuse(self, status: int, code: str = "") -> None:
            self.send_response(status)
            if code:
                self.send_header("X-Error-Code", code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def fault(self, name: str) -> int | str | None:
            waiting = hub.faults.get(name)
            return waiting.pop(0) if waiting else None

        def api(self, path: str) -> None:
            name, _, revision = path.partition("/revision/")
            fault = self.fault("api")
            if isinstance(fault, int):
                return self.refuse(fault)
            if name not in hub.repositories:
                return self.refuse(
                    401 if name in hub.gated else 404, "GatedRepo" if name in hub.gated else "RepoNotFound"
                )
            if revision not in ("", "main", COMMIT):
                return self.refuse(404, "RevisionNotFound")
            files = hub.repositories[name]
            siblings = [
                {"rfilename": file, "size": len(content)}
                | (
                    {"lfs": {"sha256": etag(content), "size": len(content), "pointerSize": 1}}
                    if len(content) > LARGE
                    else {}
                )
                for file, content in files.items()
            ]
            info = {
                "id": name,
                "modelId": name,
                "sha": COMMIT,
                "siblings": siblings,
                "cardData": {"license": "apache-2.0"},
            }
            answer = json.dumps(info | {"private": False, "tags": [], "downloads": 0, "likes": 0}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)
            return None

        def file(self, name: str, file: str, body: bool) -> None:
            content = hub.repositories.get(name, {}).get(file)
            if content is None:
                return self.refuse(404, "EntryNotFound")
            if body:
                hub.asked[file] += 1
            fault = self.fault(file) if body else None
            if isinstance(fault, int):
                return self.refuse(fault)
            begin = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
            sent = content[begin:] if fault != "other content" else b"x" * len(content[begin:])
            self.send_response(206 if begin else 200)
            for header, value in (
                ("ETag", f'"{etag(content)}"'), ("X-Repo-Commit", COMMIT), ("Accept-Ranges", "bytes"),
                ("Content-Length", str(len(sent))),
            ):  # fmt: skip
                self.send_header(header, value)
            if begin:
                self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
            self.end_headers()
            if body:
                hub.sent.append((file, begin))
                if fault == "cut":
                    self.wfile.write(sent[: len(sent) // 2])
                    self.wfile.flush()
                    self.close_connection = True
                    self.connection.close()
                else:
                    self.wfile.write(sent)
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
