"""`python -m bench [--quick]`: what the product costs, as Markdown for docs/benchmarks.md: first
the whole of it, then the gateway process beside others, then what it holds and burns while idle.

Five minutes, or one with --quick (one short round: a rough look).
"""

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench import footprint, report, servers, traffic, whole
from bench.load import Generator
from bench.measure import DEFAULT, QUICK, Effort, Row, measure
from bench.product import customers, on_database, product
from bench.whole import Way


def say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


@contextmanager
def contestants(home: Path) -> Iterator[tuple[list[Row], list[str]]]:
    """All that can run here: direct, peers, baseline, product. And who is not installed."""
    with ExitStack() as stack:
        vendor = stack.enter_context(servers.vendor())
        rows, absent = [Row("direct to the vendor", vendor)], []
        for peer in servers.PEERS:
            if not peer.found():
                absent.append(peer.name)
                continue
            say(f"starting {peer.name} ...")
            server = stack.enter_context(peer.start(vendor.port, home))
            rows.append(Row(peer.name, server, peer=True))
        say("starting the bare pass-through and Hontoni ...")
        rows.append(Row("bare pass-through", stack.enter_context(servers.bare(vendor.port, home))))
        hontoni = stack.enter_context(product(vendor.port, home)).server
        rows.append(Row("Hontoni chat", hontoni))
        rows.append(Row("Hontoni messages", hontoni, traffic.MESSAGES))
        rows.append(Row("Hontoni chat → Claude", hontoni, traffic.CHAT_TO_CLAUDE))
        rows.append(Row("Hontoni messages → GPT", hontoni, traffic.MESSAGES_TO_GPT))
        yield rows, absent


ACTIVE_ACCOUNTS, QUICK_ACCOUNTS = 1_500, 50


def everything(effort: Effort) -> str:
    """The whole product on Postgres, with one account and with many, beside the bare way."""
    with tempfile.TemporaryDirectory(prefix="hontoni-bench-") as folder, ExitStack() as stack:
        home = Path(folder)
        home.chmod(0o755)
        vendor = stack.enter_context(servers.vendor())
        bare = Way("bare pass-through", stack.enter_context(servers.bare(vendor.port, home)))
        say("starting Hontoni on Postgres ...")
        running = stack.enter_context(on_database("postgres", vendor.port, home))
        many = QUICK_ACCOUNTS if effort is QUICK else ACTIVE_ACCOUNTS
        keys = customers(running.env, many)
        one, all_of_them = (
            whole.way("Hontoni, 1 account", running),
            whole.way(f"Hontoni, {many:,} accounts", running, keys),
        )
        load = stack.enter_context(Generator())
        say("measuring the whole product ...")
        ways = [bare, one, all_of_them]
        whole.measure(load, ways, effort.rounds, 3 * effort.seconds)
        return whole.table([one, all_of_them], bare)


def idle(effort: Effort) -> str:
    """What it is while nobody asks."""
    say("watching it idle ...")
    with footprint.idle() as supervisor:
        time.sleep(5.0)
        return footprint.table(footprint.measure(supervisor, 20 * effort.rounds))


def bench(effort: Effort) -> str:
    """Measure everything; the report as Markdown."""
    first, last = everything(effort), idle(effort)
    return f"{first}\n\n{_beside(effort)}\n\n{last}"


def _beside(effort: Effort) -> str:
    """The gateway process, beside others."""
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="hontoni-bench-") as folder, ExitStack() as stack:
        rows, absent = stack.enter_context(contestants(Path(folder)))
        load = stack.enter_context(Generator())
        say(f"measuring {len(rows)} ways, {effort.rounds} rounds ...")
        measure(load, rows, effort)
        *_, bare, chat, messages, chat_to_claude, messages_to_gpt = rows
        for line in report.failures(rows):
            say(line)
    return "\n\n".join(
        (
            report.tables(rows, absent),
            report.ratios(chat, bare),
            report.translated([(chat_to_claude, chat), (messages_to_gpt, messages)]),
            report.beside(chat),
            report.how(),
            report.machine(load_before),
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round, a minute")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # and stop the servers
    print(bench(QUICK if arguments.quick else DEFAULT))


if __name__ == "__main__":
    main()
