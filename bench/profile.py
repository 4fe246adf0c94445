"""Where the time of a warm request goes: `python -m bench.profile [--streamed] [--messages]`.

The gateway runs in a process of its own under cProfile, one more node of a running installation.
cProfile makes calls dearer than they are: compare functions with one another, and take what a
request costs from `python -m bench`.
"""

import argparse
import asyncio
import cProfile
import json
import os
import pstats
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import uvicorn

from bench import servers, traffic
from bench.load import Generator, Job, Result
from bench.product import product

CLIENTS, SECONDS, LINES = 64, 3.0, 45


class Profiled(uvicorn.Server):
    """A server that profiles itself while it does one job, and then stops."""

    def __init__(self, config: uvicorn.Config, job: Job) -> None:
        super().__init__(config)
        self.job = job

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        await super().startup()
        self.work = asyncio.create_task(self._work())

    async def _work(self) -> None:
        profiler = cProfile.Profile()
        try:
            with Generator() as load:
                await asyncio.to_thread(load.run, self.job)  # warm
                profiler.enable()
                result = await asyncio.to_thread(load.run, self.job)
                profiler.disable()
            show(profiler, result)
        finally:
            self.should_exit = True


def show(profiler: cProfile.Profile, result: Result) -> None:
    """The functions that take longest themselves, in microseconds and calls a request."""
    stats = pstats.Stats(profiler)
    functions = stats.stats.items()  # type: ignore[attr-defined]
    print(f"{result.requests} requests, {result.rate:,.0f} a second under the profiler\n")
    print(f"{'own µs':>8} {'all µs':>8} {'calls':>7}  function")
    for (path, line, name), (_, calls, own, whole, _) in sorted(
        functions, key=lambda item: -item[1][2]
    )[:LINES]:
        each = (1e6 * own / result.requests, 1e6 * whole / result.requests)
        place = f"{Path(path).parent.name}/{Path(path).name}:{line} " if line else ""
        print(f"{each[0]:8.1f} {each[1]:8.1f} {calls / result.requests:7.1f}  {place}{name}")


def serve(application: str, job: Job) -> None:
    """Be the profiled node."""
    config = uvicorn.Config(
        application,
        port=job.port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
        server_header=False,
    )
    Profiled(config, job).run()


def profile(*, bare: bool, dialect: traffic.Dialect, streamed: bool) -> None:
    """Start what is needed, and the profiled node beside it."""
    with tempfile.TemporaryDirectory(prefix="hontoni-bench-") as folder, ExitStack() as stack:
        vendor = stack.enter_context(servers.vendor())
        if bare:
            application, headers = "bench.baseline:application", {}
            env = {"BENCH_UPSTREAM": f"http://127.0.0.1:{vendor.port}"}
        else:
            installed = stack.enter_context(product(vendor.port, Path(folder)))
            application, env = "hontoni.asgi:application", installed.env
            headers = dict(installed.server.headers)
        job = Job(
            port=servers.free_port(),
            path=dialect.path,
            body=traffic.body(dialect, stream=streamed),
            headers=headers,
            clients=CLIENTS,
            seconds=SECONDS,
        )
        node = [sys.executable, "-m", "bench.profile", "--node", application]
        words = json.dumps(asdict(job)).encode()
        subprocess.run(node, input=words, env={**os.environ, **env}, check=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.profile", description=__doc__)
    parser.add_argument("--bare", action="store_true", help="the pass-through, for comparison")
    parser.add_argument("--messages", action="store_true", help="/v1/messages instead of chat")
    parser.add_argument("--streamed", action="store_true", help="streams of 40 chunks")
    parser.add_argument("--node", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.node:
        serve(asked.node, Job(**json.load(sys.stdin)))
        return
    dialect = traffic.MESSAGES if asked.messages else traffic.CHAT
    profile(bare=asked.bare, dialect=dialect, streamed=asked.streamed)


if __name__ == "__main__":
    main()
