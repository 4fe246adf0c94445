"""What is measured, and in which order.

Every server is asked the same thing right after one another, round after round (A B A B), and the
median of the rounds counts: the noise of a shared machine then hits all of them alike.

* A request's cost is the CPU time of the server's own processes over the requests of one job.
* A chunk's cost is the slope between short and long streams, paced so that chunks do not coalesce;
  what a request costs falls out of the difference.
* Added time is what a client waited longer than when it asked the vendor directly, same round.
* An open stream's memory is what resident memory grew by while many were open and silent.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from statistics import median

from bench import traffic
from bench.load import Failed, Generator, Job, Result
from bench.servers import Server
from bench.traffic import Dialect

UNARY, STREAMED = "unary", "streamed"
CLIENTS = (1, 8, 64)
STREAMS = 64
PACE_MS = 8
HELD_MS = 10_000
FEW = 20


@dataclass(frozen=True)
class Effort:
    """How long to measure: rounds (fewer for peers), seconds a job, chunks in a long stream."""

    rounds: int
    peer_rounds: int
    seconds: float
    many: int
    held: int = 200  # silent streams kept open at once


DEFAULT = Effort(rounds=5, peer_rounds=2, seconds=0.4, many=180)
QUICK = Effort(rounds=1, peer_rounds=1, seconds=0.15, many=100)


@dataclass
class Row:
    """One line of the tables: a server, asked in one dialect, and what came of it.

    The lists hold one entry a round. `failures` says why a kind of traffic could not be measured;
    only a peer may fail, the product and its baseline raise.
    """

    name: str
    server: Server
    dialect: Dialect = traffic.CHAT
    peer: bool = False
    unary: dict[int, list[Result]] = field(default_factory=lambda: {n: [] for n in CLIENTS})
    streamed: dict[int, list[Result]] = field(default_factory=lambda: {n: [] for n in CLIENTS})
    per_chunk: list[float] = field(default_factory=list)
    held_bytes: float = 0.0
    failures: dict[str, str] = field(default_factory=dict)

    def job(
        self,
        *,
        clients: int,
        seconds: float = 0,
        each: int = 0,
        hold: bool = False,
        **directives: int,
    ) -> Job:
        """A job on this row; `directives` go to the vendor, and chunks make it a stream."""
        beside = self.server.beside.values()
        return Job(
            port=self.server.port,
            path=self.dialect.path,
            body=traffic.body(self.dialect, stream=bool(directives), **directives),
            headers=dict(self.server.headers),
            clients=clients,
            seconds=seconds,
            each=each,
            hold=hold,
            pids=(*self.server.pids, *beside),
            chunks=directives.get("chunks", 0),
        )

    def own(self, cpu: Sequence[float]) -> float:
        """The server's own part of what a job cost."""
        return sum(cpu[: len(self.server.pids)])

    def per_request(self, clients: int) -> list[float]:
        """CPU seconds a request, round by round."""
        return [self.own(result.cpu) / result.requests for result in self.unary[clients]]

    def beside(self, clients: int) -> dict[str, float]:
        """CPU seconds a request of the processes that work for this server."""
        first = len(self.server.pids)
        results = self.unary[clients]
        return {
            name: median(result.cpu[first + n] / result.requests for result in results)
            for n, name in enumerate(self.server.beside)
        }


def _unary(load: Generator, row: Row, effort: Effort, *, clients: int) -> None:
    load.run(row.job(clients=clients, each=1))
    row.unary[clients].append(load.run(row.job(clients=clients, seconds=effort.seconds)))


def _streamed(load: Generator, row: Row, effort: Effort, *, clients: int) -> None:
    _connect_upstream(load, row, clients)
    job = row.job(clients=clients, seconds=effort.seconds, chunks=40)
    row.streamed[clients].append(load.run(job))


def _chunk(load: Generator, row: Row, effort: Effort) -> None:
    _connect_upstream(load, row, STREAMS)
    few, many = (
        row.own(load.run(row.job(clients=STREAMS, each=1, chunks=chunks, pace=PACE_MS)).cpu)
        for chunks in (FEW, effort.many)
    )
    row.per_chunk.append((many - few) / STREAMS / (effort.many - FEW))


def _connect_upstream(load: Generator, row: Row, clients: int) -> None:
    """Streams that overlap for sure: idle connections to the vendor may have been closed."""
    load.run(row.job(clients=clients, each=1, chunks=1, pace=30))


def _warm(load: Generator, row: Row, effort: Effort) -> None:
    """Connections, caches and imports are in place after it."""
    load.run(row.job(clients=8, each=4))


def _warm_streams(load: Generator, row: Row, effort: Effort) -> None:
    load.run(row.job(clients=8, each=4, chunks=4))


def _hold(load: Generator, row: Row, effort: Effort) -> None:
    if row.dialect is not traffic.CHAT:
        return  # the same process once more: the memory it would grow by it has already
    held = load.run(row.job(clients=effort.held, hold=True, chunks=1, pace=HELD_MS))
    row.held_bytes = sum(held.grown[: len(row.server.pids)]) / effort.held


Step = Callable[[Generator, Row, Effort], None]
# Memory first: what a process has once used for traffic, streams would find lying there.
ONCE: list[tuple[str, Step]] = [
    (UNARY, _warm),
    (STREAMED, _warm_streams),
    (STREAMED, _hold),
]
EACH_ROUND: list[tuple[str, Step]] = [
    *((UNARY, partial(_unary, clients=clients)) for clients in CLIENTS),
    *((STREAMED, partial(_streamed, clients=clients)) for clients in CLIENTS),
    (STREAMED, _chunk),
]


def measure(load: Generator, rows: Sequence[Row], effort: Effort) -> None:
    """Everything, into the rows. Raises Failed if the product or its baseline refuses anything."""
    for steps in (ONCE, *[EACH_ROUND] * effort.peer_rounds):
        _round(load, rows, effort, steps)
    ours = [row for row in rows if not row.peer]
    for _ in range(effort.rounds - effort.peer_rounds):
        _round(load, ours, effort, EACH_ROUND)


def _round(
    load: Generator, rows: Sequence[Row], effort: Effort, steps: list[tuple[str, Step]]
) -> None:
    for kind, step in steps:
        for row in rows:
            if kind not in row.failures:
                _attempt(load, row, effort, kind, step)


def _attempt(load: Generator, row: Row, effort: Effort, kind: str, step: Step) -> None:
    try:
        step(load, row, effort)
    except Failed as failure:
        if not row.peer:
            raise
        row.failures[kind] = str(failure)
