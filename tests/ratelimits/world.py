"""A small world: alice has $10 and a roomy plan. Money in the tests is nano-dollars."""

import itertools
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from hontoni import redis
from hontoni.money import nanos
from ratelimits import keys, limiter, overdue, purses, rebuilding, scripts

ALICE, BOB = 7, 8
TEN = nanos("10")
ROOMY = limiter.Limits(100, 200, 300, 400, 500, 100)
SUBJECT = "k1"
PURSE = "p1"
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
    args.setdefault("announced", rebuilding.announced(account))
    args.setdefault("opened", [each.request_id for each in rebuilding.open_requests(account)])
    return rebuilding.seed_sync(account, credits=credits, **args)


def period() -> tuple[int, int]:
    """Redis's UTC day and month, each as the number of its first day since 1970."""
    seconds, _ = redis.sync().time()
    today = datetime.fromtimestamp(seconds, UTC).date()
    epoch = date(1970, 1, 1)
    return (today - epoch).days, (today.replace(day=1) - epoch).days


def seed_purse(
    purse: str = PURSE, day: int = 0, month: int = 0, life: int = 0, **changes: Any
) -> bool:
    today, this_month = period()
    args = {"key_ids": [1]} | changes
    args.setdefault("opened", [each.request_id for each in rebuilding.open_requests(ALICE)])
    return purses.seed_sync(
        ALICE, purse, day=(today, day), month=(this_month, month), life=life, **args
    )


def spent(purse: str = PURSE) -> dict[str, int]:
    """What is stored of a purse, without when."""
    stored = redis.sync().hgetall(keys.spend(ALICE, purse))
    return {n.decode(): int(stored[n]) for n in sorted(stored) if n.endswith((b"spent", b"held"))}


_TURN = """
local days, months = tonumber(ARGV[1]), tonumber(ARGV[2])
if redis.call('TYPE', KEYS[1]).ok == 'hash' then
  redis.call('HINCRBY', KEYS[1], 'day', string.format('%d', -days))
  redis.call('HINCRBY', KEYS[1], 'month', string.format('%d', -months))
  return
end
local record = redis.call('GET', KEYS[1])
if #record > 1 then
  local day, month = struct.unpack('>I4I4', record, 50)
  local before = struct.pack('>I4I4', day - days, month > 0 and month - months or 0)
  redis.call('SETRANGE', KEYS[1], 49, before)
end
"""


def midnight(month: bool) -> None:
    """Let the UTC day end, and with it the month or not: what is stored is of the one before."""
    client = redis.sync()
    for name in stored():
        if name.split(b":")[2] in (b"spend", b"request"):
            client.eval(_TURN, 1, name, 40 if month else 1, int(month))


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


def stored() -> list[bytes]:
    """The names of what the scripts keep. Threads of earlier tests may still write beside them."""
    scan = redis.sync().scan_iter  # it may name a key twice
    return sorted({*scan("{s:*", count=1000), *scan("throttle:*", count=1000)})


def everything() -> dict[bytes, tuple[bytes, bool]]:
    """All that the scripts keep, to see that nothing changed."""
    client = redis.sync()
    names = stored()
    with client.pipeline(transaction=False) as batch:
        for name in names:
            batch.dump(name).pttl(name)
        found = batch.execute()
    values = zip(found[::2], found[1::2], strict=True)
    return {name: (value, ms >= 0) for name, (value, ms) in zip(names, values, strict=True)}


# One key a call, so that a cluster can be aged too.
_AGE = """
if redis.call('EXISTS', KEYS[1]) == 0 then
  return -- it has expired since it was listed
end
local kind, ms = ARGV[1], tonumber(ARGV[2])
local function shifted(numbers, by)
  local found = ''
  for from = 1, #numbers, 8 do
    found = found .. struct.pack('>i8', struct.unpack('>i8', numbers, from) - by)
  end
  return found
end
if kind == 'spend' then
  return -- its days are the calendar's
end
if kind == 'running' or kind == 'throttle' then
  local shift = kind == 'throttle' and ms * 1000 or ms
  for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
    redis.call('ZINCRBY', KEYS[1], string.format('%.0f', -shift), member)
  end
elseif kind == 'log' then
  for i, chunk in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
    redis.call('LSET', KEYS[1], i - 1, shifted(chunk, ms * 1000))
  end
elseif kind == 'subject' then
  local stored = redis.call('GET', KEYS[1])
  local head, logged = '>i8I4i8I4i8I4i8I4I4I4BB', 0
  local numbers = {struct.unpack(head, stored)}
  for i = 1, 7, 2 do
    numbers[i] = numbers[i] > 0 and numbers[i] - ms or 0
  end
  logged = 58 + 8 * (numbers[11] + numbers[12])
  local leases = ''
  for from = logged + 1, #stored, 12 do
    leases = leases .. shifted(string.sub(stored, from, from + 7), ms)
      .. string.sub(stored, from + 8, from + 11)
  end
  redis.call('SET', KEYS[1], struct.pack(head, unpack(numbers, 1, 12))
    .. shifted(string.sub(stored, 59, logged), ms * 1000) .. leases, 'KEEPTTL')
elseif kind == 'request' then
  local at, lease = struct.unpack('>i8i8', redis.call('GET', KEYS[1]) .. string.rep('\\0', 60), 26)
  if redis.call('STRLEN', KEYS[1]) > 1 then
    redis.call('SETRANGE', KEYS[1], 25, struct.pack('>i8i8', at - ms * 1000, lease - ms))
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
    for name in stored():
        kind = b"throttle" if name.startswith(b"throttle:") else name.split(b":")[2]
        client.eval(_AGE, 1, name, kind, ms)


def expired(limit: int = 100) -> list[limiter.Expired]:
    """The requests whose deadline has passed."""
    late = (each for each in overdue.find(limit) if each.passed)
    return [found for each in late if (found := overdue.read(each))]


_COUNTING = ("admit", "settle", "beat", "announce", "count")


def chunks_of(patch: pytest.MonkeyPatch, requests: int) -> None:
    """Let the log of a minute have chunks of so many requests, so that a few make a list."""

    def whole(file: Path) -> str:
        text, wanted = real(file), "MINUTE, CHUNK, CROWD = 86400000, 60000000, 128,"
        return text.replace(wanted, wanted.replace("128", str(8 * requests)))

    real = redis._whole
    patch.setattr(redis, "_whole", whole)
    for name in _COUNTING:
        file = Path(scripts.__file__).parent / "lua" / f"{name}.lua"
        known = getattr(scripts, name.upper())
        patch.setattr(scripts, name.upper(), type(known)(file))
    assert f"60000000, {8 * requests}," in scripts.SETTLE.text
