"""From the stream into the books: exactly once, and told line by line on the receipt."""

import asyncio
import os
import random
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.db.models import Count, F, Sum
from django.utils import timezone
from uuid_utils import uuid7

from billing.books import ledger
from billing.books.models import Wallet
from billing.books.seeding import seed_account
from gateway.catalogue import snapshot
from gateway.catalogue.models import BUCKETS, Price
from gateway.plane import callers
from gateway.reconciliation.invariants import problems
from gateway.usage import settlement
from gateway.usage.models import DeadEvent, UsageEvent, UsageHour
from hontoni import redis
from hontoni.money import nanos
from ratelimits import keys, limiter
from tests.gateway_server import Gateway, fund
from tests.world import Person, person

EVENTS = 2_000
CONSUMERS = 5  # of which all but the last are killed


def event(of: Person, **changes: Any) -> dict[str, Any]:
    """A usage event as settle.lua gets it: 1,000 tokens in, 500 out, $0.0105."""
    usual = {
        "id": uuid7().hex,
        "user_id": of.user.pk,
        "api_key_id": of.key.pk,
        "model": "claude-sonnet-4",
        "requested_model": "claude-sonnet-4",
        "price_id": Price.objects.get(model_id="claude-sonnet-4").pk,
        "dialect": "anthropic_messages",
        "stream": False,
        "began": time.time(),
        **dict.fromkeys(BUCKETS, 0),
        "input": 1000,
        "output": 500,
        "cost": 10_500_000,
        "hold": 20_000_000,
        "estimated": False,
        "aborted": False,
        "status": 200,
        "error": "",
        "upstream_status": 200,
        "upstream_request_id": "",
        "first_byte_ms": 5,
        "duration_ms": 9,
        "client": "",
        "ip": "127.0.0.1",
        "details": {},
    }
    return usual | changes


async def settle(events: list[dict[str, Any]]) -> None:
    """As gateways do at the end of a request; a few at a time."""
    for start in range(0, len(events), 50):
        await asyncio.gather(*(_settle(each) for each in events[start : start + 50]))
        await asyncio.sleep(0.01)
    await redis.close()


async def _settle(each: dict[str, Any]) -> None:
    ask = limiter.Ask(
        f"req_{each['id']}", each["user_id"], f"a{each['user_id']}", limiter.Limits(),
        terms_version=1, credits=0, credits_version=0, full=0, floor=0, lease_ms=1_000,
    )  # fmt: skip
    await limiter.settle(ask, cost=each["cost"], event=orjson.dumps(each))


def waiting() -> int:
    return sum(redis.sync().xlen(keys.usage(shard)) for shard in range(keys.SHARDS))


def append(of: Person, text: bytes) -> None:
    """An event that was never charged: only for what cannot be recorded."""
    fields = {"account": of.user.pk, "cost": 0, "event": text}
    redis.sync().xadd(keys.usage(keys.shard(of.user.pk)), fields)


# -- Exactly once --------------------------------------------------------------------------------


def _database_url() -> str:
    found = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{found['NAME']}"
    return os.environ["DATABASE_URL"].replace("/postgres?", f"/{found['NAME']}?")


@contextmanager
def consumers(count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """So many processes, ready to begin."""
    environment = os.environ | {
        "DATABASE_URL": _database_url(),
        "REDIS_URL": settings.REDIS_URL,
        "SECRET_KEY": settings.SECRET_KEY,
    }
    command = [sys.executable, "-m", "tests.gateway.usage.consumer"]
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    root = Path(__file__).parents[3]
    started = [subprocess.Popen(command, env=environment, cwd=root, **pipes) for _ in range(count)]
    try:
        for process in started:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
        yield list(started)
    finally:
        for process in started:
            process.kill()
            process.communicate()


def _begin(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.write(b"\n")
    process.stdin.flush()


def test_consumers_may_be_killed_at_any_moment(gateway: Gateway) -> None:
    people = [fund(person(f"person{n}"), "100") for n in range(5)]
    for each in people:
        seed_account(each.user.pk, recorded=settlement.recorded)
    chance = random.Random()
    costs = [chance.randrange(0, 20_000_000) for _ in range(EVENTS)]
    events = [event(people[n % 5], cost=cost) for n, cost in enumerate(costs)]
    with consumers(CONSUMERS) as ready, ThreadPoolExecutor(1) as threads:
        flow = threads.submit(asyncio.run, settle(events))
        working = [ready.pop(), ready.pop()]
        for process in working:
            _begin(process)
        killed_at = [EVENTS * n // 6 for n in range(1, CONSUMERS - 1)]
        deadline = time.monotonic() + 120
        while UsageEvent.objects.count() < EVENTS:
            assert time.monotonic() < deadline, f"{waiting()} events still wait"
            if killed_at and ready and UsageEvent.objects.count() >= killed_at[0]:
                killed_at.pop(0)
                time.sleep(chance.uniform(0, 0.05))
                dead = working.pop(0)
                dead.kill()
                working.append(ready.pop())
                _begin(working[-1])
            time.sleep(0.005)
        flow.result()
        while waiting():
            assert time.monotonic() < deadline, f"{waiting()} events were not acknowledged"
            time.sleep(0.02)
    assert not ready
    for n, each in enumerate(people):
        assert ledger.balance(each.user.pk) == nanos("100") - sum(costs[n::5])
    rolled_up = UsageHour.objects.aggregate(Sum("requests"), Sum("cost"), Sum("output"))
    assert rolled_up == {
        "requests__sum": EVENTS,
        "cost__sum": sum(costs),
        "output__sum": 500 * EVENTS,
    }
    assert problems() == [] and not DeadEvent.objects.exists()


def test_an_event_delivered_twice_is_charged_once(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    seed_account(alice.user.pk, recorded=settlement.recorded)
    asyncio.run(settle([event(alice) for _ in range(3)]))
    shard = keys.shard(alice.user.pk)
    batch = settlement._entries(shard, redis.sync().xrange(keys.usage(shard)))
    assert settlement.record(batch) == 3
    assert settlement.record(batch + batch) == 0
    assert settlement.record(batch[:1]) == 0
    assert len(gateway.books()) == 3
    assert ledger.balance(alice.user.pk) == nanos("10") - 3 * 10_500_000


def test_a_key_remembers_when_and_from_where_it_was_used(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    gateway.chat(alice)
    (used,) = gateway.books()
    alice.key.refresh_from_db()
    assert (alice.key.last_used_at, alice.key.last_used_ip) == (used.created_at, "127.0.0.1")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch is abandoned as soon as nobody works on it."""
    monkeypatch.setattr(settlement, "ABANDONED_MS", 0)


def test_what_cannot_be_recorded_is_set_aside_and_the_rest_goes_on(
    gateway: Gateway, alice: Person, impatient: None
) -> None:
    fund(alice, "10")
    seed_account(alice.user.pk, recorded=settlement.recorded)
    asyncio.run(settle([event(alice), event(alice)]))
    append(alice, orjson.dumps(event(alice, price_id=999_999)))
    append(alice, b"no JSON at all")
    append(alice, b"[]")
    asyncio.run(settle([event(alice)]))
    assert settlement.drain("one") == 3
    assert UsageEvent.objects.count() == 3 and waiting() == 3
    for _ in range(settlement.MOST_DELIVERIES - 1):
        settlement.take_over("another")
        assert not DeadEvent.objects.exists()
    settlement.take_over("another")
    assert waiting() == 0
    foreign, text, array = DeadEvent.objects.order_by("pk")
    assert foreign.payload["price_id"] == 999_999 and "IntegrityError" in foreign.problem
    assert text.payload == {"unreadable": "no JSON at all"}
    assert array.payload == {"unreadable": "[]"}
    asyncio.run(settle([event(alice)]))
    assert settlement.drain("one") == 1
    assert problems() == ["3 usage events could not be recorded and wait for staff"]
    DeadEvent.objects.all().delete()  # staff looked at them
    assert ledger.balance(alice.user.pk) == nanos("10") - 4 * 10_500_000


@pytest.mark.outside_the_law("its event is damaged on purpose")
def test_an_event_nobody_can_read_stops_neither_seeding_nor_the_proof(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    append(alice, b"no JSON at all")
    assert gateway.chat(alice).status_code == 200
    assert problems() == []
    redis.sync().delete(keys.usage(keys.shard(alice.user.pk)))
    redis.sync().delete(keys.account(alice.user.pk))


def test_an_outage_of_the_database_sets_nothing_aside(
    gateway: Gateway, alice: Person, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    fund(alice, "10")
    seed_account(alice.user.pk, recorded=settlement.recorded)
    asyncio.run(settle([event(alice) for _ in range(3)]))

    def away(*args: object) -> int:
        raise OperationalError("the database is away")

    with monkeypatch.context() as outage:
        outage.setattr(settlement, "record", away)
        assert settlement.drain("one") == 0
        for _ in range(settlement.MOST_DELIVERIES + 3):
            try:
                assert settlement.take_over("one") == 0
            except OperationalError:
                continue
    assert not DeadEvent.objects.exists() and waiting() == 3
    assert settlement.take_over("one") == 3
    assert ledger.balance(alice.user.pk) == nanos("10") - 3 * 10_500_000


# -- Receipts ------------------------------------------------------------------------------------


def _receipt(of: Person, used: UsageEvent) -> dict[str, Any]:
    answer = of.client().get(f"/api/usage/{used.request_id}")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def test_the_lines_of_a_receipt_add_up_to_what_was_charged(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    for path, model in (
        ("/v1/chat/completions", "gpt-5.1"),
        ("/v1/messages", "claude-sonnet-4.5"),
    ):
        text = "[[usage: 1237 501 101 33 17 19]] [[say: x]]"
        message = [{"role": "user", "content": text}]
        with gateway.http(alice) as http:
            limit = {"max_completion_tokens" if model == "gpt-5.1" else "max_tokens": 2000}
            reply = http.post(path, json={"model": model, "messages": message} | limit)
        assert reply.status_code == 200, reply.text
        used = gateway.books()[-1]
        receipt = _receipt(alice, used)
        assert receipt["request_id"] == reply.headers["x-request-id"]
        assert receipt["charged"] == receipt["total"] == reply.headers["x-hontoni-cost"]
        lines = receipt["lines"]
        assert [line["tokens"] for line in lines] == [receipt[bucket] for bucket in BUCKETS]
        for line in lines:
            price = Decimal(line["price_per_million_tokens"])
            assert Decimal(line["cost"]) == line["tokens"] * price / 10**6
        total = sum(Decimal(line["cost"]) for line in lines)
        assert abs(total - Decimal(receipt["total"])) <= Decimal("5e-10")
        settled = {name: Decimal(value) for name, value in receipt["settlement"].items()}
        assert settled["held"] == settled["charged"] + settled["released"]
        assert receipt["windows"]["rpm"]["used"] >= 1
        assert receipt["upstream_status"] == 200 and receipt["duration_ms"] >= 0
    assert _receipt(alice, used)["cache_write_5m"] == 17
    assert _receipt(alice, used)["cache_write_1h"] == 19


def test_a_receipt_is_its_owners_alone(gateway: Gateway, alice: Person, bob: Person) -> None:
    fund(alice, "10")
    gateway.chat(alice)
    (used,) = gateway.books()
    for name in (used.request_id, used.id.hex, str(used.id)):
        assert alice.client().get(f"/api/usage/{name}").status_code == 200
        assert bob.client().get(f"/api/usage/{name}").status_code == 404
    for name in ("req_", "nonsense", f"req_{uuid.uuid4().hex}"):
        assert alice.client().get(f"/api/usage/{name}").status_code == 404
    assert bob.client().get("/api/usage").json()["results"] == []


def test_usage_is_listed_by_key_model_and_time_page_by_page(
    gateway: Gateway, alice: Person, bob: Person
) -> None:
    from accounts.keys import api_keys

    other, _ = api_keys.mint(alice.user, "another")
    fund(alice, "10")
    fund(bob, "10")
    for each in (alice, bob):
        seed_account(each.user.pk, recorded=settlement.recorded)
    mine = [event(alice) for _ in range(4)]
    mine += [event(alice, api_key_id=other.pk, model="claude-haiku-4.5") for _ in range(3)]
    middle = timezone.now() + timedelta(milliseconds=2)
    time.sleep(0.005)
    late = [event(alice) for _ in range(2)]
    asyncio.run(settle([*mine, *late, event(bob)]))
    gateway.books()
    client = alice.client()

    def ids(**filters: Any) -> list[str]:
        found, answer = [], client.get("/api/usage", {"limit": 2} | filters).json()
        while True:
            assert len(answer["results"]) <= 2
            found += [row["request_id"] for row in answer["results"]]
            if answer["next"] is None:
                return found
            answer = client.get(answer["next"]).json()

    def named(events: list[dict[str, Any]]) -> list[str]:
        return sorted((f"req_{each['id']}" for each in events), reverse=True)

    assert ids() == named(mine + late)
    assert ids(key=other.pk) == named(mine[4:])
    assert ids(model="claude-haiku-4.5") == named(mine[4:])
    assert ids(key=alice.key.pk, model="claude-haiku-4.5") == []
    assert ids(since=middle.isoformat()) == named(late)
    assert ids(until=middle.isoformat()) == named(mine)
    assert ids(key=bob.key.pk) == []
    for wrong in ({"key": "x"}, {"since": "yesterday"}):
        assert client.get("/api/usage", wrong).status_code == 400


def test_what_comes_in_meanwhile_shifts_no_page(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    seed_account(alice.user.pk, recorded=settlement.recorded)
    asyncio.run(settle([event(alice) for _ in range(4)]))
    gateway.books()
    client = alice.client()
    first = client.get("/api/usage", {"limit": 2}).json()
    asyncio.run(settle([event(alice)]))
    gateway.books()
    second = client.get(first["next"]).json()
    seen = [row["request_id"] for row in first["results"] + second["results"]]
    assert len(set(seen)) == 4


def test_a_price_that_changes_in_mid_request_does_not_change_its_cost(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    text = "[[delay: 0.5]] [[usage: 1000 500 0]] [[say: hi]]"
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(gateway.chat, alice, text, max_tokens=1000)
        while not gateway.vendors.requests:
            time.sleep(0.01)
        old = Price.objects.filter(model_id="gpt-4o").order_by("-effective_at").first()
        assert old is not None
        rates = {bucket: 10 * getattr(old, bucket) for bucket in BUCKETS}
        new = Price.objects.create(model_id="gpt-4o", **rates)
        snapshot.forget()
        assert running.result().headers["x-hontoni-cost"] == "0.0075"
    assert gateway.chat(alice, text, max_tokens=1000).headers["x-hontoni-cost"] == "0.075"
    before, after = gateway.books()
    assert (before.price, after.price) == (old, new)
    for used in (before, after):
        receipt = _receipt(alice, used)
        assert receipt["price_version"]["id"] == used.price_id
        assert receipt["total"] == receipt["charged"]


# -- The proof -----------------------------------------------------------------------------------


def reconcile() -> tuple[int, str]:
    """`manage.py reconcile`: how many differences, and what it said."""
    said, problems = StringIO(), StringIO()
    try:
        call_command("reconcile", stdout=said, stderr=problems)
    except CommandError as error:
        assert error.returncode != 0
        return int(str(error).split()[0]), problems.getvalue()
    return 0, said.getvalue()


def _rollup(**changes: Any) -> None:
    UsageHour.objects.update(**changes)


def _lose_a_rollup(alice: Person) -> None:
    UsageHour.objects.all().delete()


def _invent_a_rollup(alice: Person) -> None:
    UsageHour.objects.create(
        user=alice.user, api_key=alice.key, hour=timezone.now() - timedelta(days=9), model="x"
    )


def _lose_an_event(alice: Person) -> None:
    UsageEvent.objects.all().delete()


def _charge_redis(alice: Person) -> None:
    redis.sync().hincrby(keys.account(alice.user.pk), "charged", 1)


def _credit_redis(alice: Person) -> None:
    redis.sync().hincrby(keys.account(alice.user.pk), "credits", 1)


FALSE: list[tuple[Callable[[Person], Any], list[str]]] = [
    (lambda alice: _rollup(cost=F("cost") + 1), ["rollup of", "cost is"]),
    (lambda alice: _rollup(requests=9), ["rollup of", "9 requests, not 1"]),
    (lambda alice: _rollup(output=F("output") - 1), ["rollup of", "output is"]),
    (_lose_a_rollup, ["has no rollup"]),
    (_invent_a_rollup, ["has no events"]),
    (_lose_an_event, ["has no events", "usage charged"]),
    (lambda alice: UsageEvent.objects.update(cost=1), ["usage charged", "events cost 1"]),
    (lambda alice: Wallet.objects.update(settled_total=1), ["its entries say", "usage charged 1"]),
    (lambda alice: Wallet.objects.update(credits_total=1), ["its entries say"]),
    (_charge_redis, ["Redis charged"]),
    (_credit_redis, ["Redis has"]),
    (
        lambda alice: DeadEvent.objects.create(stream_id="1:1-0", payload={}, problem="x"),
        ["1 usage events could not be recorded"],
    ),
]


@pytest.mark.parametrize(("falsify", "words"), FALSE)
def test_reconcile_names_whatever_is_false(
    transactional_db: None,
    alice: Person,
    falsify: Callable[[Person], Any],
    words: list[str],
) -> None:
    from billing.plans.seed import seed as seed_billing
    from gateway.catalogue.seed import seed as seed_catalogue

    seed_billing()
    seed_catalogue()
    callers.forget()
    fund(alice, "10")
    seed_account(alice.user.pk, recorded=settlement.recorded)
    asyncio.run(settle([event(alice)]))
    settlement.drain("tests")
    seed_account(alice.user.pk, recorded=settlement.recorded)  # it was settled, never admitted
    assert reconcile() == (0, "The books balance.\n")
    falsify(alice)
    count, said = reconcile()
    assert count > 0
    for word in words:
        assert word in said


def test_every_event_is_in_exactly_one_rollup(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    seed_account(alice.user.pk, recorded=settlement.recorded)
    hours = [time.time() - 3600 * n for n in (0, 1, 1, 5)]
    asyncio.run(
        settle([event(alice, began=began) for began in hours] + [event(alice, status=500)])
    )
    gateway.books()
    requests = UsageHour.objects.order_by("hour").values_list("requests", "errors")
    assert sum(r for r, _ in requests) == 5 and sum(e for _, e in requests) == 1
    assert UsageHour.objects.aggregate(hours=Count("hour", distinct=True))["hours"] == 3
