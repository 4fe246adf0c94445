"""What the control plane asks of the limiter: the dead, the seeding, Redis gone."""

import pytest

from hontoni import errors, redis
from hontoni.money import nanos
from ratelimits import keys, limiter
from ratelimits.limiter import Expired, admit, beat, reap_sync, settle
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
    expired,
    money,
    seed,
    used,
)

LEASE = LEASE_MS / 1000


@pytest.fixture(autouse=True)
def alice_has_ten_dollars() -> None:
    seed()


# -- Dead processes ------------------------------------------------------------------------------


async def test_a_silent_request_is_found_with_what_it_last_reported() -> None:
    silent, talking = ask(), ask(subject="k2")
    await admit(silent)
    await admit(talking)
    assert await beat(silent, cost=7, draft='{"tokens": 3}')
    assert expired(10) == []
    advance(LEASE - 5)
    assert await beat(talking, cost=0, draft="{}")
    advance(5)
    (found,) = expired(10)
    assert found == Expired(silent.request_id, ALICE, "k1", nanos("1"), 7, b'{"tokens": 3}')


async def test_without_a_heartbeat_the_draft_is_the_one_of_the_admission() -> None:
    await admit(ask(draft='{"model": "x"}'))
    advance(LEASE)
    (found,) = expired(10)
    assert (found.cost, found.draft) == (0, b'{"model": "x"}')


async def test_expired_requests_of_all_shards_are_found_up_to_a_limit() -> None:
    for account in range(64):
        seed(account)
        await admit(ask(account=account))
    advance(LEASE)
    assert {record.account for record in expired(100)} == set(range(64))
    assert len(expired(10)) == 10


async def test_the_reaper_charges_the_reported_cost_and_frees_what_was_taken() -> None:
    await admit(ask())
    advance(LEASE)
    (found,) = expired(10)
    state = reap_sync(found, cost=7, event=EVENT)
    assert (state.status, state.balance, state.held, state.active) == ("settled", TEN - 7, 0, 0)
    assert used(state) == [1] * 5
    assert (events(), expired(10)) == ([(ALICE, 7, EVENT)], [])


async def test_the_reaper_leaves_alone_what_beat_meanwhile() -> None:
    request = ask()
    await admit(request)
    advance(LEASE)
    (found,) = expired(10)
    await beat(request, cost=9, draft="{}")
    before = everything()
    assert reap_sync(found, cost=7, event=EVENT).status == "alive"
    assert everything() == before


async def test_a_late_settlement_changes_nothing_even_hours_after_the_reaper() -> None:
    request = ask()
    await admit(request)
    advance(LEASE)
    (found,) = expired(10)
    reap_sync(found, cost=7, event=EVENT)
    advance(3600)
    before = everything()
    assert not await beat(request, cost=8, draft="{}")
    state = await settle(request, cost=8, event=EVENT)
    assert (state.status, state.balance) == ("already", TEN - 7)
    assert everything() == before


async def test_the_reaper_comes_too_late_for_what_settled_itself() -> None:
    request = ask()
    await admit(request)
    advance(LEASE)
    (found,) = expired(10)
    await settle(request, cost=5, event=EVENT)
    assert reap_sync(found, cost=7, event=EVENT).status == "already"
    advance(121)  # the marker is gone
    before = everything()
    assert reap_sync(found, cost=7, event=EVENT).status == "unknown"
    assert everything() == before
    assert money().charged == 5


async def test_an_open_request_without_a_record_is_cleared_away() -> None:
    request = ask()
    await admit(request)
    redis.sync().delete(keys.request(ALICE, request.request_id))
    advance(LEASE)
    assert expired(10) == []
    assert redis.sync().zcard(keys.open_requests(keys.shard(ALICE))) == 0


# -- Seeding -------------------------------------------------------------------------------------


def test_seeding_happens_once() -> None:
    assert seed(BOB, credits=5, credits_version=3, terms_version=2, charged=1)
    assert not seed(BOB, credits=9, credits_version=9, terms_version=9, charged=9)
    assert money(BOB) == limiter.Account(2, 5, 3, 1, 0)


def test_an_account_that_was_never_seeded_is_none() -> None:
    limiter.publish_terms(BOB, 4)
    assert limiter.read_account_sync(BOB) is None


def test_seeding_does_not_take_terms_back() -> None:
    limiter.publish_terms(BOB, 4)
    seed(BOB, terms_version=3)
    assert money(BOB).terms_version == 4


async def test_seeding_adds_what_was_settled_after_the_caller_looked() -> None:
    stream = keys.usage(keys.shard(BOB))
    same_shard = BOB + 64
    seen = redis.sync().xadd(stream, {"account": BOB, "cost": 100, "event": EVENT})
    redis.sync().xadd(stream, {"account": same_shard, "cost": 1000, "event": EVENT})
    await settle(ask(account=BOB), cost=3, event=EVENT)
    await settle(ask(account=BOB), cost=4, event=EVENT)
    seed(BOB, charged=20, last_event_id=seen.decode())
    assert money(BOB).charged == 27


async def test_seeding_from_the_start_counts_every_event() -> None:
    for cost in (1, 2, 3):
        await settle(ask(account=BOB), cost=cost, event=EVENT)
    seed(BOB)
    assert money(BOB).charged == 6


async def test_a_surviving_hash_keeps_its_holds() -> None:
    request = ask()
    await admit(request)
    redis.sync().hdel(keys.account(ALICE), "credits")
    assert (await admit(ask())).status == "cold"
    seed()
    assert money().held == nanos("1")
    assert (await settle(request, cost=0, event="")).held == 0


# -- Redis ---------------------------------------------------------------------------------------


def test_the_control_plane_says_503_too_when_redis_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Gone:
        def __getattr__(self, name: str) -> object:
            raise redis.RedisError("gone")

    monkeypatch.setattr(redis, "sync", Gone)
    dead = Expired("req_1", ALICE, "k1", 0, 0, b"")
    for call in (
        lambda: limiter.publish_terms(ALICE, 2),
        lambda: limiter.publish_credits(ALICE, 2, 2),
        lambda: seed(BOB),
        lambda: limiter.read_account_sync(ALICE),
        lambda: expired(1),
        lambda: reap_sync(dead, cost=0, event=""),
    ):
        with pytest.raises(errors.Unavailable):
            call()
