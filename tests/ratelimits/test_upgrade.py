"""Gateways of the release before and ours on one Redis: its own scripts (before/) beside ours.

Money is one: what either holds or charges, the other cannot spend. Windows go on from where the
release before left them.
"""

from pathlib import Path
from typing import Any

import pytest

from hontoni import redis
from hontoni.money import nanos
from ratelimits import keys, limiter, rebuilding
from ratelimits.limiter import Ask, Limits, admit, settle
from ratelimits.purses import Caps
from ratelimits.rebuilding import Counted
from tests.ratelimits.world import (
    ALICE,
    EVENT,
    LEASE_MS,
    SUBJECT,
    TEN,
    ask,
    events,
    expired,
    money,
    resets,
    seed,
    seed_purse,
    used,
)

LUA = Path(__file__).parent / "before"
TAG = "{s:07}"


def _run(names: list[str], *arguments: Any) -> Any:
    text = "\n".join((LUA / f"{name}.lua").read_text() for name in names)
    return redis.sync().eval(f"local EPOCH = ''\n{text}", *arguments)


def _names(ask: Ask) -> list[str]:
    subject = ask.subject
    found = [f"{TAG}:acct:{ALICE}"]
    found += [f"{TAG}:{kind}:{subject}" for kind in ("windows", "rpm", "leases")]
    return [*found, f"{TAG}:open", f"{TAG}:spend:{ask.caps.purse}", f"{TAG}:req:{ask.request_id}"]


class Before:
    """A gateway of the release before."""

    @staticmethod
    def seed() -> int:
        return int(
            _run(
                ["seed"],
                *(3, f"{TAG}:acct:{ALICE}", f"{TAG}:usage", f"{TAG}:open"),
                *(ALICE, TEN, 1, 1, 0, "0-0", 0, 0, 0),
            )
        )

    @staticmethod
    def admit(ask: Ask) -> list[Any]:
        args = [
            *(ask.request_id, ask.account, ask.subject),
            *(ask.terms_version, ask.credits, ask.credits_version, ask.full, ask.floor, 0),
            *(ask.lease_ms, 1, ask.draft, *ask.limits, *ask.caps, 0, 0),
        ]
        names = _names(ask)
        found: list[Any] = _run(["state", "spend", "admit"], len(names), *names, *args)
        return found

    @staticmethod
    def settle(ask: Ask, cost: int) -> list[Any]:
        names = [*_names(ask), f"{TAG}:usage"]
        args = (ask.request_id, ask.account, cost, EVENT, 0, 0, ask.limits.rpm)
        found: list[Any] = _run(["state", "spend", "settle"], len(names), *names, *args)
        return found


@pytest.fixture(autouse=True)
def the_release_before_made_the_account() -> None:
    assert Before.seed() == 1


def _anew(**changes: Any) -> None:
    assert seed(**changes)


async def test_an_account_of_the_release_before_is_made_anew_before_we_admit() -> None:
    assert (await admit(ask())).status == "cold"
    assert rebuilding.epoch_of(ALICE) == "" and limiter.read_account_sync(ALICE) is not None
    _anew()
    assert not seed()
    assert (await admit(ask())).status == "ok"


async def test_both_releases_spend_the_same_money() -> None:
    _anew()
    requests = [ask(full=nanos("1"), floor=nanos("1")) for _ in range(11)]
    answers = []
    for number, request in enumerate(requests):
        if number % 2:
            answers.append(Before.admit(request)[0].decode())
        else:
            answers.append((await admit(request)).status)
    assert answers == ["ok"] * 10 + ["refused"]
    assert money().held == TEN
    for number, request in enumerate(requests[:10]):
        if number % 2:
            Before.settle(request, 5)
        else:
            await settle(request, cost=5, event=EVENT)
    assert (money().held, money().charged) == (0, 50)
    assert len(events()) == 10


async def test_what_runs_on_an_old_gateway_keeps_its_hold_and_is_charged_once() -> None:
    running = ask(full=nanos("4"))
    Before.admit(running)
    _anew()
    assert money().held == nanos("4")
    assert (await admit(ask(full=nanos("7"), floor=nanos("7")))).binding == "hold"
    assert Before.settle(running, nanos("3"))[0] == b"settled"
    assert (money().held, money().charged) == (0, nanos("3"))
    assert Before.settle(running, nanos("3"))[0] == b"already"
    assert events() == [(ALICE, nanos("3"), EVENT)]


async def test_windows_and_the_last_minute_go_on() -> None:
    limits = Limits(5, 9, 9, 9, 9, 9)
    admitted = [Before.admit(ask(limits=limits)) for _ in range(3)]
    _anew(subjects={SUBJECT: Counted(((0, 0),) * 4, {})})
    state = await admit(ask(limits=limits))
    assert used(state) == [4] * 5
    now = state.now // 1000 - admitted[0][7] // 1000
    assert resets(state)[1] == admitted[0][11] - now
    await admit(ask(limits=limits))
    assert (await admit(ask(limits=limits))).binding == "rpm"


async def test_a_minute_that_the_database_tells_of_too_is_counted_once() -> None:
    first, second = (Before.admit(ask()) for _ in range(2))
    seen = {"req_1": first[7], "req_2": second[7]}
    _anew(subjects={SUBJECT: Counted(((0, 0),) * 4, seen)})
    assert used(await admit(ask(), commit=False)) == [2] * 5


async def test_the_dead_of_the_release_before_are_settled_by_us() -> None:
    dead, alive = ask(full=nanos("4")), ask(full=nanos("2"))
    Before.admit(dead)
    Before.admit(alive)
    redis.sync().zadd(f"{TAG}:open", {dead.request_id: 1})
    for anew in (False, True):  # its account may be made anew before or after
        (found,) = expired(10)
        assert (found.request_id, found.hold, found.draft) == (
            dead.request_id,
            nanos("4"),
            str(dead.draft).encode(),
        )
        if not anew:
            assert money().held == nanos("6")
            _anew()
            assert money().held == nanos("6")
    assert limiter.reap_sync(found, cost=7, event=EVENT).status == "settled"
    assert (money().held, money().charged) == (nanos("2"), 7)
    assert Before.settle(dead, 9)[0] == b"already"
    assert expired(10) == []
    assert events() == [(ALICE, 7, EVENT)]


async def test_a_cap_is_one_for_both() -> None:
    _anew()
    caps = Caps("p1", 25)
    assert seed_purse()
    capped = [ask(caps=caps, full=10, floor=10) for _ in range(4)]
    assert Before.admit(capped[0])[0] == b"ok"
    assert (await admit(capped[1])).status == "ok"
    assert Before.admit(capped[2])[1] == (await admit(capped[2])).binding.encode() == b"purse_hold"
    Before.settle(capped[0], 4)
    await settle(capped[1], cost=4, event=EVENT)
    assert (await admit(capped[3])).spend[0].spent == 8


async def test_a_purse_made_anew_counts_what_runs_on_an_old_gateway() -> None:
    old = ask(caps=Caps("p1"), full=10, floor=10)
    Before.admit(old)
    _anew()
    seed_purse()
    assert (await admit(ask(caps=Caps("p1", 15), full=10, floor=10))).binding == "purse_hold"
    Before.settle(old, 3)
    state = await admit(ask(caps=Caps("p1", 15), full=10, floor=10))
    assert (state.status, state.spend[0].spent, state.spend[0].held) == ("ok", 3, 10)


async def test_a_purchase_sees_what_both_hold() -> None:
    Before.admit(ask(full=nanos("4")))
    args = {"amount": nanos("7"), "credits": TEN, "credits_version": 1, "lease_ms": LEASE_MS}
    assert limiter.reserve_sync(ALICE, "buy_1", **args) == "hold"
    assert limiter.reserve_sync(ALICE, "buy_2", **args | {"amount": nanos("6")}) == "ok"
    assert money().held == TEN
    limiter.release_sync(ALICE, "buy_2")
    assert money().held == nanos("4")


async def test_a_request_that_ended_is_taken_from_the_old_records_too() -> None:
    ended = ask(full=nanos("4"))
    Before.admit(ended)
    rebuilding.forget_sync([ALICE])
    _anew(opened=[], ended=[ended.request_id], charged=5)
    assert (money().held, money().charged) == (0, 5)
    assert Before.settle(ended, 5)[0] == b"already"
    assert redis.sync().zcard(keys.open_before(7)) == 0
