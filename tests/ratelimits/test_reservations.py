"""Money set aside for a purchase: no request spends it, and it spends no request's."""

import asyncio

import pytest

from hontoni import redis
from hontoni.money import nanos
from ratelimits import keys, limiter
from ratelimits.limiter import admit, reap_sync, settle
from tests.ratelimits.world import (
    ALICE,
    EVENT,
    LEASE_MS,
    TEN,
    advance,
    ask,
    events,
    everything,
    expired,
    money,
    reserve,
    seed,
)


@pytest.fixture(autouse=True)
def alice_has_ten_dollars() -> None:
    seed()


async def test_what_is_reserved_no_request_can_spend() -> None:
    assert reserve("p1", nanos("9.95")) == "ok"
    refused = await admit(ask())
    assert (refused.status, refused.binding) == ("refused", "hold")
    limiter.release_sync(ALICE, "p1")
    assert (await admit(ask())).status == "ok"


async def test_what_requests_hold_cannot_be_reserved() -> None:
    await admit(ask(full=nanos("7")))
    before = everything()
    assert reserve("p1", nanos("3") + 1) == "hold"
    assert everything() == before
    assert reserve("p1", nanos("3")) == "ok"


async def test_what_is_charged_cannot_be_reserved() -> None:
    request = ask()
    await admit(request)
    await settle(request, cost=nanos("7"), event=EVENT)
    assert reserve("p1", nanos("3") + 1) == "balance"
    assert money().held == 0


def test_reserving_twice_holds_once_and_releasing_twice_frees_once() -> None:
    assert (reserve("p1"), reserve("p1"), reserve("p2")) == ("ok", "ok", "ok")
    assert money().held == nanos("8")
    limiter.release_sync(ALICE, "p1")
    limiter.release_sync(ALICE, "p1")
    assert money().held == nanos("4")
    assert events() == []


def test_newer_credits_are_adopted_and_older_ones_are_not() -> None:
    assert reserve("p1", nanos("12"), credits=2 * TEN, credits_version=2) == "ok"
    assert reserve("p2", nanos("9"), credits=9 * TEN, credits_version=1) == "hold"
    assert (money().credits, money().credits_version) == (2 * TEN, 2)


def test_an_account_that_is_not_here_is_cold() -> None:
    redis.sync().delete(keys.account(ALICE))
    assert reserve("p1") == "cold"
    assert everything() == {}


def test_a_purchase_that_died_is_reaped_without_an_event() -> None:
    assert reserve("p1") == "ok"
    advance(LEASE_MS / 1000)
    (found,) = expired(10)
    assert (found.request_id, found.cost, found.draft) == ("p1", 0, b"")
    assert reap_sync(found, cost=0, event="").status == "settled"
    assert (money().held, events()) == (0, [])


async def test_purchases_and_requests_at_once_never_take_more_than_there_is() -> None:
    async def purchase(number: int) -> bool:
        return await asyncio.to_thread(reserve, f"p{number}", nanos("1")) == "ok"

    async def request() -> bool:
        return (await admit(ask(full=nanos("1"), floor=nanos("1")))).status == "ok"

    asked = [purchase(n) if n % 2 else request() for n in range(40)]
    assert sum(await asyncio.gather(*asked)) == 10
    assert money().held == TEN
