"""What a connection may do before anybody knows who is behind it: bounds, and who keeps to them.

* In all, and by one address, there are so many at once. One too many takes the place of a silent
  one, or of an idle one, of whoever has most; only where all are at work it is turned away.
* A head has so many bytes, headers and seconds; a body must keep coming; an answer must be taken.
* Of what is asked before the answer to what was asked before it, only so much waits.

Time is looked at once a second for all connections together, so a request costs no timer. Nothing
here reads or writes: edge.py tells what happens on a connection, and does what is said of it.
"""

import asyncio
import resource
import uuid
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Literal, NamedTuple, Protocol

import orjson
from django.conf import settings

from hontoni.errors import ApiError, BadRequest, HeadersTooLarge, RequestTimeout

SPARE_FILES = 256  # descriptors that are no connections: databases, logs, libraries
LINGER_SECONDS = 2  # how long a refused client is listened to, so that it can read why
UNREAD_SECONDS = 60  # how long the rest of a body may come that was answered before it was there
UNREAD_BYTES = 256 * 1024  # and how much of it
MOST_QUEUED = 8  # requests that wait for the answer to the one before them, of a connection
HEAD, BODY, ANSWER, IDLE, SOCKET, REFUSED = range(6)  # the stages of a connection

Verdict = ApiError | Literal["end"] | None


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
    idle_seconds: int

    @classmethod
    def read(cls, idle_seconds: int) -> "Bounds":
        return cls(
            min(settings.MAX_CONNECTIONS, (raise_descriptors() - SPARE_FILES) // 2),
            0 if settings.TRUSTED_PROXIES else settings.MAX_CONNECTIONS_PER_ADDRESS,
            settings.MAX_HEADER_BYTES,
            settings.MAX_HEADERS,
            settings.HEADER_SECONDS,
            settings.BODY_SECONDS,
            settings.BODY_BYTES_PER_SECOND,
            settings.ANSWER_SECONDS,
            idle_seconds,
        )


def raise_descriptors() -> int:
    """As many files as this process may have open, taken; two are a request's."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * settings.MAX_CONNECTIONS + SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return wanted if soft == resource.RLIM_INFINITY else soft


class Conduct:
    """One connection's: at which stage it is since which second, and what it has sent."""

    __slots__ = (
        *("bounds", "lobby", "stage", "since", "asked", "owed"),
        *("_fed", "_head", "_raw", "_body", "_marked", "_unread", "_left", "_stuck"),
    )

    def __init__(self, lobby: "Lobby") -> None:
        self.lobby, self.bounds = lobby, lobby.bounds
        self.stage, self.since = HEAD, lobby.now
        self.asked = False  # ever
        self.owed = 0  # answers
        self._fed = self._head = self._raw = self._body = self._marked = self._unread = 0
        self._left = self._stuck = 0

    @property
    def silent(self) -> bool:
        """Whether it never asked anything, or was refused."""
        return self.stage == REFUSED or (self.stage == HEAD and not self.asked)

    @property
    def idle(self) -> bool:
        return not self.owed and self.stage in (HEAD, ANSWER, IDLE)

    # -- What it sends ---------------------------------------------------------------------------

    def sent(self, size: int) -> None:
        """So many bytes have come, and are about to be read."""
        self._fed = size
        self._head += size
        self._raw += size
        if self.stage == IDLE:  # with line feeds, perhaps, which are not the start of a request
            self.stage, self.since = HEAD, self.lobby.now
            self._head = size

    def read(self) -> ApiError | None:
        """They were read. What is wrong with them, if anything is."""
        if self.stage == HEAD and self._head > self.bounds.head_bytes:
            return _too_large(self.bounds)
        if self.stage == BODY and self._raw > self.bounds.head_bytes + 8 * self._body:
            return BadRequest("This body is hardly a body.")  # extensions and trailers
        return None

    def begins(self) -> None:
        """A request does."""
        if self.stage != HEAD:
            self.stage, self.since = HEAD, self.lobby.now
        self._head = self._fed

    def may_ask(
        self, url: bytes, headers: Sequence[tuple[bytes, bytes]], queued: int
    ) -> ApiError | None:
        """Its head is whole: what is wrong with it, if anything is. `queued` others wait."""
        bounds = self.bounds
        if len(headers) > bounds.headers or (
            self._head > bounds.head_bytes and _size(url, headers) > bounds.head_bytes
        ):
            return _too_large(bounds)
        if queued >= MOST_QUEUED:
            return BadRequest("Too many requests at once on one connection.")
        if b"%00" in url:  # no database looks for one, and no name of ours has one
            return BadRequest("There is a NUL in the address.")
        self.asked = True
        self.stage, self.since = BODY, self.lobby.now
        self._raw = self._body = self._marked = self._unread = 0
        return None

    def embodies(self, size: int) -> bool:
        """So much of a body has come. False if more of what was answered already than is read."""
        self._body += size
        if not self.owed:
            self._unread += size
        return self._unread <= UNREAD_BYTES

    def ends(self) -> None:
        """A request is whole."""
        self.stage, self.since = ANSWER if self.owed else IDLE, self.lobby.now

    def answered(self) -> None:
        """One of its requests is."""
        self.owed -= 1
        if self.stage == ANSWER and not self.owed:
            self.stage, self.since = IDLE, self.lobby.now

    def opens(self) -> None:
        """It wants to be a websocket."""
        self.stage, self.since = SOCKET, self.lobby.now

    def refused(self) -> None:
        """What it still sends is not read."""
        self.stage, self.since = REFUSED, self.lobby.now

    # -- What takes too long ---------------------------------------------------------------------

    def look(self, now: int, unsent: int, excused: bool) -> Verdict:
        """What to do with it if its client is too slow at whatever it is at. `unsent`: bytes that
        it has not taken; `excused`: it is us who make it wait, or it is an open websocket."""
        bounds, waited = self.bounds, now - self.since
        if self.stage == SOCKET:  # such as one with a body, for which `websockets` waits for ever
            return "end" if waited >= bounds.head_seconds and not excused else None
        if self.stage == REFUSED:
            return "end" if waited >= LINGER_SECONDS else None
        if self._untaken(unsent) >= bounds.answer_seconds:
            return "end"
        if self.stage == BODY:
            return self._look_at_body(now, waited, excused)
        if self.stage == IDLE:
            return "end" if waited > bounds.idle_seconds else None
        if self.stage == ANSWER:
            self.since = now
        elif waited >= bounds.head_seconds:
            return RequestTimeout("The request's headers did not arrive in time.")
        return None

    def _untaken(self, unsent: int) -> int:
        """For how many seconds nothing of what is to be sent was taken."""
        self._stuck = self._stuck + 1 if unsent and unsent == self._left else 0
        self._left = unsent
        return self._stuck

    def _look_at_body(self, now: int, waited: int, excused: bool) -> Verdict:
        bounds = self.bounds
        if not self.owed and waited >= UNREAD_SECONDS:
            return "end"
        if excused:
            self.since, self._marked = now, self._body
        elif waited and waited % bounds.body_seconds == 0:
            came, self._marked = self._body - self._marked, self._body
            if came < bounds.body_rate * bounds.body_seconds:
                return RequestTimeout("The request's body did not arrive in time.")
        return None


class Member(Protocol):
    """A connection, as the others in the lobby see it."""

    address: str
    conduct: Conduct

    def look(self, now: int) -> None:
        """A second has passed."""

    def end(self) -> None:
        """Close it, and leave the lobby."""


class Lobby:
    """All connections of a server, by address, the longest there first."""

    def __init__(self, loop: asyncio.AbstractEventLoop, bounds: Bounds) -> None:
        self.bounds, self.loop = bounds, loop
        self.by_address: dict[str, dict[Member, None]] = {}
        self.size = 0
        self.now = 0  # seconds, counted
        self.timer: asyncio.TimerHandle | None = None

    def enter(self, member: Member) -> bool:
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

    def leave(self, member: Member) -> None:
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


def _evicted(members: Iterable[Member]) -> bool:
    """Whether one could be closed that nobody will miss: silent before idle, the oldest first."""
    for wanted in ("silent", "idle"):
        for member in members:
            if getattr(member.conduct, wanted):
                member.end()
                return True
    return False


def _size(url: bytes, headers: Iterable[tuple[bytes, bytes]]) -> int:
    return len(url) + sum(len(name) + len(value) + 4 for name, value in headers)


def _too_large(bounds: Bounds) -> HeadersTooLarge:
    return HeadersTooLarge(
        f"The request's headers are too large: at most {bounds.headers}, of"
        f" {bounds.head_bytes} bytes in all."
    )


def farewell(error: ApiError, url: bytes) -> bytes:
    """The whole answer to who is refused: in the envelope of the programs' doors, else in plain
    words."""
    request_id = f"req_{uuid.uuid4().hex}"
    if url.startswith((b"/v1", b"/api/")):
        kind, body = "application/json", orjson.dumps(error.body(request_id))
    else:
        kind, body = "text/plain; charset=utf-8", error.message.encode()
    given = {
        "content-type": kind,
        "content-length": str(len(body)),
        "connection": "close",
        "X-Request-Id": request_id,
        "request-id": request_id,
        **error.headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    phrase = HTTPStatus(error.status).phrase
    return f"HTTP/1.1 {error.status} {phrase}\r\n{head}\r\n".encode() + body
