"""Overflow, decided where everything is: past full windows, and never past its cap."""

from hontoni import redis
from hontoni.money import nanos
from ratelimits import keys, overflows, rebuilding
from ratelimits.limiter import Ask, Limits, admit, reap_sync, settle
from ratelimits.overflows import Overflow
from tests.ratelimits.world import (
    ALICE,
    EVENT,
    LEASE_MS,
    advance,
    ask,
    expired,
    period,
    seed,
)

DOLLAR = nanos("1")
# As gateways spell it: a version, then so many values; `details` is the thirteenth.
DRAFT = '[2,"x",7,1,"m","m",1,"d",false,%d,"","",{"overflow":{"window":"5h","surcharge":1}}]'


def past(cap: int = 2 * DOLLAR) -> Ask:
    """Of a subject whose window of 5 hours is full."""
    seconds, _ = redis.sync().time()
    return ask(
        limits=Limits(five_hours=1, rpm=100),
        full=DOLLAR,
        floor=DOLLAR,
        overflow=Overflow("p1", cap),
        draft=DRAFT % seconds,
    )


def seeded() -> bool:
    _, month = period()
    opened = [each.request_id for each in rebuilding.open_requests(ALICE)]
    return overflows.seed_sync(
        ALICE, "p1", month=(month, 0), key_ids=[1], last_event_id="0-0", opened=opened
    )


def kept() -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = redis.sync().hgetall(keys.overflow(ALICE, "p1"))
    return found


async def fill() -> None:
    seed()
    assert (await admit(past()._replace(overflow=None, draft="{}"))).status == "ok"
    assert (await admit(past())).status == "unseeded"
    assert seeded() and not seeded()


async def test_its_cap_is_what_it_holds_and_has_spent() -> None:
    await fill()
    first, second = past(), past()
    assert (await admit(first)).status == (await admit(second)).status == "ok"
    assert (await admit(past())).binding == "overflow_hold"
    await settle(first, cost=DOLLAR // 2, event=EVENT)
    assert (await admit(past())).binding == "overflow_hold"
    await settle(second, cost=DOLLAR, event=EVENT)
    assert (await admit(past())).binding == "overflow_month"
    assert (await admit(past(cap=3 * DOLLAR))).past == (DOLLAR * 3 // 2, DOLLAR)


async def test_a_dead_gateways_request_is_counted_when_it_is_reaped() -> None:
    await fill()
    request = past()
    assert (await admit(request)).status == "ok"
    advance(LEASE_MS / 1000)
    dead = {each.request_id: each for each in expired(10)}[request.request_id]
    reap_sync(dead, cost=DOLLAR // 4, event=EVENT, overflow=request.overflow)
    assert int(kept()[b"spent"]) == DOLLAR // 4
    assert not any(name.startswith(b"oreq") for name in kept())


async def test_what_runs_holds_in_an_account_made_anew() -> None:
    await fill()
    assert (await admit(past())).status == "ok"
    rebuilding.forget_sync([ALICE])
    seed()
    assert (await admit(past())).status == "unseeded"
    assert seeded()
    state = await admit(past())
    assert state.status == "ok" and state.past == (0, 2 * DOLLAR)
    assert (await admit(past())).binding == "overflow_hold"


async def test_a_month_that_is_over_counts_no_more() -> None:
    await fill()
    first, late = past(), past()
    await admit(first)
    await settle(first, cost=2 * DOLLAR, event=EVENT)
    assert (await admit(late)).binding == "overflow_month"
    redis.sync().hincrby(keys.overflow(ALICE, "p1"), "month", -30)
    assert (await admit(late)).past == (0, DOLLAR)


async def test_what_a_reset_is_older_than_counts_nothing() -> None:
    seed()
    request = ask(limits=Limits(five_hours=1))
    state = await admit(request)
    later = request._replace(request_id="req_later")
    assert (await admit(later)).binding == "5h"
    reset = later._replace(reset=state.now // 1000)
    advance(1)
    assert (await admit(reset)).windows[1][2] == 1
    assert (await admit(reset._replace(request_id="req_last"))).binding == "5h"
