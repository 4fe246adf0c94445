"""A vendor at native speed: it sends bytes made beforehand, so that what is measured is not it.

* POST to any path ending in /chat/completions or /messages; `"stream": true` is answered in SSE.
* The prompt says what to do (see `bench.traffic`): `[[chunks: N]]`, `[[pace: MS]]`.
* Usage is 200 tokens in and one token out a chunk. Every piece of a stream is a write of its own,
  paced ones from a random phase on, so that many streams do not beat as one.
"""

import asyncio
import json
import random
import re
import socket
from dataclasses import dataclass
from typing import cast

import httptools
import uvloop

from bench import traffic

CHUNKS, MOST_CHUNKS = 40, 1_000
STREAM = re.compile(rb'"stream"\s*:\s*true')
USAGE_WANTED = re.compile(rb'"include_usage"\s*:\s*true')
DIRECTIVE = re.compile(rb"\[\[(chunks|pace): (\d+)\]\]")


def sse(data: object, event: str = "") -> bytes:
    """One event, wrapped as one HTTP/1.1 chunk."""
    text = data if isinstance(data, str) else json.dumps(data, separators=(",", ":"))
    frame = (f"event: {event}\n" if event else "") + f"data: {text}\n\n"
    return f"{len(frame.encode()):x}\r\n{frame}\r\n".encode()


def answer(status: str, content: object) -> bytes:
    """A whole unstreamed response."""
    body = json.dumps(content, separators=(",", ":")).encode()
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    return f"{head}\r\n\r\n".encode() + body


STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
    b"cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n"
)
END = b"0\r\n\r\n"
NOT_FOUND = answer("404 Not Found", {"error": {"message": "no such path", "type": "not_found"}})


class Chat:
    """OpenAI Chat Completions."""

    @staticmethod
    def _usage(chunks: int) -> dict[str, int]:
        return {
            "prompt_tokens": 200,
            "completion_tokens": chunks,
            "total_tokens": 200 + chunks,
        }

    @staticmethod
    def _piece(**fields: object) -> bytes:
        same = {
            "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
            "object": "chat.completion.chunk",
            "created": 1760000000,
            "model": "gpt-4o-2024-08-06",
        }
        return sse({**same, **fields})

    @classmethod
    def _choice(cls, delta: dict[str, str], finish: str | None = None) -> bytes:
        return cls._piece(choices=[{"index": 0, "delta": delta, "finish_reason": finish}])

    def __init__(self) -> None:
        self.opening = self._choice({"role": "assistant", "content": ""})
        self.chunks = [self._choice({"content": traffic.piece(n)}) for n in range(MOST_CHUNKS)]
        self.stop = self._choice({}, "stop")
        self.done = sse("[DONE]")
        message = {"role": "assistant", "content": "word " * CHUNKS, "refusal": None}
        self.unary = answer(
            "200 OK",
            {
                "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
                "object": "chat.completion",
                "created": 1760000000,
                "model": "gpt-4o-2024-08-06",
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": self._usage(CHUNKS),
            },
        )

    def closing(self, chunks: int, usage_wanted: bool) -> bytes:
        usage = self._piece(choices=[], usage=self._usage(chunks)) if usage_wanted else b""
        return self.stop + usage + self.done


class Messages:
    """Anthropic Messages."""

    def __init__(self) -> None:
        message = {
            "id": "msg_01XFDUDYJgAACzvnptvVoYEL",
            "type": "message",
            "role": "assistant",
            "model": "claude-sonnet-4-5-20250929",
            "content": [{"type": "text", "text": "word " * CHUNKS}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 200, "output_tokens": CHUNKS},
        }
        self.unary = answer("200 OK", message)
        usage = {"input_tokens": 200, "output_tokens": 1}
        begun = {**message, "content": [], "stop_reason": None, "usage": usage}
        self.opening = sse({"type": "message_start", "message": begun}, "message_start")
        text = {"type": "text", "text": ""}
        self.opening += self._block("content_block_start", content_block=text)
        deltas = [{"type": "text_delta", "text": traffic.piece(n)} for n in range(MOST_CHUNKS)]
        self.chunks = [self._block("content_block_delta", delta=delta) for delta in deltas]
        self.stop = self._block("content_block_stop")

    @staticmethod
    def _block(kind: str, **fields: object) -> bytes:
        return sse({"type": kind, "index": 0, **fields}, kind)

    def closing(self, chunks: int, usage_wanted: bool) -> bytes:
        delta = {"stop_reason": "end_turn", "stop_sequence": None}
        usage = {"output_tokens": chunks}
        end = {"type": "message_delta", "delta": delta, "usage": usage}
        return (
            self.stop + sse(end, "message_delta") + sse({"type": "message_stop"}, "message_stop")
        )


@dataclass
class Stream:
    """One reply under way: `chunks` pieces, `pace` seconds apart."""

    transport: asyncio.Transport
    dialect: Chat | Messages
    chunks: int
    pace: float
    usage_wanted: bool
    sent: int = 0
    timer: asyncio.Handle | None = None

    def start(self) -> None:
        self.transport.write(STREAM_HEAD + self.dialect.opening)
        self._in(self.pace * random.random())

    def _in(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        later = loop.call_later(seconds, self._send) if seconds else loop.call_soon(self._send)
        self.timer = later

    def _send(self) -> None:
        if self.sent == self.chunks:
            self.timer = None
            self.transport.write(self.dialect.closing(self.chunks, self.usage_wanted) + END)
            return
        self.transport.write(self.dialect.chunks[self.sent % MOST_CHUNKS])
        self.sent += 1
        self._in(self.pace)

    def stop(self) -> None:
        if self.timer is not None:
            self.timer.cancel()


class Vendor(asyncio.Protocol):
    """One connection, kept alive; one request at a time, as every HTTP client does it."""

    dialects = ((b"/chat/completions", Chat()), (b"/messages", Messages()))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is one by shape only
        raw = self.transport.get_extra_info("socket")
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.parser = httptools.HttpRequestParser(self)
        self.stream: Stream | None = None

    def data_received(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if self.stream is not None:
            self.stream.stop()

    def on_message_begin(self) -> None:
        self.body = b""

    def on_url(self, url: bytes) -> None:
        self.path = url.partition(b"?")[0]

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        dialect = next((d for end, d in self.dialects if self.path.endswith(end)), None)
        if dialect is None:
            self.transport.write(NOT_FOUND)
        elif STREAM.search(self.body):
            self._stream(dialect)
        else:
            self.transport.write(dialect.unary)

    def _stream(self, dialect: Chat | Messages) -> None:
        directives = {name: int(number) for name, number in DIRECTIVE.findall(self.body)}
        self.stream = Stream(
            transport=self.transport,
            dialect=dialect,
            chunks=directives.get(b"chunks", CHUNKS),
            pace=directives.get(b"pace", 0) / 1000,
            usage_wanted=USAGE_WANTED.search(self.body) is not None,
        )
        self.stream.start()


async def serve() -> None:
    """Serve on a free port, printed as the first line, until killed."""
    server = await asyncio.get_running_loop().create_server(Vendor, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve())
