"""`python -m bench [--quick]`: what the gateway costs, as Markdown for docs/benchmarks.md.

Three minutes, or half a minute with --quick (one short round: a rough look).
"""

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench import report, servers, traffic
from bench.load import Generator
from bench.measure import DEFAULT, QUICK, Effort, Row, measure
from bench.product import product


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


def bench(effort: Effort) -> str:
    """Measure everything; the report as Markdown."""
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
    parser.add_argument("--quick", action="store_true", help="one short round, half a minute")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # and stop the servers
    print(bench(QUICK if arguments.quick else DEFAULT))


if __name__ == "__main__":
    main()
