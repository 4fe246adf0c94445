"""Which shards of the stream a settlement process works on: they are leased.

Every process keeps its name in one set in Valkey for as long as its lease lasts, and takes every
n-th shard by its place among those that are alive. So nobody hands anything out: a process that
comes or goes moves shards as soon as the others look again. While two still believe a shard to be
theirs nothing is settled twice: the stream gives each entry to one of them, and the books take it
once (settlement.py).
"""

from collections.abc import Sequence
from pathlib import Path

from hontoni import redis
from ratelimits.keys import SHARDS

MEMBERS = "settlement:members"
LEASE_MS = 2_500
RENEW_SECONDS = 0.5

_RENEW = redis.Script(Path(__file__).with_name("members.lua"))


def renew(name: str) -> tuple[list[int], list[str]]:
    """Say that this process lives, and learn its shards and who else lives. Raises RedisError."""
    alive = _alive(_RENEW.run_sync((MEMBERS,), (name, LEASE_MS)))
    return list(range(alive.index(name), SHARDS, len(alive))), alive


def leave(name: str) -> None:
    """Give its shards back at once. Raises RedisError."""
    _RENEW.run_sync((MEMBERS,), (name, 0))


def _alive(reply: Sequence[bytes]) -> list[str]:
    return [member.decode() for member in reply]
