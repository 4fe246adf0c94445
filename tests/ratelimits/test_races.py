"""Real processes at the same time on one Redis. What is exact stays exact."""

import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor

import pytest
from django.conf import settings

from hontoni import redis
from hontoni.money import nanos
from ratelimits import limiter
from ratelimits.limiter import Limits
from ratelimits.purses import Caps
from tests.ratelimits import racer
from tests.ratelimits.world import (
    ALICE,
    TEN,
    advance,
    ask,
    events,
    money,
    seed,
    seed_purse,
    spent,
)

NODES = 4
Race = Callable[[racer.Racer, limiter.Ask, int], Counter[str]]


@pytest.fixture(scope="module")
def race() -> Iterator[Race]:
    """Run a racer on every node; their counts added up ("most": the largest)."""
    spawn = multiprocessing.get_context("spawn")
    known = (settings.REDIS_URL, spawn.Barrier(NODES))
    with ProcessPoolExecutor(NODES, spawn, racer.join, known) as nodes:

        def run(body: racer.Racer, asked: limiter.Ask, count: int) -> Counter[str]:
            futures = [nodes.submit(racer.start, body, asked, n, count) for n in range(NODES)]
            counts = [future.result() for future in futures]
            total = sum(counts, Counter[str]())
            if "most" in total:
                total["most"] = max(count["most"] for count in counts)
            return total

        yield run


def test_a_thousand_requests_on_a_balance_for_ten_admit_ten(race: Race) -> None:
    seed()
    asked = ask(limits=Limits(), full=nanos("1"), floor=nanos("1"))
    assert race(racer.admit_many, asked, 250) == {"ok": 10, "hold": 990}
    assert (money().held, money().charged) == (TEN, 0)


WINDOWS = [("rpm", "rpm"), ("five_hours", "5h"), ("daily", "daily")]
LONG_WINDOWS = [("weekly", "weekly"), ("monthly", "monthly")]


@pytest.mark.parametrize(("field", "name"), WINDOWS + LONG_WINDOWS)
async def test_one_below_a_limit_exactly_one_passes(race: Race, field: str, name: str) -> None:
    seed()
    asked = ask(limits=Limits(**{field: 5}), full=0, floor=0)
    for n in range(4):
        await limiter.admit(asked._replace(request_id=f"req_before_{n}"))
    advance(30)
    assert race(racer.admit_many, asked, 25) == {"ok": 1, name: 99}


@pytest.mark.parametrize("period", ["day", "month", "life"])
async def test_one_below_a_spend_cap_exactly_one_passes(race: Race, period: str) -> None:
    """Four nodes, a hundred requests at once, room for one: below what is spent and held."""
    seed()
    seed_purse(day=20, month=20, life=20)
    caps = Caps("p1", **{period: 50})
    asked = ask(limits=Limits(), full=10, floor=10, caps=caps)
    running, done = (asked._replace(request_id=f"req_before_{n}") for n in range(2))
    for request in (running, done):
        assert (await limiter.admit(request)).status == "ok"
    await limiter.settle(done, cost=10, event="{}")
    assert race(racer.admit_many, asked, 25) == {"ok": 1, "purse_hold": 99}
    assert (spent()[f"{period}.spent"], spent()[f"{period}.held"]) == (30, 20)


def test_never_more_than_n_run_at_once(race: Race) -> None:
    seed()
    asked = ask(limits=Limits(concurrent=3), full=0, floor=0)
    seen = race(racer.run_many, asked, 25)
    assert seen["settled"] == 100
    assert 1 <= seen["most"] <= 3
    assert redis.sync().zcard("{s:07}:leases:k1") == 0


def test_one_request_sent_many_times_is_one(race: Race) -> None:
    seed()
    asked = ask(full=nanos("1"))
    outcomes = race(racer.admit_one, asked, 25)
    assert outcomes == {"settled": 1, "already": 99}
    assert (money().held, money().charged, events()) == (0, 5, [(ALICE, 5, "{}")])


def test_a_cold_account_is_seeded_once_by_whoever_comes_first(race: Race) -> None:
    assert race(racer.seed_many, ask(), 25) == {"True": 1, "False": 99}
    assert (money().charged, money().credits) == (7, TEN)
