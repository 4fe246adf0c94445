"""A vendor's answer as it comes, out of what it is compressed or framed in: read no faster than
it is taken."""

import asyncio
import zlib
from collections.abc import Callable
from typing import Protocol

from gateway.dialects import event_stream
from hontoni.errors import ApiError, UpstreamFailed

_MOST_WAITING = 2**18  # bytes of a body that nobody has taken yet: then the vendor has to wait
_MOST_INFLATED, _MOST_WHOLE = 2**26, 2**26
_REQUEST_IDS = (b"x-request-id", b"request-id", b"x-amzn-requestid", b"apim-request-id")
NONSENSE = "The model's provider sent an answer we cannot read."
BROKE = "The connection to the model's provider broke."


class Line(Protocol):
    """What it comes on."""

    loop: asyncio.AbstractEventLoop

    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def hang_up(self) -> None: ...
    def abort(self) -> None: ...


class Reply:
    """A vendor's answer, its body still on the way. Whoever has it closes it.

    `headers` have lower-case names; of a repeated one the last counts.
    """

    __slots__ = (
        "_arrived",
        "_complete",
        "_connection",
        "_error",
        "_inflate",
        "_parts",
        "_size",
        "_take",
        "_unframe",
        "_waiter",
        "headers",
        "status",
    )

    def __init__(self, connection: Line) -> None:
        self._connection = connection
        self._arrived: list[bytes] = []
        self._parts: list[bytes] = []  # of a body that is read as a whole
        self._size = 0
        self._complete = False
        self._error: ApiError | None = None
        self._inflate: zlib._Decompress | None = None
        self._unframe: event_stream.Unframer | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._take: Callable[[bytes], bool] | None = None
        self.headers: dict[bytes, bytes] = {}
        self.status = 0

    def close(self) -> None:
        """A vendor still writing must notice that nobody reads any more."""
        if not self._complete:
            self._connection.abort()

    def hang_up(self) -> None:
        """The vendor hears that nobody listens any more; what it had sent until then still comes,
        and `chunk` raises at its end."""
        if not self._complete:
            self._connection.hang_up()

    def header(self, name: bytes) -> str:
        return self.headers.get(name, b"").decode("latin-1")

    @property
    def content_type(self) -> str:
        return self.header(b"content-type")

    @property
    def request_id(self) -> str:
        headers = self.headers
        for name in _REQUEST_IDS:
            if raw := headers.get(name):
                return raw.decode("latin-1")
        return ""

    @property
    def error_type(self) -> str:
        """What AWS calls an error, which its body does not say."""
        return self.header(b"x-amzn-errortype").partition(":")[0]

    @property
    def retry_after(self) -> str:
        return self.header(b"retry-after")

    def whole(self) -> bytes | None:
        """As `read`, if all of it has come: nearly always of a short one."""
        if not self._complete or self._parts or self._size > _MOST_WHOLE:
            return None
        return self.arrived()

    async def read(self) -> bytes:
        """The whole body; cancelled, it can go on. Raises UpstreamFailed or UpstreamTimeout."""
        parts = self._parts
        size = sum(map(len, parts))
        while part := await self.chunk():
            parts.append(part)
            size += len(part)
            if size > _MOST_WHOLE:
                raise UpstreamFailed(NONSENSE)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def chunk(self, take: Callable[[bytes], bool] | None = None) -> bytes:
        """What has come meanwhile, at least a byte; b"" at the end. Raises as `read`. While it is
        waited for, what comes is first offered to `take`, which tells whether it took it."""
        self._take = take
        while not self._arrived:
            if self._error is not None:
                raise self._error
            if self._complete:
                return b""
            await self._news()
        return self.arrived()

    def arrived(self) -> bytes:
        """What has come and nobody took, without waiting."""
        taken, self._arrived = self._arrived, []
        if self._size > _MOST_WAITING and not self._complete:
            self._connection.resume()
        self._size = 0
        return taken[0] if len(taken) == 1 else b"".join(taken)

    async def begun(self) -> None:
        """Until status and headers are there. Raises UpstreamFailed or UpstreamTimeout."""
        while not self.status:
            if self._error is not None:
                raise self._error
            await self._news()

    def _news(self) -> asyncio.Future[None]:
        self._waiter = self._connection.loop.create_future()
        return self._waiter

    # -- Said by the connection ------------------------------------------------------------------

    def wake(self) -> None:
        waiter = self._waiter
        if waiter is None or waiter.done():
            return
        try:
            if self._take is not None and self._arrived and self._taken(self._take):
                return
            waiter.set_result(None)
        except Exception as error:  # it is whose task waits
            waiter.set_exception(error)
        self._waiter = None

    def _taken(self, take: Callable[[bytes], bool]) -> bool:
        if self._complete or self._error is not None or self._size > _MOST_WAITING:
            return False
        if len(self._arrived) > 1:
            self._arrived = [b"".join(self._arrived)]
        if not take(self._arrived[0]):
            return False
        self._arrived.clear()
        self._size = 0
        return True

    def take(self, status: int, headers: dict[bytes, bytes]) -> None:
        self.status, self.headers = status, headers
        encoding = headers.get(b"content-encoding", b"identity").lower()
        if encoding in (b"gzip", b"x-gzip", b"deflate"):  # although we asked for neither
            self._inflate = zlib.decompressobj(wbits=47)
        if status == 200 and headers.get(b"content-type") == event_stream.MEDIA_TYPE:
            self._unframe = event_stream.Unframer()
            headers[b"content-type"] = b"text/event-stream"

    def add(self, body: bytes) -> None:
        """Raises ValueError for what cannot be decompressed, nor taken out of its frames."""
        if self._inflate is not None:
            try:
                body = self._inflate.decompress(body, _MOST_INFLATED)
            except zlib.error as error:
                raise ValueError(str(error)) from None
            if self._inflate.unconsumed_tail:
                raise ValueError("decompresses to too much")
        if self._unframe is not None and body:
            body = self._unframe.feed(body)
        if not body:
            return
        self._arrived.append(body)
        self._size += len(body)
        if self._size > _MOST_WAITING:
            self._connection.pause()

    def end(self, error: ApiError | None = None) -> None:
        """It is whole, or will never be."""
        if self._complete or self._error is not None:
            return
        if error is None and self._inflate is not None and not self._inflate.eof:
            error = UpstreamFailed(NONSENSE)  # it was compressed, and that breaks off
        if error is None and self._unframe is not None and self._unframe.is_open:
            error = UpstreamFailed(BROKE)  # in the middle of a frame
        self._complete, self._error = error is None, error
        self.wake()

    def is_framed(self) -> bool:
        """Whether its headers say where it ends; else the connection's end is its own."""
        return b"content-length" in self.headers or b"transfer-encoding" in self.headers
