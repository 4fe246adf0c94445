"""What a purse may spend past the windows of its plan, in a UTC month: its overflow.

A request that a window refuses asks again with this. It then counts in no window but the last
minute, holds all that it can cost, and is refused where the cap does not cover that. What was
spent is in Redis from when a purse first asks so, and is rebuilt from the books when Redis has
lost it, as a purse's (purses.py). Nano-dollars.
"""

from collections.abc import Sequence
from struct import Struct
from typing import NamedTuple

from ratelimits import keys, scripts

PACKED = Struct(">2q")
_CAP = Struct(">q")


class Overflow(NamedTuple):
    """Whose it is, and the most it may spend in a UTC month."""

    purse: str
    cap: int

    @property
    def packed(self) -> bytes:
        """As admit.lua unpacks it."""
        return _CAP.pack(self.cap)


def seed_sync(
    account: int,
    purse: str,
    *,
    month: tuple[int, int],
    key_ids: Sequence[int],
    last_event_id: str,
    opened: Sequence[str],
) -> bool:
    """Put what a purse's overflow has spent into Redis, unless it is there for the account as it
    is (False).

    Call it under the lock of the account's wallet. `month` is (number of its first day since 1970,
    what these keys have spent past windows in it up to `last_event_id` of the shard's stream);
    `opened` the account's open requests. Raises errors.Unavailable.
    """
    names = [keys.overflow(account, purse), keys.usage(keys.shard(account)), keys.account(account)]
    names += [keys.request(account, each) for each in opened]
    args: list[str | int] = [account, last_event_id, *month, *key_ids]
    return bool(scripts.run_sync(scripts.SEED_OVERFLOW, names, args))


def correct_sync(account: int, purse: str, month: int, more: int) -> None:
    """Count what was charged anew for earlier requests of that month. What Redis does not know is
    left alone.

    Call it under the lock of the account's wallet, last. Raises errors.Unavailable.
    """
    names = (keys.overflow(account, purse),)
    scripts.run_sync(scripts.CORRECT_OVERFLOW, names, (month, more))
