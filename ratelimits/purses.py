"""What a purse may spend in a UTC day, in a UTC month and in its life, and how it stands.

A purse is whose spending is capped together: a key, and whatever it was rotated to; or all keys
of a member of an account, beside each key's own. What it has spent is in Redis from when it first
asks with a cap, and is rebuilt from the books when Redis has lost it. Nano-dollars.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from functools import lru_cache
from struct import Struct
from typing import NamedTuple

from ratelimits import keys, scripts

_EPOCH = date(1970, 1, 1)


class Caps(NamedTuple):
    """The most a purse may spend in a UTC day, in a UTC month and ever. 0 = no cap."""

    purse: str = ""
    day: int = 0
    month: int = 0
    life: int = 0

    @property
    def any(self) -> bool:
        """Whether there is a cap at all."""
        return bool(self.day or self.month or self.life)


class Spend(NamedTuple):
    """How a purse stands in its `day`, `month` or `life`; ms until that is over (0: never)."""

    period: str
    cap: int
    spent: int
    held: int
    reset_ms: int


_NUMBERS = Struct(">6q")
PACKED = _NUMBERS.size
_DAY_MS = 86_400_000


def standing(reply: bytes, at: int, caps: Caps, now: int) -> tuple[Spend, ...]:
    """What a script tells of a capped purse, from that byte on. `now` in ms by Redis's clock."""
    numbers: tuple[int, ...] = _NUMBERS.unpack_from(reply, at)
    day_spent, day_held, month_spent, month_held, spent, held = numbers
    today = now // _DAY_MS
    return (
        Spend("day", caps.day, day_spent, day_held, (today + 1) * _DAY_MS - now),
        Spend("month", caps.month, month_spent, month_held, _next_month(today) * _DAY_MS - now),
        Spend("life", caps.life, spent, held, 0),
    )


@lru_cache(maxsize=4)
def _next_month(day: int) -> int:
    """When the UTC month of a day is over; both in days since 1970."""
    first = (_EPOCH + timedelta(day)).replace(day=1)
    return ((first + timedelta(31)).replace(day=1) - _EPOCH).days


def seed_sync(
    account: int,
    purse: str,
    *,
    day: tuple[int, int],
    month: tuple[int, int],
    life: int,
    key_ids: Sequence[int],
    purses: Sequence[str] = (),
    last_event_id: str = "0-0",
    opened: Sequence[str] = (),
) -> bool:
    """Put what a purse has spent into Redis unless it is there, for the account as it is (False).

    Call it under the lock of the account's wallet. `day` and `month` are (number of its first day
    since 1970, what these keys have spent in it up to `last_event_id` of the shard's stream),
    `life` what they have ever spent up to it; `opened` the account's open requests. `purses` are
    those of a member's keys, where it is a member's.
    Raises errors.Unavailable.
    """
    names = [keys.spend(account, purse), keys.usage(keys.shard(account)), keys.account(account)]
    for each in opened:
        names += [keys.request(account, each), keys.request_before(account, each)]
    args: list[str | int] = [account, last_event_id, *day, *month, life, *key_ids, *purses]
    return bool(scripts.run_sync(scripts.SEED_SPEND, names, args))


def correct_sync(account: int, purse: str, changes: Sequence[tuple[str, int, int]]) -> None:
    """Count what was charged anew for earlier requests: (period, number of its first day, by how
    much) each. What Redis does not know is left alone.

    Call it under the lock of the account's wallet, last. Raises errors.Unavailable.
    """
    args = [part for change in changes for part in change]
    scripts.run_sync(scripts.CORRECT_SPEND, (keys.spend(account, purse),), args)
