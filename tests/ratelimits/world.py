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


def reserve(purchase: str, amount: int = nanos("4"), **changes: Any) -> str:
    args = {"credits": TEN, "credits_version": 1, "lease_ms": LEASE_MS} | changes
    return limiter.reserve_sync(ALICE, purchase, amount=amount, **args)


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
    names = sorted(set(client.scan_iter(count=1000)))
    with client.pipeline(transaction=False) as batch:
        for name in names:
            batch.dump(name).pttl(name)
        found = batch.execute()
    values = zip(found[::2], found[1::2], strict=True)
    return {name: (value, ms >= 0) for name, (value, ms) in zip(names, values, strict=True)}


# One key a call, so that a cluster can be aged too.
_AGE = """
local kind, ms = ARGV[1], tonumber(ARGV[2])
if kind == 'leases' or kind == 'open' or kind == 'rpm' then
  local shift = kind == 'rpm' and ms * 1000 or ms
  for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
    redis.call('ZINCRBY', KEYS[1], string.format('%.0f', -shift), member)
  end
elseif kind == 'windows' or kind == 'req' then
  for _, name in ipairs({'5h', 'daily', 'weekly', 'monthly'}) do
    if redis.call('HEXISTS', KEYS[1], name) == 1 then
      redis.call('HINCRBY', KEYS[1], name, string.format('%.0f', -ms))
    end
  end
end
local left = redis.call('PTTL', KEYS[1])
if left >= 0 then
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', left - ms))
end
"""


def advance(seconds: float) -> None:
    """Let time pass. The scripts read Redis's clock, so what is stored moves into the past."""
    client, ms = redis.sync(), round(seconds * 1000)
    for name in set(client.scan_iter(count=1000)):  # it may name a key twice
        kind = b"rpm" if name.startswith(b"throttle:") else name.split(b":")[2]
        client.eval(_AGE, 1, name, kind, ms)
