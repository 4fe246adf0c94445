"""Money that is set aside for a batch, or for a purchase, while a store is lost: nobody spends it
twice, and none of it stays held."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from billing.books import ledger
from gateway.stores.rebuilding import rebuild
from gateway.usage import settlement
from gateway.usage.models import UsageEvent
from hontoni import redis
from ratelimits import limiter
from ratelimits import rebuilding as accounts
from ratelimits.limiter import Limits
from ratelimits.purses import Caps
from tests.faults import stores
from tests.faults.gateway import LEASE_MS, Gateway
from tests.faults.test_simulated_faults import price_id as price_id
from tests.faults.test_simulated_faults import run as run
from tests.gateway_server import fund
from tests.world import Person

pytestmark = pytest.mark.any_database
CENT = 10_000_000  # nano-dollars
DISASTERS = ("wiped", "older", "failed over", "restored")


@pytest.fixture
def gateway(
    run: Any, price_id: int, alice: Person, settings: Settings, tmp_path: Path
) -> Iterator[Gateway]:
    settings.SPOOL_DIR = str(tmp_path)
    redis.sync().flushall()
    fund(alice, "1")
    found = Gateway(run, price_id, Limits())
    found.watch()
    yield found
    found.spool.close()


def set_aside(gateway: Gateway, alice: Person, cents: int) -> str:
    """For her batch, by whoever runs it: it says so again and again."""
    for _ in range(3):
        answer = gateway.run(
            limiter.earmark(alice.user.pk, "batch_1", amount=cents * CENT, lease_ms=LEASE_MS)
        )
        if answer != "cold":
            return str(answer)
        gateway.enter(accounts.confirmed_sync())
        rebuild(alice.user.pk)
    raise AssertionError("it stays cold")


def buy(alice: Person, cents: int) -> str:
    wallet = ledger.wallet(alice.user.pk)
    return limiter.reserve_sync(
        alice.user.pk,
        "purchase_1",
        amount=cents * CENT,
        credits=wallet.credits_total,
        credits_version=wallet.credits_version,
        lease_ms=LEASE_MS,
    )


def strike(disaster: str, before: stores.Moment, copy: Any) -> None:
    if disaster == "wiped":
        stores.wipe_valkey()
    elif disaster == "older":
        stores.restart_valkey(before)
    elif disaster == "failed over":
        stores.promote_valkey()
    else:
        stores.restore_database(copy)


@pytest.mark.parametrize("disaster", DISASTERS)
def test_what_is_set_aside_is_spent_once_and_freed(
    gateway: Gateway, alice: Person, disaster: str
) -> None:
    user = alice.user.pk
    assert gateway.admit(alice, [], CENT, Caps()) == "ok"
    before, copy = stores.save_valkey(), stores.save_database()
    assert set_aside(gateway, alice, 30) == "ok"
    assert buy(alice, 20) == "ok"
    assert gateway.admit(alice, [], 40 * CENT, Caps()) == "ok"
    assert gateway.admit(alice, [], 10 * CENT, Caps()) == "hold"
    end_one(gateway, cost=CENT)
    settlement.drain("tests")
    strike(disaster, before, copy)
    gateway.watch()
    assert set_aside(gateway, alice, 30) == "ok"
    assert gateway.admit(alice, [], 40 * CENT, Caps()) == "hold", "forty are held already"
    while gateway.live:
        end_one(gateway, cost=CENT)
    limiter.release_sync(user, "purchase_1")
    assert set_aside(gateway, alice, 0) == "ok"
    settlement.drain("tests")
    found, wallet = limiter.read_account_sync(user), ledger.wallet(user)
    assert found is not None
    assert (found.charged, wallet.settled_total, found.held) == (2 * CENT, 2 * CENT, 0)
    assert UsageEvent.objects.count() == 2 and accounts.open_requests(user) == []


class Lucky(random.Random):
    """Nothing is lost on the way."""

    def random(self) -> float:
        return 1.0


def end_one(gateway: Gateway, cost: int) -> None:
    """The oldest, which its gateway keeps until Valkey has it."""
    request = gateway.live.pop(0)
    request.cost = cost
    for _ in range(3):  # a connection that was lost is made again
        if gateway.end(request, chance=Lucky()):
            return
    raise AssertionError("Valkey does not answer")
