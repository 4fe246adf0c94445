"""How an answer leaves: framed, paced, interrupted, and stopped at once when nobody listens."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

EVENT_STREAM = "text/event-stream; charset=utf-8"


class Frame(NamedTuple):
    """Some bytes of an answer. `content`: they carry a part of what the model says, or, with
    `thought`, of what it thinks aloud; `thought` alone ends what it thinks unseen."""

    data: bytes
    content: bool = False
    thought: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent, and how; times in seconds.

    `pause` goes before each part of what the model says, `slow` before every frame, `silence`
    before frame number `silence_at`. `dropped`: the connection breaks after the last frame.
    Unseen thinking goes before the first part: `hidden` pauses, and `ponder` seconds; thinking
    aloud is spread over them.
    `whole` counts the thoughts and the words of the unbroken answer; `work` is for whoever bills
    it.
    """

    frames: Sequence[Frame]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    stream: bool = False
    delay: float = 0.0
    pause: float = 0.0
    slow: float = 0.0
    hidden: int = 0
    ponder: float = 0.0
    silence_at: int | None = None
    silence: float = 0.0
    dropped: bool = False
    whole: tuple[int, int] | None = None
    work: Any = None


class Progress(NamedTuple):
    """The shares of its thinking and of its text that were generated; `evenly`, one after the
    other in that much of the whole time."""

    thought: float = 0.0
    said: float = 0.0
    evenly: float | None = None

    def shares(self, reasoning: int, output: int) -> tuple[float, float]:
        """Of thinking and of text, for an answer of so many tokens of each."""
        if self.evenly is None:
            return self.thought, self.said
        done = self.evenly * (reasoning + output)
        thought = min(1.0, done / reasoning) if reasoning else 1.0
        return thought, max(0.0, done - reasoning) / output if output else 1.0


def said(frames: Sequence[Frame]) -> tuple[int, int]:
    """How many of these carry thinking, and how many of them text."""
    contents = [frame for frame in frames if frame.content]
    thoughts = sum(frame.thought for frame in contents)
    return thoughts, len(contents) - thoughts


def half(frames: Sequence[Frame]) -> list[Frame]:
    """The first half of what the model says, and all that goes before it."""
    contents = [n for n, frame in enumerate(frames) if frame.content]
    end = contents[(len(contents) - 1) // 2] + 1 if contents else len(frames) // 2
    return list(frames[:end])


class _Span:
    """Time that passes while something unseen is done; `share` of it is over."""

    __slots__ = ("began", "seconds")

    def __init__(self) -> None:
        self.began, self.seconds = 0.0, 0.0

    def start(self, seconds: float) -> None:
        self.began, self.seconds = time.monotonic(), seconds

    async def over(self, seconds: float) -> None:
        self.start(seconds)
        await asyncio.sleep(seconds)
        self.seconds = 0.0

    @property
    def share(self) -> float:
        if not self.began:
            return 0.0
        return min(1.0, (time.monotonic() - self.began) / self.seconds) if self.seconds else 1.0


class Sending(Response):
    """Sends an answer. `on_end(sent, aborted)` is told how many bytes went and who left."""

    def __init__(self, answer: Answer, on_end: Callable[[int, bool], None]) -> None:
        self.answer = answer
        self.on_end = on_end
        self.sent = 0
        self.background = None
        self._waited = _Span()  # the delay
        self._pondered = _Span()  # the unseen thinking
        self._thought = self._said = 0

    @property
    def progress(self) -> Progress:
        """How far the answer got."""
        if not self.answer.stream:
            return Progress(evenly=self._waited.share)
        thoughts, words = self.answer.whole or said(self.answer.frames)
        unseen = 1.0 if self._said else self._pondered.share
        thought = min(1.0, self._thought / thoughts) if thoughts else unseen
        return Progress(thought, min(1.0, self._said / words) if words else unseen)

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
        await self._wait()
        await send(
            {"type": "http.response.start", "status": answer.status, "headers": self._head()}
        )
        for n, frame in enumerate(answer.frames):
            if (frame.content or frame.thought) and not self._pondered.began:
                await self._ponder(aloud=said(answer.frames)[0] > 0)
            if n == answer.silence_at:
                await asyncio.sleep(answer.silence)
            await asyncio.sleep(self._pause(frame))
            await send({"type": "http.response.body", "body": frame.data, "more_body": True})
            self.sent += len(frame.data)
            self._thought += frame.content and frame.thought
            self._said += frame.content and not frame.thought
        if not self._pondered.began:
            await self._ponder(aloud=False)
        self._pondered.seconds = 0.0
        # A body left open is how ASGI says that the connection broke.
        if not answer.dropped:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _wait(self) -> None:
        """The delay; a unary answer is generated meanwhile."""
        seconds = self.answer.delay + (0.0 if self.answer.stream else self.answer.ponder)
        await self._waited.over(seconds)

    async def _ponder(self, *, aloud: bool) -> None:
        seconds = self.answer.ponder + self.answer.hidden * self.answer.pause
        if aloud and self.answer.ponder:
            self._pondered.start(seconds)
        else:
            await self._pondered.over(seconds)

    def _pause(self, frame: Frame) -> float:
        answer = self.answer
        if frame.thought and frame.content and answer.ponder:
            return answer.ponder / said(answer.frames)[0]
        return answer.slow or (answer.pause if frame.content else 0)

    def _head(self) -> list[tuple[bytes, bytes]]:
        headers = dict(self.answer.headers)
        if not self.answer.stream and not self.answer.dropped:
            length = sum(len(frame.data) for frame in self.answer.frames)
            headers.setdefault("content-length", str(length))
        return [(k.lower().encode("latin-1"), v.encode("latin-1")) for k, v in headers.items()]


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
