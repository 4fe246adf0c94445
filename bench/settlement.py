"""`python -m bench.settlement [--quick]`: what writing usage into the books costs, as Markdown.

On SQLite and on a Postgres of its own, with the usage of 1, 10, 300 and 1,500 accounts mixed: how
many events a second one process settles, and the CPU time of an event in that process and in the
database. CPU time is what counts: a machine that is busy with other things distorts it least.
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ACCOUNTS = (1, 10, 300, 1_500)
EVENTS, WARM_UP = 24_000, 1_000
QUICK = 8_000
_TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.settlement")
    parser.add_argument("--quick", action="store_true", help="a third of the events")
    parser.add_argument("--inside", metavar="EVENTS", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--database-pid", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--only", choices=("sqlite", "postgres"))
    args = parser.parse_args()
    if args.inside:
        _inside(args.inside, args.database_pid)
        return
    print(_HEAD)
    for database in (args.only,) if args.only else ("sqlite", "postgres"):
        for line in _measured(database, QUICK if args.quick else EVENTS):
            print(line, flush=True)


_HEAD = """\
| database | accounts | events/s | process µs/event | database µs/event | statements a batch |
| --- | --: | --: | --: | --: | --: |"""


def _measured(database: str, events: int) -> Iterator[str]:
    """Table rows, from a process that has this database and a Valkey of its own."""
    from hontoni.valkey import Valkey

    with tempfile.TemporaryDirectory(prefix="hontoni-bench-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        with _database(database, home) as (url, pid), Valkey(home, home / "v.sock"):
            environment = os.environ | {
                "DATABASE_URL": url,
                "REDIS_URL": f"unix://{home / 'v.sock'}",
                "DATA_DIR": str(home),
                "SECRET_KEY": "for-the-bench-only-for-the-bench-only-for-the-bench-only",
                "STRIPE_MIRROR": "false",
                "LOG_LEVEL": "ERROR",
            }
            words = ["--inside", str(events), "--database-pid", str(pid)]
            command = [sys.executable, "-m", "bench.settlement", *words]
            with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
                assert process.stdout is not None
                for line in process.stdout:
                    yield _row(database, json.loads(line))


def _row(database: str, result: dict[str, Any]) -> str:
    shown = (database, f"{result['accounts']:,}", f"{result['rate']:,.0f}")
    costs = (f"{result['process']:.0f}", f"{result['database']:.0f}" if result["database"] else "")
    return f"| {' | '.join((*shown, *costs))} | {result['statements']:.0f} |"


@contextmanager
def _database(name: str, home: Path) -> Iterator[tuple[str, int]]:
    """Its URL, and the process to watch (0: it lives in ours)."""
    if name == "sqlite":
        yield f"sqlite:///{home / 'bench.sqlite3'}", 0
        return
    from bench.web import postgres

    with postgres(home) as url:
        yield url, int((home / "postgres" / "postmaster.pid").read_text().split()[0])


# -- Inside --------------------------------------------------------------------------------------


def _inside(events: int, database_pid: int) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hontoni.settings")
    import django
    from django.conf import settings

    settings.MIGRATION_MODULES = {"djstripe": "billing.stripe.mirror_tables"}
    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    from billing.plans.seed import seed as seed_billing
    from gateway.catalogue.seed import seed as seed_catalogue

    seed_billing()
    seed_catalogue()
    from gateway.usage.settler import settle_in

    settle_in()  # as the settlement process does
    people = _people(max(ACCOUNTS))
    for accounts in ACCOUNTS:
        _settle(people[:accounts], WARM_UP, 0)
        result = _settle(people[:accounts], events, database_pid)
        print(json.dumps({"accounts": accounts} | result), flush=True)


def _people(count: int) -> list[tuple[int, int]]:
    """Accounts with a wallet and a key: (user id, key id)."""
    from accounts.models import ApiKey, User
    from billing.books import ledger

    users = User.objects.bulk_create(
        User(email=f"bench{n}@example.com", password="!") for n in range(count)
    )
    made = ApiKey.objects.bulk_create(
        ApiKey(user=user, name="bench", digest=os.urandom(32), slot=0) for user in users
    )
    for user in users:
        ledger.post(key=f"bench:{user.pk}", kind="topup", user_id=user.pk, amount=10**15 // 1000)
    return [(key.user_id, key.pk) for key in made]


def _settle(people: list[tuple[int, int]], events: int, database_pid: int) -> dict[str, float]:
    """Append events to the streams, and time how they are written into the books."""
    from django.db import connection

    from gateway.usage import settlement

    _append(people, events)
    statements: list[str] = []

    def count(execute: Any, sql: str, *rest: Any) -> Any:
        statements.append(sql)
        return execute(sql, *rest)

    began, cpu = time.perf_counter(), _own_cpu()
    before = _tree_cpu(database_pid) if database_pid else 0.0
    batches = done = 0
    with connection.execute_wrapper(count):
        while taken := settlement.drain("bench"):
            done += taken
            batches += 1
    if done != events:
        raise RuntimeError(f"{done} of {events} events were settled")
    spent = (_tree_cpu(database_pid) if database_pid else 0.0) - before
    return {
        "rate": events / (time.perf_counter() - began),
        "process": (_own_cpu() - cpu) / events * 1e6,
        "database": spent / events * 1e6,
        "statements": len(statements) / batches,
    }


def _append(people: list[tuple[int, int]], events: int) -> None:
    from gateway.catalogue.models import Price
    from hontoni import redis
    from ratelimits import keys

    prices = dict(Price.objects.values_list("model_id", "pk"))
    chance = random.Random(1)
    pipeline = redis.sync().pipeline(transaction=False)
    for number in range(events):
        user_id, key_id = people[chance.randrange(len(people))]
        result = _event(user_id, key_id, chance.choice(_MODELS), prices, number)
        fields = {"account": user_id, "cost": result["cost"], "event": _encoded(result)}
        pipeline.xadd(keys.usage(keys.shard(user_id)), fields)
        if number % 1_000 == 999:
            pipeline.execute()
    pipeline.execute()


_MODELS = ("gpt-4o", "claude-sonnet-4", "claude-haiku-4.5")


def _encoded(event: dict[str, Any]) -> bytes:
    from gateway.usage import events

    return events.pack(event)


def _event(
    user_id: int, key_id: int, model: str, prices: dict[str, int], number: int
) -> dict[str, Any]:
    """As gateway/plane/usage_events.py makes it of an ordinary request."""
    now = time.time()
    windows = [
        ("rpm", 60, 3, 59_000),
        ("5h", 900, 40, 17_000_000),
        ("daily", 4000, 40, 80_000_000),
    ]
    return {
        "id": uuid.UUID(int=int(now * 1000) << 80 | 7 << 76 | 2 << 62 | number).hex,
        "user_id": user_id,
        "api_key_id": key_id,
        "model": model,
        "requested_model": model,
        "price_id": prices[model],
        "dialect": "openai_chat",
        "stream": number % 2 == 0,
        "began": now,
        "input": 1200,
        "cache_read": 0,
        "cache_write_5m": 0,
        "cache_write_1h": 0,
        "output": 310,
        "reasoning": 0,
        "cost": 6_100_000,
        "hold": 20_000_000,
        "estimated": False,
        "aborted": False,
        "status": 200,
        "error": "",
        "upstream_status": 200,
        "upstream_request_id": f"req_{number:024x}",
        "first_byte_ms": 400,
        "duration_ms": 2000,
        "client": "OpenAI/Python 2.8.1",
        "ip": "127.0.0.1",
        "details": {
            "price_read_at": now,
            "admitted_at": now,
            "windows": windows,
            "windows_at": int(now * 1000),
            "attempts": [{"credential": "openai", "status": 200, "ms": 400}],
        },
    }


# -- CPU time ------------------------------------------------------------------------------------


def _own_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _tree_cpu(pid: int) -> float:
    """Seconds of a process and of all it has ever started."""
    total = 0.0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "stat").read_text().rpartition(") ")[2].split()
        except OSError:
            continue  # it has just ended
        if int(folder.name) == pid:
            total += sum(int(word) for word in words[11:15])  # with the children that ended
        elif int(words[1]) == pid:
            total += sum(int(word) for word in words[11:13])
    return total / _TICKS


if __name__ == "__main__":
    main()
