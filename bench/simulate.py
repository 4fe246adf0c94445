"""`python -m bench.simulate`: the measured costs, put together: first the machine they were
measured on, whose figures it must reproduce, then installations nobody here can start.

Fed by bench/recorded.json, which holds the figures of docs/benchmarks.md: CPU time by part and by
concurrency, and what was measured end to end. Units are seconds unless a name says otherwise.
"""

import json
from dataclasses import dataclass
from functools import partial
from math import ceil
from pathlib import Path
from random import Random
from typing import Any

from bench.simulation import Clock, Machine, Process
from ratelimits.keys import SHARDS

RECORDED = Path(__file__).with_name("recorded.json")
CLIENTS = (1, 8, 64)
SIMULATED_SECONDS = 3.0
FULL = 0.6  # what a process may be busy at the peak: beyond it queues grow
WARM_UP = 0.2


@dataclass(frozen=True)
class Costs:
    """CPU seconds of one request, by who spends them; a part that a way does not have is 0."""

    client: float
    vendor: float
    gateway: float
    valkey: float = 0.0
    settlement: float = 0.0
    database: float = 0.0


def recorded() -> dict[str, Any]:
    """The measured figures."""
    found: dict[str, Any] = json.loads(RECORDED.read_text())
    return found


def costs(way: str, place: int) -> Costs:
    """Of a way (`bare`, `product`), at the `place`-th of CLIENTS."""
    figures = recorded()
    parts = {name: us[place] / 1e6 for name, us in figures[way]["cpu_us"].items()}
    client, vendor = (
        figures["harness"]["cpu_us"][name][place] / 1e6 for name in ("client", "vendor")
    )
    return Costs(client=client, vendor=vendor, **parts)


# -- One machine, a closed loop ------------------------------------------------------------------


class OneMachine:
    """All of it on the machine that was measured: clients that ask again as soon as they have an
    answer. A part that costs nothing is not there, and no message goes to it."""

    def __init__(self, each: Costs, clients: int) -> None:
        harness = recorded()["harness"]
        self.hop, self.each, self.clients = harness["hop_us"] / 1e6, each, clients
        self.clock = Clock()
        machine = Machine(self.clock, harness["cores"], harness["switch_us"] / 1e6)
        self.client, self.vendor, self.gateway, self.valkey, self.settlement, self.database = (
            Process(machine) for _ in range(6)
        )
        self.answers = 0

    def rate(self) -> float:
        """Answers a second."""
        for _ in range(self.clients):
            self._ask()
        self.clock.run(WARM_UP)
        before = self.answers
        self.clock.run(WARM_UP + SIMULATED_SECONDS)
        return (self.answers - before) / SIMULATED_SECONDS

    def _to(self, process: Process, seconds: float, then: Any) -> None:
        self.clock.after(self.hop, lambda: process.do(seconds, then))

    def _ask(self) -> None:
        self.client.do(
            self.each.client / 2,
            partial(self._to, self.gateway, self.each.gateway / 3, self._admit),
        )

    def _admit(self) -> None:
        if not self.each.valkey:
            self._to(self.vendor, self.each.vendor, self._answered)
            return
        self._to(self.valkey, self.each.valkey / 2, self._admitted)

    def _admitted(self) -> None:
        self._to(self.gateway, self.each.gateway / 3, self._forward)

    def _forward(self) -> None:
        self._to(self.vendor, self.each.vendor, self._answered)

    def _answered(self) -> None:
        left = self.each.gateway / 3 if self.each.valkey else self.each.gateway * 2 / 3
        self._to(self.gateway, left, self._settle)

    def _settle(self) -> None:
        """The answer waits for Valkey's word of what is left; the books follow by themselves."""
        if not self.each.valkey:
            self._to(self.client, self.each.client / 2, self._done)
            return
        self._to(self.valkey, self.each.valkey / 2, self._settled)

    def _settled(self) -> None:
        self._to(self.client, self.each.client / 2, self._done)
        self.settlement.do(self.each.settlement, self._booked)

    def _booked(self) -> None:
        if self.each.database:
            self.database.do(self.each.database, lambda: None)

    def _done(self) -> None:
        self.answers += 1
        self._ask()


def reproduced() -> list[tuple[str, int, float, float]]:
    """Way, clients, requests/s as measured and as simulated."""
    found = []
    for way in ("bare", "product"):
        for place, clients in enumerate(CLIENTS):
            simulated = OneMachine(costs(way, place), clients).rate()
            found.append((way, clients, recorded()[way]["rate"][place], simulated))
    return found


# -- Many machines, open arrivals ----------------------------------------------------------------


@dataclass(frozen=True)
class Plan:
    """What an installation for so many requests a second is made of: processes of one core each,
    none of them busier than FULL."""

    rate: int
    gateways: int
    valkeys: int
    settlements: int
    database_cores: float
    rows_a_day: int
    gib_a_day: float
    gateway_gib: float


def plan(rate: int) -> Plan:
    """From the costs of a busy machine, and of settlement with many accounts."""
    each, scale = costs("product", -1), recorded()["scale"]

    def processes(seconds: float) -> int:
        return ceil(rate * seconds / FULL)

    rows = rate * 86_400
    streams = rate * scale["answer_seconds"]
    gateways = processes(each.gateway)
    memory = gateways * scale["gateway_mib"] / 1024 + streams * scale["stream_kib"] / 2**20
    return Plan(
        rate,
        gateways,
        processes(each.valkey),
        processes(scale["settlement_us"] / 1e6),
        rate * scale["database_us"] / 1e6,
        rows,
        rows * scale["row_bytes"] / 2**30,
        memory,
    )


class Cluster:
    """A plan at work: requests that arrive when they like, each account's at its own shard."""

    def __init__(self, made: Plan, seed: int = 1) -> None:
        self.plan, self.chance, self.clock = made, Random(seed), Clock()
        self.each, figures = costs("product", -1), recorded()
        self.hop = figures["scale"]["hop_us"] / 1e6
        self.booking = figures["scale"]["settlement_us"] / 1e6
        self.gateways, self.valkeys, self.settlements = (
            [Process(Machine(self.clock, 1)) for _ in range(number)]
            for number in (made.gateways, made.valkeys, made.settlements)
        )
        self.added: list[float] = []

    def run(self, requests: int) -> "Cluster":
        at = 0.0
        for _ in range(requests):
            at += self.chance.expovariate(self.plan.rate)
            self.clock.after(at, self._arrive)
        self.clock.run(at + 1.0)
        return self

    def percentile_ms(self, share: float) -> float:
        """Of what is added to the vendor's own time."""
        return sorted(self.added)[int(len(self.added) * share)] * 1e3

    def _arrive(self) -> None:
        gateway, shard = self.chance.choice(self.gateways), self.chance.randrange(SHARDS)
        valkey = self.valkeys[shard % len(self.valkeys)]
        third, half = self.each.gateway / 3, self.each.valkey / 2
        began = self.clock.now
        way: list[tuple[Process, float]] = [
            *((gateway, third), (valkey, half), (gateway, third)),
            *((gateway, third), (valkey, half)),
        ]

        def go_on(place: int) -> None:
            if place == len(way):
                self.added.append(self.clock.now - began)
                settlement = self.settlements[shard % len(self.settlements)]
                settlement.do(self.booking, lambda: None)
                return
            process, seconds = way[place]
            later = partial(go_on, place + 1)
            self.clock.after(self.hop, lambda: process.do(seconds, later))

        go_on(0)


def table(rates: tuple[int, ...], seconds: float) -> str:
    """The installations, as Markdown."""
    heads = ("requests/s", "gateway processes", "Valkey primaries", "settlement processes",
             "database cores", "rows a day", "GiB a day", "gateways' memory, GiB",
             "added p50 · p99, ms")  # fmt: skip
    lines = [f"| {' | '.join(heads)} |", f"| {' | '.join(['--:'] * len(heads))} |"]
    for rate in rates:
        made = plan(rate)
        shown = Cluster(made).run(int(rate * seconds))
        cells = (
            f"{rate:,}", f"{made.gateways:,}", f"{made.valkeys:,}", f"{made.settlements:,}",
            f"{made.database_cores:.1f}", f"{made.rows_a_day / 1e6:,.0f} M",
            f"{made.gib_a_day:,.0f}", f"{made.gateway_gib:,.1f}",
            f"{shown.percentile_ms(0.5):.2f} · {shown.percentile_ms(0.99):.2f}",
        )  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    print("| way | clients | requests/s measured | simulated | off by |")
    print("| --- | --: | --: | --: | --: |")
    for way, clients, measured, simulated in reproduced():
        off = simulated / measured - 1
        print(f"| {way} | {clients} | {measured:,.0f} | {simulated:,.0f} | {off:+.0%} |")
    print()
    print(table((100, 10_000, 100_000), 1.0))


if __name__ == "__main__":
    main()
