"""Leases on the stream's shards: each has one process, whoever comes, goes or falls silent."""

import time
from itertools import chain

import pytest

from gateway.usage import shards
from gateway.usage.shards import LEASE_MS, RENEW_SECONDS
from hontoni import redis
from ratelimits.keys import SHARDS
from tests.waiting import until

NAMES = ("one", "two", "three", "four", "five")


@pytest.fixture(autouse=True)
def _nobody_yet() -> None:
    redis.sync().delete(shards.MEMBERS)


def shared(*names: str) -> list[list[int]]:
    """What each has once all have looked again; everything is shared, and nothing twice."""
    for name in names:
        shards.renew(name)
    found = [shards.renew(name)[0] for name in names]
    assert sorted(chain(*found)) == list(range(SHARDS))
    return found


def test_whoever_comes_gets_a_fair_share_at_the_next_look() -> None:
    for count in range(1, len(NAMES) + 1):
        sizes = [len(mine) for mine in shared(*NAMES[:count])]
        assert max(sizes) - min(sizes) <= 1


def test_whoever_leaves_gives_its_shards_back_at_once() -> None:
    shared(*NAMES)
    shards.leave(NAMES[1])
    assert all(len(mine) == SHARDS // 4 for mine in shared(NAMES[0], *NAMES[2:]))


def test_whoever_falls_silent_is_replaced_when_its_lease_is_over() -> None:
    shared("one", "two")
    until(lambda: len(shards.renew("one")[0]) == SHARDS, "the silent one kept its shards")


def test_shards_have_moved_within_five_seconds_of_a_change() -> None:
    """The silent one's lease, and the time until the others have looked."""
    assert LEASE_MS / 1000 + 2 * RENEW_SECONDS < 5
    assert LEASE_MS / 1000 > 2 * RENEW_SECONDS  # who is late once keeps its shards


def test_more_processes_than_shards_wait_with_none() -> None:
    names = [f"p{number:03}" for number in range(SHARDS + 2)]
    assert sum(not mine for mine in shared(*names)) == 2


def test_a_lease_is_kept_by_looking_again() -> None:
    shared("one", "two")
    end = time.monotonic() + LEASE_MS / 1000 + RENEW_SECONDS
    while time.monotonic() < end:
        shared("one", "two")
        time.sleep(RENEW_SECONDS)
