"""One HTTP exchange on /v1: reads the body, answers with the headers every answer carries, and
turns a client that leaves (watching.py) into a cancellation of the work: `present`.
"""

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import orjson
from django.conf import settings
from starlette.types import Receive, Scope, Send
from uuid_utils import uuid7

from gateway.dialects.codecs import failures
from gateway.plane import codings, life, watching, wire
from gateway.plane.life import Answer
from gateway.plane.watching import ClientGone
from gateway.plane.wire import Connection, Headers
from hontoni import addresses, bodies
from hontoni.errors import ApiError, TooLarge
from hontoni.money import nanos
from ratelimits.headers import rate_limit_lines
from ratelimits.limiter import Limits, State

_EVENT_STREAM = (
    b"content-type: text/event-stream; charset=utf-8\r\n"
    b"cache-control: no-cache\r\n"
    b"x-accel-buffering: no\r\n"
)
_JSON = b"content-type: application/json\r\n"
JSON_STREAM = _JSON + b"cache-control: no-cache\r\nx-accel-buffering: no\r\n"
_CORS = b"access-control-allow-origin: *\r\naccess-control-expose-headers: *\r\n"
_SANDBOX = wire.lines([(b"x-hontoni-sandbox", b"true")])


class Config(NamedTuple):
    """The settings every request needs: Django's lookup of one costs a microsecond."""

    sandbox: bool
    trusted_proxies: int
    max_body_bytes: int
    total_seconds: float
    lease_ms: int
    fair_bill_daily: int  # nano-dollars

    @classmethod
    def read(cls) -> "Config":
        return cls(
            settings.SANDBOX,
            settings.TRUSTED_PROXIES,
            settings.MAX_BODY_BYTES,
            settings.UPSTREAM_TOTAL_SECONDS,
            settings.LEASE_SECONDS * 1000,
            nanos(settings.FAIR_BILL_DAILY),
        )


class Exchange:
    """`limits` and `state` are set as they become known; every answer tells them.

    `owner` (account and key id) and `parsed` (the body) are for the owner's log of refusals.
    `dialect` words the errors, `stream_head` and `body_head` say what an answer is. `keep_alive`,
    once set, says what to send when a stream is silent, unless something is about to be written:
    it would be numbered after what it overtakes.
    """

    __slots__ = ("__weakref__", "_connection", "_parts", "_quiet", "answer", "body_head", "compacts", "config", "dialect", "extra", "headers", "held", "keep_alive", "kept", "limits", "owner", "parsed", "receive", "request_id", "scope", "send", "state", "stream_head", "writing")  # noqa: E501  # fmt: skip

    def __init__(self, scope: Scope, receive: Receive, send: Send, config: Config) -> None:
        self.scope, self.receive, self.send, self.config = scope, receive, send, config
        self._connection = Connection.of(receive, send)
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.request_id = f"req_{uuid7().hex}"
        self.limits: Limits | None = None
        self.state: State | None = None
        self.owner: tuple[int, int] | None = None
        self.parsed: dict[str, Any] | None = None
        self.extra: Headers = []
        self.held: bodies.Held | None = None
        self._parts: list[bytes] = []
        self.answer: Answer = life.SILENT
        self.dialect = ""
        self.keep_alive: Callable[[], bytes] | None = None
        self.kept: Any = None  # what of its answer (kept_responses.Keeping)
        self.compacts = False  # its answer is the conversation, compacted (compaction.py)
        self._quiet = False
        self.writing = False
        self.stream_head, self.body_head = _EVENT_STREAM, _JSON

    @property
    def started(self) -> bool:
        """Whether the client has heard anything."""
        return self.answer is not life.SILENT

    def header(self, name: bytes) -> str:
        return self.headers.get(name, b"").decode("latin-1")

    def query(self) -> dict[str, str]:
        return dict(parse_qsl(self.scope["query_string"].decode("latin-1")))

    def client_ip(self) -> str:
        """The address of the client, past the proxies we trust."""
        return addresses.client(self.scope, self.config.trusted_proxies)

    def origin(self) -> str:
        """Where this client reaches us: for links that only it follows."""
        host, public = self.header(b"host"), settings.PUBLIC_URL.rstrip("/")
        if urlsplit(public).netloc == host:
            return str(public)
        return f"{addresses.believed(self.scope).get('scheme', 'http')}://{host}"

    def whole_body(self) -> bytes | None:
        """As `body`, where nothing of it need be waited for."""
        if self._connection is None or b"content-encoding" in self.headers:
            return None
        body = self._connection.body()
        if body is not None and len(body) > bodies.FREE_BYTES:
            if len(body) > self.config.max_body_bytes:
                raise self.too_large()
            self.holder().grow(len(body))
        return body

    def announced(self) -> int:
        """The bytes that the body says it has, 0 if it does not say. Raises TooLarge."""
        size = bodies.announced(self.scope)
        if size > self.config.max_body_bytes:
            raise self.too_large()
        return size

    def coding(self) -> str:
        """How the body is compressed, "" if it is not. Raises codings.Unsupported."""
        given = self.headers.get(b"content-encoding")
        return codings.named(given) if given else ""

    async def body(
        self, announced: int, most: int, pause: Callable[[], float] | None = None
    ) -> bytes | None:
        """The request's body; None if it has more than `most` bytes: asked again, what has come
        is there still. `pause` tells for how many seconds others come first, after each piece.
        Raises TooLarge, Unavailable, or ClientGone."""
        size = sum(map(len, self._parts))
        if announced > bodies.FREE_BYTES:
            self.holder().room_for(announced - size)
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            part: bytes = message.get("body", b"")
            self._parts.append(part)
            size += len(part)
            if size > self.config.max_body_bytes:
                raise self.too_large()
            self.hold(size)
            if not message.get("more_body"):
                whole = part if len(self._parts) == 1 else b"".join(self._parts)
                self._parts.clear()
                return whole
            if size > most:
                return None
            if pause is not None:
                await asyncio.sleep(pause())

    def hold(self, size: int) -> None:
        """Its body takes so many bytes of the process's memory, all in all; nothing where that is
        free. Raises Unavailable."""
        if size > bodies.FREE_BYTES or self.held is not None:
            holder = self.holder()
            holder.grow(size - holder.size)

    def too_large(self) -> TooLarge:
        """Its body has more bytes than any may have."""
        most = self.config.max_body_bytes // 1024 // 1024
        return TooLarge(f"The request body is larger than {most} MB.")

    def holder(self) -> bodies.Held:
        """What it holds of the process's memory."""
        if self.held is None:
            sender = self.owner[0] if self.owner else self.client_ip()
            self.held = bodies.Held(str(sender))
        return self.held

    async def present(self, work: Coroutine[Any, Any, None], seconds: float) -> None:
        """Do the work, but stop when the client leaves (ClientGone) or after `seconds`.

        What asyncio.timeout does, for two reasons at once.
        """
        task = asyncio.current_task()
        assert task is not None
        watch = watching.begin(self, task, seconds)
        try:
            await work
        except asyncio.CancelledError:
            if watch.reason is not None and task.uncancel() == 0:
                raise watch.reason from None
            raise
        finally:
            watching.end(watch)

    def told(self) -> Headers:
        """What the head of every answer says."""
        return wire.headers(self._base())

    def _base(self) -> bytes:
        """The lines of every answer's head."""
        given = b"x-request-id: %b\r\nrequest-id: %b\r\n" % ((self.request_id.encode(),) * 2)
        if b"origin" in self.headers:
            given += _CORS
        given += rate_limit_lines(self.state, self.limits)
        if self.config.sandbox:
            given += _SANDBOX
        return given + wire.known(tuple(self.extra))

    async def respond(self, status: int, body: bytes, more: bytes = b"") -> None:
        """The whole answer at once, with `more` lines in its head (wire.py)."""
        head = b"content-length: %d\r\n%b%b%b" % (
            len(body), self.body_head if body else b"", more, self._base()
        )  # fmt: skip
        self.answer, self.keep_alive = life.answer(self.answer, life.ENDED), None
        if self._connection is not None:
            if not self._connection.respond_now(status, head, body):
                await self._connection.respond(status, head, body)
            return
        await self._start(status, head)
        if self.scope["method"] == "HEAD":
            body = b""
        await self.send({"type": "http.response.body", "body": body})

    async def _start(self, status: int, head: bytes) -> None:
        given = wire.headers(head)
        await self.send({"type": "http.response.start", "status": status, "headers": given})

    async def respond_json(self, value: object, status: int = 200) -> None:
        await self.respond(status, orjson.dumps(value))

    async def start_stream(self, more: bytes = b"") -> None:
        head = self.stream_head + more + self._base()
        self.answer = life.answer(self.answer, life.BEGUN)
        if self._connection is not None:
            self._connection.start_stream(head)
        else:
            await self._start(200, head)

    @property
    def is_free(self) -> bool:
        """Whether a stream has begun here, and its client has read what was written."""
        return self._connection is not None and self._connection.is_free

    def write_now(self, data: bytes) -> bool:
        """As `write`, if nobody need wait for the client."""
        if self._connection is None or not self._connection.write_now(data):
            return False
        self._quiet = self.writing = False
        return True

    async def write(self, data: bytes) -> None:
        self._quiet = False
        await self._write(data)
        self.writing = False

    async def _write(self, data: bytes) -> None:
        if self._connection is not None:
            await self._connection.write(data)
        else:
            await self.send({"type": "http.response.body", "body": data, "more_body": True})

    async def break_silence(self) -> None:
        """Send a keep-alive if nothing was written since the last look. It may be the first thing
        sent: from then on the status is 200 and a failure is told in the stream."""
        silent, self._quiet = self._quiet, True
        if not silent or self.keep_alive is None or self.writing:
            return
        said = self.keep_alive()
        if not self.started:
            await self.start_stream()
        await self._write(said)

    async def end_stream(self) -> None:
        self.answer, self.keep_alive = life.answer(self.answer, life.ENDED), None
        if self._connection is not None:
            await self._connection.end_stream()
        else:
            await self.send({"type": "http.response.body", "body": b""})

    async def fail(self, error: ApiError, more: bytes = b"") -> None:
        """Answer with an error, in the envelope both SDK families read; `more` as in `respond`."""
        headers = raw_headers(error.headers)
        if error.status in (401, 402) and b"x-should-retry" not in dict(headers):
            # Without it a popular agent retries a 401 for minutes.
            headers.append((b"x-should-retry", b"false"))
        body, self.body_head = failures.body(error, self.request_id, self.dialect), _JSON
        await self.respond(error.status, _written(body), more + wire.lines(headers))


def raw_headers(headers: Mapping[str, str]) -> Headers:
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]


def _written(body: dict[str, Any]) -> bytes:
    """An error may quote its client: half a surrogate pair, too."""
    try:
        return orjson.dumps(body)
    except orjson.JSONEncodeError:
        return json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
