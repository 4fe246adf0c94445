"""`python -m bench.hostile`: an honest client beside a hostile one, as Markdown.

The hostile one, a process of its own at the honest one's own address, keeps 2,000 connections open
and says nothing on them, sends 200 MB of headers, and withholds the last byte of 64 bodies of
32 MiB (with a key that has money and no limits). It begins with the measurement. With --again
it opens anew, a second later, whatever is closed on it.
"""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import Any

import uvloop

from bench import cost, report, servers, traffic
from bench.load import Generator, Job, Result
from bench.product import product
from bench.servers import Server

SILENT, BODIES, HEADER_STREAMS = 2_000, 64, 8
MB = 1024 * 1024
HEADER_BYTES, BODY_BYTES = 200 * MB, 32 * MB
CLIENTS, SECONDS, ROUNDS, PAUSE_SECONDS = 8, 8.0, 3, 12
P99_GOAL, MEMORY_GOAL = 2.0, 600


class Attack:
    """All of it at once, until it is stopped; `opened` counts what it came to."""

    def __init__(self, port: int, key: str, again: bool) -> None:
        self.port, self.key, self.again = port, key, again
        self.opened: Counter[str] = Counter()
        self.header_bytes = 0

    async def run(self) -> None:
        kinds = (self._silent,) * SILENT + (self._body,) * BODIES
        headers = (self._headers,) * HEADER_STREAMS
        await asyncio.gather(*(self._again(kind) for kind in kinds + headers))

    async def _again(self, kind: Callable[..., Coroutine[Any, Any, None]]) -> None:
        """Open it, and anew if that is wanted; headers until all of them were sent."""
        first = True
        while first or self.again or self._left(kind):
            first = False
            with suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                self.opened[kind.__name__.strip("_")] += 1
                try:
                    await kind(reader, writer)
                finally:
                    writer.transport.abort()
            await asyncio.sleep(1 if self.again else 0.1)

    def _left(self, kind: Callable[..., Coroutine[Any, Any, None]]) -> bool:
        return kind == self._headers and self.header_bytes < HEADER_BYTES

    async def _silent(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def _headers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        line = b"x-padding: " + b"a" * MB + b"\r\n"
        while self.header_bytes < HEADER_BYTES:
            writer.write(line)
            await writer.drain()
            self.header_bytes += len(line)

    async def _body(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (
            f"POST {traffic.CHAT.path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Authorization: {self.key}\r\nContent-Length: {BODY_BYTES}\r\n\r\n"
        )
        writer.write(head.encode())
        for piece in [b" " * MB] * 31 + [b" " * (MB - 1)]:
            writer.write(piece)
            await writer.drain()
        await reader.read()


@contextmanager
def attacked(port: int, key: str, again: bool) -> Iterator[Callable[[], dict[str, int]]]:
    """Under attack; what is yielded tells what it has opened so far."""
    command = [sys.executable, "-m", "bench.hostile", "--attack", str(port), "--key", key]
    command += ["--again"] * again
    attacker = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    opened_by: dict[str, int] = {}

    def opened() -> dict[str, int]:
        attacker.terminate()
        opened_by.update(json.loads(attacker.communicate()[0]))
        return opened_by

    try:
        yield opened
    finally:
        attacker.kill()
        attacker.wait()


def attack(port: int, key: str, again: bool) -> None:
    """The hostile process: until it is told to stop."""
    hostile = Attack(port, key, again)

    async def until_stopped() -> None:
        stopped = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
        running = asyncio.create_task(hostile.run())
        await stopped.wait()
        running.cancel()

    uvloop.run(until_stopped())
    print(json.dumps({**hostile.opened, "header_bytes": hostile.header_bytes}))


class Memory:
    """The most that the gateway occupies, looked at by the way."""

    def __init__(self, pid: int) -> None:
        self.pid, self.most = pid, 0

    async def watch(self) -> None:
        while True:
            self.most = max(self.most, cost.resident_bytes(self.pid))
            await asyncio.sleep(0.05)


def measure(load: Generator, server: Server, memory: Memory) -> Result:
    """The honest client's requests; memory is watched meanwhile."""
    job = Job(
        port=server.port,
        path=traffic.CHAT.path,
        body=traffic.body(traffic.CHAT),
        headers=dict(server.headers),
        clients=CLIENTS,
        seconds=SECONDS,
        pids=server.pids,
    )

    async def both() -> Result:
        watching = asyncio.create_task(memory.watch())
        try:
            return await asyncio.to_thread(load.run, job)
        finally:
            watching.cancel()

    return asyncio.run(both())


def bench(again: bool) -> str:
    """Quiet, under attack, quiet …; the report as Markdown."""
    load_before = os.getloadavg()[0]
    quiet, hostile, opened = [], [], Counter[str]()
    with tempfile.TemporaryDirectory(prefix="hontoni-bench-") as folder, ExitStack() as stack:
        vendor = stack.enter_context(servers.vendor())
        server = stack.enter_context(product(vendor.port, Path(folder))).server
        load = stack.enter_context(Generator())
        memory, before = Memory(server.pids[0]), Memory(server.pids[0])
        measure(load, server, before)  # warm
        for _ in range(ROUNDS):
            quiet.append(measure(load, server, before))
            with attacked(server.port, server.headers["authorization"], again) as opened_by:
                hostile.append(measure(load, server, memory))
                opened.update(opened_by())
            time.sleep(PAUSE_SECONDS)
        after = cost.resident_bytes(server.pids[0])
    lines = [
        "| 8 honest clients | requests/s | p50, ms | p99, ms | memory, MiB |",
        "| --- | --: | --: | --: | --: |",
        _row("quiet", quiet, before.most),
        _row("under attack", hostile, memory.most),
        _row("afterwards", [], after),
    ]
    worse = median(b.p99 / a.p99 for a, b in zip(quiet, hostile, strict=True))
    kinds = [(kind, opened[kind]) for kind in ("silent", "headers", "body")]
    tale = ", ".join(f"{count:,} {kind}" for kind, count in kinds)
    return "\n\n".join(
        (
            "\n".join(lines),
            f"p99 **{worse:.2f} ×** of quiet (goal {P99_GOAL:g} ×; memory: {MEMORY_GOAL} MiB). "
            f"In {ROUNDS} rounds of {SECONDS:g} s the attacker opened {tale}, and sent "
            f"{opened['header_bytes'] // MB} MiB of headers. It shares the machine's cores.",
            report.machine(load_before),
        )
    )


def _row(name: str, rounds: list[Result], resident: int) -> str:
    times = (
        [
            f"{median(r.rate for r in rounds):,.0f}",
            f"{median(r.p50 for r in rounds) * 1000:.1f}",
            f"{median(r.p99 for r in rounds) * 1000:.1f}",
        ]
        if rounds
        else ["", "", ""]
    )
    return f"| {name} | {' | '.join(times)} | {resident / MB:,.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.hostile", description=__doc__)
    parser.add_argument("--attack", type=int, help="be the hostile client of this port")
    parser.add_argument("--key", default="", help="its Authorization")
    parser.add_argument("--again", action="store_true", help="open anew what is closed")
    args = parser.parse_args()
    if args.attack:
        attack(args.attack, args.key, args.again)
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # and stop the servers
    print(bench(args.again))


if __name__ == "__main__":
    main()
