"""An answer's bytes on its connection: head and body in one write, past uvicorn's own `send`.

That function is the dearest of a request: it checks each of thirty headers by two patterns, and
writes head and body apart. What it does besides is done here: back-pressure, the end of an answer,
what the connection does next. Under any other server, or another `send` than uvicorn's own, there
is no such connection and an answer goes the way ASGI has for it.

A head is bytes: a line for each header, each with its CRLF.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

from starlette.types import Receive, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

Headers = list[tuple[bytes, bytes]]

_END = b"0\r\n\r\n"
_UNSAFE = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def lines(headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Raises ValueError for a header that would be more than a line."""
    given = b"".join([b"%b: %b\r\n" % header for header in headers])
    breaks = len(headers)
    if given.count(b"\n") != breaks or given.count(b"\r") != breaks or _UNSAFE.search(given):
        raise ValueError("a header with a control character")
    return given


@lru_cache(maxsize=1024)
def known(headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """The same of headers that are said again and again."""
    return lines(headers)


def headers(head: bytes) -> Headers:
    """A head as ASGI takes it."""
    split = (line.partition(b": ") for line in head.split(b"\r\n") if line)
    return [(name, value) for name, _, value in split]


class _Always:
    """The lines that uvicorn adds to every answer: it makes a new list once a second."""

    of: Headers = []  # one list, compared by identity
    lines = b""


def _always(default: Headers) -> bytes:
    if _Always.of is not default:
        _Always.of, _Always.lines = default, lines(default)
    return _Always.lines


class Connection:
    """One answer on a connection of uvicorn's."""

    __slots__ = ("_cycle", "_head")

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle
        self._head = b""  # of a stream of which nothing is written yet

    @classmethod
    def of(cls, receive: Receive, send: Send) -> "Connection | None":
        """The connection behind them, if it is one that we know."""
        if getattr(send, "__func__", None) is not RequestResponseCycle.send:
            return None
        cycle: RequestResponseCycle = send.__self__  # type: ignore[attr-defined]
        if getattr(receive, "__self__", None) is not cycle or cycle.access_log:
            return None
        return None if cycle.scope["method"] == "HEAD" else cls(cycle)

    def body(self) -> bytes | None:
        """The request's body, if all of it is here already."""
        cycle = self._cycle
        if cycle.more_body or cycle.disconnected or cycle.waiting_for_100_continue:
            return None
        cycle.flow.resume_reading()
        body, cycle.body = bytes(cycle.body), bytearray()
        return body

    async def respond(self, status: int, head: bytes, body: bytes) -> None:
        """The whole answer; `head` has its length."""
        if await self._may_write():
            self.respond_now(status, head, body)

    def respond_now(self, status: int, head: bytes, body: bytes) -> bool:
        """As `respond`. False, and nothing is done, if somebody has to be waited for."""
        cycle = self._cycle
        if cycle.flow.write_paused and not cycle.disconnected:
            return False
        if not cycle.disconnected:
            cycle.transport.write(self._begin(status, head) + body)
            self._end()
        return True

    def start_stream(self, head: bytes) -> None:
        """A stream of chunks, whose head goes with the first of them."""
        self._head = self._begin(200, head + b"transfer-encoding: chunked\r\n")

    @property
    def is_free(self) -> bool:
        """Whether a stream has begun, and its client has read what was written."""
        cycle = self._cycle
        return cycle.response_started and not (self._head or cycle.flow.write_paused)

    async def write(self, data: bytes) -> None:
        if await self._may_write():
            self.write_now(data)

    def write_now(self, data: bytes) -> bool:
        """False, and nothing is done, if the client has not read enough of what was written."""
        cycle = self._cycle
        if cycle.flow.write_paused:
            return False
        if cycle.disconnected or not data:  # nothing would be the end
            return True
        if self._head:
            head, self._head = self._head, b""
            cycle.transport.write(b"%b%x\r\n%b\r\n" % (head, len(data), data))
        else:
            cycle.transport.write(b"%x\r\n%b\r\n" % (len(data), data))
        return True

    async def end_stream(self) -> None:
        if await self._may_write():
            self._cycle.transport.write(self._head + _END)
            self._end()

    async def _may_write(self) -> bool:
        """Once the client has read what was written; False if it has left."""
        cycle = self._cycle
        if cycle.flow.write_paused and not cycle.disconnected:
            await cycle.flow.drain()
        return not cycle.disconnected

    def _begin(self, status: int, head: bytes) -> bytes:
        cycle = self._cycle
        if cycle.response_started:
            raise RuntimeError("This answer has begun already.")
        cycle.response_started, cycle.waiting_for_100_continue = True, False
        close = b"" if cycle.keep_alive else b"connection: close\r\n"
        always = _always(cycle.default_headers)
        return b"%b%b%b%b\r\n" % (STATUS_LINE[status], always, head, close)

    def _end(self) -> None:
        cycle = self._cycle
        cycle.response_complete = True
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()
