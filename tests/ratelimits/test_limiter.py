"""Admission, versions, windows and slots: what admit and beat promise, a sentence at a time."""

from math import ceil

import pytest

from hontoni import redis
from hontoni.money import nanos
from ratelimits import limiter
from ratelimits.limiter import Limits, admit, beat, settle
from tests.ratelimits.world import (
    ALICE,
    BOB,
    LEASE_MS,
    TEN,
    advance,
    ask,
    events,
    everything,
    money,
    resets,
    seed,
    used,
)

HOUR = 3600
DAY = 24 * HOUR


@pytest.fixture(autouse=True)
def alice_has_ten_dollars() -> None:
    seed()


# -- Admission -----------------------------------------------------------------------------------


async def test_it_counts_an_admitted_request_everywhere() -> None:
    state = await admit(ask())
    assert (state.status, state.binding, state.retry_after_ms) == ("ok", "", 0)
    assert (state.hold, state.balance, state.held, state.active) == (
        nanos("1"),
        TEN,
        nanos("1"),
        1,
    )
    assert state.available == nanos("9")
    assert used(state) == [1, 1, 1, 1, 1]
    assert resets(state) == [60_000, 5 * HOUR * 1000, *(n * DAY * 1000 for n in (1, 7, 30))]
    assert [name for name, *_ in state.windows] == ["rpm", "5h", "daily", "weekly", "monthly"]
    assert [limit for _, limit, *_ in state.windows] == [100, 200, 300, 400, 500]


async def test_admitting_an_open_request_again_answers_the_same_and_takes_nothing() -> None:
    request = ask()
    first = await admit(request)
    before = everything()
    again = await admit(request._replace(full=1, floor=1))
    assert (again.status, again.hold, again.active, used(again)) == ("ok", first.hold, 1, [1] * 5)
    assert everything() == before


async def test_it_only_looks_when_asked_to() -> None:
    await admit(ask())
    before = everything()
    state = await admit(ask(terms_version=9, credits=2 * TEN, credits_version=9), commit=False)
    assert (state.status, state.hold, state.active) == ("ok", nanos("1"), 1)
    assert (used(state), state.balance, state.held) == ([1] * 5, 2 * TEN, nanos("1"))
    assert everything() == before


@pytest.mark.parametrize("commit", [True, False])
async def test_a_refusal_takes_nothing(commit: bool) -> None:
    limits = Limits(1, 1, 1, 1, 1, 1)
    await admit(ask(limits=limits))
    before = everything()
    state = await admit(ask(limits=limits), commit)
    assert (state.status, state.hold, state.active, used(state)) == ("refused", 0, 1, [1] * 5)
    assert everything() == before


async def test_an_ended_request_is_not_admitted_again() -> None:
    request = ask()
    await admit(request)
    await settle(request, cost=0, event="")
    before = everything()
    state = await admit(request)
    assert (state.status, state.binding, state.hold) == ("refused", "settled", 0)
    assert everything() == before


async def test_an_admission_overtaken_by_its_own_giveback_is_refused() -> None:
    request = ask()
    assert (await settle(request, cost=0, event="", giveback=True)).status == "unknown"
    assert (await admit(request)).binding == "settled"
    assert (money().held, events()) == (0, [])


# -- Versions ------------------------------------------------------------------------------------


async def test_an_older_snapshot_is_stale_and_changes_nothing() -> None:
    assert limiter.publish_terms(ALICE, 2)
    before = everything()
    assert await admit(ask(terms_version=1)) == limiter.State("stale")
    assert everything() == before
    assert (await admit(ask(terms_version=2))).status == "ok"


async def test_a_newer_snapshot_teaches_redis_its_terms() -> None:
    await admit(ask(terms_version=5))
    assert (await admit(ask(terms_version=4))).status == "stale"


async def test_even_a_refused_request_teaches_redis_its_terms_and_credits() -> None:
    limits = Limits(rpm=1)
    await admit(ask(limits=limits))
    newer = ask(limits=limits, terms_version=5, credits=TEN + 1, credits_version=2)
    assert (await admit(newer)).status == "refused"
    assert (money().terms_version, money().credits, money().credits_version) == (5, TEN + 1, 2)


async def test_a_late_or_repeated_message_changes_nothing() -> None:
    assert limiter.publish_terms(ALICE, 3)
    assert limiter.publish_credits(ALICE, 30, 3)
    before = everything()
    assert not limiter.publish_terms(ALICE, 3)
    assert not limiter.publish_terms(ALICE, 2)
    assert not limiter.publish_credits(ALICE, 20, 3)
    assert not limiter.publish_credits(ALICE, 20, 2)
    assert everything() == before


async def test_newer_credits_of_a_snapshot_are_adopted_and_older_ones_not() -> None:
    assert (await admit(ask(credits=2 * TEN, credits_version=2))).balance == 2 * TEN
    assert (await admit(ask(credits=5, credits_version=1))).balance == 2 * TEN
    assert (await admit(ask(credits=5, credits_version=2))).balance == 2 * TEN


async def test_an_account_without_money_in_redis_is_cold_and_nothing_changes() -> None:
    limiter.publish_terms(BOB, 1)
    assert not limiter.publish_credits(BOB, TEN, 7)
    before = everything()
    assert await admit(ask(account=BOB, terms_version=9)) == limiter.State("cold")
    assert await admit(ask(account=BOB), commit=False) == limiter.State("cold")
    assert everything() == before


# -- Windows -------------------------------------------------------------------------------------


async def test_at_most_n_requests_in_any_sixty_seconds() -> None:
    limits = Limits(rpm=3)
    first = await admit(ask(limits=limits))
    for _ in range(2):
        advance(20)
        assert (await admit(ask(limits=limits))).status == "ok"
    refused = await admit(ask(limits=limits))
    assert (refused.binding, used(refused)[0]) == ("rpm", 3)
    assert refused.retry_after_ms == ceil(20_000 - (refused.now - first.now) / 1000)
    advance(refused.retry_after_ms / 1000)
    admitted = await admit(ask(limits=limits))
    assert (admitted.status, used(admitted)[0]) == ("ok", 3)
    assert (await admit(ask(limits=limits))).binding == "rpm"
    advance(60)
    assert used(await admit(ask(limits=limits), commit=False))[0] == 0


async def test_the_minute_resets_when_its_oldest_request_leaves() -> None:
    first = await admit(ask())
    advance(10)
    second = await admit(ask())
    assert resets(second)[0] == ceil(50_000 - (second.now - first.now) / 1000)
    advance(55)
    state = await admit(ask(), commit=False)
    assert resets(state)[0] == ceil(5_000 - (state.now - second.now) / 1000)


WINDOWS = [("5h", 5 * HOUR), ("daily", DAY), ("weekly", 7 * DAY), ("monthly", 30 * DAY)]
FIELDS = {"5h": "five_hours", "daily": "daily", "weekly": "weekly", "monthly": "monthly"}


@pytest.mark.parametrize(("name", "seconds"), WINDOWS)
async def test_a_window_opens_with_its_first_request_and_lasts_its_length(
    name: str, seconds: int
) -> None:
    limits = Limits(**{FIELDS[name]: 2})
    first = await admit(ask(limits=limits))
    advance(seconds - 100)
    assert (await admit(ask(limits=limits))).status == "ok"
    refused = await admit(ask(limits=limits))
    assert (refused.status, refused.binding) == ("refused", name)
    assert refused.retry_after_ms == 100_000 - (refused.now // 1000 - first.now // 1000)
    advance(refused.retry_after_ms / 1000)
    reopened = await admit(ask(limits=limits))
    (window,) = [window for window in reopened.windows if window[0] == name]
    assert window == (name, 2, 1, seconds * 1000)


async def test_a_week_that_began_late_in_a_month_is_remembered_to_its_end() -> None:
    """The month's window opened first, and what is kept of a subject has an end, too."""
    limits = Limits(weekly=1)
    await admit(ask(limits=limits))
    advance(29 * DAY)
    assert (await admit(ask(limits=limits))).status == "ok"  # a second week, in the first month
    advance(6 * DAY)
    assert (await admit(ask(limits=limits))).binding == "weekly"


async def test_of_several_limits_the_one_that_frees_last_is_named() -> None:
    limits = Limits(1, 1, 1, 1, 1, 1)
    first = await admit(ask(limits=limits))
    order = [("monthly", 30 * DAY), ("weekly", 7 * DAY), ("daily", DAY), ("5h", 5 * HOUR)]
    for name, seconds in order:
        state = await admit(ask(limits=limits))
        left = seconds * 1000 - (state.now // 1000 - first.now // 1000)
        assert (state.binding, state.retry_after_ms) == (name, left)
        limits = limits._replace(**{FIELDS[name]: 0})
    assert (await admit(ask(limits=limits))).binding == "rpm"
    limits = limits._replace(rpm=0)
    assert (await admit(ask(limits=limits))).binding == "concurrent"


async def test_no_limit_is_no_limit() -> None:
    for _ in range(30):
        state = await admit(ask(limits=Limits(), full=0, floor=0))
        assert state.status == "ok"
    assert (used(state), state.active) == ([0, 30, 30, 30, 30], 30)


async def test_a_change_of_plan_keeps_what_was_used() -> None:
    admitted = [await admit(ask(limits=Limits(rpm=4, daily=4))) for _ in range(4)]
    smaller = await admit(ask(limits=Limits(rpm=2)))
    assert (smaller.binding, used(smaller)[0]) == ("rpm", 4)
    third = admitted[2]  # when it leaves, one of two is left
    assert smaller.retry_after_ms == ceil(60_000 - (smaller.now - third.now) / 1000)
    assert (await admit(ask(limits=Limits(daily=3)))).binding == "daily"
    assert (await admit(ask(limits=Limits(rpm=5, daily=5)))).status == "ok"


async def test_subjects_have_windows_of_their_own_and_share_the_money() -> None:
    limits = Limits(rpm=1, concurrent=1)
    await admit(ask(limits=limits))
    other = await admit(ask(limits=limits, subject="k2"))
    assert (other.status, used(other), other.active) == ("ok", [1] * 5, 1)
    assert other.held == nanos("2")


def test_limits_multiply() -> None:
    assert Limits(1, 2, 3, 4, 5, 6).times(10) == Limits(10, 20, 30, 40, 50, 60)


# -- Concurrency ---------------------------------------------------------------------------------


async def test_at_most_n_requests_run_at_once() -> None:
    limits = Limits(concurrent=2)
    first, second = ask(limits=limits), ask(limits=limits)
    await admit(first)
    await admit(second)
    refused = await admit(ask(limits=limits))
    assert (refused.binding, refused.active, refused.retry_after_ms) == ("concurrent", 2, 1000)
    assert (await settle(first, cost=0, event="")).active == 1
    assert (await admit(ask(limits=limits))).active == 2


async def test_the_slot_of_a_silent_request_frees_itself() -> None:
    limits = Limits(concurrent=1)
    await admit(ask(limits=limits))
    advance(LEASE_MS / 1000 - 10)
    assert (await admit(ask(limits=limits))).binding == "concurrent"
    advance(10)
    assert (await admit(ask(limits=limits))).active == 1


async def test_a_heartbeat_keeps_the_slot() -> None:
    limits = Limits(concurrent=1)
    request = ask(limits=limits)
    await admit(request)
    for _ in range(20):  # ten minutes
        advance(30)
        assert await beat(request, cost=1, draft="{}")
    assert (await admit(ask(limits=limits))).binding == "concurrent"


async def test_a_request_that_woke_up_late_is_counted_again() -> None:
    limits = Limits(concurrent=1)
    sleeper = ask(limits=limits)
    await admit(sleeper)
    advance(50)
    await admit(ask(limits=limits))
    assert await beat(sleeper, cost=0, draft="{}")
    assert (await admit(ask(limits=limits), commit=False)).active == 2


async def test_a_heartbeat_of_an_ended_request_changes_nothing() -> None:
    request = ask()
    assert not await beat(request, cost=1, draft="{}")
    await admit(request)
    await settle(request, cost=0, event="")
    before = everything()
    assert not await beat(request, cost=1, draft="{}")
    assert everything() == before


async def test_what_is_over_is_not_kept() -> None:
    for _ in range(3):
        await admit(ask())
    advance(50)
    await admit(ask())
    advance(10)
    await admit(ask())
    two_of_each = 58 + 2 * 8 + 2 * 12  # behind the windows: the last minute, and leases
    assert redis.sync().strlen("{s:07}:subject:k1") == two_of_each
    advance(37 * DAY)
    assert redis.sync().exists("{s:07}:subject:k1", "{s:07}:log:k1") == 0
