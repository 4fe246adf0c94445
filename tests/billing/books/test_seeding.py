import asyncio
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import OperationalError, connection, connections, transaction
from django.utils import timezone
from redis.exceptions import ConnectionError

from accounts.keys import api_keys
from accounts.models import User
from billing.books import ledger, seeding
from billing.books.seeding import seed_account
from gateway.catalogue import seed as catalogue
from gateway.catalogue.models import BUCKETS, Price
from gateway.usage import settlement
from gateway.usage.models import UsageEvent
from hontoni import errors, redis
from hontoni.money import nanos
from ratelimits import keys, limiter
from tests.billing.conftest import committed

pytestmark = committed


def finish(user: User, event: str, cost: str) -> None:
    """A request ends while Redis does not have the account: its event is all there is of it."""
    redis.sync().xadd(
        keys.usage(keys.shard(user.pk)),
        {"account": user.pk, "cost": nanos(cost), "event": json.dumps({"id": event})},
    )


def nothing(events: Sequence[str]) -> set[str]:
    return set()


def money(user: User) -> tuple[int, int, int]:
    account = limiter.read_account_sync(user.pk)
    assert account is not None
    return account.credits, account.credits_version, account.charged


def test_an_account_is_seeded_with_what_the_books_say(alice: User) -> None:
    with transaction.atomic():
        ledger.charge_usage(key="u", user_id=alice.pk, amount=nanos("3"))
    User.objects.filter(pk=alice.pk).update(terms_version=7)
    assert seed_account(alice.pk, recorded=nothing)
    assert money(alice) == (nanos("10"), 1, nanos("3"))
    account = limiter.read_account_sync(alice.pk)
    assert account is not None
    assert (account.terms_version, account.held) == (7, 0)


def test_what_is_on_its_way_to_the_books_is_charged_too(alice: User) -> None:
    """Two events wait, one is recorded, one came twice; those of others do not count."""
    with transaction.atomic():
        ledger.charge_usage(key="u", user_id=alice.pk, amount=nanos("3"))
    neighbour = User.objects.create_user("neighbour@example.com", id=alice.pk + keys.SHARDS)
    finish(alice, "old", "3")
    finish(neighbour, "his", "4")
    finish(alice, "new", "0.50")
    finish(alice, "new", "0.50")
    finish(alice, "newer", "0.25")
    asked: list[str] = []

    def recorded(events: Sequence[str]) -> set[str]:
        asked.extend(events)
        return {"old"}

    seed_account(alice.pk, recorded=recorded)
    assert money(alice) == (nanos("10"), 1, nanos("3.75"))
    assert sorted(asked) == ["new", "newer", "old"]


def test_what_the_gateway_says_is_recorded_is_not_charged_again(alice: User) -> None:
    """A batch is in the books, but its consumer died before it could delete it."""
    catalogue.seed()
    key, _ = api_keys.mint(alice, "laptop")
    numbers = dict.fromkeys((*BUCKETS, "cost", "hold", "duration_ms"), 0)
    event = UsageEvent.objects.create(
        user=alice,
        api_key=key,
        price=Price.objects.earliest("pk"),
        stream=False,
        estimated=False,
        aborted=False,
        status=200,
        created_at=timezone.now(),
        **numbers,
    )
    finish(alice, event.id.hex, "1")
    with transaction.atomic():
        ledger.charge_usage(key="u", user_id=alice.pk, amount=nanos("1"))
    seed_account(alice.pk, recorded=settlement.recorded)
    assert money(alice)[2] == nanos("1")


def test_a_long_stream_is_read_to_its_end(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seeding, "_PAGE", 2)
    for number in range(5):
        finish(alice, f"event{number}", "1")
    seed_account(alice.pk, recorded=nothing)
    assert money(alice)[2] == nanos("5")


def test_what_ends_while_we_look_is_charged_too(alice: User) -> None:
    finish(alice, "before", "1")

    def recorded(events: Sequence[str]) -> set[str]:
        finish(alice, "meanwhile", "2")
        return set()

    seed_account(alice.pk, recorded=recorded)
    assert money(alice)[2] == nanos("3")


def test_nobody_settles_while_we_look(alice: User) -> None:
    """Otherwise a batch could commit between the total and the events that are missing in it."""
    finish(alice, "event", "1")

    def settle() -> None:
        postgres = connection.vendor == "postgresql"
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = 1" if postgres else "PRAGMA busy_timeout = 0")
            with transaction.atomic():
                ledger.charge_usage(key="u", user_id=alice.pk, amount=nanos("1"))
        finally:
            connections.close_all()

    def recorded(events: Sequence[str]) -> set[str]:
        with ThreadPoolExecutor(1) as thread, pytest.raises(OperationalError, match="lock"):
            thread.submit(settle).result()
        return set()

    assert seed_account(alice.pk, recorded=recorded)


def test_an_account_is_seeded_once(alice: User) -> None:
    seed_account(alice.pk, recorded=nothing)
    finish(alice, "event", "1")
    assert not seed_account(alice.pk, recorded=nothing)
    assert money(alice)[2] == 0


def test_seeding_opens_the_wallet(bob: User) -> None:
    assert seed_account(bob.pk, recorded=nothing)
    assert money(bob) == (0, 0, 0)


def test_without_redis_nothing_is_seeded(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> None:
        raise ConnectionError("gone")

    monkeypatch.setattr(redis, "sync", gone)
    with pytest.raises(errors.Unavailable):
        seed_account(alice.pk, recorded=nothing)


def test_a_seeded_account_is_admitted(alice: User) -> None:
    ask = limiter.Ask(
        request_id="r",
        account=alice.pk,
        subject="k1",
        limits=limiter.Limits(rpm=8),
        terms_version=1,
        credits=nanos("10"),
        credits_version=1,
        full=nanos("10"),
        floor=1,
        lease_ms=1000,
    )

    async def admit() -> str:
        state = await limiter.admit(ask)
        await redis.close()
        return state.status

    assert asyncio.run(admit()) == "cold"
    seed_account(alice.pk, recorded=nothing)
    assert asyncio.run(admit()) == "ok"
