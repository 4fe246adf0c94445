"""Spend caps of a member: one purse that all their keys share, beside each key's own."""

from typing import Any

import pytest

from hontoni import redis
from ratelimits import keys, limiter, purses, rebuilding
from ratelimits.headers import refusal
from ratelimits.limiter import Limits, admit, extend, settle
from ratelimits.purses import Caps
from tests.ratelimits import world
from tests.ratelimits.world import ALICE, EVENT, ask, everything, expired, spent

NONE = dict.fromkeys(
    ("day.held", "day.spent", "life.held", "life.spent", "month.held", "month.spent"), 0
)


def of_member(key: str = "p1", day: int = 0, life: int = 0, **changes: Any) -> limiter.Ask:
    """A key of member m1 asks for exactly 10, unless told otherwise."""
    usual = {"caps": Caps(key), "limits": Limits(), "full": 10, "floor": 10}
    return ask(**usual | {"member": Caps("m1", day, 0, life)} | changes)


@pytest.fixture(autouse=True)
def alice_has_ten_dollars() -> None:
    world.seed()


def seed_member(**spends: Any) -> bool:
    return world.seed_purse("m1", key_ids=[1, 2], purses=["p1", "p2"], **spends)


async def test_all_keys_of_a_member_share_a_cap() -> None:
    assert (await admit(of_member(day=25))).status == "unseeded"
    assert seed_member()
    first, second = of_member("p1", day=25), of_member("p2", day=25)
    assert (await admit(first)).status == (await admit(second)).status == "ok"
    refused = await admit(of_member("p1", day=25))
    assert (refused.binding, refused.spend) == ("member_hold", ())
    assert refused.member[0][:4] == ("day", 25, 0, 20)
    await settle(first, cost=10, event=EVENT)
    await settle(second, cost=10, event=EVENT)
    assert spent("m1") == NONE | {"day.spent": 20, "month.spent": 20, "life.spent": 20}
    refused = await admit(of_member("p2", day=25))
    assert refused.binding == "member_day"
    error = refusal(refused, Limits())
    assert error.code == "member_cap_daily"
    assert "an admin of the team raises the cap" in error.message


async def test_a_key_s_own_cap_and_its_member_s_both_bind() -> None:
    seed_member()
    world.seed_purse("p1")
    request = of_member(caps=Caps("p1", 15), day=100)
    answer = await admit(request)
    assert (answer.spend[0].cap, answer.member[0].cap) == (15, 100)
    assert (await admit(of_member(caps=Caps("p1", 15), day=100))).binding == "purse_hold"
    await settle(request, cost=7, event=EVENT)
    assert spent("m1")["day.spent"] == spent("p1")["day.spent"] == 7


async def test_a_refusal_by_a_member_s_cap_takes_nothing() -> None:
    seed_member(life=95)
    before = everything()
    refused = await admit(of_member(life=100))
    assert (refused.binding, refused.retry_after_ms) == ("member_life", 0)
    assert refusal(refused, Limits()).headers == {"x-should-retry": "false"}
    assert everything() == before


async def test_a_hold_is_extended_up_to_the_member_s_cap() -> None:
    seed_member()
    request = of_member(day=25)
    await admit(request)
    assert (await extend(request, hold=10, step=30, stretch=True)).granted == 15
    assert spent("m1") == NONE | {"day.held": 25, "month.held": 25, "life.held": 25}
    assert (await extend(request, hold=25, step=1)).granted == 0
    await settle(request, cost=20, event=EVENT)
    assert spent("m1") == NONE | {"day.spent": 20, "month.spent": 20, "life.spent": 20}
    redis.sync().delete(keys.spend(ALICE, "m1"))
    other = of_member(day=25)
    seed_member(day=20, month=20, life=20)
    await admit(other._replace(full=5, floor=5))
    redis.sync().delete(keys.spend(ALICE, "m1"))
    assert (await extend(other, hold=5, step=1)).status == "unseeded"


async def test_of_two_caps_the_narrower_is_named_where_a_hold_grows_no_further() -> None:
    for name, mine, theirs, whose in (
        ("p1", Caps("p1", 15), 100, "purse"),
        ("p2", Caps("p2", 100), 15, "member"),
        ("p3", Caps("p3", 90, 15), 90, "purse"),
    ):
        world.seed_purse(name)
        redis.sync().delete(keys.spend(ALICE, "m1"))
        seed_member()
        request = of_member(name, caps=mine, day=theirs)
        await admit(request)
        more = await extend(request, hold=10, step=30, stretch=True)
        assert (more.granted, more.capped) == (5, whose), name
        await settle(request, cost=0, event=EVENT)
    free = of_member("p4")
    await admit(free)
    assert (await extend(free, hold=10, step=30)).capped == ""


async def test_a_cap_that_comes_while_requests_run_counts_what_they_hold() -> None:
    running, other = of_member("p2"), of_member("p9")
    assert (await admit(running)).status == (await admit(other)).status == "ok"
    assert seed_member()
    assert spent("m1") == NONE | {"day.held": 10, "month.held": 10, "life.held": 10}
    await settle(running, cost=4, event=EVENT)
    assert spent("m1") == NONE | {"day.spent": 4, "month.spent": 4, "life.spent": 4}


async def test_what_was_admitted_without_a_cap_is_counted_where_it_ends() -> None:
    running = of_member()
    seed_member()
    await admit(running)
    assert spent("m1") == NONE
    await settle(running, cost=4, event=EVENT)
    assert spent("m1") == NONE | {"day.spent": 4, "month.spent": 4, "life.spent": 4}


async def test_a_dead_member_s_request_gives_its_hold_back() -> None:
    seed_member()
    await admit(of_member(day=25, lease_ms=1))
    (dead,) = expired(5)
    limiter.reap_sync(dead, cost=3, event=EVENT, member="m1")
    assert spent("m1") == NONE | {"day.spent": 3, "month.spent": 3, "life.spent": 3}
    assert not redis.sync().hexists(keys.spend(ALICE, "m1"), f"open.{dead.request_id}")


async def test_a_member_s_purse_is_counted_anew_with_the_account() -> None:
    seed_member()
    running = of_member(day=25)
    admitted = await admit(running)
    redis.sync().flushall()
    world.seed()
    await rebuilding.announce(
        running, hold=10, cost=0, draft=b"{}", admitted=admitted.now, windows=()
    )
    assert (await admit(of_member(day=25))).status == "cold"
    world.seed()
    assert (await admit(of_member(day=25))).status == "unseeded"
    assert seed_member(day=15, month=15, life=15)
    assert spent("m1")["day.held"] == 10
    assert (await admit(of_member(day=35))).status == "ok"
    assert (await admit(of_member(day=35))).binding == "member_hold"
    await settle(running, cost=10, event=EVENT)
    assert spent("m1")["day.held"] == 10


async def test_a_gateway_that_is_late_has_the_account_and_the_purse_made_anew() -> None:
    seed_member()
    running = of_member(day=25)
    admitted = await admit(running)
    redis.sync().flushall()
    world.seed()
    seed_member()
    for made_anew in (True, False):  # twice is once
        assert await rebuilding.announce(
            running, hold=10, cost=0, draft=b"{}", admitted=admitted.now, windows=()
        )
        assert world.seed() is made_anew
        assert seed_member() is made_anew
    assert spent("m1") == NONE | {"day.held": 10, "month.held": 10, "life.held": 10}
    await settle(running, cost=6, event=EVENT)
    assert spent("m1") == NONE | {"day.spent": 6, "month.spent": 6, "life.spent": 6}


async def test_a_request_of_before_midnight_is_charged_to_no_new_day() -> None:
    seed_member()
    running = of_member(day=25)
    await admit(running)
    world.midnight(month=False)
    await settle(running, cost=6, event=EVENT)
    today = await admit(of_member(day=25))
    assert [(each.spent, each.held) for each in today.member] == [(0, 10), (6, 10), (6, 10)]
    purses.correct_sync(ALICE, "m1", [("life", 0, -6)])
    assert spent("m1")["life.spent"] == 0
