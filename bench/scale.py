"""`python -m bench.scale [--quick]`: what a request costs as an installation grows, as Markdown.

The whole product beside a bare pass-through, with 1, 100 and 10,000 accounts that take turns, on
SQLite and on Postgres, with one web process and with two. After each line the books must have
every request once, and the money must be what the requests cost.
"""

import argparse
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import mean, median

from bench import exactness, servers, whole
from bench.load import Generator
from bench.measure import CLIENTS
from bench.product import Product, customers, on_database
from bench.whole import Way

ACCOUNTS, QUICK_ACCOUNTS = (1, 100, 10_000), (1, 100)
_PARTS = ("gateway", "Valkey", "settlement", "database")
_HEADS = ("database", "web processes", "accounts", "CPU µs a request", "÷ bare", *_PARTS)
HEAD = f"| {' | '.join(_HEADS)} |\n| --- | {' | '.join(['--:'] * (len(_HEADS) - 1))} |"


def say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


def lines(database: str, processes: int, quick: bool) -> Iterator[str]:
    """Table rows of one installation, each with more accounts than the one before."""
    with tempfile.TemporaryDirectory(prefix="hontoni-bench-") as folder, ExitStack() as stack:
        home = Path(folder)
        home.chmod(0o755)
        vendor = stack.enter_context(servers.vendor())
        bare = Way("bare", stack.enter_context(servers.bare(vendor.port, home)))
        say(f"starting Hontoni on {database} with {processes} ...")
        product = stack.enter_context(
            on_database(database, vendor.port, home, processes=processes)
        )
        load = stack.enter_context(Generator())
        keys: list[str] = []
        for accounts in QUICK_ACCOUNTS if quick else ACCOUNTS:
            keys += customers(product.env, accounts - len(keys))
            yield f"| {database} | {processes} | {accounts:,} | " + _line(
                load, bare, product, keys, quick
            )


def _line(load: Generator, bare: Way, product: Product, keys: list[str], quick: bool) -> str:
    rounds, seconds = (1, 0.5) if quick else (3, 1.5)
    ours = whole.way("Hontoni", product, keys)
    whole.measure(load, [Way(bare.name, bare.server), ours], 0, seconds)  # warm
    before, asked = exactness.books(product.env), 0
    bare = Way(bare.name, bare.server)
    for _ in range(rounds):
        for clients in CLIENTS:
            for each in (bare, ours):
                result, parts = whole.ask(load, each, each.job(clients, seconds))
                each.costs[clients].append(parts)
                asked += result.requests if each is ours else 0
    exactness.books(product.env).check(before, asked)
    return _cells(bare, ours)


def _cells(bare: Way, ours: Way) -> str:
    total = mean(median(ours.total(n)) for n in CLIENTS) * 1e6
    ratio = mean(
        median(a / b for a, b in zip(ours.total(n), bare.total(n), strict=True)) for n in CLIENTS
    )
    parts = [
        mean(median(costs.get(part, 0.0) for costs in ours.costs[n]) for n in CLIENTS) * 1e6
        for part in _PARTS
    ]
    shown = (
        f"{total:,.0f}",
        f"{ratio:.2f} ×",
        *(f"{part:,.0f}" if part else "" for part in parts),
    )
    return f"{' | '.join(shown)} |"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.scale")
    parser.add_argument("--quick", action="store_true", help="up to 100 accounts, short rounds")
    parser.add_argument("--only", choices=("sqlite", "postgres"))
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # and stop the servers
    print(HEAD)
    for database in (options.only,) if options.only else ("sqlite", "postgres"):
        for processes in (1, 2):
            for line in lines(database, processes, options.quick):
                print(line, flush=True)


if __name__ == "__main__":
    main()
