"""Money set aside for a batch: its own requests hold out of it, and nobody else's."""

import pytest

from hontoni import redis
from hontoni.money import nanos
from ratelimits import keys, limiter
from ratelimits.limiter import admit, earmark, settle
from tests.ratelimits.world import (
    ALICE,
    EVENT,
    LEASE_MS,
    advance,
    ask,
    everything,
    expired,
    money,
    seed,
)

BATCH = "batch_1"


@pytest.fixture(autouse=True)
def alice_has_ten_dollars() -> None:
    seed()


async def aside(dollars: str) -> str:
    return await earmark(ALICE, BATCH, amount=nanos(dollars), lease_ms=LEASE_MS)


def one(**changes: object) -> limiter.Ask:
    """A dollar's request of the batch."""
    return ask(batch=BATCH, drawn=nanos("1"), **changes)


async def test_what_is_set_aside_only_the_batch_can_spend() -> None:
    assert await aside("10") == "ok"
    assert (await admit(ask())).binding == "hold"
    admitted = one()
    state = await admit(admitted)
    assert (state.status, state.hold, state.held) == ("ok", nanos("1"), nanos("10"))
    assert money().held == nanos("10")
    await settle(admitted, cost=nanos("0.25"), event=EVENT)
    assert (money().charged, money().held) == (nanos("0.25"), nanos("9"))
    assert (await admit(ask(full=nanos("0.75")))).status == "ok"
    assert (await admit(ask())).binding == "hold"


async def test_it_is_as_much_as_was_said_last() -> None:
    for dollars in ("4", "10", "3", "3"):
        assert await aside(dollars) == "ok"
        assert money().held == nanos(dollars)
    assert await aside("10.1") == "balance"
    await admit(ask(full=nanos("6")))
    assert await aside("4.1") == "hold"
    assert money().held == nanos("9")
    assert await aside("0") == "ok"
    assert money().held == nanos("6")
    assert keys.request(ALICE, BATCH).encode() not in everything()


async def test_a_request_that_needs_more_than_is_set_aside_holds_the_rest_of_the_balance() -> None:
    await aside("0.4")
    assert (await admit(one())).hold == nanos("1")
    assert money().held == nanos("1")
    assert (await admit(one())).status == "ok"
    assert money().held == nanos("2")


async def test_a_refused_request_takes_nothing_of_it() -> None:
    await aside("5")
    await admit(one())
    before = everything()
    assert (await admit(one(limits=limiter.Limits(rpm=1)))).binding == "rpm"
    assert everything() == before


async def test_nothing_is_set_aside_any_more_when_its_lease_has_ended() -> None:
    await aside("10")
    advance(LEASE_MS + 1)
    (found,) = expired()
    assert found.request_id == BATCH
    limiter.reap_sync(found, cost=0, event="")
    assert money().held == 0
    assert (await admit(one())).hold == nanos("1")
    assert await aside("2") == "ok"
    assert money().held == nanos("3")


async def test_an_account_made_anew_keeps_what_is_set_aside_once() -> None:
    await aside("6")
    redis.sync().hdel(keys.account(ALICE), "epoch")
    assert await aside("6") == "cold"
    seed()
    assert money().held == nanos("6")
    assert await aside("5") == "ok"
    assert money().held == nanos("5")
    redis.sync().flushdb()
    seed()
    assert money().held == 0
    assert await aside("5") == "ok"
    assert money().held == nanos("5")
