"""What a stream's chunk costs: `python -m bench.chunks [--against TREE] [--sockets]`.

As `bench.request`: application and protocol without a socket, a chunk a turn of the event loop,
the shortest of many short rounds that alternate with the bare pass-through's, and with another
tree's.
What a request costs falls out: it is the difference between a long stream and a short one.

With `--sockets` the same over real ones, in servers of their own, 64 streams at once: what the
system takes to read and to write is in it, and the ratio is the one that counts.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from bench import traffic
from bench.request import HOUSE, Bench, Wire, in_turn, posted
from bench.traffic import Dialect

FEW, MANY, ROUNDS, SOCKET_ROUNDS = 10, 110, 60, 20
KINDS = {
    "chat": traffic.CHAT,
    "messages": traffic.MESSAGES,
    "chat → Claude": traffic.CHAT_TO_CLAUDE,
    "messages → GPT": traffic.MESSAGES_TO_GPT,
}
BARE = "bare"


def reply(dialect: Dialect, chunks: int) -> list[bytes]:
    """The vendor's reads, one chunk each."""
    from bench import vendor

    spoken = vendor.Chat() if dialect.model == traffic.CHAT.model else vendor.Messages()
    end = spoken.closing(chunks, usage_wanted=True) + vendor.END
    return [vendor.STREAM_HEAD, spoken.opening, *spoken.chunks[:chunks], end]


def sender(
    loop: asyncio.AbstractEventLoop, pieces: list[bytes], heard: Callable[[bytes], None]
) -> None:
    """One after another, so that whoever waits for each has its turn between them."""
    left: Iterator[bytes] = iter(pieces)

    def send() -> None:
        if (piece := next(left, None)) is not None:
            heard(piece)
            loop.call_soon(loop.call_soon, send)

    loop.call_soon(send)


class Stream(Bench):
    """One gateway, and one client."""

    def __init__(self, kind: str, chunks: int, key: str) -> None:
        super().__init__("chat", key)
        dialect = KINDS[kind]
        self.asked = posted(dialect.path, traffic.body(dialect, stream=True).encode(), key)
        self.reply = reply(dialect, chunks)

    def _answer(self, loop: asyncio.AbstractEventLoop, heard: Callable[[bytes], None]) -> None:
        sender(loop, self.reply, heard)

    def _heard(self, data: bytes) -> None:
        if data.startswith(b"HTTP/1.1") and data[9:12] != b"200":
            print(data.decode(), file=sys.stderr)
            os._exit(1)
        self.answers += data.endswith(b"0\r\n\r\n")

    async def round(self) -> float:
        """Microseconds a stream."""
        begun = time.process_time()
        await self._ask()
        return (time.process_time() - begun) * 1e6


class Bare(Stream):
    """The pass-through of `bench.baseline`, in place of the gateway."""

    async def start(self) -> None:
        import aiohttp
        from uvicorn.config import Config
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
        from uvicorn.server import ServerState

        from bench import baseline

        loop = asyncio.get_running_loop()

        class Connector(aiohttp.BaseConnector):
            async def _create_connection(connector, *_: Any) -> Any:
                made = connector._factory()
                made.connection_made(Wire(lambda _: self._answer(loop, made.data_received)))
                return made

        baseline.UPSTREAM = "http://127.0.0.1:1"
        session = aiohttp.ClientSession(connector=Connector(), auto_decompress=False)
        baseline._sessions.append(session)
        config = Config(
            baseline.application,
            http="httptools",
            access_log=False,
            proxy_headers=False,
            lifespan="off",
            interface="asgi3",
        )
        config.load()
        self.protocol = HttpToolsProtocol(config, ServerState(), {})
        self.protocol.connection_made(Wire(self._heard))
        for _ in range(50):
            await self._ask()


async def work(kind: str, chunks: int, bare: bool, key: str) -> None:
    """A round for each line of stdin."""
    bench = (Bare if bare else Stream)(kind, chunks, key)
    await bench.start()
    for _ in sys.stdin:
        print(await bench.round(), flush=True)
    os._exit(0)


def measured(kind: str, key: str, env: dict[str, str], trees: list[Path]) -> list[float]:
    """Microseconds a chunk, by the shortest streams: of the bare way, and of each tree."""
    workers = [
        _worker(kind, chunks, key, env, tree, bare)
        for tree, bare in [(HOUSE, True), *((tree, False) for tree in trees)]
        for chunks in (FEW, MANY)
    ]
    least = in_turn(workers, ROUNDS)
    return [(b - a) / (MANY - FEW) for a, b in zip(least[::2], least[1::2], strict=True)]


def _worker(
    kind: str, chunks: int, key: str, env: dict[str, str], tree: Path, bare: bool
) -> "subprocess.Popen[str]":
    command = [sys.executable, "-P", str(Path(__file__).resolve()), "--work", kind]
    command += ["--chunks", str(chunks), "--key", key, *(["--bare"] if bare else [])]
    return subprocess.Popen(
        command,
        cwd=tree,
        env={**os.environ, **env, "PYTHONPATH": str(tree)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def memory(against: Path | None) -> None:
    """The table without sockets."""
    from bench import servers
    from bench.product import product

    trees = [HOUSE] + ([against.resolve()] if against else [])
    with tempfile.TemporaryDirectory(prefix="hontoni-bench-") as folder, ExitStack() as stack:
        vendor = stack.enter_context(servers.vendor())
        installed = stack.enter_context(product(vendor.port, Path(folder)))
        key = installed.server.headers["authorization"].removeprefix("Bearer ")
        names = [BARE, *(tree.name for tree in trees)]
        print(f"{'µs of CPU a chunk':24}" + "".join(f"{name:>12}" for name in names))
        for kind in KINDS:
            times = measured(kind, key, installed.env, trees)
            print(f"{kind:24}" + "".join(f"{each:12.2f}" for each in times), flush=True)


def sockets(rounds: int) -> None:
    """The table over real sockets: the least, and the median of the rounds' ratios."""
    from bench import measure, servers
    from bench.load import Generator
    from bench.product import product

    with tempfile.TemporaryDirectory(prefix="hontoni-bench-") as folder, ExitStack() as stack:
        home = Path(folder)
        vendor = stack.enter_context(servers.vendor())
        rows = [measure.Row(BARE, stack.enter_context(servers.bare(vendor.port, home)))]
        server = stack.enter_context(product(vendor.port, home)).server
        rows += [measure.Row(kind, server, dialect) for kind, dialect in KINDS.items()]
        load = stack.enter_context(Generator())
        for _ in range(rounds):
            for row in rows:
                measure._chunk(load, row, measure.QUICK)
    print(f"{'µs of CPU a chunk':24}{'least':>12}{'median':>12}{'÷ bare':>12}{'in rounds':>12}")
    bare = rows[0].per_chunk
    for row in rows:
        least, ratios = min(row.per_chunk), map(float.__truediv__, row.per_chunk, bare)
        told = (least * 1e6, median(row.per_chunk) * 1e6, least / min(bare), median(ratios))
        print(f"{row.name:24}" + "".join(f"{each:12.2f}" for each in told))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.chunks", description=__doc__)
    parser.add_argument("--against", type=Path, help="a second tree, measured in turn")
    parser.add_argument("--sockets", action="store_true", help="over real sockets")
    parser.add_argument("--rounds", type=int, default=SOCKET_ROUNDS, help="over sockets")
    parser.add_argument("--work", choices=KINDS, help=argparse.SUPPRESS)
    parser.add_argument("--chunks", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--bare", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--key", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        import django
        import uvloop

        django.setup()
        uvloop.run(work(options.work, options.chunks, options.bare, options.key))
    elif options.sockets:
        sockets(options.rounds)
    else:
        memory(options.against)


if __name__ == "__main__":
    main()
