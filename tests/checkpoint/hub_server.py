"""A small real hub on 127.0.0.1: the endpoints that huggingface_hub asks, with the faults that a real one has."""

from __future__ import annotations

import base64
import hashlib
import json
import re
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

    For `push`: `token` may write to what `owners` own; `tags` are branches too; `stored` are large files by SHA-256, before
    and after a commit names them; `messages` are those of the commits. Their faults are named
    after the method that answers ("POST create", "PUT store") and may be a status and a reason.
    """

    repositories: dict[str, Files]
    faults: dict[str, list[Any]] = field(default_factory=dict)
    locked: dict[str, int] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    sent: list[tuple[str, str, str, int]] = field(default_factory=list)
    revisions: set[str] = field(default_factory=set)
    past: dict[str, Files] = field(default_factory=dict)
    token: str = ""
    owners: set[str] = field(default_factory=set)
    private: set[str] = field(default_factory=set)
    stored: Files = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    url: str = ""

    def commit(self, name: str) -> str:
        return self.committed(name, self.repositories[name])

    def committed(self, name: str, files: Files) -> str:
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


def listed(name: str, commit: str, files: Files, private: bool = False) -> dict[str, Any]:
    """What `/api/models/NAME?blobs=1` answers."""
    siblings = []
    for file, content in files.items():
        entry: dict[str, Any] = {"rfilename": file, "size": len(content), "blobId": etag(content)[:40]}
        if len(content) > LARGE:
            entry["lfs"] = {"sha256": etag(content), "size": len(content), "pointerSize": 134}
        siblings.append(entry)
    card = {"license": "apache-2.0"} if "README.md" in files else None
    return {"id": name, "modelId": name, "sha": commit, "siblings": siblings, "cardData": card, "private": private,
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
            where = path.removeprefix("api/models/")
            name, _, revision = where.partition("/tree/" if "/tree/" in where else "/revision/")
            self.api(name, revision, "/tree/" in where)
        elif "/resolve/" in path:
            name, _, rest = path.partition("/resolve/")
            revision, _, file = rest.partition("/")
            self.file(name, revision, file)
        else:
            self.refuse(404)

    def fault(self, what: str) -> Any:
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
        if self.command != "HEAD":
            self.wfile.write(content)

    def api(self, name: str, revision: str, tree: bool = False) -> None:
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
        if tree:
            files = self.hub.past[commit].items()
            return self.answer_json(
                [{"type": "file", "path": file, "size": len(content), "oid": etag(content)} for file, content in files]
            )
        about = json.dumps(listed(name, commit, self.hub.past[commit], name in self.hub.private)).encode()
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

    # --- What `push` asks -------------------------------------------------------------------------------------------

    def do_POST(self) -> None:
        self.write()

    def do_PUT(self) -> None:
        self.write()

    def write(self) -> None:
        content = self.content()
        path = self.path.split("?")[0].strip("/")
        for pattern, do in (
            (r"api/(validate-yaml)", self.validate),
            (r"api/repos/(create)", self.create),
            (r"api/models/(.+?)/preupload/(.+)", self.preupload),
            (r"api/models/(.+?)/branch/(.+)", self.branch),
            (r"api/models/(.+?)/commit/(.+)", self.change),
            (r"(.+)\.git/info/lfs/objects/batch", self.batch),
            (r"lfs/(.+)", self.store),
        ):
            if found := re.fullmatch(pattern, path):
                return self.allowed(do.__name__) and do(content, *(part.replace("%2F", "/") for part in found.groups()))
        return self.refuse(404)

    def content(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        content = b""
        while size := int(self.rfile.readline(), 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return content

    def allowed(self, what: str) -> bool:
        """Whether there is no fault in the way, and a login where one is asked for: signed addresses need none."""
        self.hub.sent.append((self.command, "", what, 0))
        fault = self.fault(what)
        given = self.headers.get("Authorization", "")
        if fault is not None:
            status, said = (fault, "") if isinstance(fault, int) else fault
            self.answer_json({"error": said} if said else {}, status)
        elif what == "store":
            assert not given, "the token was sent to a stranger"
            return True
        elif given != f"Bearer {self.hub.token}":
            self.refuse(401, said="Invalid credentials in Authorization header")
        else:
            return True
        return False

    def answer_json(self, content: object, status: int = 200) -> None:
        self.send({"Content-Type": "application/json"}, json.dumps(content).encode(), status)

    def validate(self, content: bytes, _: str) -> None:
        card = json.loads(content)["content"]
        base = re.match(r"---\n(?:.*\n)*?base_model: *(.*)", card)
        errors = []
        if base and not re.fullmatch(r"[\w.-]+/[\w.-]+", base[1]):
            errors = [{"message": f'"base_model" with value "{base[1]}" is not valid. Use a model id.'}]
        self.answer_json({"errors": errors, "warnings": [{"message": "empty"}]}, 400 if errors else 200)

    def create(self, content: bytes, _: str) -> None:
        asked = json.loads(content)
        name = f"{asked['organization']}/{asked['name']}"
        if asked["organization"] not in self.hub.owners:
            said = f'You don\'t have the rights to create a model under the namespace "{asked["organization"]}"'
            return self.refuse(403, said=said)
        url = {"url": f"{self.hub.url}/{name}"}
        if name in self.hub.repositories:
            return self.answer_json({**url, "error": "You already created this model repo"}, 409)
        self.hub.repositories[name] = {".gitattributes": b"*.safetensors filter=lfs"}
        self.hub.commit(name)
        if asked.get("visibility") == "private":
            self.hub.private.add(name)
        return self.answer_json(url)

    def there(self, name: str, revision: str) -> Files | None:
        """The files of a branch that may be written to; what is the matter is answered."""
        if name.partition("/")[0] not in self.hub.owners:
            self.refuse(403, said="Authorization error.")
        elif (commit := self.hub.resolved(name, revision)) is None:
            self.refuse(404, "RevisionNotFound")
        else:
            return dict(self.hub.past[commit])
        return None

    def preupload(self, content: bytes, name: str, revision: str) -> None:
        files = self.there(name, revision)
        if files is not None:
            modes = [
                {"path": file["path"], "uploadMode": "lfs" if file["size"] > LARGE else "regular", "shouldIgnore": False,
                 "oid": etag(files[file["path"]]) if file["path"] in files else None}
                for file in json.loads(content)["files"]
            ]  # fmt: skip
            self.answer_json({"files": modes})

    def batch(self, content: bytes, _: str) -> None:
        there = self.hub.stored.keys()
        objects = [
            {**asked} if asked["oid"] in there
            else {**asked, "actions": {"upload": {"href": f"{self.hub.url}/lfs/{asked['oid']}", "header": {}}}}
            for asked in json.loads(content)["objects"]
        ]  # fmt: skip
        self.answer_json({"transfer": "basic", "objects": objects})

    def store(self, content: bytes, digest: str) -> None:
        if hashlib.sha256(content).hexdigest() != digest:
            return self.refuse(400)
        self.hub.stored[digest] = content
        return self.answer_json({})

    def branch(self, _: bytes, name: str, branch: str) -> None:
        if branch in self.hub.tags:
            return self.answer_json({"error": "Reference already exists"}, 409)
        self.hub.tags[branch] = self.hub.commit(name)
        return self.answer_json({})

    def change(self, content: bytes, name: str, branch: str) -> None:
        files = self.there(name, branch)
        if files is None:
            return
        for line in content.splitlines():
            change = json.loads(line)
            value = change["value"]
            if change["key"] == "header":
                self.hub.messages.append(value["summary"])
            elif change["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif change["key"] == "lfsFile":
                files[value["path"]] = self.hub.stored[value["oid"]]
            else:
                assert change["key"] == "deletedFile"
                del files[value["path"]]
        if branch == "main":
            self.hub.repositories[name] = files
        commit = self.hub.committed(name, files)
        if branch != "main":
            self.hub.tags[branch] = commit
        self.answer_json({"success": True, "commitOid": commit, "commitUrl": f"{self.hub.url}/{name}/commit/{commit}"})


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
