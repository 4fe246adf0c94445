"""What a purse may spend in a UTC day, in a UTC month and in its life, and how it stands.

A purse is whose spending is capped together: a key, and whatever it was rotated to. What it has
spent is in Redis from when it first asks with a cap, and is rebuilt from the books when Redis has
lost it. Nano-dollars.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from ratelimits import keys, scripts


class Caps(NamedTuple):
    """The most a purse may spend in a UTC day, in a UTC month and ever. 0 = no cap."""

    purse: str = ""
    day: int = 0
    month: int = 0
    life: int = 0


class Spend(NamedTuple):
    """How a purse stands in its `day`, `month` or `life`; ms until that is over (0: never)."""

    period: str
    cap: int
    spent: int
    held: int
    reset_ms: int


def standing(numbers: Sequence[Any], caps: Caps) -> tuple[Spend, ...]:
    """What admit.lua tells of a capped purse behind the windows, by position."""
    return (
        Spend("day", caps.day, *numbers[:3]),
        Spend("month", caps.month, *numbers[3:6]),
        Spend("life", caps.life, *numbers[6:]),
    )


def seed_sync(
    account: int,
    purse: str,
    *,
    day: tuple[int, int],
    month: tuple[int, int],
    life: int,
    key_ids: Sequence[int],
    last_event_id: str = "0-0",
    opened: Sequence[str] = (),
) -> bool:
    """Put what a purse has spent into Redis unless it is there, for the account as it is (False).

    Call it under the lock of the account's wallet. `day` and `month` are (number of its first day
    since 1970, what these keys have spent in it up to `last_event_id` of the shard's stream),
    `life` what they have ever spent up to it; `opened` the account's open requests.
    Raises errors.Unavailable.
    """
    names = [keys.spend(account, purse), keys.usage(keys.shard(account)), keys.account(account)]
    names += [keys.request(account, each) for each in opened]
    args: list[str | int] = [account, last_event_id, *day, *month, life, *key_ids]
    return bool(scripts.run_sync(scripts.SEED_SPEND, names, args))


def correct_sync(account: int, purse: str, changes: Sequence[tuple[str, int, int]]) -> None:
    """Count what was charged anew for earlier requests: (period, number of its first day, by how
    much) each. What Redis does not know is left alone.

    Call it under the lock of the account's wallet, last. Raises errors.Unavailable.
    """
    args = [part for change in changes for part in change]
    scripts.run_sync(scripts.CORRECT_SPEND, (keys.spend(account, purse),), args)
