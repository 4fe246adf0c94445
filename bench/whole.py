"""What a request costs with all that follows it: the CPU of every process of the product, until
the last request is in the books, less what they burn when nobody asks; beside a bare pass-through.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import ceil
from pathlib import Path
from statistics import mean, median

import redis

from bench import cost, traffic
from bench.load import Generator, Job, Result
from bench.measure import CLIENTS
from bench.product import Product
from bench.servers import Server
from ratelimits import keys

IDLE_SECONDS = 3.0
SETTLED_SECONDS = 60.0
Parts = dict[str, float]


@dataclass
class Way:
    """One line of the table: who answers, for which accounts. Costs are CPU seconds a request,
    round by round, by the number of clients."""

    name: str
    server: Server
    accounts: tuple[str, ...] = ()  # their keys
    socket: Path | None = None  # of the product's Valkey; a pass-through has none
    idle: Parts = field(default_factory=dict)  # CPU seconds a second
    costs: dict[int, list[Parts]] = field(default_factory=lambda: {n: [] for n in CLIENTS})

    def used(self) -> Parts:
        """CPU seconds so far, by part."""
        own = sum(cost.cpu_seconds(pid) for pid in self.server.pids)
        beside = {name: cost.tree_seconds(pid) for name, pid in self.server.beside.items()}
        return {"gateway": own} | beside

    def job(self, clients: int, seconds: float) -> Job:
        return Job(
            port=self.server.port,
            path=traffic.CHAT.path,
            body=traffic.body(traffic.CHAT),
            headers=dict(self.server.headers),
            clients=clients,
            seconds=seconds,
            keys=self.accounts,
        )

    def total(self, clients: int) -> list[float]:
        return [sum(parts.values()) for parts in self.costs[clients]]


def way(name: str, product: Product, accounts: Sequence[str] = ()) -> Way:
    """The product, for the accounts of these keys; else for the one of its server."""
    socket = Path(product.env["DATA_DIR"]) / "valkey.sock"
    return Way(name, product.server, tuple(accounts), socket)


def measure(load: Generator, ways: Sequence[Way], rounds: int, seconds: float) -> None:
    """All of them, in turn, round after round."""
    for each in ways:
        warm = 2 * ceil((len(each.accounts) or 32) / 8)  # every account twice
        load.run(replace(each.job(8, seconds), each=warm))  # connections, caches and imports
        _settled(each)
        each.idle = _idle(each)
    for _ in range(rounds):
        for clients in CLIENTS:
            for each in ways:
                _, parts = ask(load, each, each.job(clients, seconds))
                each.costs[clients].append(parts)


def ask(load: Generator, each: Way, job: Job) -> tuple[Result, Parts]:
    """One job, and what a request of it cost."""
    before, began = each.used(), time.monotonic()
    result = load.run(job)
    _settled(each)
    elapsed, after = time.monotonic() - began, each.used()
    return result, {
        part: max(0.0, after[part] - before[part] - each.idle.get(part, 0.0) * elapsed)
        / result.requests
        for part in after
    }


def _idle(each: Way) -> Parts:
    before = each.used()
    time.sleep(IDLE_SECONDS)
    after = each.used()
    return {part: (after[part] - before[part]) / IDLE_SECONDS for part in after}


def _settled(each: Way) -> None:
    """Wait until all usage is in the books. Raises TimeoutError."""
    if each.socket is None:
        time.sleep(0.1)
        return
    deadline = time.monotonic() + SETTLED_SECONDS
    with redis.Redis(unix_socket_path=str(each.socket)) as client:
        while waiting := sum(client.xlen(keys.usage(shard)) for shard in range(keys.SHARDS)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{waiting} events are not settled")
            time.sleep(0.1)
    time.sleep(0.1)  # it is acknowledged after the commit


def table(ways: Sequence[Way], bare: Way) -> str:
    """µs a request and multiples of the bare way, by part; medians of interleaved rounds."""
    heads = ("CPU a unary request, all in", *(f"{n} clients" for n in CLIENTS), "mean ÷ bare")
    lines = [heads, ("---", *["--:"] * (len(heads) - 1)), _line(bare.name, bare, bare, None)]
    for each in ways:
        lines.append(_line(f"**{each.name}**", each, bare, None))
        lines += [_line(f"… {part}", each, bare, part) for part in each.costs[CLIENTS[0]][0]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _line(name: str, each: Way, bare: Way, part: str | None) -> tuple[str, ...]:
    cells, ratios = [], []
    for clients in CLIENTS:
        costs = each.total(clients) if part is None else [p[part] for p in each.costs[clients]]
        ratio = median(a / b for a, b in zip(costs, bare.total(clients), strict=True))
        cells.append(f"{median(costs) * 1e6:,.0f} µs · {ratio:.2f} ×")
        ratios.append(ratio)
    return (name, *cells, f"{mean(ratios):.2f} ×")
