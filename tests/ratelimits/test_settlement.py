"""What is held, extended, charged and given back, and what happens when Redis is lost."""

import pytest

from hontoni import errors, redis
from hontoni.money import nanos
from ratelimits import limiter
from ratelimits.limiter import Limits, admit, beat, extend, settle
from tests.ratelimits.world import (
    ALICE,
    EVENT,
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


async def test_a_hold_is_kept_when_the_account_is_made_anew() -> None:
    old, new = ask(), ask()
    await admit(old)
    redis.sync().delete("{s:07}:acct:7")
    cold = await extend(old, hold=nanos("1"), step=1)
    assert cold == limiter.Extension(0, nanos("1"), 0, status="cold")
    seed()
    await admit(new)
    more = await extend(old, hold=nanos("1"), step=1)
    assert more == limiter.Extension(1, nanos("1") + 1, nanos("8") - 1)
    assert (await settle(old, cost=5, event=EVENT)).held == nanos("1")
    assert (await settle(new, cost=5, event=EVENT)).available == TEN - 10


async def test_unreachable_redis_is_a_503_that_says_when_to_come_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def refuse(*_: object) -> None:
        raise redis.RedisError("gone")

    monkeypatch.setattr(redis.Script, "run", refuse)
    monkeypatch.setattr(redis.Script, "known", refuse)
    for call in (admit(ask()), settle(ask(), cost=0, event=""), beat(ask(), cost=0, draft="")):
        with pytest.raises(errors.Unavailable) as caught:
            await call
        assert (caught.value.status, caught.value.headers) == (503, {"Retry-After": "2"})


async def test_a_restarted_redis_is_given_the_scripts_again() -> None:
    redis.sync().script_flush()
    assert (await admit(ask())).status == "ok"
    redis.sync().script_flush()
    assert limiter.publish_terms(ALICE, 3)
