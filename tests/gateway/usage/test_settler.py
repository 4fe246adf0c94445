"""The settlement process: killed, doubled, cut off, upgraded; and what it never sets aside."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from accounts.models import User
from billing.books import ledger
from billing.books.models import AuditEntry
from billing.books.seeding import seed_account
from gateway.reconciliation.invariants import problems
from gateway.usage import events, reaper, settlement, shards
from gateway.usage.models import DeadEvent, UsageEvent, UsageHour
from hontoni import redis
from hontoni.money import nanos
from hontoni.valkey import Valkey
from ratelimits import keys, limiter
from tests.gateway.usage.test_quarantine import staff
from tests.gateway.usage.test_settlement import _database_url, append, event, settle, waiting
from tests.gateway_server import Gateway, fund
from tests.ratelimits.world import expired
from tests.waiting import ENOUGH, until
from tests.world import Person, person

ROOT = Path(__file__).parents[3]
COST = 10_500_000


@contextmanager
def settlers(count: int, **changes: str) -> Iterator[list[subprocess.Popen[bytes]]]:
    """So many `manage.py settle`, each with its shards."""
    from django.conf import settings

    environment = os.environ | {
        "DATABASE_URL": _database_url(),
        "REDIS_URL": settings.REDIS_URL,
        "SECRET_KEY": settings.SECRET_KEY,
        "LOG_LEVEL": "INFO",
        **changes,
    }
    command = [sys.executable, "manage.py", "settle"]
    started = [subprocess.Popen(command, env=environment, cwd=ROOT) for _ in range(count)]
    try:
        until(lambda: redis.sync().zcard(shards.MEMBERS) == count, "not all of them came up")
        yield started
    finally:
        for process in started:
            process.kill()
            process.wait()


def rich(name: str, dollars: str = "100") -> Person:
    found = fund(person(name), dollars)
    seed_account(found.user.pk, recorded=settlement.recorded)
    return found


def busy(shard: int) -> set[str]:
    """The consumers that ever took something of a shard."""
    found = redis.sync().xinfo_consumers(keys.usage(shard), settlement.GROUP)
    return {consumer["name"].decode() for consumer in found}


def _recorded(more_than: int) -> None:
    until(lambda: UsageEvent.objects.count() > more_than)


def test_two_processes_share_and_one_that_is_killed_is_replaced(gateway: Gateway) -> None:
    people = [rich(f"person{n}") for n in range(6)]
    sent = 0

    def some() -> None:
        nonlocal sent
        asyncio.run(settle([event(each) for each in people]))
        sent += len(people)
        until(lambda: UsageEvent.objects.count() == sent and waiting() == 0)

    def both_take_some() -> bool:
        some()
        return len({name for each in people for name in busy(keys.shard(each.user.pk))}) == 2

    with settlers(2) as running:
        until(both_take_some, "one of them did everything")
        running[0].kill()  # with whatever it had in hand
        some()
        some()
        until(lambda: redis.sync().zcard(shards.MEMBERS) == 1)
        running[1].send_signal(signal.SIGTERM)
        assert running[1].wait(ENOUGH) == 0
    assert redis.sync().zcard(shards.MEMBERS) == 0  # it said that it leaves
    for each in people:
        assert ledger.balance(each.user.pk) == nanos("100") - sent // len(people) * COST
    assert problems() == []


def test_a_process_killed_over_and_over_loses_and_doubles_nothing(gateway: Gateway) -> None:
    alice, bob = rich("alice"), rich("bob")
    for round_ in range(1, 4):
        with settlers(1) as (running,):
            asyncio.run(settle([event((alice, bob)[n % 2]) for n in range(400)]))
            _recorded(more_than=400 * (round_ - 1))
            running.kill()
    with settlers(1):
        until(lambda: UsageEvent.objects.count() == 1200 and waiting() == 0)
    for each in (alice, bob):
        assert ledger.balance(each.user.pk) == nanos("100") - 600 * COST
    assert problems() == []


def test_settlement_outlives_valkey(
    transactional_db: None, tmp_path: Path, settings: Settings
) -> None:
    from billing.plans.seed import seed as seed_billing
    from gateway.catalogue.seed import seed as seed_catalogue

    seed_billing()
    seed_catalogue()
    mine = Valkey(tmp_path, tmp_path / "own.sock")
    settings.REDIS_URL = f"unix://{mine.socket}"
    redis.sync.cache_clear()
    try:
        with mine:
            alice = rich("alice")
            with settlers(1) as (running,):
                for killed in (1, 2):
                    asyncio.run(settle([event(alice)]))
                    _recorded(more_than=killed - 1)
                    time.sleep(1.1)  # appendfsync everysec
                    assert mine.process is not None
                    mine.process.kill()
                    mine.process.wait()
                    time.sleep(0.3)
                    assert running.poll() is None
                    mine.start()
                asyncio.run(settle([event(alice)]))
                until(lambda: UsageEvent.objects.count() == 3)
                assert running.poll() is None
            assert ledger.balance(alice.user.pk) == nanos("100") - 3 * COST
            assert problems() == []
    finally:
        redis.sync().close()
        redis.sync.cache_clear()


@pytest.mark.skipif(
    "sqlite" in os.environ.get("DATABASE_URL", "sqlite"), reason="a server's fault"
)
@pytest.mark.parametrize("gone", ["paused", "terminated"])
def test_settlement_outlives_postgres(gateway: Gateway, alice: Person, gone: str) -> None:
    fund(alice, "100")
    seed_account(alice.user.pk, recorded=settlement.recorded)
    with settlers(1) as (running,):
        asyncio.run(settle([event(alice)]))
        until(lambda: UsageEvent.objects.count() == 1)
        pid = _backend()
        if gone == "paused":
            os.kill(pid, signal.SIGSTOP)
            try:
                asyncio.run(settle([event(alice) for _ in range(5)]))
                time.sleep(1)
                assert UsageEvent.objects.count() == 1 and running.poll() is None
            finally:
                os.kill(pid, signal.SIGCONT)
        else:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
            asyncio.run(settle([event(alice) for _ in range(5)]))
        until(lambda: UsageEvent.objects.count() == 6)
        assert running.poll() is None
    assert ledger.balance(alice.user.pk) == nanos("100") - 6 * COST
    assert not DeadEvent.objects.exists()


def _backend() -> int:
    """The server's process of the settler's connection: the newest of our database."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() ORDER BY backend_start DESC LIMIT 1"
        )
        return int(cursor.fetchone()[0])


# -- Upgrades ------------------------------------------------------------------------------------


def test_events_and_drafts_of_the_release_before_are_settled(
    gateway: Gateway, alice: Person
) -> None:
    """They were objects; gateways of both releases write during an upgrade."""
    fund(alice, "10")
    seed_account(alice.user.pk, recorded=settlement.recorded)
    old, new = event(alice, details={"left_out": ["member:foo"]}), event(alice)
    asyncio.run(settle([old]))
    asyncio.run(_settle_packed(new))
    draft = {name: old[name] for name in events.FIELDS[: events.DRAFT]}
    draft |= {"id": event(alice)["id"], "error": "process_lost", "details": {}}
    seed_account(alice.user.pk, recorded=settlement.recorded)  # they were settled, never admitted
    die_with(alice, orjson.dumps(draft))
    assert reaper.reap(expired()) == 1
    first, second, lost = gateway.books()
    assert (first.cost, second.cost, lost.cost) == (COST, COST, 0)
    assert (lost.error, lost.hold) == ("process_lost", 1_000)
    assert first.details == {"left_out": ["member:foo"]}


async def _settle_packed(told: dict[str, Any]) -> None:
    ask = limiter.Ask(
        f"req_{told['id']}", told["user_id"], f"a{told['user_id']}", limiter.Limits(),
        terms_version=1, credits=0, credits_version=0, full=0, floor=0, lease_ms=1_000,
    )  # fmt: skip
    await limiter.settle(ask, cost=told["cost"], event=events.pack(told))
    await redis.close()


def die_with(of: Person, draft: bytes, lease_ms: int = 1) -> None:
    """Admitted by a gateway that is never heard of again."""
    wallet = ledger.wallet(of.user.pk)
    ask = limiter.Ask(
        f"req_{orjson.loads(draft)['id']}", of.user.pk, f"a{of.user.pk}", limiter.Limits(),
        terms_version=User.objects.get(pk=of.user.pk).terms_version,
        credits=wallet.credits_total, credits_version=wallet.credits_version,
        full=1_000, floor=1_000, lease_ms=lease_ms, draft=draft,
    )  # fmt: skip

    async def admit() -> None:
        assert (await limiter.admit(ask)).status == "ok"
        await redis.close()

    asyncio.run(admit())
    time.sleep(0.01)


def test_what_a_later_release_wrote_waits_for_it(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    seed_account(alice.user.pk, recorded=settlement.recorded)
    asyncio.run(settle([event(alice)]))
    append(alice, orjson.dumps([events.VERSION + 1, "who knows"]))
    assert settlement.drain("one") == 1
    for _ in range(settlement.MOST_DELIVERIES + 2):
        settlement.take_over("one", idle_ms=0)
    assert waiting() == 1 and not DeadEvent.objects.exists()
    redis.sync().delete(keys.usage(keys.shard(alice.user.pk)))


# -- What is set aside, and what never is --------------------------------------------------------


def _rename(table: str, before: str, after: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} RENAME COLUMN {before} TO {after}")


@pytest.mark.parametrize("table", ["gateway_usageevent", "gateway_usagehour", "billing_wallet"])
def test_a_schema_that_does_not_fit_sets_nothing_aside(
    gateway: Gateway, alice: Person, table: str
) -> None:
    fund(alice, "10")
    seed_account(alice.user.pk, recorded=settlement.recorded)
    asyncio.run(settle([event(alice) for _ in range(3)]))
    column = "settled_total" if table == "billing_wallet" else "cost"
    _rename(table, column, "elsewhere")
    try:
        assert settlement.drain("one") == 0
        for _ in range(settlement.MOST_DELIVERIES + 3):
            with pytest.raises(Exception, match=column):
                settlement.take_over("one", idle_ms=0)
    finally:
        _rename(table, "elsewhere", column)
    assert not DeadEvent.objects.exists() and waiting() == 3
    assert settlement.take_over("one", idle_ms=0) == 3
    assert ledger.balance(alice.user.pk) == nanos("10") - 3 * COST


MALFORMED: list[tuple[str, Any]] = [
    ("cost", -1),
    ("cost", 1.5),
    ("cost", True),
    ("input", 2**31),
    ("status", "200"),
    ("model", "x" * 101),
    ("details", []),
    ("began", None),
    ("id", "nobody"),
    ("user_id", None),
    ("surprise", 1),
]


@pytest.mark.outside_the_law("its events are damaged on purpose")
def test_one_malformed_event_holds_up_no_other_and_is_set_aside(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    seed_account(alice.user.pk, recorded=settlement.recorded)
    for member, value in MALFORMED:
        append(alice, orjson.dumps(event(alice, cost=0) | {member: value}))
    asyncio.run(settle([event(alice)]))
    assert settlement.drain("one") == 1
    for _ in range(settlement.MOST_DELIVERIES):
        assert settlement.take_over("one", idle_ms=0) == 0
    assert waiting() == 0
    assert DeadEvent.objects.count() == len(MALFORMED)
    assert problems() == [
        f"{len(MALFORMED)} usage events could not be recorded and wait for staff"
    ]
    for dead, (member, _) in zip(DeadEvent.objects.order_by("pk"), MALFORMED, strict=True):
        assert member in dead.problem or member in ("id", "surprise"), dead.problem
    DeadEvent.objects.all().delete()
    assert ledger.balance(alice.user.pk) == nanos("10") - COST


def test_a_nul_from_a_client_is_no_way_out_of_the_bill(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    seed_account(alice.user.pk, recorded=settlement.recorded)
    asyncio.run(settle([event(alice, details={"left_out": ["tool:a\0b"]}, client="a\0b")]))
    (used,) = gateway.books()
    assert (used.client, used.cost) == ("a\ufffdb", COST)


def _set_aside_for_a_price(of: Person) -> DeadEvent:
    """Its price is not there, for as long as this takes."""
    told = event(of)
    asyncio.run(settle([told | {"price_id": 999_999}]))
    settlement.drain("one")
    for _ in range(settlement.MOST_DELIVERIES):
        settlement.take_over("one", idle_ms=0)
    dead = DeadEvent.objects.get()
    assert problems() != [] and waiting() == 0
    DeadEvent.objects.update(payload=dead.payload | {"price_id": told["price_id"]})
    return dead


@pytest.mark.parametrize("seeded", ["meanwhile", "before"])
def test_a_command_records_what_was_set_aside(
    gateway: Gateway, alice: Person, seeded: str
) -> None:
    fund(alice, "10")
    seed_account(alice.user.pk, recorded=settlement.recorded)
    dead = _set_aside_for_a_price(alice)
    if seeded == "meanwhile":  # from books that do not have it yet
        redis.sync().delete(keys.account(alice.user.pk))
        seed_account(alice.user.pk, recorded=settlement.recorded)
    call_command("replayevents", dead.stream_id, verbosity=0)
    call_command("replayevents", verbosity=0)
    seed_account(alice.user.pk, recorded=settlement.recorded)
    assert not DeadEvent.objects.exists()
    assert len(gateway.books()) == 1
    assert ledger.balance(alice.user.pk) == nanos("10") - COST


def test_staff_record_what_was_set_aside(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    seed_account(alice.user.pk, recorded=settlement.recorded)
    dead = _set_aside_for_a_price(alice)
    client = staff("finance")
    asked = {"action": "replay", "_selected_action": [dead.pk]}
    answer = client.post("/admin/gateway/deadevent/", asked, follow=True)
    assert "is recorded" in answer.text
    assert AuditEntry.objects.filter(action="replay").count() == 1
    assert ledger.balance(alice.user.pk) == nanos("10") - COST
    seed_account(alice.user.pk, recorded=settlement.recorded)


# -- What it costs -------------------------------------------------------------------------------


def _statements(people: list[Person], count: int) -> int:
    asyncio.run(settle([event(people[n % len(people)]) for n in range(count)]))
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert settlement.drain("one") == count
    return len(queries)


def test_a_batch_is_a_handful_of_statements_whatever_it_holds(gateway: Gateway) -> None:
    people = [rich(f"person{n}") for n in range(40)]
    _statements(people, 40)
    assert _statements(people[:1], 1) == _statements(people, 200) < 25
    assert UsageHour.objects.count() == 40
