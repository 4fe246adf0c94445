"""Making an account in Redis anew: what its requests hold, and what its windows have counted.

Redis is a cache of the books (docs/stores.md). Everything here sets what is true, and adds nothing
to what is there. Money is nano-dollars. Raises errors.Unavailable if Redis does not answer.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from hontoni import redis
from ratelimits import epochs, keys, records, scripts
from ratelimits.answers import LENGTHS_MS
from ratelimits.limiter import Ask
from ratelimits.records import Opened

_PAGE = 1_000
_BEFORE = ("state", "account", "subject", "at")  # of a record of the release before

__all__ = ["LENGTHS_MS", "Counted", "Open", "Opened", "announce", "seed_sync"]


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
    epoch: str | None = None,
    credits: int,
    credits_version: int,
    terms_version: int,
    charged: int,
    last_event_id: str = "0-0",
    subjects: dict[str, Counted] | None = None,
    announced: int = 0,
    opened: Sequence[str] = (),
    ended: Sequence[str] = (),
) -> bool:
    """Make an account anew in `epoch` (None: that of now). False if it was in it already, or
    another one has begun, or a request was announced since there were `announced` of them.

    Call it under the lock of the account's wallet. `charged` = what the database has settled plus
    the account's events which, up to `last_event_id` of its shard's stream, it has not; later ones
    are added here. `opened` are the account's requests that are open, and hold what their records
    say; `ended` those whose records say so and are wrong.
    """
    for subject, counted in (subjects or {}).items():
        _count(account, subject, counted, ended)
    shard = keys.shard(account)
    names = [keys.account(account), keys.usage(shard)]
    names += [keys.open_requests(shard), keys.open_before(shard)]
    for each in (*opened, *ended):
        names += [keys.request(account, each), keys.request_before(account, each)]
    args: list[redis.Argument] = [account, credits, credits_version, terms_version, charged]
    args += [last_event_id, announced, len(opened), *opened, *ended]
    if epoch is None:
        return bool(scripts.run_sync(scripts.SEED, names, args))
    return bool(scripts.run_within(epoch, scripts.SEED, names, args))


def _count(account: int, subject: str, counted: Counted, ended: Sequence[str]) -> None:
    """Make what a subject has counted anew, as long as its account is not."""
    own, log = keys.of(account, subject, "")[1:3]
    names = [keys.account(account), own, log, *keys.counted_before(account, subject)]
    names += [keys.request(account, each) for each in ended]
    args: list[redis.Argument] = [subject]
    args += [number for window in counted.windows for number in window]
    scripts.run_sync(scripts.COUNT, names, [*args, *counted.minute.values()])


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
    """In which epoch an account was made by this release; empty if in none."""
    try:
        epoch, seeded = redis.sync().hmget(keys.account(account), "epoch", "seeded")
    except redis.RedisError as error:
        raise scripts.unavailable(error) from error
    return "" if epoch is None or b"." in seeded else str(epoch.decode())


def announced(account: int) -> int:
    """How many requests gateways have announced of an account."""
    try:
        return int(redis.sync().hget(keys.account(account), "announced") or 0)
    except redis.RedisError as error:
        raise scripts.unavailable(error) from error


def open_requests(account: int) -> list[Open]:
    """The open requests of an account, purchases included, and those of the release before."""
    shard = keys.shard(account)
    try:
        client = redis.sync()
        names = [name.decode() for name in client.zrange(keys.open_requests(shard), 0, -1)]
        older = [name.decode() for name in client.zrange(keys.open_before(shard), 0, -1)]
        with client.pipeline(transaction=False) as batch:
            for name in names:
                batch.get(keys.request(account, name))
            for name in older:
                batch.hmget(keys.request_before(account, name), _BEFORE)
            stored = batch.execute() if names or older else []
    except redis.RedisError as error:
        raise scripts.unavailable(error) from error
    found = [_open(name, records.read(stored.pop(0)), account) for name in names]
    found += [_older(name, stored.pop(0), account) for name in older]
    return [each for each in found if each is not None]


def _open(name: str, record: records.Record | None, account: int) -> Open | None:
    if record is None or record.account != account:
        return None
    return Open(name, record.subject, record.admitted, record.windows)


def _older(name: str, stored: Sequence[bytes | None], account: int) -> Open | None:
    state, owner, subject, admitted = stored
    if state != b"open" or int(owner or 0) != account:
        return None
    return Open(name, (subject or b"").decode(), int(admitted or 0), ())


async def announce(
    ask: Ask, *, hold: int, cost: int, draft: bytes, admitted: int, windows: Sequence[Opened]
) -> bool:
    """Say that a request is alive, to a Redis that may have lost it. Twice is once. False if Redis
    knows that it has ended."""
    account, subject, log, running, purse = keys.of(ask.account, ask.subject, ask.caps.purse)
    names = account, subject, log, running, keys.request(ask.account, ask.request_id), purse
    rest = records.rest(ask.account, ask.subject, ask.caps.purse, draft, windows)
    args = ask.request_id, hold, cost, ask.lease_ms, admitted, rest
    return bool(await scripts.run(scripts.ANNOUNCE, names, args))
