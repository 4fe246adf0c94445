"""The clock that prices go by: Redis's, the same for all nodes.

Its answers tell the time as they come; between them this machine's clock goes on. Microseconds
since 1970.
"""

import time
from datetime import UTC, datetime, timedelta

from hontoni import redis

_KEPT_SECONDS = 30.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class _Offset:
    """How far Redis's clock is ahead of ours. An answer takes its time to come, so the one that
    came fastest, the one with the greatest offset, is the nearest to the truth."""

    ahead = 0
    heard_at = float("-inf")  # monotonic


def heard(micros: int) -> None:
    """Redis has just said that it is so late."""
    ahead, now = micros - time.time_ns() // 1000, time.monotonic()
    if ahead >= _Offset.ahead or now - _Offset.heard_at > _KEPT_SECONDS:
        _Offset.ahead, _Offset.heard_at = ahead, now


def set_to(micros: int) -> None:
    """Redis disagrees with our guess: it is so late, whatever was heard before."""
    _Offset.ahead, _Offset.heard_at = micros - time.time_ns() // 1000, time.monotonic()


def micros() -> int:
    """How late it is by Redis's clock, as far as we have heard."""
    return time.time_ns() // 1000 + _Offset.ahead


def now() -> datetime:
    """How late it is, asked of Redis itself; without Redis, this machine's time."""
    try:
        seconds, rest = redis.clock()
    except redis.RedisError:
        return datetime.now(UTC)
    return moment(seconds * 1_000_000 + rest)


def moment(micros: int) -> datetime:
    return _EPOCH + micros * _MICROSECOND


def of(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND
