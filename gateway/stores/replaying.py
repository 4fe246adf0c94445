"""What spools keep, put back into the stream where neither the stream nor the books have it."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from redis.exceptions import ResponseError

from billing.books import seeding
from gateway.stores.spool import Kept, Segment, Spool
from gateway.usage.settlement import recorded
from hontoni import errors, redis
from ratelimits import keys, rebuilding
from ratelimits.scripts import unavailable

_PAGE = 1_000


def replay(spool: Spool, segments: Sequence[Segment], *, restored: bool = False) -> int:
    """Put back what is missing of these segments; how many events. Their accounts are made anew
    before their next request. `restored`: the database went back, so what it had may be gone, too.
    Raises errors.Unavailable."""
    spool.flush()
    wanted = [segment for segment in segments if restored or not segment.settled]
    waiting = spool.unanswered()  # their settlement is on its way
    by_shard: defaultdict[int, dict[str, Kept]] = defaultdict(dict)
    for segment in wanted:
        segment.last, segment.passed, segment.settled = None, False, False
        for kept in segment.read():
            if kept.request_id in waiting:
                spool.passed_over[kept.request_id] = kept
            else:
                by_shard[keys.shard(kept.account)][kept.request_id] = kept
    return sum(_put_back(shard, kept) for shard, kept in by_shard.items())


def catch_up(spool: Spool) -> int:
    """The same for what `replay` passed over, once its settlement is answered: where the first
    answer was lost the second adds nothing, and a restore may have taken what was written since.
    Raises errors.Unavailable."""
    waiting, found = spool.unanswered(), 0
    for name in [name for name in spool.passed_over if name not in waiting]:
        kept = spool.passed_over[name]
        found += _put_back(keys.shard(kept.account), {name: kept})
        del spool.passed_over[name]
    return found


def _put_back(shard: int, kept: dict[str, Kept]) -> int:
    # The stream first: what is in neither was lost, and did not just move from one to the other.
    there = {f"req_{each}" for each in seeding.event_ids(shard)}
    names = [name for name in kept if name not in there]
    lost = []
    for start in range(0, len(names), _PAGE):
        page = names[start : start + _PAGE]
        known = recorded(page)
        lost += [kept[name] for name in page if name not in known]
    if lost:
        _append(shard, lost)
        rebuilding.forget_sync({each.account for each in lost})
    return len(lost)


def _append(shard: int, lost: Iterable[Kept]) -> None:
    try:
        with redis.sync().pipeline(transaction=False) as batch:
            for each in lost:
                fields = {"account": each.account, "cost": each.cost, "event": each.event}
                batch.xadd(keys.usage(shard), fields)
            batch.execute()
    except redis.RedisError as error:
        raise unavailable(error) from error


def trim(spool: Spool, *, keep_seconds: float, now: float) -> int:
    """Delete the segments that the books have and that are old enough; how many. `now` is the
    monotonic clock. Raises errors.Unavailable.

    Call it when the epoch was just confirmed: a stream that was lost looks as if it had moved on,
    so what looks settled is only believed the next time.
    """
    dropped = 0
    for segment in spool.segments()[:-1]:
        if segment.passed:
            segment.settled = True
        elif not segment.unanswered:
            segment.passed = _passed(segment)
        if segment.settled and now - segment.began >= keep_seconds:
            spool.drop(segment)
            dropped += 1
    return dropped


def _passed(segment: Segment) -> bool:
    """Whether the stream has nothing left of the time when the segment's events were in it."""
    try:
        if segment.last is None:
            segment.last = {shard: _newest(shard) for shard in segment.shards}
        return all(_oldest(shard) > last for shard, last in segment.last.items())
    except redis.RedisError as error:
        raise errors.Unavailable("The stream of usage cannot be read.") from error


def _newest(shard: int) -> tuple[int, int]:
    try:
        info = redis.sync().xinfo_stream(keys.usage(shard))
    except ResponseError:  # there is no stream
        return 0, 0
    return _number(info["last-generated-id"])


def _oldest(shard: int) -> tuple[float, int]:
    found = redis.sync().xrange(keys.usage(shard), count=1)
    return _number(found[0][0]) if found else (float("inf"), 0)


def _number(stream_id: bytes) -> tuple[int, int]:
    ms, _, serial = stream_id.partition(b"-")
    return int(ms), int(serial)
