"""Valkey's clock jumps: what it has noted lies further back by then, or ahead."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event

import orjson
import pytest

from gateway.catalogue import clock
from gateway.plane import admission
from gateway.usage import settlement, shards
from gateway.usage.models import UsageEvent
from gateway.usage.settler import Settler
from hontoni import redis
from ratelimits import keys, limiter
from tests.faults.clocks import LEASE, watching
from tests.faults.test_lost_stores import used
from tests.gateway.plane.test_faults import at_rest
from tests.gateway.usage.test_settlement import event
from tests.gateway.usage.test_settler import die_with
from tests.gateway_server import Gateway, fund
from tests.ratelimits.world import advance
from tests.waiting import until
from tests.world import Person

pytestmark = pytest.mark.any_database
TWO_HOURS, HOUR = 7_200, 3_600
SLOWLY = "[[slow: 0.02]] [[say: " + "one two three " * 60 + "]]"


def test_a_clock_that_jumps_makes_no_false_limits(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    for jump in (0, TWO_HOURS, -HOUR):
        advance(jump)
        assert gateway.chat(alice).status_code == 200
    minute, *windows = used(gateway, alice)
    assert minute in (1, 2) and windows == [3, 3, 3, 3]
    until(lambda: at_rest(alice), "something is still held")
    assert len(gateway.books()) == 3


@contextmanager
def beating(gateway: Gateway, alice: Person) -> Iterator[Callable[[], object]]:
    """A slow stream of alice's, and how its gateway says that it lives, each third of a lease."""
    from hontoni.asgi import v1

    assert v1.upstream is not None
    with gateway.begun(alice, SLOWLY) as arriving:
        loop = next(iter(v1.upstream.client._open)).loop
        yield lambda: asyncio.run_coroutine_threadsafe(admission.heartbeat(), loop).result(30)
        assert b"data: [DONE]" in b"".join(arriving)


@pytest.mark.parametrize("jump", [TWO_HOURS, -HOUR])
def test_a_request_whose_gateway_lives_is_never_taken_for_dead(
    gateway: Gateway, alice: Person, jump: int
) -> None:
    """It is charged what it cost in the end, however often the dead are looked for meanwhile."""
    fund(alice, "10")
    reaper, steady = watching()
    with beating(gateway, alice) as beat:
        for moment in range(4):
            advance(jump if moment == 1 else 0)
            assert reaper.reap() == 0
            beat()
            steady.now += LEASE / 3
    until(lambda: at_rest(alice), "something is still held")
    (event,) = gateway.books()
    assert (event.error, event.status, event.estimated) == ("", 200, False)
    assert event.cost > 0


def test_slots_that_a_jump_set_free_are_taken_again_at_once(
    gateway: Gateway, alice: Person
) -> None:
    """Any answer tells the gateway that the clock has jumped; it does not wait for its time."""
    fund(alice, "10")
    with beating(gateway, alice):
        (running,) = redis.sync().zrange(open_requests(alice), 0, -1)
        advance(TWO_HOURS)
        clock.heard(clock.micros() + TWO_HOURS * 1_000_000)
        until(lambda: deadline(alice, running) > time.time(), "it was not renewed")
        clock.set_to(time.time_ns() // 1000)


def open_requests(of: Person) -> str:
    return keys.open_requests(keys.shard(of.user.pk))


def deadline(of: Person, request: bytes) -> float:
    """Seconds since 1970, 0 of one that has ended."""
    score = redis.sync().zscore(open_requests(of), request)
    return 0.0 if score is None else score / 1000


@pytest.mark.outside_the_law("its process is dead")
@pytest.mark.parametrize("jump", [0, TWO_HOURS, -HOUR])
def test_a_dead_request_is_settled_however_the_clock_jumps(
    gateway: Gateway, alice: Person, jump: int
) -> None:
    """Also where the clock went back, and comes to its deadline again in an hour only."""
    fund(alice, "10")
    gateway.chat(alice)
    die_with(alice, orjson.dumps(event(alice)), lease_ms=LEASE * 1000)
    reaper, steady = watching()
    advance(jump)
    assert reaper.reap() == 0
    steady.now += LEASE
    advance(2 * max(LEASE, limiter.EARMARK_MS // 1000))
    reaper.reap()
    steady.now += LEASE
    reaper.reap()
    assert at_rest(alice)
    assert len(gateway.books()) == 2


def test_a_batch_in_dead_hands_does_not_wait_for_the_clock(
    gateway: Gateway, alice: Person
) -> None:
    """Valkey reckons by its clock how long ago it was handed out: in an hour it was just now."""
    fund(alice, "10")
    gateway.chat(alice)
    until(lambda: at_rest(alice))
    (entry,) = settlement.read("dead", settlement.ALL)
    stream, later = keys.usage(entry.shard), round((time.time() + HOUR) * 1000)
    redis.sync().xclaim(stream, settlement.GROUP, "dead", 0, [entry.stream_id], time=later)
    assert settlement.take_over("me") == 0
    settler = Settler(Event(), lambda _: 0)
    settler.shards = list(settlement.ALL)
    for alive in (True, True, False, False):
        assert not UsageEvent.objects.exists()
        settler.alive = [settler.name, *(["dead"] if alive else [])]
        settler._keep_house()
    assert UsageEvent.objects.count() == 1
    assert len(gateway.books()) == 1


def test_a_dead_settlement_process_gives_its_shards_back_though_the_clock_went_back() -> None:
    shards.renew("dead")
    redis.sync().zincrby(shards.MEMBERS, HOUR * 1000, "dead")
    shards.renew("me")
    mine = until(lambda: len(shards.renew("me")[0]) == keys.SHARDS, seconds=20)
    assert mine
