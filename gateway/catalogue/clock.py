"""The clock that prices go by: Redis's, the same for all nodes.

Its answers tell the time as they come; between them this machine's clock goes on. Microseconds
since 1970.
"""

import time
from datetime import UTC, datetime, timedelta

from hontoni import redis

_KEPT_SECONDS = 30.0
_JUMP = 2_000_000  # microseconds; slews and slow answers are less
_CALM_SECONDS = 5.0  # masters of a cluster whose clocks differ are no new jump each time
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class _Offset:
    """How far Redis's clock is ahead of ours. An answer takes its time to come, so the one that
    came fastest, the one with the greatest offset, is the nearest to the truth."""

    ahead = 0
    heard_at = float("-inf")  # monotonic
    began = 0.0  # what Redis's clock showed when our steady one showed 0
    jumped = False
    jumped_at = float("-inf")  # monotonic


def heard(micros: int) -> None:
    """Redis has just said that it is so late."""
    ahead, now = micros - time.time_ns() // 1000, time.monotonic()
    began = micros - now * 1_000_000
    if abs(began - _Offset.began) > _JUMP:
        if _Offset.began and now - _Offset.jumped_at > _CALM_SECONDS:
            _Offset.jumped, _Offset.jumped_at = True, now
        _Offset.began = began
    if ahead >= _Offset.ahead or now - _Offset.heard_at > _KEPT_SECONDS:
        _Offset.ahead, _Offset.heard_at = ahead, now


def jumped() -> bool:
    """Whether Redis's clock has jumped since this was last asked, as far as we have heard."""
    found, _Offset.jumped = _Offset.jumped, False
    return found


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
