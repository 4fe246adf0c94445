"""What admit, settle, extend and beat promise, one sentence at a time."""

from dataclasses import replace
from math import ceil

import pytest

from hontoni import errors, redis
from hontoni.money import nanos
from ratelimits import limiter
from ratelimits.limiter import Limits, admit, beat, extend, settle
from tests.ratelimits.world import (
    ALICE,
    BOB,
    EVENT,
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


async def test_of_several_limits_the_one_that_frees_last_is_named() -> None:
    limits = Limits(1, 1, 1, 1, 1, 1)
    first = await admit(ask(limits=limits))
    order = [("monthly", 30 * DAY), ("weekly", 7 * DAY), ("daily", DAY), ("5h", 5 * HOUR)]
    for name, seconds in order:
        state = await admit(ask(limits=limits))
        left = seconds * 1000 - (state.now // 1000 - first.now // 1000)
        assert (state.binding, state.retry_after_ms) == (name, left)
        limits = replace(limits, **{FIELDS[name]: 0})
    assert (await admit(ask(limits=limits))).binding == "rpm"
    limits = replace(limits, rpm=0)
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
    assert redis.sync().zcard("{s:07}:rpm:k1") == 2
    assert redis.sync().zcard("{s:07}:leases:k1") == 2
    advance(31 * DAY)
    assert redis.sync().exists("{s:07}:rpm:k1", "{s:07}:windows:k1") == 0


# -- Money ---------------------------------------------------------------------------------------


async def test_it_holds_in_full_what_is_affordable() -> None:
    assert (await admit(ask(full=TEN, floor=1))).available == 0


async def test_it_holds_the_floor_when_the_full_hold_is_not_affordable() -> None:
    assert (await admit(ask(full=TEN + 1, floor=5))).hold == 5


async def test_it_holds_all_there_is_when_told_to_stretch() -> None:
    state = await admit(ask(full=TEN + 1, floor=5, stretch=True))
    assert (state.hold, state.available) == (TEN, 0)


async def test_it_refuses_what_is_already_held() -> None:
    await admit(ask(full=nanos("9.5")))
    state = await admit(ask(full=nanos("1"), floor=nanos("0.6")))
    assert (state.status, state.binding, state.retry_after_ms) == ("refused", "hold", 2000)
    assert (state.balance, state.held, state.available) == (TEN, nanos("9.5"), nanos("0.5"))


async def test_it_refuses_what_the_balance_will_never_pay() -> None:
    state = await admit(ask(full=2 * TEN, floor=TEN + 1))
    assert (state.status, state.binding, state.retry_after_ms) == ("refused", "balance", 0)


async def test_a_lack_of_money_is_named_before_any_window() -> None:
    await admit(ask(limits=Limits(1, 1, 1, 1, 1, 1)))
    state = await admit(ask(limits=Limits(1, 1, 1, 1, 1, 1), full=2 * TEN, floor=2 * TEN))
    assert state.binding == "balance"


async def test_a_free_request_needs_a_balance_that_is_not_negative() -> None:
    spent, free = ask(full=TEN), {"full": 0, "floor": 0}
    await admit(spent)
    assert (await admit(ask(**free))).status == "ok"
    assert (await settle(spent, cost=TEN, event=EVENT)).balance == 0
    assert (await admit(ask(**free))).status == "ok"
    more = ask(**free)
    await admit(more)
    await settle(more, cost=1, event=EVENT)
    state = await admit(ask(**free))
    assert (state.binding, state.balance) == ("balance", -1)


async def test_a_free_request_passes_while_others_hold_more_than_there_is() -> None:
    first = ask(full=nanos("5"))
    await admit(first)
    await admit(ask(full=nanos("5")))
    await settle(first, cost=nanos("6"), event=EVENT)
    state = await admit(ask(full=0, floor=0))
    assert (state.status, state.available) == ("ok", nanos("-1"))
    assert (await admit(ask(full=1, floor=1))).binding == "hold"


async def test_large_amounts_stay_exact() -> None:
    huge = 2**53 - 1
    limiter.publish_credits(ALICE, huge, 2)
    request = ask(full=huge - 2, floor=1)
    state = await admit(request)
    assert (state.hold, state.available) == (huge - 2, 2)
    assert (await settle(request, cost=huge - 1, event=EVENT)).available == 1


# -- Extension -----------------------------------------------------------------------------------


async def test_it_extends_a_hold_by_a_step() -> None:
    request = ask(full=nanos("1"))
    await admit(request)
    extension = await extend(request, hold=nanos("1"), step=nanos("2"))
    assert extension == limiter.Extension(nanos("2"), nanos("3"), nanos("7"))
    assert (await settle(request, cost=0, event="")).held == 0


async def test_a_step_granted_to_a_lost_call_is_not_taken_again() -> None:
    request = ask(full=nanos("1"))
    await admit(request)
    first = await extend(request, hold=nanos("1"), step=nanos("2"))
    before = everything()
    assert await extend(request, hold=nanos("1"), step=nanos("2")) == first
    assert everything() == before


async def test_what_is_not_affordable_is_not_granted() -> None:
    request = ask(full=nanos("9"))
    await admit(request)
    before = everything()
    extension = await extend(request, hold=nanos("9"), step=nanos("2"))
    assert extension == limiter.Extension(0, nanos("9"), nanos("1"))
    assert everything() == before


async def test_a_stretched_extension_takes_what_is_left() -> None:
    request = ask(full=nanos("9"))
    await admit(request)
    extension = await extend(request, hold=nanos("9"), step=nanos("2"), stretch=True)
    assert extension == limiter.Extension(nanos("1"), TEN, 0)


async def test_nothing_is_granted_where_more_was_spent_than_there_is() -> None:
    request, other = ask(full=nanos("5")), ask(full=nanos("5"))
    await admit(request)
    await admit(other)
    await settle(other, cost=nanos("6"), event=EVENT)
    before = everything()
    extension = await extend(request, hold=nanos("5"), step=1, stretch=True)
    assert extension == limiter.Extension(0, nanos("5"), nanos("-1"))
    assert everything() == before


async def test_an_ended_request_is_not_extended() -> None:
    request = ask()
    await admit(request)
    await settle(request, cost=0, event="")
    before = everything()
    assert await extend(request, hold=nanos("1"), step=1) == limiter.Extension(0, 0, TEN)
    assert everything() == before


# -- Settlement ----------------------------------------------------------------------------------


async def test_settling_frees_the_slot_and_the_hold_and_charges_the_true_cost() -> None:
    request = ask()
    await admit(request)
    state = await settle(request, cost=nanos("0.0105"), event=EVENT)
    assert (state.status, state.active, state.held) == ("settled", 0, 0)
    assert (state.balance, used(state)) == (TEN - 10_500_000, [1] * 5)
    assert events() == [(ALICE, 10_500_000, EVENT)]


async def test_settling_twice_is_settling_once() -> None:
    request = ask()
    await admit(request)
    await settle(request, cost=5, event=EVENT)
    before = everything()
    state = await settle(request, cost=5, event=EVENT)
    assert (state.status, state.balance) == ("already", TEN - 5)
    assert everything() == before


async def test_a_cost_above_the_hold_is_charged_in_full() -> None:
    request = ask(full=nanos("1"))
    await admit(request)
    assert (await settle(request, cost=nanos("11"), event=EVENT)).balance == nanos("-1")


async def test_a_cost_without_an_event_is_refused() -> None:
    request = ask()
    await admit(request)
    before = everything()
    with pytest.raises(errors.Unavailable):
        await settle(request, cost=1, event="")
    assert everything() == before


async def test_a_call_that_never_reached_generation_is_given_back_to_every_window() -> None:
    kept, given = ask(), ask()
    await admit(kept)
    await admit(given)
    state = await settle(given, cost=0, event=EVENT, giveback=True)
    assert (used(state), state.active, state.held) == ([1] * 5, 1, nanos("1"))
    assert events() == [(ALICE, 0, EVENT)]
    assert used(await settle(given, cost=0, event=EVENT, giveback=True)) == [1] * 5


async def test_a_window_whose_only_request_is_given_back_never_opened() -> None:
    request = ask()
    await admit(request)
    advance(100)
    state = await settle(request, cost=0, event="", giveback=True)
    assert (used(state), resets(state)) == ([0] * 5, [0] * 5)
    advance(1000)
    assert resets(await admit(ask()))[1] == 5 * HOUR * 1000


async def test_nothing_is_given_back_to_a_window_that_opened_later() -> None:
    request = ask()
    await admit(request)
    advance(6 * HOUR)
    await admit(ask())
    state = await settle(request, cost=0, event="", giveback=True)
    assert used(state) == [1, 1, 1, 1, 1]  # the minute and the 5 h are the later request's
    advance(20 * HOUR)
    assert used(await admit(ask(), commit=False)) == [0, 0, 0, 1, 1]


# -- Redis lost, or lost itself ------------------------------------------------------------------


async def test_a_request_redis_lost_is_charged_once_all_the_same() -> None:
    request = ask()
    await admit(request)
    redis.sync().flushall()
    seed()
    for status in ("unknown", "already"):
        state = await settle(request, cost=5, event=EVENT)
        assert (state.status, state.balance, state.held) == (status, TEN - 5, 0)
    assert events() == [(ALICE, 5, EVENT)]


async def test_a_request_settled_before_the_money_is_seeded_is_charged_by_seeding() -> None:
    request = ask()
    await admit(request)
    redis.sync().flushall()
    await settle(request, cost=5, event=EVENT)
    assert limiter.read_account_sync(ALICE) is None
    seed(charged=100)
    assert money().charged == 105


async def test_a_hold_from_before_the_seeding_is_not_taken_out_of_later_holds() -> None:
    old, new = ask(), ask()
    await admit(old)
    redis.sync().delete("{s:07}:acct:7")
    seed()
    await admit(new)
    assert await extend(old, hold=nanos("1"), step=1) == limiter.Extension(0, 0, nanos("9"))
    assert (await settle(old, cost=5, event=EVENT)).held == nanos("1")
    assert (await settle(new, cost=5, event=EVENT)).available == TEN - 10


async def test_unreachable_redis_is_a_503_that_says_when_to_come_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def refuse(*_: object) -> None:
        raise redis.RedisError("gone")

    monkeypatch.setattr(redis.Script, "run", refuse)
    for call in (admit(ask()), settle(ask(), cost=0, event=""), beat(ask(), cost=0, draft="")):
        with pytest.raises(errors.Unavailable) as caught:
            await call
        assert (caught.value.status, caught.value.headers) == (503, {"Retry-After": "2"})


async def test_a_restarted_redis_is_given_the_scripts_again() -> None:
    redis.sync().script_flush()
    assert (await admit(ask())).status == "ok"
    redis.sync().script_flush()
    assert limiter.publish_terms(ALICE, 3)
