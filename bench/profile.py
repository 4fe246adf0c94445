"""Where the time of a warm request goes: `python -m bench.profile [--streamed] [--messages]
[--translated]`.

The gateway runs in a process of its own, one more node of a running installation, and looks at its
own stack 250 times a second of its CPU time. Unlike cProfile this makes no call dearer than it is
and does not count the time in which others had the processor. What a C function takes is counted
to the Python function that called it; what uvloop does between two callbacks (reading, writing,
waiting) to the one that comes next.
"""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from types import CodeType, FrameType

import uvicorn

from bench import servers, traffic
from bench.load import Generator, Job, Result
from bench.product import product

CLIENTS, SECONDS, LINES = 64, 10.0, 50
HOUSE = Path(__file__).parent.parent
SAMPLE_SECONDS = 0.004  # no kernel looks more often


class Sampler:
    """Counts, sample by sample, which function runs and which ones it was called by."""

    def __init__(self) -> None:
        self.samples = 0
        self.packages: Counter[str] = Counter()
        self.own: Counter[CodeType] = Counter()
        self.whole: Counter[CodeType] = Counter()

    def start(self) -> None:
        signal.signal(signal.SIGPROF, self._sample)
        signal.setitimer(signal.ITIMER_PROF, SAMPLE_SECONDS, SAMPLE_SECONDS)

    def stop(self) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)

    def _sample(self, number: int, frame: FrameType | None) -> None:
        if frame is None:
            return
        self.samples += 1
        self.packages[frame.f_globals["__name__"].partition(".")[0]] += 1
        self.own[frame.f_code] += 1
        stack = set()
        while frame is not None:
            stack.add(frame.f_code)
            frame = frame.f_back
        self.whole.update(stack)


class Profiled(uvicorn.Server):
    """A server that profiles itself while it does one job, and then stops."""

    def __init__(self, config: uvicorn.Config, job: Job) -> None:
        super().__init__(config)
        self.job = job

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        await super().startup()
        self.work = asyncio.create_task(self._work())

    async def _work(self) -> None:
        sampler = Sampler()
        try:
            with Generator() as load:
                await asyncio.to_thread(load.run, self.job)  # warm
                sampler.start()
                result = await asyncio.to_thread(load.run, self.job)
                sampler.stop()
            show(sampler, result)
        finally:
            self.should_exit = True


def show(sampler: Sampler, result: Result) -> None:
    """Packages, and the functions that take longest themselves, in microseconds a request."""
    each = 1e6 * result.cpu[0] / result.requests / sampler.samples
    print(f"{result.requests} requests, {result.rate:,.0f} a second, ", end="")
    print(f"{1e6 * result.cpu[0] / result.requests:.0f} µs each, {sampler.samples} samples\n")
    for package, own in sampler.packages.most_common(LINES):
        print(f"{own * each:8.1f}  {package}")
    print(f"\n{'own µs':>8} {'all µs':>8}  function")
    for code, own in sampler.own.most_common(LINES):
        _line(code, own * each, sampler.whole[code] * each)
    print("\nOf the product itself, with all that it calls\n")
    ours = ((code, whole) for code, whole in sampler.whole.most_common() if _is_ours(code))
    for code, whole in islice(ours, LINES):
        _line(code, sampler.own[code] * each, whole * each)


def _is_ours(code: CodeType) -> bool:
    path = Path(code.co_filename)
    if not path.is_relative_to(HOUSE):
        return False
    inside = path.relative_to(HOUSE).parts
    return inside[0] != "bench" and "site-packages" not in inside


def _line(code: CodeType, own: float, whole: float) -> None:
    path = Path(code.co_filename)
    place = f"{path.parent.name}/{path.name}:{code.co_firstlineno}"
    print(f"{own:8.1f} {whole:8.1f}  {place} {code.co_qualname}")


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
    Profiled(config, replace(job, pids=(os.getpid(),))).run()


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
    parser.add_argument("--translated", action="store_true", help="the other vendor's model")
    parser.add_argument("--streamed", action="store_true", help="streams of 40 chunks")
    parser.add_argument("--node", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.node:
        serve(args.node, Job(**json.load(sys.stdin)))
        return
    plain = traffic.MESSAGES if args.messages else traffic.CHAT
    other = traffic.MESSAGES_TO_GPT if args.messages else traffic.CHAT_TO_CLAUDE
    dialect = other if args.translated else plain
    profile(bare=args.bare, dialect=dialect, streamed=args.streamed)


if __name__ == "__main__":
    main()
