"""The clients: a closed loop of keep-alive connections, cheap enough not to be the bottleneck.

A process of its own (`python -m bench.load`): a Job as JSON in a line of stdin, a Result in a line
of stdout. `Generator` is the parent's side of it. The CPU of the processes named in a job is read
once its clients are connected, and after their last answer.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import cycle
from typing import cast

import httptools
import uvloop

from bench import cost, traffic

# What a gateway does after its last byte (settling, logging) belongs to the request; what it does
# to accept a connection does not.
AFTERMATH_SECONDS = 0.05


@dataclass(frozen=True)
class Job:
    """Ask for `seconds`, or `each` times a client if that is given.

    With `hold` ask once and hang up when every reply has begun: the streams are all open then.
    With `keys` the requests go round among them. With `chunks` every stream must bring all of the
    vendor's, so many, each once and in order.
    """

    port: int
    path: str
    body: str
    headers: dict[str, str] = field(default_factory=dict)
    clients: int = 1
    seconds: float = 1.0
    each: int = 0
    hold: bool = False
    pids: tuple[int, ...] = ()
    host: str = "127.0.0.1"
    keys: tuple[str, ...] = ()
    chunks: int = 0

    def requests(self) -> list[bytes]:
        """One, or one of each key."""
        named = [{"authorization": f"Bearer {key}"} for key in self.keys] or [{}]
        return [self._request(self.headers | each) for each in named]

    def _request(self, headers: dict[str, str]) -> bytes:
        body = self.body.encode()
        lines = {
            "host": f"{self.host}:{self.port}",
            "content-type": "application/json",
            "content-length": str(len(body)),
            **headers,
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"POST {self.path} HTTP/1.1\r\n{head}\r\n".encode() + body


@dataclass(frozen=True)
class Result:
    """What the clients saw; times in seconds, `events` are SSE frames.

    For each pid of the job: CPU seconds, and bytes its resident memory has `grown`.
    """

    requests: int
    events: int
    reads: int
    bytes: int
    seconds: float
    p50: float
    p99: float
    first_p50: float
    first_p99: float
    cpu: tuple[float, ...]
    grown: tuple[int, ...]
    errors: int
    error: str

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.requests / self.seconds


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` of all do not exceed. Nothing measured is 0."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


class Tally:
    """What all clients of one job count together."""

    def __init__(self) -> None:
        self.latencies: list[float] = []
        self.firsts: list[float] = []
        self.events = self.reads = self.bytes = self.errors = 0
        self.error = ""

    def fail(self, reason: str) -> None:
        self.errors += 1
        self.error = self.error or reason

    def result(self, seconds: float, cpu: list[float], grown: list[int]) -> Result:
        return Result(
            requests=len(self.latencies),
            events=self.events,
            reads=self.reads,
            bytes=self.bytes,
            seconds=seconds,
            p50=percentile(self.latencies, 0.50),
            p99=percentile(self.latencies, 0.99),
            first_p50=percentile(self.firsts, 0.50),
            first_p99=percentile(self.firsts, 0.99),
            cpu=tuple(cpu),
            grown=tuple(grown),
            errors=self.errors,
            error=self.error,
        )


class Frames:
    """Counts the events of one stream, wherever it is cut."""

    def __init__(self) -> None:
        self.tail = b""

    def feed(self, piece: bytes) -> int:
        """How many end here: a frame ends in two line feeds, which may come apart."""
        text = self.tail + piece
        self.tail = b"\n" if text.endswith(b"\n") and not text.endswith(b"\n\n") else b""
        return text.count(b"\n\n")


class Client(asyncio.Protocol):
    """One connection: ask, wait for the whole answer, ask again."""

    def __init__(self, job: Job, requests: Iterator[bytes], tally: Tally) -> None:
        self.requests, self.tally = requests, tally
        self.hold, self.chunks = job.hold, job.chunks
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.left = self.deadline = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is one by shape only
        self.parser = httptools.HttpResponseParser(self)

    def start(self, *, each: int, deadline: float) -> None:
        """Ask `each` times, or until the deadline on the monotonic clock if each is 0."""
        self.left, self.deadline = each or float("inf"), deadline
        self._ask()

    def _ask(self) -> None:
        self.first = 0.0
        self.frames = Frames()
        self.refusal = b""
        self.pieces: list[bytes] = []
        self.sent_at = time.perf_counter()
        self.transport.write(next(self.requests))

    def data_received(self, data: bytes) -> None:
        self.tally.reads += 1
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._give_up(f"not HTTP: {error!r}")

    def on_body(self, body: bytes) -> None:
        if not self.first:
            self.first = time.perf_counter()
        self.tally.bytes += len(body)
        self.tally.events += self.frames.feed(body)
        if self.chunks:
            self.pieces.append(body)
        if self.parser.get_status_code() != 200:
            self.refusal += body
        elif self.hold:
            self._stop()

    def on_message_complete(self) -> None:
        now = time.perf_counter()
        if self.parser.get_status_code() != 200:
            return self._give_up(f"{self.parser.get_status_code()}: {self.refusal.decode()[:300]}")
        if self.chunks and not traffic.is_complete(b"".join(self.pieces), self.chunks):
            return self._give_up(f"not all of {self.chunks} chunks arrived")
        self.tally.latencies.append(now - self.sent_at)
        self.tally.firsts.append((self.first or now) - self.sent_at)
        self.left -= 1
        if self.left <= 0 or now >= self.deadline:
            self._stop()
        elif not self.parser.should_keep_alive():
            self._give_up("the server closes the connection after an answer")
        else:
            self._ask()

    def connection_lost(self, error: Exception | None) -> None:
        self._give_up(f"connection lost: {error!r}")

    def _give_up(self, reason: str) -> None:
        if not self.done.done():
            self.tally.fail(reason)
            self._stop()

    def _stop(self) -> None:
        if not self.done.done():
            self.done.set_result(None)

    def close(self) -> None:
        self._stop()
        self.transport.close()


async def connect(job: Job, tally: Tally) -> list[Client]:
    """All the clients of a job, accepted and silent. Raises OSError if nobody listens."""
    loop, requests = asyncio.get_running_loop(), cycle(job.requests())

    async def one() -> Client:
        made = await loop.create_connection(
            lambda: Client(job, requests, tally), job.host, job.port
        )
        return made[1]

    clients = [await one() for _ in range(job.clients)]
    await asyncio.sleep(AFTERMATH_SECONDS)  # until the server has accepted them all
    return clients


async def run(job: Job) -> Result:
    """Do one job. Failed requests are counted, and the first one's reason kept."""
    tally = Tally()
    resident = [cost.resident_bytes(pid) for pid in job.pids]
    clients = await connect(job, tally)
    cpu = [cost.cpu_seconds(pid) for pid in job.pids]
    begun = time.perf_counter()
    deadline = float("inf") if job.each or job.hold else begun + job.seconds
    for client in clients:
        client.start(each=job.each, deadline=deadline)
    await asyncio.gather(*(client.done for client in clients))
    seconds = time.perf_counter() - begun
    await asyncio.sleep(AFTERMATH_SECONDS)
    spent = [cost.cpu_seconds(pid) - was for pid, was in zip(job.pids, cpu, strict=True)]
    grown = [cost.resident_bytes(pid) - was for pid, was in zip(job.pids, resident, strict=True)]
    for client in clients:
        client.close()
    return tally.result(seconds, spent, grown)


class Failed(Exception):
    """A server answered something else than 200: its numbers would mean nothing."""


class Generator:
    """`with Generator() as load: load.run(job)` — the clients, in a process of their own."""

    def __enter__(self) -> "Generator":
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.load"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()

    def run(self, job: Job) -> Result:
        """Have a job done. Raises Failed with the reason of the first request that failed."""
        assert self.process.stdin and self.process.stdout
        print(json.dumps(asdict(job)), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            raise Failed("the load generator died")
        result = Result(**json.loads(line))
        if result.errors:
            raise Failed(f"{result.errors} of {job.path} on port {job.port}: {result.error}")
        return result


def main() -> None:
    for line in sys.stdin:
        print(json.dumps(asdict(uvloop.run(run(Job(**json.loads(line)))))), flush=True)


if __name__ == "__main__":
    main()
