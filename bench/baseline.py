"""What a gateway is compared with: a bare pass-through, and nothing else.

`application` is an ASGI function that forwards a POST's body and sends the bytes of the reply back
as they come: no key, no limit, no money, no parsing. uvicorn serves it exactly as it serves the
product, and aiohttp calls upstream, as in the product.
"""

import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import aiohttp

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

UPSTREAM = os.environ.get("BENCH_UPSTREAM", "")
HEADERS = {"content-type": "application/json", "authorization": "Bearer upstream"}
JSON = [(b"content-type", b"application/json")]
SSE = [(b"content-type", b"text/event-stream")]
_sessions: list[aiohttp.ClientSession] = []


async def application(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    body = await read(receive)
    url = UPSTREAM + scope["path"]
    async with _sessions[0].post(url, data=body, headers=HEADERS) as reply:
        if reply.content_length is None:
            await send({"type": "http.response.start", "status": reply.status, "headers": SSE})
            async for chunk in reply.content.iter_any():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body"})
        else:
            answer = await reply.read()
            length = [(b"content-length", b"%d" % len(answer))]
            start = {"type": "http.response.start", "status": reply.status}
            await send({**start, "headers": JSON + length})
            await send({"type": "http.response.body", "body": answer})


async def read(receive: Receive) -> bytes:
    """The whole body of the request."""
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(body)


async def lifespan(receive: Receive, send: Send) -> None:
    """One upstream session for the life of the process."""
    await receive()
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=None),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
    )
    _sessions.append(session)
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await session.close()
    await send({"type": "lifespan.shutdown.complete"})
