"""Making an account in Redis anew: what its requests hold, and what its windows have counted.

Redis is a cache of the books (docs/stores.md). Everything here sets what is true, and adds nothing
to what is there. Money is nano-dollars. Raises errors.Unavailable if Redis does not answer.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from hontoni import redis
from ratelimits import epochs, keys, scripts
from ratelimits.limiter import Ask

LENGTHS_MS = (
    18_000_000,
    86_400_000,
    604_800_000,
    2_592_000_000,
)  # of the windows, as in state.lua
_NAMES = ("5h", "daily", "weekly", "monthly")
_FIELDS = ("state", "account", "subject", "at", *_NAMES, *(f"{name}.used" for name in _NAMES))
_PAGE = 1_000

Opened = tuple[int, int]  # when a window opened (ms by Redis's clock), and how many it counts


class Counted(NamedTuple):
    """The windows of a subject, 5h to monthly, and when each request of the last minute was
    admitted (microseconds by Redis's clock), by its id."""

    windows: tuple[Opened, ...]
    minute: dict[str, int]


class Open(NamedTuple):
    """A request that is open, as its record says. `windows` only if it was announced."""

    request_id: str
    subject: str
    admitted: int
    windows: tuple[Opened, ...]


def seed_sync(
    account: int,
    *,
    credits: int,
    credits_version: int,
    terms_version: int,
    charged: int,
    last_event_id: str = "0-0",
    subjects: dict[str, Counted] | None = None,
    opened: Sequence[str] = (),
    ended: Sequence[str] = (),
) -> bool:
    """Make an account anew unless it was in this epoch (False).

    Call it under the lock of the account's wallet. `charged` = what the database has settled plus
    the account's events which, up to `last_event_id` of its shard's stream, it has not; later ones
    are added here. `opened` are the account's requests that are open, and hold what their records
    say; `ended` those whose records say so and are wrong.
    """
    shard, counted = keys.shard(account), subjects or {}
    names = [keys.account(account), keys.usage(shard), keys.open_requests(shard)]
    for subject in counted:
        names += keys.of(account, subject, "")[1:4]
    names += [keys.request(account, each) for each in (*opened, *ended)]
    args: list[redis.Argument] = [account, credits, credits_version, terms_version, charged]
    args += [last_event_id, len(counted), len(opened), len(ended), *opened, *ended]
    for each in counted.values():
        args += [number for window in each.windows for number in window]
        args.append(len(each.minute))
        args += [part for name, at in each.minute.items() for part in (at, name)]
    return bool(scripts.run_sync(scripts.SEED, names, args))


def forget_sync(accounts: Collection[int]) -> None:
    """Have these accounts made anew before their next request."""
    try:
        with redis.sync().pipeline(transaction=False) as batch:
            for account in accounts:
                batch.hdel(keys.account(account), "epoch")
            batch.execute()
    except redis.RedisError as error:
        raise scripts.unavailable(error) from error


def mark_sync(number: int, name: str) -> None:
    """Note the newest fact of the books. Numbers rise; what is older than noted is left alone."""
    scripts.run_sync(scripts.MARK, (keys.MARK,), (number, name))


def confirmed_sync() -> str:
    """The epoch both stores are in, compared now."""
    try:
        return epochs.confirm_sync()
    except redis.RedisError as error:
        raise scripts.unavailable(error) from error


async def confirmed() -> str:
    """The same on the data plane."""
    try:
        return await epochs.confirm()
    except redis.RedisError as error:
        raise scripts.unavailable(error) from error


def epoch_of(account: int) -> str:
    """In which epoch an account was made; empty if in none."""
    try:
        return (redis.sync().hget(keys.account(account), "epoch") or b"").decode()
    except redis.RedisError as error:
        raise scripts.unavailable(error) from error


def open_requests(account: int) -> list[Open]:
    """The open requests of an account, purchases included."""
    try:
        found = redis.sync().zrange(keys.open_requests(keys.shard(account)), 0, -1)
        names = [name.decode() for name in found]
        with redis.sync().pipeline(transaction=False) as batch:
            for name in names:
                batch.hmget(keys.request(account, name), _FIELDS)
            records = batch.execute() if names else []
    except redis.RedisError as error:
        raise scripts.unavailable(error) from error
    return [
        _open(name, record)
        for name, record in zip(names, records, strict=True)
        if record[0] == b"open" and int(record[1]) == account
    ]


def _open(name: str, record: Sequence[bytes | None]) -> Open:
    windows: tuple[Opened, ...] = ()
    if record[8] is not None:
        pairs = zip(record[4:8], record[8:12], strict=True)
        windows = tuple((int(since or 0), int(used or 0)) for since, used in pairs)
    return Open(name, (record[2] or b"").decode(), int(record[3] or 0), windows)


async def announce(
    ask: Ask, *, hold: int, cost: int, draft: bytes, admitted: int, windows: Sequence[Opened]
) -> bool:
    """Say that a request is alive, to a Redis that may have lost it. Twice is once. False if Redis
    knows that it has ended."""
    names = (
        *keys.of(ask.account, ask.subject, ask.caps.purse),
        keys.request(ask.account, ask.request_id),
    )
    args: list[redis.Argument] = [ask.request_id, ask.account, ask.subject, hold, cost, draft]
    args += [ask.lease_ms, admitted, ask.caps.purse]
    args += [since for since, _ in windows] + [used for _, used in windows]
    return bool(await scripts.run(scripts.ANNOUNCE, names, args))
