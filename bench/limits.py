"""`python -m bench.limits [--quick]`: what limits and money cost in Valkey, as Markdown.

A Valkey of its own, as `make run` starts it, and nothing else: each worker admits a request and
settles it, again and again, with every window, a slot, spend caps, hold and event on. CPU time of
the server and of this process a request (both calls), the commands that scripts ran and the bytes
in and out; then what accounts hold in memory while they are in use, and when they are idle.
"""

import argparse
import asyncio
import json
import os
import random
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvloop

from bench import cost

ACCOUNTS, WORKERS = (1, 1_500), (1, 8, 64)
ROUNDS, QUICK, PAIRS = 20, 5, 1_000
MEASURED_ACCOUNTS, QUICK_ACCOUNTS = 20_000, 2_000  # for their memory

_HEAD = """\
| accounts | at once | Valkey µs | limiter µs | commands | bytes in | bytes out |
| --: | --: | --: | --: | --: | --: | --: |"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.limits")
    parser.add_argument("--quick", action="store_true", help="a quarter of the rounds")
    parser.add_argument("--memory", action="store_true", help="memory alone")
    chosen = parser.parse_args()
    rounds = QUICK if chosen.quick else ROUNDS
    with _valkey() as pid:
        memory = _memory(QUICK_ACCOUNTS if chosen.quick else MEASURED_ACCOUNTS)
        if not chosen.memory:
            print(_HEAD)
            for accounts in ACCOUNTS:
                for workers in WORKERS:
                    numbers = _measure(pid, accounts, workers, rounds)
                    cells = " | ".join(f"{number:.1f}" for number in numbers)
                    print(f"| {accounts:,} | {workers} | {cells} |", flush=True)
        print(memory)


@contextmanager
def _valkey() -> Iterator[int]:
    """A server whose address is in our settings; its process id."""
    from hontoni.valkey import Valkey

    with tempfile.TemporaryDirectory(prefix="hontoni-bench-") as folder:
        home = Path(folder)
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "hontoni.settings",
            "REDIS_URL": f"unix://{home / 'v.sock'}",
            "DATA_DIR": str(home),
            "SECRET_KEY": "for-the-bench-only-for-the-bench-only-for-the-bench-only",
        }
        import django

        django.setup()
        from ratelimits import epochs

        epochs.authority(None)  # there is no database, and one epoch for ever
        epochs.believe("bench")
        with Valkey(home, home / "v.sock") as server:
            assert server.process is not None
            yield server.process.pid


# -- CPU -----------------------------------------------------------------------------------------


def _measure(pid: int, accounts: int, workers: int, rounds: int) -> list[float]:
    """Of one request: server µs, our µs, commands of scripts, bytes to and from the server: the
    least of the rounds, since what else the machine does can only add."""
    from hontoni import redis

    client = redis.sync()
    client.flushall()
    for account in range(accounts):
        _seed(account)
    uvloop.run(_load(accounts, workers, 2 * accounts))  # the windows are open
    return list(
        map(min, zip(*(_round(pid, accounts, workers) for _ in range(rounds)), strict=True))
    )


def _round(pid: int, accounts: int, workers: int) -> tuple[float, ...]:
    from hontoni import redis

    client = redis.sync()
    for name in client.scan_iter("*:usage"):
        client.delete(name)  # the books have it
    before, cpu, own = _counters(client), cost.cpu_seconds(pid), time.process_time()
    uvloop.run(_load(accounts, workers, PAIRS))
    own = time.process_time() - own
    cpu = cost.cpu_seconds(pid) - cpu
    after = _counters(client)
    events = sum(client.xlen(name) for name in client.scan_iter("*:usage"))
    if events != PAIRS:
        raise RuntimeError(f"{events} events in place of {PAIRS}")
    counted = (after[name] - before[name] for name in ("commands", "in", "out"))
    return cpu / PAIRS * 1e6, own / PAIRS * 1e6, *(number / PAIRS for number in counted)


def _counters(client: Any) -> dict[str, int]:
    stats, calls = client.info("stats"), client.info("commandstats")
    own = ("evalsha", "fcall", "info", "ping", "xlen", "scan")
    return {
        "commands": sum(
            each["calls"]
            for name, each in calls.items()
            if name.partition("_")[2].partition("|")[0] not in own
        ),
        "in": stats["total_net_input_bytes"],
        "out": stats["total_net_output_bytes"],
    }


async def _load(accounts: int, workers: int, pairs: int) -> None:
    from hontoni import redis

    chance = random.Random(1)
    todo = iter([chance.randrange(accounts) for _ in range(pairs)])

    async def work() -> None:
        for account in todo:
            await _pair(account)

    await asyncio.gather(*(work() for _ in range(workers)))
    await redis.close()


async def _pair(account: int) -> None:
    from ratelimits import limiter

    ask = _ask(account)
    state = await limiter.admit(ask)
    if state.status != "ok":
        raise RuntimeError(f"not admitted: {state}")
    state = await limiter.settle(ask, cost=6_100_000, event=_EVENT)
    if state.status != "settled":
        raise RuntimeError(f"not settled: {state}")


def _ask(account: int) -> Any:
    from ratelimits.limiter import Ask, Limits
    from ratelimits.purses import Caps

    most = 2**30
    return Ask(
        request_id=f"req_{uuid.uuid4().hex}",
        account=account,
        subject=f"k{account}",
        limits=Limits(most, most, most, most, most, most),
        terms_version=1,
        credits=10**15,
        credits_version=1,
        full=20_000_000,
        floor=1_000_000,
        lease_ms=45_000,
        draft=_DRAFT,
        caps=Caps(f"p{account}", 10**14, 10**14, 10**14),
        holds_until=2**52,
    )


def _seed(account: int) -> None:
    from datetime import UTC, datetime

    from ratelimits import purses, rebuilding

    rebuilding.seed_sync(account, credits=10**15, credits_version=1, terms_version=1, charged=0)
    today = int(time.time() // 86_400)
    month = today - datetime.now(UTC).day + 1
    purses.seed_sync(
        account, f"p{account}", day=(today, 0), month=(month, 0), life=0, key_ids=[account]
    )


def _event(*more: Any) -> bytes:
    """As long as those of an ordinary request (gateway/plane/usage_events.py)."""
    who = [2, uuid.UUID(int=1).hex, 1234, 1234, "gpt-4o", "gpt-4o", 17, "openai_chat", False]
    return json.dumps([*who, time.time(), "", "127.0.0.1", *more], separators=(",", ":")).encode()


_WINDOWS = [[name, 4000, 40, 80_000_000] for name in ("rpm", "5h", "daily", "weekly", "monthly")]
_DETAILS = {
    "price_read_at": 1_764_000_000.1,
    "admitted_at": 1_764_000_000_000_001,
    "windows": _WINDOWS,
    "windows_at": 1_764_000_000_000,
    "attempts": [{"credential": "openai", "status": 200, "ms": 400}],
}
_DRAFT = _event({"price_read_at": 1_764_000_000.1})
_EVENT = _event(
    _DETAILS, 1200, 0, 0, 0, 310, 0, 6_100_000, 20_000_000, False, False, 200, 200,
    "req_011CQ2Zz9aaaaaaaaaaaaaaa", 400, 2000, "OpenAI/Python 2.8.1",
)  # fmt: skip


# -- Memory --------------------------------------------------------------------------------------


def _memory(accounts: int) -> str:
    """Bytes of server memory an account: with one request open, just ended, and an hour idle."""
    from hontoni import redis

    client = redis.sync()
    empty = _used(client)
    for account in range(accounts):
        _seed(account)
    seeded = _used(client) - empty
    running, ended = uvloop.run(_fill(accounts, client))
    for name in client.scan_iter("*:usage"):
        client.delete(name)  # the books have it
    settled = _used(client) - empty
    for pattern in ("*:req*:*", "*:rpm:*", "*:log:*"):  # which two minutes take away
        for name in client.scan_iter(pattern, count=1_000):
            client.delete(name)
    idle = _used(client) - empty
    sizes = {
        "never used": seeded,
        "one request running": running - empty,
        "just ended": settled,
        "its event waits": ended - empty,
        "idle": idle,
    }
    rows = (f"| {name} | {number / accounts:,.0f} |" for name, number in sizes.items())
    return "\n".join(("\n| an account | bytes |", "| --- | --: |", *rows))


def _used(client: Any) -> int:
    return int(client.info("memory")["used_memory"])


async def _fill(accounts: int, client: Any) -> tuple[int, int]:
    from hontoni import redis
    from ratelimits import limiter

    asks = [_ask(account) for account in range(accounts)]
    for ask in asks:
        await limiter.admit(ask)
    running = _used(client)
    for ask in asks:
        await limiter.settle(ask, cost=6_100_000, event=_EVENT)
    ended = _used(client)
    await redis.close()
    return running, ended


if __name__ == "__main__":
    main()
