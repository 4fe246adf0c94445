"""Open requests of which nothing was heard for long: their deadline has passed, or soon will.

That alone does not say that somebody died, for Redis's clock may have jumped. Whoever settles them
for the dead watches them for a while first (gateway/stores/reaping.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from hontoni import redis
from ratelimits import keys, records, scripts
from ratelimits.limiter import Expired


@dataclass(frozen=True, slots=True)
class Overdue:
    """A request at one deadline: with its next heartbeat it is another one. `before`: a gateway
    of the release before runs it, or did."""

    shard: int
    request_id: str
    deadline_ms: int
    before: bool
    passed: bool = field(compare=False)


def find(
    limit: int,
    shards: Sequence[int] = range(keys.SHARDS),
    *,
    soon_ms: int = 0,
    furthest_ms: int = 86_400_000,
) -> list[Overdue]:
    """What of these shards is overdue, or will be in `soon_ms`; at most `limit`. `furthest_ms` is
    more than any lease is long."""
    found: list[Overdue] = []
    for shard, name in _open(shards):
        before = name == keys.open_before(shard)
        args = (limit - len(found), soon_ms, furthest_ms)
        now, *rest = scripts.run_sync(scripts.EXPIRED, (name,), args)
        for request_id, deadline in zip(rest[::2], rest[1::2], strict=True):
            at = int(float(deadline))
            found.append(Overdue(shard, request_id.decode(), at, before, at <= now))
        if len(found) >= limit:
            return found
    return found


def _open(shards: Sequence[int]) -> list[tuple[int, str]]:
    """The shards that have open requests, and under which name. Asked for in one go: an idle
    product looks every few seconds, and finds none."""
    names = [(s, name) for s in shards for name in (keys.open_before(s), keys.open_requests(s))]
    try:
        with redis.sync().pipeline(transaction=False) as batch:
            for _, name in names:
                batch.exists(name)
            return [each for each, exists in zip(names, batch.execute(), strict=True) if exists]
    except redis.RedisError as error:
        raise scripts.unavailable(error) from error


def read(overdue: Overdue) -> Expired | None:
    """What is known of one. None if it has ended, or nothing is known of it; then it is cleared
    away."""
    if overdue.before:
        _adopt(overdue)
    shard, request_id = overdue.shard, overdue.request_id
    try:
        stored = redis.sync().get(keys.request(shard, request_id))
        if stored is None:  # lost without its record: nobody else would ever clear it away
            redis.sync().zrem(keys.open_requests(shard), request_id)
    except redis.RedisError as error:
        raise scripts.unavailable(error) from error
    found = records.read(stored)
    if found is None:
        return None
    who = found.account, found.subject
    return Expired(request_id, *who, found.hold, found.cost, found.draft, found.purse)


def _adopt(overdue: Overdue) -> None:
    """Nobody of the release before may be left to settle its dead requests."""
    shard, request_id = overdue.shard, overdue.request_id
    names = (
        keys.open_before(shard),
        keys.open_requests(shard),
        keys.request_before(shard, request_id),
        keys.request(shard, request_id),
    )
    scripts.run_sync(scripts.ADOPT, names, (request_id,))
