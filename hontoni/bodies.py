"""How large a request to the control plane may be, decided before any of it is kept.

Django spools a body to disk in full before a view sees it; /v1 has a limit of its own.
"""

import uuid
from typing import Any

import orjson
from django.conf import settings
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hontoni.errors import TooLarge

WEBHOOK_BYTES = 256 * 1024  # far more than any event of Stripe's


class Bounded:
    """An ASGI application that answers 413 as soon as a body is, or says it is, too large."""

    def __init__(self, app: Any) -> None:
        self.app: ASGIApp = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        most, seen, over, started = _most(scope["path"]), 0, _announced(scope), False
        if over > most:
            await _refuse(send, most)
            return

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            # To Django the client has gone: it forgets the request, and says nothing.
            return {"type": "http.disconnect"} if seen > most else message

        async def noted(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        await self.app(scope, counted, noted)
        if seen > most and not started:
            await _refuse(send, most)


def _most(path: str) -> int:
    in_memory: int = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    return WEBHOOK_BYTES if path.startswith("/webhooks/") else in_memory


def _announced(scope: Scope) -> int:
    length = dict(scope["headers"]).get(b"content-length", b"")
    return int(length) if length.isdigit() else 0


async def _refuse(send: Send, most: int) -> None:
    request_id = f"req_{uuid.uuid4().hex}"
    body = orjson.dumps(TooLarge(f"The body is larger than {most} bytes.").body(request_id))
    headers = [
        (b"content-type", b"application/json"),
        (b"x-request-id", request_id.encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": body})
