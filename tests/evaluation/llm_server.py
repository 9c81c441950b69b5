"""A small real OpenAI-compatible service on 127.0.0.1, with the faults that real ones have."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Body = dict[str, Any]
Fault = int | str
KEY = "sk-proj-very+secret/0123456789"


def spoken(body: Body) -> str:
    """The text that a request is about."""
    content = body["messages"][1]["content"]
    return content.removeprefix("Text: ")


@dataclass
class Llm:
    """What the service says and does.

    `says` makes the answer to a request. `faults` are done instead of answering, one for each request in the order in
    which they come, then no more; `always` is done instead of answering where it says so. Faults are a status, with
    `retry_after` if it is 429; "cut" (half the answer, then the line is dead), "html", "slow" (nothing for long), "drip"
    (a byte now and then), "null" (no content). All refusals repeat the key they were sent.
    """

    says: Callable[[Body], str]
    faults: list[Fault] = field(default_factory=list)
    always: Callable[[Body], Fault | None] = lambda _: None
    refuses: Callable[[Body], str | None] = lambda _: None  # 400, with this text
    because: str = "something is wrong"
    retry_after: str = "0.05"
    counts_tokens: bool = True
    asked: list[Body] = field(default_factory=list)
    answered: list[Body] = field(default_factory=list)
    keys: set[str | None] = field(default_factory=set)
    billed: list[tuple[int, int]] = field(default_factory=list)  # tokens in and out, of answers that were computed
    waited: list[float] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    url: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def cost(self, prompt: float, completion: float) -> float:
        """What stands on the bill, at these prices for a million tokens."""
        return sum(a * prompt + b * completion for a, b in self.billed) / 1e6


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    llm: Llm

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        llm = self.llm
        with llm.lock:
            llm.asked.append(body)
            llm.keys.add(self.headers.get("Authorization"))
            llm.at_once += 1
            llm.most_at_once = max(llm.most_at_once, llm.at_once)
            fault = llm.always(body) or (llm.faults.pop(0) if llm.faults else None)
        with suppress(BrokenPipeError, ConnectionResetError):  # who asked has given up
            self.respond(body, fault)
        with llm.lock:
            llm.at_once -= 1

    def respond(self, body: Body, fault: Fault | None) -> None:
        if self.path != "/v1/chat/completions":
            return self.refuse(404, f"no such address {self.path}")
        if isinstance(fault, int):
            return self.refuse(fault, self.llm.because)
        if refusal := self.llm.refuses(body):
            return self.refuse(400, refusal)
        if fault == "slow":
            return time.sleep(1.6)
        if fault == "html":
            return self.send(b"<html>Welcome to our hotel</html>")
        return self.complete(body, fault)

    def refuse(self, status: int, said: str) -> None:
        echo = f"{said}; your header was {self.headers.get('Authorization')} and your key is {KEY}"
        content = json.dumps({"error": {"message": echo}}).encode()
        self.send(content, status, {"Retry-After": self.llm.retry_after} if status == 429 else {})

    def complete(self, body: Body, fault: Fault | None) -> None:
        said = self.llm.says(body)
        tokens = len(json.dumps(body["messages"])) // 3, len(said.split()) + len(said) // 5
        with self.llm.lock:
            self.llm.billed.append(tokens)
        counted = {"usage": dict(zip(("prompt_tokens", "completion_tokens"), tokens, strict=True))}
        choice = {"message": {"content": None if fault == "null" else said}, "finish_reason": "stop"}
        whole = {"model": body["model"] + "-2026", "choices": [choice], **(counted if self.llm.counts_tokens else {})}
        content = json.dumps(whole).encode()
        if fault == "cut":
            return self.send(content[: len(content) // 2], of=len(content))
        if fault == "drip":
            return self.drip(content)
        self.llm.answered.append(body)
        return self.send(content)

    def send(self, content: bytes, status: int = 200, headers: dict[str, str] | None = None, of: int = 0) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(of or len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()
        if of:
            self.close_connection = True

    def drip(self, content: bytes) -> None:
        self.send(b"", of=len(content))
        for place in range(20):
            self.wfile.write(content[place : place + 1])
            time.sleep(0.1)


@contextmanager
def serving(llm: Llm) -> Iterator[Llm]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("OurHandler", (Handler,), {"llm": llm}))
    server.daemon_threads = True
    llm.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield llm
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
