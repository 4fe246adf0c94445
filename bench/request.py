"""What a request costs in the gateway's own code: `python -m bench.request [--against TREE]`.

The product's application and protocol in a process without a socket: what Valkey and the vendor
say comes out of memory, as soon as it is asked for. Rounds are short, and the shortest counts:
whatever else a machine does makes a round longer, never shorter. With a second tree (a clone at
another commit, whose installation may be this one's) rounds alternate, so both have the same
machine.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

EACH, ROUNDS, WARM = 25, 120, 200
HOUSE = Path(__file__).parent.parent
KINDS = ("chat", "messages", "a long chat", "long messages")
TURNS, TOOLS = 70, 20  # of what is long: about 100 kB, as agents send


def body(kind: str) -> tuple[str, bytes]:
    """Where that kind is sent, and what."""
    from bench import traffic

    chat = kind.endswith("chat")
    dialect = traffic.CHAT if chat else traffic.MESSAGES
    if "long" not in kind:
        return dialect.path, traffic.body(dialect).encode()
    text = 'def f(x):\n    return {"x": x, "path": "/etc/hosts"}  # which it may well be\n' * 18
    roles = ("user", "assistant")
    talk = [{"role": roles[turn % 2], "content": text} for turn in range(TURNS + 1)]
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    named = [{"name": f"tool_{n}", "description": "d" * 200} for n in range(TOOLS)]
    tools: list[dict[str, Any]] = [{**each, "input_schema": schema} for each in named]
    if chat:
        tools = [
            {"type": "function", "function": {**each, "parameters": schema}} for each in named
        ]
    wire = {"model": dialect.model, "max_tokens": 1024, "messages": talk, "tools": tools}
    return dialect.path, json.dumps(wire, separators=(",", ":")).encode()


def posted(path: str, sent: bytes, key: str) -> bytes:
    """As a request on the wire."""
    head = f"POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n"
    head += f"content-length: {len(sent)}\r\nauthorization: Bearer {key}\r\n\r\n"
    return head.encode() + sent


class Wire(asyncio.Transport):
    """A connection to nobody; `heard` is told what is written."""

    def __init__(self, heard: Callable[[bytes], None]) -> None:
        super().__init__()
        self.heard = heard

    def write(self, data: Any) -> None:
        self.heard(data)

    def writelines(self, pieces: Any) -> None:
        self.heard(b"".join(pieces))

    def is_closing(self) -> bool:
        return False

    def is_reading(self) -> bool:
        return True

    def get_write_buffer_size(self) -> int:
        return 0

    def abort(self) -> None:
        raise RuntimeError("the gateway hung up")

    close = pause_reading = resume_reading = lambda self: None


class Bench:
    """One gateway, and one client that asks again when it has its answer."""

    def __init__(self, kind: str, key: str) -> None:
        from bench import vendor

        self.key = key
        self.asked = posted(*body(kind), key)
        self.reply = [(vendor.Chat() if "chat" in kind else vendor.Messages()).unary]
        self.answers = 0
        self.kept: dict[object, object] = {}  # what Valkey said to each script

    async def start(self) -> None:
        from uvicorn.config import Config
        from uvicorn.server import ServerState

        from gateway.plane.v1 import V1
        from gateway.vendors import http_client
        from hontoni.edge import Protocol

        loop = asyncio.get_running_loop()
        self.v1 = V1()
        await self.v1.start()

        async def connect(client: Any, origin: Any) -> Any:
            made = http_client._Connection(client, origin, loop)

            made.connection_made(Wire(lambda _: self._answer(loop, made.data_received)))
            return made

        setattr(http_client.Client, "_connect", connect)  # noqa: B010
        setattr(http_client, "IDLE_SECONDS", 1e9)  # noqa: B010, a worker waits for its turn
        options = {
            "access_log": False,
            "proxy_headers": False,
            "lifespan": "off",
            "interface": "asgi3",
        }
        config = Config(self._serve, http="httptools", **options)  # type: ignore[arg-type]
        config.load()
        self.protocol: Any = Protocol(config, ServerState(), {})
        self.protocol.connection_made(Wire(self._heard))
        await self._open()
        for _ in range(5):
            await self._ask(pause=0.05)
        self._remember(loop)
        for _ in range(WARM):
            await self._ask()

    def _answer(self, loop: asyncio.AbstractEventLoop, heard: Callable[[bytes], None]) -> None:
        """The vendor's, as soon as it is asked."""
        for piece in self.reply:
            loop.call_soon(heard, piece)

    async def _open(self) -> None:
        """What there is to do before the first request."""

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        await self.v1(scope, receive, send)

    def _heard(self, data: bytes) -> None:
        if not data.startswith(b"HTTP/1.1 200"):
            print(data.decode(), file=sys.stderr)
            os._exit(1)
        self.answers += 1

    def _remember(self, loop: asyncio.AbstractEventLoop) -> None:
        """From here on Valkey says what it has said before."""
        from hontoni import redis

        real = redis.Pipe.execute

        def execute(pipe: redis.Pipe, *command: redis.Argument) -> asyncio.Future[Any]:
            name = command[1] if command[0] in ("EVALSHA", "FCALL") else command[0]
            if name not in self.kept:
                reply = real(pipe, *command)
                reply.add_done_callback(lambda done: self._keep(name, done))
                return reply
            again: asyncio.Future[Any] = loop.create_future()
            loop.call_soon(again.set_result, self.kept[name])
            return again

        setattr(redis.Pipe, "execute", execute)  # noqa: B010

    def _keep(self, name: object, said: asyncio.Future[Any]) -> None:
        if not said.cancelled() and said.exception() is None:
            self.kept[name] = said.result()

    async def _ask(self, pause: float = 0.0) -> None:
        before = self.answers
        self.protocol.data_received(self.asked)
        while self.answers == before:  # noqa: ASYNC110, an Event would be measured as well
            await asyncio.sleep(pause)
        await asyncio.sleep(0)

    async def round(self) -> float:
        """Microseconds a request."""
        begun = time.process_time()
        for _ in range(EACH):
            await self._ask()
        return (time.process_time() - begun) * 1e6 / EACH


async def work(kind: str, key: str) -> None:
    """A round for each line of stdin."""
    bench = Bench(kind, key)
    await bench.start()
    for _ in sys.stdin:
        print(await bench.round(), flush=True)
    os._exit(0)


def measured(kind: str, key: str, env: dict[str, str], trees: list[Path]) -> list[float]:
    """The shortest round in each tree."""
    workers = []
    for tree in trees:
        command = [sys.executable, "-P", str(Path(__file__).resolve()), "--kind", kind]
        workers.append(
            subprocess.Popen(
                [*command, "--key", key],
                cwd=tree,
                env={**os.environ, **env, "PYTHONPATH": str(tree)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
    return in_turn(workers, ROUNDS)


def in_turn(workers: Sequence[subprocess.Popen[str]], rounds: int) -> list[float]:
    """The shortest round of each; a round is a line that it is sent, and its answer."""
    found: list[list[float]] = [[] for _ in workers]
    for _ in range(rounds):
        for times, worker in zip(found, workers, strict=True):
            assert worker.stdin and worker.stdout
            print(file=worker.stdin, flush=True)
            times.append(float(worker.stdout.readline()))
    for worker in workers:
        worker.communicate()
    return [min(times) for times in found]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.request", description=__doc__)
    parser.add_argument("--against", type=Path, help="a second tree, measured in turn")
    parser.add_argument("--kind", choices=KINDS, help=argparse.SUPPRESS)
    parser.add_argument("--key", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.key:
        import django
        import uvloop

        django.setup()
        uvloop.run(work(options.kind, options.key))
        return
    from bench import servers
    from bench.product import product

    trees = [HOUSE] + ([options.against.resolve()] if options.against else [])
    with tempfile.TemporaryDirectory(prefix="hontoni-bench-") as folder, ExitStack() as stack:
        vendor = stack.enter_context(servers.vendor())
        installed = stack.enter_context(product(vendor.port, Path(folder)))
        key = installed.server.headers["authorization"].removeprefix("Bearer ")
        print(f"{'µs of CPU a request':24}" + "".join(f"{tree.name:>12}" for tree in trees))
        for kind in KINDS:
            times = measured(kind, key, installed.env, trees)
            print(f"{kind:24}" + "".join(f"{each:12.0f}" for each in times), flush=True)


if __name__ == "__main__":
    main()
