"""One question to an OpenAI-compatible service: sent, sent again where that helps, and its answer taken apart.

The key is in the headers of the connection and nowhere else; whatever the service says passes through `scrubbed`
before anybody sees it.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from gliner_cli.errors import GlinerError, InputError

if TYPE_CHECKING:
    import httpx

OPENAI = "https://api.openai.com/v1"
_LONGEST_ANSWER = 10_000_000  # bytes
_AGAIN = {0, 200, 408, 409, 425, 429}


@dataclass(frozen=True)
class Reply:
    """What came back. With status 0 nothing did, or not all, and `text` says why; it may still be on the bill."""

    status: int
    text: str
    seconds: float
    wait: float | None = None

    @property
    def passing(self) -> bool:
        """Whether, if there is no completion in it, there may be one later."""
        return (self.status in _AGAIN and "insufficient_quota" not in self.text) or self.status >= 500

    @cached_property
    def completion(self) -> Completion | None:
        """The completion in it; None if it holds none."""
        if self.status != 200:
            return None
        try:
            value = json.loads(self.text)
            choice = value["choices"][0]
            content = choice["message"].get("content") or ""
        except (ValueError, LookupError, TypeError, AttributeError):
            return None
        usage = value.get("usage") or {}
        counted = _number(usage, "prompt_tokens"), _number(usage, "completion_tokens")
        return Completion(str(content), *counted, str(value.get("model") or ""))


@dataclass(frozen=True)
class Completion:
    """The text of an answer, and how many tokens were counted, where the service says so."""

    content: str
    prompt_tokens: int | None
    completion_tokens: int | None
    model: str


def _number(usage: Any, name: str) -> int | None:
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if isinstance(value, int) and value >= 0 else None


@dataclass(frozen=True)
class Dialect:
    """Which of the optional parts of a request a service understands: found out by its refusals, 400.

    Reasoning models take no temperature and another name for the limit; many local servers know no JSON schema.
    """

    formats: tuple[str, ...] = ("json_schema", "json_object")
    temperature: bool = True
    limit: str = "max_tokens"

    def after(self, refusal: str) -> Dialect | None:
        """What to try next; None if nothing is left to leave out."""
        if "max_completion_tokens" in refusal and self.limit == "max_tokens":
            return replace(self, limit="max_completion_tokens")
        if "temperature" in refusal and self.temperature:
            return replace(self, temperature=False)
        return replace(self, formats=self.formats[1:]) if self.formats else None

    def options(self, tokens: int, schema: Mapping[str, Any] | None) -> dict[str, Any]:
        """The optional parts, for an answer of so many tokens at most."""
        parts: dict[str, Any] = {self.limit: tokens}
        if self.temperature:
            parts["temperature"] = 0
        if schema is None or not self.formats:
            return parts
        wanted: dict[str, Any] = {"type": self.formats[0]}
        if self.formats[0] == "json_schema":
            wanted["json_schema"] = {"name": "entities", "strict": True, "schema": schema}
        return {**parts, "response_format": wanted}


@dataclass(frozen=True)
class Service:
    """Where to ask. `seconds` is the longest that one try may take, from its beginning to its last byte."""

    url: str
    seconds: float
    connections: int
    _key: str = field(repr=False, default="")

    def opened(self) -> httpx.Client:
        """A connection, for any number of threads."""
        import httpx

        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        limits = httpx.Limits(max_connections=self.connections)
        return httpx.Client(headers=headers, timeout=self.seconds, limits=limits)

    def send(self, client: httpx.Client, body: bytes) -> Reply:
        """One try."""
        import httpx

        began = time.perf_counter()
        try:
            with client.stream("POST", f"{self.url}/chat/completions", content=body, headers=_JSON) as response:
                text = self._received(response, began + self.seconds)
        except httpx.HTTPError as error:
            said = self.scrubbed(f"{type(error).__name__}: {error}")
            return Reply(0, said, time.perf_counter() - began)
        status = response.status_code
        said = text if status == 200 else self.scrubbed(text)
        return Reply(status, said, time.perf_counter() - began, _seconds(response.headers.get("retry-after")))

    def _received(self, response: httpx.Response, until: float) -> str:
        """The body; httpx's own timeout starts anew with every byte, and a service may send one a minute."""
        import httpx

        parts, size = [], 0
        for part in response.iter_bytes():
            parts.append(part)
            size += len(part)
            if size > _LONGEST_ANSWER or time.perf_counter() > until:
                raise httpx.ReadTimeout(f"the answer was not whole after {self.seconds:g} s or {size} bytes")
        return b"".join(parts).decode("utf-8", "replace")

    def scrubbed(self, text: str) -> str:
        """A text without the key or anything that looks like one, and short enough to be shown."""
        for written in {self._key, quote(self._key, safe="")} - {""}:
            text = text.replace(written, "***")
        return re.sub(r"(?i)\b(sk-|Bearer\s+)[\w.~+/=-]+", r"\1***", text)[:500]


_JSON = {"Content-Type": "application/json"}


def service(url: str | None, key_env: str, seconds: float, connections: int) -> Service:
    """The service at an address, with the key from this variable of the environment, if it is set.

    Raises InputError for an address that is none, and where OpenAI's own is asked without a key.
    """
    address = (url or OPENAI).rstrip("/")
    if "@" in address or "?" in address:  # it would stand in every report
        raise InputError("--endpoint holds a user or a query, which may be secret.", f"Put the key into {key_env}.")
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError(f"--endpoint is {address!r}; an address was expected.", "--endpoint http://localhost:8000/v1")
    key = os.environ.get(key_env, "").strip()
    if not key and address == OPENAI:
        raise InputError(f"{key_env} is not set, and {OPENAI} answers nobody without a key.", f"export {key_env}=…")
    if not re.fullmatch(r"[!-~]*", key):  # httpx would show it in its error
        raise InputError(f"{key_env} holds characters that no key has.", f"export {key_env}=…")
    return Service(address, seconds, connections, key)


def _seconds(stated: str | None) -> float | None:
    """What Retry-After says: a number of seconds, or a date."""
    if not stated:
        return None
    try:
        return max(0.0, float(stated))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(stated).timestamp() - time.time())
    except ValueError:
        return None


def failed(name: str, url: str, reply: Reply, key_env: str) -> GlinerError:
    """The error of a service that cannot be used at all."""
    hint = {
        401: f"Check the key in {key_env}.",
        404: f"Check the name of the model, {name}, and the address: --endpoint …/v1",
    }.get(reply.status, "Check that the service runs, and its address: --endpoint …/v1")
    said = f"status {reply.status}: {reply.text}" if reply.status else reply.text
    return GlinerError(f"{url} does not answer for {name}: {said}", hint)
