"""Spend caps of a purse: exact, from what is held and spent in the UTC day and month."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest

from gateway.usage import events
from hontoni import redis
from ratelimits import keys, limiter, purses, rebuilding, scripts
from ratelimits.limiter import Limits, admit, beat, extend, settle
from ratelimits.purses import Caps
from tests.ratelimits import world
from tests.ratelimits.world import (
    ALICE,
    EVENT,
    LEASE_MS,
    advance,
    ask,
    everything,
    expired,
    seed,
    spent,
)

NONE = dict.fromkeys(
    ("day.held", "day.spent", "life.held", "life.spent", "month.held", "month.spent"), 0
)


def capped(day: int = 0, month: int = 0, life: int = 0, **changes: object) -> limiter.Ask:
    """Alice asks with a capped key, for exactly 10 unless told otherwise."""
    usual = {"caps": Caps("p1", day, month, life), "limits": Limits(), "full": 10, "floor": 10}
    return ask(**usual | changes)


@pytest.fixture(autouse=True)
def alice_has_ten_dollars() -> None:
    world.seed()


async def test_a_capped_purse_is_seeded_before_anything_is_admitted() -> None:
    before = everything()
    assert (await admit(capped(day=100))).status == "unseeded"
    assert everything() == before
    assert world.seed_purse(day=95, month=95)
    assert not world.seed_purse(day=1, month=1)
    assert (await admit(capped(day=100))).binding == "spent_day"
    assert (await admit(capped(day=105))).status == "ok"


async def test_what_is_held_counts_until_the_cost_takes_its_place() -> None:
    world.seed_purse()
    first, second = capped(day=15), capped(day=15)
    assert (await admit(first)).status == "ok"
    refused = await admit(second)
    assert (refused.binding, refused.retry_after_ms) == ("purse_hold", 2000)
    assert [(s.period, s.cap, s.spent, s.held) for s in refused.spend] == [
        ("day", 15, 0, 10),
        ("month", 0, 0, 10),
        ("life", 0, 0, 10),
    ]
    await settle(first, cost=5, event=EVENT)
    assert spent() == NONE | {"day.spent": 5, "month.spent": 5, "life.spent": 5}
    assert (await admit(second)).status == "ok"


async def test_a_reached_cap_says_when_the_period_ends() -> None:
    world.seed_purse(month=95)
    refused = await admit(capped(day=10, month=100))
    assert refused.binding == "spent_month"
    now = datetime.fromtimestamp(refused.now / 1e6, UTC)
    frees = now + timedelta(milliseconds=refused.retry_after_ms)
    assert (frees.day, frees.hour, frees.minute) == (1, 0, 0)
    assert frees > now


async def test_a_reached_lifetime_cap_never_frees() -> None:
    world.seed_purse(life=95)
    assert (await admit(capped(life=105))).status == "ok"
    assert (await admit(capped(life=105))).binding == "purse_hold"
    before = everything()
    refused = await admit(capped(day=5, life=100))  # the day's cap binds too, and would free
    assert (refused.binding, refused.retry_after_ms) == ("spent_life", 0)
    assert refused.spend[2] == ("life", 100, 95, 10, 0)
    assert everything() == before
    for month in (False, True):
        world.midnight(month)
        assert (await admit(capped(life=100))).binding == "spent_life"


async def test_a_purse_counted_before_there_were_lifetime_caps_is_counted_anew() -> None:
    world.seed_purse(day=3, month=4, life=5)
    request = capped(day=100)
    await admit(request)
    redis.sync().hdel(keys.spend(ALICE, "p1"), "life", "life.spent", "life.held")
    await settle(request, cost=7, event=EVENT)
    assert spent() == {"day.held": 0, "day.spent": 10, "month.held": 0, "month.spent": 11}
    assert (await admit(capped(life=100))).status == "unseeded"
    assert world.seed_purse(day=10, month=11, life=12)
    assert spent() == NONE | {"day.spent": 10, "month.spent": 11, "life.spent": 12}
    assert (await admit(capped(life=22))).status == "ok"


async def test_a_refusal_by_a_cap_takes_nothing() -> None:
    world.seed_purse(day=95)
    before = everything()
    assert (await admit(capped(day=100))).status == "refused"
    assert (await admit(capped(day=200), commit=False)).status == "ok"
    assert everything() == before


async def test_below_the_full_hold_it_holds_what_the_cap_leaves_or_the_floor() -> None:
    world.seed_purse()
    stretched = await admit(capped(month=25, full=100, stretch=True))
    assert (stretched.hold, stretched.spend[1].held) == (25, 25)
    redis.sync().flushall()
    world.seed()
    world.seed_purse()
    assert (await admit(capped(month=25, full=100))).hold == 10


async def test_a_hold_is_extended_up_to_the_cap_and_no_further() -> None:
    world.seed_purse()
    request = capped(day=25, month=100)
    await admit(request)
    assert (await extend(request, hold=10, step=10)).granted == 10
    assert (await extend(request, hold=10, step=10)).granted == 10  # its answer was lost
    assert (await extend(request, hold=20, step=10)).granted == 0
    assert (await extend(request, hold=20, step=10, stretch=True)).granted == 5
    assert spent() == NONE | {"day.held": 25, "month.held": 25, "life.held": 25}


async def test_an_extension_never_comes_out_of_a_count_that_is_gone() -> None:
    world.seed_purse()
    request = capped(day=25)
    await admit(request)
    redis.sync().delete(keys.spend(ALICE, "p1"))
    assert (await extend(request, hold=10, step=5)).status == "unseeded"
    world.seed_purse(day=4)
    assert spent() == NONE | {"day.spent": 4, "day.held": 10, "month.held": 10, "life.held": 10}
    assert (await extend(request, hold=10, step=12)).granted == 0
    assert (await extend(request, hold=10, step=11)).granted == 11


async def test_a_purse_is_counted_anew_with_its_account() -> None:
    world.seed_purse()
    await admit(capped(day=25))
    rebuilding.forget_sync([ALICE])
    assert (await admit(capped(day=25))).status == "cold"
    seed()
    assert (await admit(capped(day=25))).status == "unseeded"
    world.seed_purse(day=6)
    refused = await admit(capped(day=25))
    assert (refused.status, refused.binding) == ("refused", "purse_hold")


async def test_a_request_over_midnight_is_paid_by_the_day_it_began_in() -> None:
    world.seed_purse()
    evening = capped(day=20, month=100)
    await admit(evening)
    world.midnight(month=False)
    assert (await admit(capped(day=10, month=100))).spend[0].held == 10
    await settle(evening, cost=7, event=EVENT)
    assert spent() == NONE | {"day.held": 10, "month.held": 10, "month.spent": 7} | {
        "life.held": 10,
        "life.spent": 7,
    }
    assert (await extend(evening, hold=10, step=1)).granted == 0
    world.midnight(month=True)
    state = await admit(capped(day=10, month=10))
    assert [(s.spent, s.held) for s in state.spend] == [(0, 10), (0, 10), (7, 20)]


async def test_a_request_admitted_before_there_was_a_cap_counts_when_it_ends() -> None:
    request = capped()
    await admit(request)
    assert spent() == {}
    world.seed_purse()
    await settle(request, cost=7, event=EVENT)
    assert spent() == NONE | {"day.spent": 7, "month.spent": 7, "life.spent": 7}


async def test_a_purse_without_a_cap_leaves_no_trace() -> None:
    request = capped()
    await admit(request)
    await settle(request, cost=7, event=EVENT)
    assert not redis.sync().exists(keys.spend(ALICE, "p1"))


async def test_what_redis_lost_while_it_ran_is_counted_once_and_holds_nothing() -> None:
    world.seed_purse()
    request = capped(day=100)
    await admit(request)
    redis.sync().delete(keys.spend(ALICE, "p1"))
    world.seed_purse(day=3, month=3, life=3)
    await settle(request, cost=7, event=EVENT)
    assert spent() == NONE | {"day.spent": 10, "month.spent": 10, "life.spent": 10}
    redis.sync().flushall()
    world.seed_purse(day=3, month=3, life=3)
    await settle(capped(day=100), cost=7, event=EVENT)  # unknown
    assert spent() == NONE | {"day.spent": 10, "month.spent": 10, "life.spent": 10}


async def test_the_reaper_gives_the_hold_of_the_dead_back() -> None:
    world.seed_purse()
    request = capped(day=100)
    await admit(request)
    await beat(request, cost=4, draft="{}")
    advance(LEASE_MS / 1000)
    (dead,) = expired(10)
    limiter.reap_sync(dead, cost=dead.cost, event=EVENT)
    assert spent() == NONE | {"day.spent": 4, "month.spent": 4, "life.spent": 4}


def _of_the_release_before(key: int, began: float) -> str:
    return json.dumps({"api_key_id": key, "began": began})


def _event(key: int, began: float) -> bytes:
    """As gateways write it."""
    told = {"api_key_id": key, "began": began}
    return events.packed(*(told.get(name) for name in events.FIELDS[: events.DRAFT]))


@pytest.mark.parametrize("event_of", [_of_the_release_before, _event])
async def test_seeding_adds_what_was_settled_after_the_caller_looked(
    event_of: Callable[[int, float], str | bytes],
) -> None:
    now = redis.sync().time()[0]
    for key, began, cost in ((1, now, 5), (2, now, 7), (3, now, 9), (1, now - 40 * 86400, 11)):
        await settle(ask(), cost=cost, event=event_of(key, began))
    await settle(ask(), cost=1, event='"not an object"')
    (first, *_) = redis.sync().xrange(keys.usage(keys.shard(ALICE)), count=1)
    assert world.seed_purse(
        day=5, month=5, life=5, key_ids=[1, 2], last_event_id=first[0].decode()
    )
    assert spent() == NONE | {"day.spent": 12, "month.spent": 12, "life.spent": 23}


async def test_what_was_spent_before_midnight_is_not_seeded_after_it() -> None:
    today, month = world.period()
    yesterday = today - 1, 50
    assert purses.seed_sync(ALICE, "p1", day=yesterday, month=(month, 60), life=70, key_ids=[1])
    assert spent() == NONE | {"month.spent": 60, "life.spent": 70}


def test_the_calendar_of_the_script_is_the_calendar() -> None:
    text = (scripts._LUA / "parts" / "calendar.lua").read_text()
    client, epoch = redis.sync(), date(1970, 1, 1)
    days = [date(y, m, d) for y in (1970, 1999, 2000, 2024, 2025, 2100, 2399, 2400)
            for m in range(1, 13) for d in (1, 2, 28)]  # fmt: skip
    days += [date(2024, 2, 29), date(2026, 11, 30), date(2026, 12, 31)]
    for day in days:
        number = (day - epoch).days
        said = client.eval(f"{text}\nreturn {{month_of(tonumber(ARGV[1]))}}", 0, number)
        first = day.replace(day=1)
        following = (first + timedelta(days=32)).replace(day=1)
        assert said == [(first - epoch).days, (following - first).days], day
