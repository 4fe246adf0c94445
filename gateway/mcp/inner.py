"""Our own doors, asked from within on behalf of a caller: same process, no network, and nothing of
the caller's request changed but what is asked."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import orjson
from starlette.types import ASGIApp, Message, Scope

# What is about the request that came, and not about the one that is made of it.
_OF_THE_OUTER = frozenset(
    (
        *(b"content-length", b"content-type", b"content-encoding", b"transfer-encoding"),
        *(b"accept", b"accept-encoding", b"cookie", b"origin", b"idempotency-key"),
    )
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a door answered. `content` is its JSON."""

    status: int
    content: Any

    @property
    def good(self) -> bool:
        return self.status < 400

    @property
    def words(self) -> str:
        """What an error says, and for how long that holds."""
        error = self.content.get("error", {}) if isinstance(self.content, dict) else {}
        return str(error.get("message") or f"Something is broken on our side ({self.status}).")


@dataclass(frozen=True, slots=True)
class Doors:
    """The product, as the caller of this request meets it."""

    app: ASGIApp
    scope: Scope

    async def get(self, path: str, query: Mapping[str, Any] | None = None) -> Answer:
        return await self.ask("GET", path, query=query)

    async def post(self, path: str, body: Any, headers: Mapping[str, str] | None = None) -> Answer:
        return await self.ask("POST", path, body=body, headers=headers)

    async def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request. Parameters that are None are left out."""
        raw = b"" if body is None else _written(body)
        given = {name: value for name, value in (query or {}).items() if value is not None}
        kept = [(n, v) for n, v in self.scope["headers"] if n not in _OF_THE_OUTER]
        more = {"content-type": "application/json", "content-length": str(len(raw))}
        added = [(n.encode(), v.encode()) for n, v in {**more, **(headers or {})}.items()]
        scope = {
            **{n: v for n, v in self.scope.items() if n not in ("state", "extensions")},
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": urlencode(given).encode(),
            "headers": [*kept, *added],
        }
        return await _answered(self.app, scope, raw)


async def _answered(app: ASGIApp, scope: Scope, raw: bytes) -> Answer:
    sent: list[Message] = [{"type": "http.request", "body": raw, "more_body": False}]
    status, over = 500, asyncio.Event()
    pieces: list[bytes] = []

    async def receive() -> Message:
        if sent:
            return sent.pop()
        await over.wait()  # whoever asks stays until the answer is whole
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        elif message["type"] == "http.response.body":
            pieces.append(message.get("body", b""))

    try:
        await app(scope, receive, send)
    finally:
        over.set()
    return Answer(status, _parsed(b"".join(pieces)))


def _written(body: Any) -> bytes:
    """Whatever came as JSON goes on as JSON: numbers beyond 64 bits, too, which are the door's to
    refuse."""
    try:
        return orjson.dumps(body)
    except TypeError:
        return json.dumps(body).encode()


def _parsed(raw: bytes) -> Any:
    try:
        return orjson.loads(raw) if raw else {}
    except orjson.JSONDecodeError:
        return {}
