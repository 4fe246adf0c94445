"""What a subject counts is one value: a busy minute, many leases, a clock that is set back."""

import random

import pytest

from hontoni import redis
from ratelimits import rebuilding
from ratelimits.limiter import Ask, Limits, admit, beat, settle
from ratelimits.rebuilding import Counted
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
    used,
)

LOG, OWN = "{s:07}:log:k1", "{s:07}:subject:k1"
BUSY = Limits(rpm=50)


@pytest.fixture(autouse=True)
def alice_has_ten_dollars() -> None:
    seed()


async def _admitted(count: int, limits: Limits = BUSY) -> list[Ask]:
    requests = [ask(limits=limits, full=0, floor=0) for _ in range(count)]
    for request in requests:
        assert (await admit(request)).status == "ok"
    return requests


async def _minute(limits: Limits = BUSY) -> int:
    return used(await admit(ask(limits=limits, full=0, floor=0), commit=False))[0]


async def test_a_busy_minute_is_counted_to_the_request() -> None:
    await _admitted(30)
    advance(20)
    await _admitted(20)
    assert redis.sync().llen(LOG) == 2  # chunks; one is in front of them, and one behind
    refused = await admit(ask(limits=BUSY))
    assert refused.binding == "rpm" and 39_000 < refused.retry_after_ms <= 40_000
    advance(40)
    assert await _minute() == 20
    await _admitted(30)
    before = everything()
    assert (await admit(ask(limits=BUSY))).binding == "rpm"
    assert everything() == before
    advance(20)
    assert await _minute() == 30
    advance(40)
    assert await _minute() == 0
    await _admitted(1)
    assert redis.sync().exists(LOG) == 0


async def test_a_request_given_back_leaves_a_busy_minute_wherever_it_is() -> None:
    requests = await _admitted(50)
    random.Random(7).shuffle(requests)
    for left, request in zip(range(49, -1, -1), requests, strict=True):
        state = await settle(request, cost=0, event="", giveback=True)
        assert (state.windows[0][2], state.windows[4][2]) == (left, left)
    assert redis.sync().exists(LOG) == 0
    assert await _minute() == 0


async def test_a_request_given_back_after_its_minute_takes_nobody_elses_place() -> None:
    old = await _admitted(20)
    advance(61)
    await _admitted(20)
    for request in old:
        assert used(await settle(request, cost=0, event="", giveback=True))[0] == 20


async def test_a_lowered_limit_says_when_enough_have_left() -> None:
    await _admitted(25)
    advance(30)
    await _admitted(10)
    lower = Limits(rpm=5)
    refused = await admit(ask(limits=lower))
    assert (refused.binding, used(refused)[0]) == ("rpm", 35)
    assert 59_000 < refused.retry_after_ms <= 60_000  # the fifth of the newest
    state = await admit(ask(limits=Limits(rpm=10)))
    assert 59_000 < state.retry_after_ms <= 60_000
    state = await admit(ask(limits=Limits(rpm=11)))
    assert 29_000 < state.retry_after_ms <= 30_000


@pytest.mark.parametrize("count", [3, 40])
async def test_a_clock_set_back_keeps_nobody_longer_than_a_minute(count: int) -> None:
    await _admitted(count)
    advance(-3600)
    limits = Limits(rpm=count + 1)
    await _admitted(1, limits)
    refused = await admit(ask(limits=limits, full=0, floor=0))
    assert refused.binding == "rpm" and refused.retry_after_ms <= 60_000
    advance(60)
    assert await _minute() == 0


@pytest.mark.parametrize("count", [3, 40])
async def test_nor_whoever_was_at_his_limit_when_it_was_set_back(count: int) -> None:
    await _admitted(count)
    advance(-3600)
    full = ask(limits=Limits(rpm=count), full=0, floor=0)
    refused = await admit(full)
    assert refused.binding == "rpm" and used(refused)[0] == count
    advance(59)
    assert (await admit(full)).binding == "rpm"
    advance(1)
    assert (await admit(full)).status == "ok"


async def test_what_is_announced_late_takes_its_place_in_the_minute() -> None:
    await _admitted(20)
    now = (await admit(ask(), commit=False)).now
    late = ask()
    for _ in range(2):
        assert await rebuilding.announce(
            late,
            hold=0,
            cost=0,
            draft=b"{}",
            admitted=now - 59_000_000,
            windows=[(0, 0)] * 4,
        )
    assert seed()
    assert await _minute() == 21
    advance(1.5)
    assert await _minute() == 20


async def test_a_minute_made_anew_is_the_same() -> None:
    await _admitted(20)
    now = (await admit(ask(), commit=False)).now
    rebuilding.forget_sync([ALICE])
    minute = {f"req_{n}": now - 10_000_000 + n for n in range(20)}
    assert seed(subjects={"k1": Counted(((now // 1000, 3),) + ((0, 0),) * 3, minute)})
    assert await _minute() == 40
    advance(50)
    assert await _minute() == 20


async def test_many_leases_are_counted_one_by_one_and_take_no_more_room() -> None:
    crowd = Limits(concurrent=300)
    requests = await _admitted(300, crowd)
    assert (await admit(ask(limits=crowd))).binding == "concurrent"
    assert redis.sync().strlen(OWN) < 58 + 64 * 12
    assert await beat(requests[250], cost=0, draft="{}")
    for left, request in zip(range(299, -1, -1), requests, strict=True):
        assert (await settle(request, cost=0, event="")).active == left


async def test_a_lease_ends_with_its_process_and_comes_back_with_its_heartbeat() -> None:
    (request, *_) = await _admitted(1, Limits(concurrent=1))
    advance(LEASE_MS / 1000)
    await _admitted(1, Limits(concurrent=1))
    assert await beat(request, cost=0, draft="{}")
    assert (await admit(ask(limits=Limits(concurrent=1)))).active == 2
    assert (await settle(request, cost=0, event="")).active == 1


async def test_money_beyond_what_a_float_can_tell_is_charged_to_the_nano() -> None:
    rebuilding.forget_sync([ALICE])
    most = 2**53 + 1
    assert seed(credits=2 * most, charged=most)
    request = ask(credits=2 * most, full=10, floor=10)
    await admit(request)
    await settle(request, cost=3, event=EVENT)
    account = world.money()
    assert (account.charged, account.held, account.credits) == (most + 3, 0, 2 * most)


async def test_a_subject_that_is_idle_for_a_month_is_forgotten() -> None:
    (request, *_) = await _admitted(1)
    await settle(request, cost=0, event="")
    assert 36 * 86_400_000 < redis.sync().pttl(OWN) <= 37 * 86_400_000
    await _admitted(1)
    assert 36 * 86_400_000 < redis.sync().pttl(OWN) <= 37 * 86_400_000
    advance(30 * 86_400 + 1)
    assert used(await admit(ask(), commit=False)) == [0] * 5


async def test_a_settled_record_is_a_byte() -> None:
    (request, *_) = await _admitted(1)
    await settle(request, cost=0, event=EVENT)
    name = f"{{s:07}}:request:{request.request_id}"
    assert redis.sync().get(name) == b"\0"
    assert 119_000 < redis.sync().pttl(name) <= 120_000
    assert expired(10) == []
