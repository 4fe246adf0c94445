"""How much of what strangers send is kept in memory: of one request, of one sender, in all.

Django spools a body to disk in full before a view sees it; /v1 has a limit of its own. What both
hold, and what is fetched for a request, comes out of one budget of this process.
"""

import uuid
from collections import Counter
from typing import Any

import orjson
from django.conf import settings
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hontoni import addresses
from hontoni.errors import ApiError, TooLarge, Unavailable

WEBHOOK_BYTES = 256 * 1024  # far more than any event of Stripe's
FREE_BYTES = 64 * 1024  # of each request, whatever else is held: most need no more
_held: Counter[str] = Counter()  # by who sent it


class Held:
    """What one request holds. `free` gives it back."""

    __slots__ = ("sender", "size")

    def __init__(self, sender: str) -> None:
        self.sender, self.size = sender, 0

    def room_for(self, size: int) -> None:
        """Raises Unavailable if so many bytes more are too many, in all or of this sender."""
        most: int = settings.MAX_BODIES_BYTES
        if _held.total() + size > most or _held[self.sender] + size > most // 2:
            raise Unavailable(
                "Too many large requests are being served. Try again in a moment.",
                headers={"Retry-After": "5"},
            )

    def grow(self, size: int) -> None:
        """So many bytes more. Raises Unavailable."""
        self.room_for(size)
        _held[self.sender] += size
        self.size += size

    def free(self) -> None:
        _held[self.sender] -= self.size
        if not _held[self.sender]:
            del _held[self.sender]
        self.size = 0


class Bounded:
    """An ASGI application that answers 413 as soon as a body is, or says it is, too large; and
    503 while too much is held already."""

    def __init__(self, app: Any) -> None:
        self.app: ASGIApp = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        most, seen, over, started = _most(scope["path"]), 0, announced(scope), False
        refused: ApiError | None = None
        if over > most:
            await _refuse(send, _too_large(most))
            return
        scope = _readable(scope, over)
        held = Held(addresses.network(scope["client"][0]) if scope.get("client") else "")

        async def counted() -> Message:
            nonlocal seen, refused
            message = await receive()
            size = len(message.get("body", b""))
            seen += size
            try:
                if seen > most:
                    raise _too_large(most)
                if seen > FREE_BYTES:
                    held.grow(seen - held.size)
            except ApiError as error:
                # To Django the client has gone: it forgets the request, and says nothing.
                refused = error
                return {"type": "http.disconnect"}
            return message

        async def noted(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, counted, noted)
        finally:
            held.free()
        if refused is not None and not started:
            await _refuse(send, refused)


def _most(path: str) -> int:
    in_memory: int = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    return WEBHOOK_BYTES if path.startswith("/webhooks/") else in_memory


def announced(scope: Scope) -> int:
    """The Content-Length, 0 if there is none. The parser has seen that it is one, but not that
    Python will read it: it reads no number of more than 4,300 digits."""
    length: bytes = dict(scope["headers"]).get(b"content-length", b"").lstrip(b"0")
    return int(length[:20]) if length.isdigit() else 0


def _readable(scope: Scope, size: int) -> Scope:
    """With a Content-Length that Python reads as well."""
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    if not any(name == b"content-length" and len(value) > 20 for name, value in headers):
        return scope
    kept = [header for header in headers if header[0] != b"content-length"]
    return {**scope, "headers": [*kept, (b"content-length", str(size).encode())]}


def _too_large(most: int) -> TooLarge:
    return TooLarge(f"The body is larger than {most} bytes.")


async def _refuse(send: Send, error: ApiError) -> None:
    request_id = f"req_{uuid.uuid4().hex}"
    headers = [
        (b"content-type", b"application/json"),
        (b"x-request-id", request_id.encode()),
        (b"connection", b"close"),
        *((name.lower().encode(), value.encode()) for name, value in error.headers.items()),
    ]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": orjson.dumps(error.body(request_id))})
