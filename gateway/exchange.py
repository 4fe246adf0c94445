"""One HTTP exchange on /v1: reads the body, answers with the headers every answer carries, and
notices when the client leaves.

uvicorn's `send()` does not fail after the client left; only a concurrent `receive()` learns of
it. So once the body is in, one `receive()` waits beside the work, and `present()` turns what it
says into a cancellation of that work.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import orjson
from django.conf import settings
from starlette.types import Receive, Scope, Send
from uuid_utils import UUID, uuid7

from hontoni.errors import ApiError, BadRequest, TooLarge, UpstreamTimeout
from ratelimits.headers import rate_limit_headers
from ratelimits.limiter import Limits, State

Headers = list[tuple[bytes, bytes]]

_EVENT_STREAM: Headers = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]
_JSON = (b"content-type", b"application/json")
_CORS: Headers = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"*"),
]


class ClientGone(Exception):
    """The client closed the connection before it had its answer."""


class Exchange:
    """`limits` and `state` are set as they become known; every answer tells them."""

    __slots__ = ("_gone", "extra", "headers", "id", "limits", "receive", "scope", "send", "started", "state")  # noqa: E501  # fmt: skip

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope, self.receive, self.send = scope, receive, send
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.id: UUID = uuid7()
        self.limits: Limits | None = None
        self.state: State | None = None
        self.extra: Headers = []
        self.started = False
        self._gone = False

    @property
    def request_id(self) -> str:
        return f"req_{self.id.hex}"

    def header(self, name: bytes) -> str:
        return self.headers.get(name, b"").decode("latin-1")

    def client_ip(self) -> str:
        """The address of the client, past the proxies we trust."""
        if proxies := settings.TRUSTED_PROXIES:
            hops = self.header(b"x-forwarded-for").split(",")
            return hops[-min(proxies, len(hops))].strip()
        client = self.scope.get("client")
        return str(client[0]) if client else ""

    async def body(self) -> bytes:
        """The request's body. Raises TooLarge, BadRequest, or ClientGone."""
        if self.headers.get(b"content-encoding", b"identity") != b"identity":
            error = BadRequest("Compressed request bodies are not accepted.")
            error.status = 415
            raise error
        most = settings.MAX_BODY_BYTES
        if int(self.headers.get(b"content-length", b"0")) > most:
            raise _too_large(most)
        parts, size = [], 0
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            part: bytes = message.get("body", b"")
            parts.append(part)
            size += len(part)
            if size > most:
                raise _too_large(most)
            if not message.get("more_body"):
                return b"".join(parts)

    @asynccontextmanager
    async def present(self, seconds: float) -> AsyncIterator[None]:
        """Cancel what runs inside when the client leaves (ClientGone) or after `seconds`."""
        watch: asyncio.Future[Any] = asyncio.ensure_future(self.receive())
        try:
            async with asyncio.timeout(seconds) as scope:

                def leave(_: object) -> None:
                    self._gone = True
                    scope.reschedule(0)

                watch.add_done_callback(leave)
                try:
                    yield
                finally:
                    watch.remove_done_callback(leave)
        except TimeoutError:
            if self._gone:
                raise ClientGone from None
            raise UpstreamTimeout(f"The request took longer than {seconds:.0f} seconds.") from None
        finally:
            watch.cancel()

    def _base(self) -> Headers:
        request_id = self.request_id.encode()
        headers = [(b"x-request-id", request_id), (b"request-id", request_id), *_CORS]
        headers += rate_limit_headers(self.state, self.limits)
        if settings.SANDBOX:
            headers.append((b"x-hontoni-sandbox", b"true"))
        return headers + self.extra

    async def respond(self, status: int, body: bytes, headers: Headers | None = None) -> None:
        """The whole answer at once."""
        content = [(b"content-length", str(len(body)).encode())]
        if body:
            content.append(_JSON)
        everything = content + (headers or []) + self._base()
        self.started = True
        await self.send({"type": "http.response.start", "status": status, "headers": everything})
        if self.scope["method"] == "HEAD":
            body = b""
        await self.send({"type": "http.response.body", "body": body})

    async def respond_json(self, value: object, status: int = 200) -> None:
        await self.respond(status, orjson.dumps(value))

    async def start_stream(self, headers: Headers) -> None:
        everything = _EVENT_STREAM + headers + self._base()
        self.started = True
        await self.send({"type": "http.response.start", "status": 200, "headers": everything})

    async def write(self, data: bytes) -> None:
        await self.send({"type": "http.response.body", "body": data, "more_body": True})

    async def end_stream(self) -> None:
        await self.send({"type": "http.response.body", "body": b""})

    async def fail(self, error: ApiError) -> None:
        """Answer with an error, in the envelope both SDK families read."""
        headers = raw_headers(error.headers)
        if error.status in (401, 402) and b"x-should-retry" not in dict(headers):
            # Without it a popular agent retries a 401 for minutes (clients.md section 3).
            headers.append((b"x-should-retry", b"false"))
        await self.respond(error.status, orjson.dumps(error.body(self.request_id)), headers)


def raw_headers(headers: Mapping[str, str]) -> Headers:
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]


def _too_large(most: int) -> TooLarge:
    return TooLarge(f"The request body is larger than {most // 1024 // 1024} MB.")
