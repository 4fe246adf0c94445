"""What a connection may do before anybody knows who is behind it: uvicorn's protocol, with bounds.

* In all, and by one address, there are so many at once. One too many takes the place of a silent
  one, or of an idle one, of whoever has most; only where all are at work it is turned away.
* A head has so many bytes, headers and seconds; a body must keep coming; an answer must be taken.
* Of what is asked before the answer to what was asked before it, only so much waits.
* Nobody's `X-Forwarded-For` is believed here (hontoni/addresses.py does, where it is to be).

Time is looked at once a second for all connections together, so a request costs no timer.
"""

import asyncio
import contextlib
import resource
import uuid
from collections.abc import Iterable
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import orjson
from django.conf import settings
from uvicorn.config import Config
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import ServerState

from hontoni import addresses
from hontoni.errors import ApiError, BadRequest, HeadersTooLarge, RequestTimeout, Unavailable

SPARE_FILES = 256  # descriptors that are no connections: databases, logs, libraries
LINGER_SECONDS = 2  # how long a refused client is listened to, so that it can read why
UNREAD_SECONDS = 60  # how long the rest of a body may come that was answered before it was there
UNREAD_BYTES = 256 * 1024  # and how much of it
MOST_QUEUED = 8  # requests that wait for the answer to the one before them, of a connection
_HEAD, _BODY, _ANSWER, _SOCKET, _REFUSED = range(5)


class Bounds(NamedTuple):
    """The settings, read once a server."""

    connections: int
    by_address: int  # 0: all come from proxies of ours
    head_bytes: int
    headers: int
    head_seconds: int
    body_seconds: int
    body_rate: int  # bytes a second
    answer_seconds: int

    @classmethod
    def read(cls) -> "Bounds":
        return cls(
            min(settings.MAX_CONNECTIONS, (raise_descriptors() - SPARE_FILES) // 2),
            0 if settings.TRUSTED_PROXIES else settings.MAX_CONNECTIONS_PER_ADDRESS,
            settings.MAX_HEADER_BYTES,
            settings.MAX_HEADERS,
            settings.HEADER_SECONDS,
            settings.BODY_SECONDS,
            settings.BODY_BYTES_PER_SECOND,
            settings.ANSWER_SECONDS,
        )


def raise_descriptors() -> int:
    """As many files as this process may have open, taken; two are a request's."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * settings.MAX_CONNECTIONS + SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return wanted if soft == resource.RLIM_INFINITY else soft


class Lobby:
    """All connections of a server, by address, the longest there first."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.bounds, self.loop = Bounds.read(), loop
        self.by_address: dict[str, dict[Protocol, None]] = {}
        self.size = 0
        self.now = 0  # seconds, counted
        self.timer: asyncio.TimerHandle | None = None

    def enter(self, member: "Protocol") -> bool:
        """False if there is no room, nor can any be made."""
        mine = self.by_address.setdefault(member.address, {})
        if 0 < self.bounds.by_address <= len(mine) and not _evicted(mine):
            return False
        if self.size >= self.bounds.connections:
            most = max(self.by_address.values(), key=len)
            if not _evicted(most):
                return False
        self.by_address.setdefault(member.address, {})[member] = None
        self.size += 1
        if self.timer is None:
            self.timer = self.loop.call_later(1, self.look)
        return True

    def leave(self, member: "Protocol") -> None:
        mine = self.by_address.get(member.address, {})
        if member not in mine:
            return
        del mine[member]
        self.size -= 1
        if not mine:
            del self.by_address[member.address]

    def look(self) -> None:
        """Once a second: whose time is over?"""
        self.now += 1
        for mine in list(self.by_address.values()):
            for member in list(mine):
                member.look(self.now)
        self.timer = self.loop.call_later(1, self.look) if self.size else None


def _evicted(members: Iterable["Protocol"]) -> bool:
    """Whether one could be closed that nobody will miss: silent before idle, the oldest first."""
    for wanted in ("silent", "idle"):
        for member in members:
            if getattr(member, wanted):
                member.end()
                return True
    return False


_lobbies: WeakKeyDictionary[ServerState, Lobby] = WeakKeyDictionary()


class _Dropped(list[Any]):
    """Where trailers go: nobody reads them, and they must not become headers."""

    def append(self, _: Any) -> None:
        pass


_DROPPED = _Dropped()


class Protocol(HttpToolsProtocol):
    """One connection."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        if isinstance(app := config.loaded_app, ProxyHeadersMiddleware):
            config.loaded_app = app.app  # on by default, and then believes whoever is local
        super().__init__(config, server_state, app_state, _loop)
        self.lobby = _lobbies.get(server_state) or _lobbies.setdefault(
            server_state, Lobby(self.loop)
        )
        self.address = ""
        self.phase, self.since = _HEAD, self.lobby.now
        self.url = b""
        self.fed = self.head = self.raw = self.body = self.marked = self.unread = 0
        self.left = self.stuck = 0
        self.served: RequestResponseCycle | None = None  # `cycle` may wait behind it
        self.opened: Any = None  # the websocket that it became

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.address = addresses.network(self.client[0]) if self.client else ""
        if not self.lobby.enter(self):
            self.refuse(Unavailable("Too many connections.", headers={"Retry-After": "1"}))
            self.end()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lobby.leave(self)
        self._gone()
        super().connection_lost(exc)

    @property
    def silent(self) -> bool:
        """Whether it never asked anything, or was refused."""
        return self.phase == _REFUSED or (self.phase == _HEAD and self.cycle is None)

    @property
    def idle(self) -> bool:
        return self.phase in (_HEAD, _ANSWER) and self.cycle.response_complete

    def end(self) -> None:
        self.lobby.leave(self)
        self.transport.abort()

    # -- What comes in ---------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self.phase == _REFUSED:
            return
        size = self.fed = len(data)
        self.head += size
        self.raw += size
        super().data_received(data)
        bounds = self.lobby.bounds
        if self.phase == _HEAD and self.head > bounds.head_bytes:
            self.refuse(_too_large(bounds))
        elif self.phase == _BODY and self.raw > bounds.head_bytes + 8 * self.body:
            self.refuse(BadRequest("This body is hardly a body."))  # extensions and trailers

    def on_message_begin(self) -> None:
        if self.phase == _REFUSED:
            return
        super().on_message_begin()
        if self.phase != _HEAD:
            self.phase, self.since = _HEAD, self.lobby.now
        self.head = self.fed

    def on_headers_complete(self) -> None:
        if self.phase == _REFUSED:
            return
        bounds = self.lobby.bounds
        if len(self.headers) > bounds.headers or (
            self.head > bounds.head_bytes and self.head_size() > bounds.head_bytes
        ):
            self.refuse(_too_large(bounds))
            return
        if len(self.pipeline) >= MOST_QUEUED:
            self.refuse(BadRequest("Too many requests at once on one connection."))
            return
        super().on_headers_complete()
        self.phase, self.since = _BODY, self.lobby.now
        self.raw = self.body = self.marked = self.unread = 0
        if not self.parser.should_upgrade():
            self.headers = _DROPPED

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self.served = cycle
        super()._start_asgi_task(cycle, app)

    def head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def on_body(self, body: bytes) -> None:
        if self.phase == _REFUSED:
            return
        self.body += len(body)
        super().on_body(body)
        if self.cycle.response_complete:
            self.unread += len(body)
            if self.unread > UNREAD_BYTES:
                self.ignore()

    def on_message_complete(self) -> None:
        if self.phase != _REFUSED:
            self.phase = _ANSWER
            super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        if self.phase == _REFUSED:
            return
        super().handle_websocket_upgrade()
        self.phase, self.since = _SOCKET, self.lobby.now
        opened: Any = self.transport.get_protocol()
        lost = opened.connection_lost
        self.opened = opened

        def connection_lost(exc: Exception | None) -> None:
            self.lobby.leave(self)
            self._gone()
            lost(exc)

        opened.connection_lost = connection_lost

    # -- What takes too long ---------------------------------------------------------------------

    def look(self, now: int) -> None:
        """Close it if its client is too slow at whatever it is at."""
        bounds, waited = self.lobby.bounds, now - self.since
        if self.phase == _SOCKET:
            if waited >= bounds.head_seconds and not self.opened.handshake_complete:
                self.end()  # such as one with a body, for which `websockets` waits for ever
            return
        if self.phase == _REFUSED:
            if waited >= LINGER_SECONDS:
                self.end()
        elif self._untaken() >= bounds.answer_seconds:
            self.end()
        elif self.phase == _BODY:
            self._look_at_body(now, waited)
        elif self.phase == _HEAD or self._dawdles():
            if waited >= bounds.head_seconds:
                self.refuse(RequestTimeout("The request's headers did not arrive in time."))
        else:
            self.since = now

    def _untaken(self) -> int:
        """For how many seconds nothing of what is to be sent was taken."""
        left = self.transport.get_write_buffer_size()
        self.stuck = self.stuck + 1 if left and left == self.left else 0
        self.left = left
        return self.stuck

    def _dawdles(self) -> bool:
        """Whether it is idle and has sent something since, which is not the start of a request."""
        return self.cycle.response_complete and self.timeout_keep_alive_task is None

    def _look_at_body(self, now: int, waited: int) -> None:
        bounds = self.lobby.bounds
        if self.cycle.response_complete and waited >= UNREAD_SECONDS:
            self.end()
        elif self.flow.read_paused or self.cycle.waiting_for_100_continue:
            self.since, self.marked = now, self.body  # it is us who make it wait
        elif waited and waited % bounds.body_seconds == 0:
            if self.body - self.marked < bounds.body_rate * bounds.body_seconds:
                self.refuse(RequestTimeout("The request's body did not arrive in time."))
            self.marked = self.body

    def refuse(self, error: ApiError) -> None:
        """Say so, unless an answer has begun; what still comes is not read."""
        self.ignore()
        self._gone()
        served = self.served
        if served is not None and served.response_started and not served.response_complete:
            self.end()
            return
        with contextlib.suppress(RuntimeError, OSError):
            self.transport.write(_answer(error, self.url))
            self.transport.write_eof()

    def _gone(self) -> None:
        """Nobody waits for the answers that are to come: not for what is being answered, which
        uvicorn forgets once more was asked, nor for what waits behind it."""
        self.pipeline.clear()
        for cycle in (self.served, self.cycle):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()

    def ignore(self) -> None:
        """Read no more: its client sees what it was told, and the end in LINGER_SECONDS."""
        self.phase, self.since = _REFUSED, self.lobby.now
        self._unset_keepalive_if_required()
        self.flow.pause_reading()

    def send_400_response(self, msg: str) -> None:
        if self.phase != _REFUSED:
            self.refuse(BadRequest(msg))


def _too_large(bounds: Bounds) -> HeadersTooLarge:
    return HeadersTooLarge(
        f"The request's headers are too large: at most {bounds.headers}, of"
        f" {bounds.head_bytes} bytes in all."
    )


def _answer(error: ApiError, url: bytes) -> bytes:
    """In the envelope of the programs' doors, else in plain words."""
    request_id = f"req_{uuid.uuid4().hex}"
    if url.startswith((b"/v1", b"/api/")):
        kind, body = b"application/json", orjson.dumps(error.body(request_id))
    else:
        kind, body = b"text/plain; charset=utf-8", error.message.encode()
    headers = {"X-Request-Id": request_id, "request-id": request_id, **error.headers}
    lines = [f"{name}: {value}\r\n".encode() for name, value in headers.items()]
    head = b"content-type: %b\r\ncontent-length: %d\r\nconnection: close\r\n" % (kind, len(body))
    return b"".join((STATUS_LINE[error.status], head, *lines, b"\r\n", body))
