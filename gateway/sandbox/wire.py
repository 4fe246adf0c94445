"""How an answer leaves: framed, paced, interrupted, and stopped at once when nobody listens."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

EVENT_STREAM = "text/event-stream; charset=utf-8"


class Frame(NamedTuple):
    """Some bytes of an answer. `content`: they carry a part of what the model says."""

    data: bytes
    content: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent, and how; times in seconds.

    `pause` goes before each part of what the model says, `slow` before every frame, `silence`
    before frame number `silence_at`. `dropped`: the connection breaks after the last frame.
    """

    frames: Sequence[Frame]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    stream: bool = False
    delay: float = 0.0
    pause: float = 0.0
    slow: float = 0.0
    silence_at: int | None = None
    silence: float = 0.0
    dropped: bool = False


def half(frames: Sequence[Frame]) -> list[Frame]:
    """The first half of what the model says, and all that goes before it."""
    contents = [n for n, frame in enumerate(frames) if frame.content]
    end = contents[(len(contents) - 1) // 2] + 1 if contents else len(frames) // 2
    return list(frames[:end])


class Sending(Response):
    """Sends an answer. `on_end(sent, aborted)` is told how many bytes went and who left."""

    def __init__(self, answer: Answer, on_end: Callable[[int, bool], None]) -> None:
        self.answer = answer
        self.on_end = on_end
        self.sent = 0
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sending = asyncio.ensure_future(self._send(send))
        leaving = asyncio.ensure_future(_left(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
            aborted = not sending.done()
        finally:
            sending.cancel()
            leaving.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)
        self.on_end(self.sent, aborted)
        if not aborted:
            sending.result()

    async def _send(self, send: Send) -> None:
        answer = self.answer
        await asyncio.sleep(answer.delay)
        await send(
            {"type": "http.response.start", "status": answer.status, "headers": self._head()}
        )
        for n, frame in enumerate(answer.frames):
            if n == answer.silence_at:
                await asyncio.sleep(answer.silence)
            await asyncio.sleep(answer.slow or (answer.pause if frame.content else 0))
            await send({"type": "http.response.body", "body": frame.data, "more_body": True})
            self.sent += len(frame.data)
        # A body left open is how ASGI says that the connection broke.
        if not answer.dropped:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _head(self) -> list[tuple[bytes, bytes]]:
        headers = dict(self.answer.headers)
        if not self.answer.stream and not self.answer.dropped:
            length = sum(len(frame.data) for frame in self.answer.frames)
            headers.setdefault("content-length", str(length))
        return [(k.lower().encode("latin-1"), v.encode("latin-1")) for k, v in headers.items()]


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
