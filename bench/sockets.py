"""What a response costs on a WebSocket, beside the same one streamed to a POST:
`python -m bench.sockets`.

As `bench.request`: the product's application and protocols in a process without a socket, what
Valkey and the vendor say out of memory, the shortest of many short rounds. The two take turns, and
each has a process of its own.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench import request
from bench.request import HOUSE, Bench, Wire, in_turn, posted

ROUNDS, CHUNKS = 120, 40
PATH, MODEL = "/v1/responses", "gpt-5.2"
TRANSPORTS = ("POST", "WebSocket")
SIZES = ("short", "long")


def asked(size: str) -> dict[str, Any]:
    """The request: of about a kilobyte, or of 100 as agents send them."""
    if size == "short":
        text = "Explain what a reverse proxy does, in one paragraph. " * 18
        talk = [{"role": "user", "content": text}]
    else:
        talk = json.loads(request.body("a long chat")[1])["messages"]
    return {"model": MODEL, "input": talk, "max_output_tokens": 1024, "store": False}


def reply() -> list[bytes]:
    """The vendor's answer, an event at a time."""
    from bench import traffic, vendor

    usage = {
        "input_tokens": 200,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": CHUNKS,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 200 + CHUNKS,
    }
    text = "".join(map(traffic.piece, range(CHUNKS)))
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    item = {"id": "msg_1", "type": "message", "status": "completed", "role": "assistant"}
    whole = {**item, "content": [part]}
    said: dict[str, Any] = {
        "id": "resp_1",
        "object": "response",
        "created_at": 1760000000,
        "model": MODEL,
    }
    open_: dict[str, Any] = {"status": "in_progress", "output": [], "usage": None}
    done: dict[str, Any] = {"status": "completed"}
    at = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    opened = {**item, "status": "in_progress", "content": []}
    events: list[tuple[str, dict[str, Any]]] = [
        ("response.created", {"response": said | open_}),
        ("response.in_progress", {"response": said | open_}),
        ("response.output_item.added", {"output_index": 0, "item": opened}),
        ("response.content_part.added", {**at, "part": part | {"text": ""}}),
        *(
            ("response.output_text.delta", {**at, "delta": traffic.piece(n), "logprobs": []})
            for n in range(CHUNKS)
        ),
        ("response.output_text.done", {**at, "text": text, "logprobs": []}),
        ("response.content_part.done", {**at, "part": part}),
        ("response.output_item.done", {"output_index": 0, "item": whole}),
        ("response.completed", {"response": {**said, **done, "output": [whole], "usage": usage}}),
    ]
    told = [
        vendor.sse({"type": kind, "sequence_number": n, **fields}, kind)
        for n, (kind, fields) in enumerate(events)
    ]
    return [vendor.STREAM_HEAD, *told[:-1], told[-1] + vendor.END]


class Post(Bench):
    """Streamed to a POST."""

    end = b"0\r\n\r\n"

    def __init__(self, size: str, key: str) -> None:
        super().__init__("chat", key)
        self.reply = reply()
        self.sent = asked(size)
        self.asked = posted(PATH, json.dumps(self.sent | {"stream": True}).encode(), key)

    def _heard(self, data: bytes) -> None:
        if data.startswith(b"HTTP/1.1") and data[9:12] not in (b"200", b"101"):
            print(data.decode(), file=sys.stderr)
            os._exit(1)
        self.answers += data.endswith(self.end)


class Line(Wire):
    """A connection whose protocol changes."""

    protocol: Any = None

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def get_protocol(self) -> Any:
        return self.protocol


class Socket(Post):
    """Each event a message."""

    end = b"}"  # and the last has this inside
    last = b'"type":"response.completed"'

    async def _open(self) -> None:
        from websockets.frames import Frame, Opcode

        event = json.dumps({"type": "response.create", **self.sent}).encode()
        self.asked = Frame(Opcode.TEXT, event).serialize(mask=True)
        line = Line(self._heard)
        self.protocol.connection_made(line)
        self.protocol.data_received(
            f"GET {PATH} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {self.key}\r\n"
            "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
            "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        while line.protocol is None:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.5)  # until it is open
        self.protocol = line.protocol

    def _heard(self, data: bytes) -> None:
        if data.startswith(b"HTTP/1.1"):
            return super()._heard(data)
        if b'"type":"error"' in data[:64]:
            print(data, file=sys.stderr)
            os._exit(1)
        self.answers += data.rfind(self.last) >= 0


async def work(transport: str, size: str, key: str) -> None:
    """A round for each line of stdin."""
    bench = (Post if transport == "POST" else Socket)(size, key)
    await bench.start()
    for _ in sys.stdin:
        print(await bench.round(), flush=True)
    os._exit(0)


def measured(size: str, key: str, env: dict[str, str], rounds: int) -> list[float]:
    """Microseconds of CPU a response, the shortest round of each transport."""
    workers = [
        subprocess.Popen(
            [sys.executable, "-m", "bench.sockets", "--work", transport, size, "--key", key],
            cwd=HOUSE,
            env={**os.environ, **env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for transport in TRANSPORTS
    ]
    return in_turn(workers, rounds)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.sockets", description=__doc__)
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--key", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        import django
        import uvloop

        django.setup()
        transport, size = options.work
        uvloop.run(work(transport, size, options.key))
        return
    from bench import servers
    from bench.product import product

    with tempfile.TemporaryDirectory(prefix="hontoni-bench-") as folder, ExitStack() as stack:
        vendor = stack.enter_context(servers.vendor())
        installed = stack.enter_context(product(vendor.port, Path(folder)))
        key = installed.server.headers["authorization"].removeprefix("Bearer ")
        print(f"{'µs of CPU a response':24}" + "".join(f"{each:>12}" for each in TRANSPORTS))
        for size in SIZES:
            times = measured(size, key, installed.env, options.rounds)
            print(f"{size:24}" + "".join(f"{each:12.0f}" for each in times), flush=True)


if __name__ == "__main__":
    main()
