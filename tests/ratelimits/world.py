"""A small world: alice has $10 and a roomy plan. Money in the tests is nano-dollars."""

import itertools
from typing import Any

from hontoni import redis
from hontoni.money import nanos
from ratelimits import keys, limiter

ALICE, BOB = 7, 8
TEN = nanos("10")
ROOMY = limiter.Limits(100, 200, 300, 400, 500, 100)
SUBJECT = "k1"
LEASE_MS = 45_000
EVENT = '{"id": "req_1"}'

_serial = itertools.count()


def ask(**changes: Any) -> limiter.Ask:
    """Alice asks, for a dollar, unless told otherwise; each time a new request."""
    usual = limiter.Ask(
        request_id=f"req_{next(_serial):032x}",
        account=ALICE,
        subject=SUBJECT,
        limits=ROOMY,
        terms_version=1,
        credits=TEN,
        credits_version=1,
        full=nanos("1"),
        floor=nanos("0.1"),
        lease_ms=LEASE_MS,
        draft='{"draft": 1}',
    )
    return usual._replace(**changes)


def seed(account: int = ALICE, credits: int = TEN, **changes: Any) -> bool:
    args = {"credits_version": 1, "terms_version": 1, "charged": 0} | changes
    return limiter.seed_sync(account, credits=credits, **args)


def money(account: int = ALICE) -> limiter.Account:
    found = limiter.read_account_sync(account)
    assert found is not None
    return found


def used(state: limiter.State) -> list[int]:
    return [window[2] for window in state.windows]


def resets(state: limiter.State) -> list[int]:
    return [window[3] for window in state.windows]


def events(account: int = ALICE) -> list[tuple[int, int, str]]:
    """What the usage stream of the account's shard holds: account, cost, event."""
    entries = redis.sync().xrange(keys.usage(keys.shard(account)))
    return [
        (int(fields[b"account"]), int(fields[b"cost"]), fields[b"event"].decode())
        for _, fields in entries
    ]


def everything() -> dict[bytes, tuple[bytes, bool]]:
    """All that Redis holds, to see that nothing changed."""
    client = redis.sync()
    return {key: (client.dump(key), client.pttl(key) >= 0) for key in client.scan_iter()}


def advance(seconds: float) -> None:
    """Let time pass. The scripts read Redis's clock, so what is stored moves into the past."""
    client, ms = redis.sync(), round(seconds * 1000)
    for key in client.scan_iter():
        kind = b"rpm" if key.startswith(b"throttle:") else key.split(b":")[2]
        if kind in (b"leases", b"open", b"rpm"):
            shift = ms if kind in (b"leases", b"open") else ms * 1000
            for member, score in client.zrange(key, 0, -1, withscores=True):
                client.zadd(key, {member: int(score) - shift})
        elif kind in (b"windows", b"req"):
            for name in ("5h", "daily", "weekly", "monthly"):
                if client.hexists(key, name):
                    client.hincrby(key, name, -ms)
        left = client.pttl(key)
        if left >= 0:
            client.pexpire(key, left - ms)
