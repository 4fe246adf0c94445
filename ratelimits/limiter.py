"""Who may send how much: every window, the concurrency and the money, decided in one round trip.

Always true, and checked by tests/ratelimits/test_model.py:

1. At most `rpm` requests of a subject are admitted in any 60 seconds; at most the limit in each
   window of 5 h, 24 h, 7 d and 30 d, which opens with the first request after the last one closed.
2. At most `concurrent` requests of a subject hold a lease; a dead process loses its leases.
3. Holds are taken from credits - charged - held only, and never below zero.
4. A request is charged once, however often it is settled, and its event is appended with it.
5. A refusal takes nothing.
6. What a purse (a key, and what it is rotated to) has spent and holds in a UTC day, in a month and
   in its life is at most its caps.

The clock is Redis's. Money is nano-dollars. An account is a number, a subject (whom the windows
belong to) a string; nothing here knows what they stand for. A limit of 0 means there is none.
Every function raises errors.Unavailable if Redis does not answer: money fails closed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

from hontoni import redis
from ratelimits import epochs, keys, scripts
from ratelimits.purses import Caps, Spend, standing

Status = Literal[
    "ok", "outdated", "stale", "cold", "unseeded", "refused",  # of admit
    "settled", "already", "alive", "unknown",  # of settle
]  # fmt: skip
Binding = Literal[
    "", "rpm", "5h", "daily", "weekly", "monthly", "concurrent", "hold", "balance", "settled",
    "spent_day", "spent_month", "spent_life", "purse_hold",
]  # fmt: skip
Reservation = Literal["ok", "hold", "balance", "cold"]
Window = tuple[str, int, int, int]  # name, limit, used, ms until it resets


class Limits(NamedTuple):
    """How many requests a window, and how many at once. 0 = no such limit."""

    rpm: int = 0
    five_hours: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    concurrent: int = 0

    def times(self, n: int) -> "Limits":
        """All of them n times as large."""
        return Limits(
            self.rpm * n,
            self.five_hours * n,
            self.daily * n,
            self.weekly * n,
            self.monthly * n,
            self.concurrent * n,
        )


class Ask(NamedTuple):
    """One request for admission: who, under which snapshot of the account, for how much.

    `full` is the hold wanted, `floor` the least that will do, in nano-dollars. Where the account
    affords less than `full`, `stretch` holds all it affords, else exactly `floor` is held.
    `draft` is the usage event (JSON) to settle with if nothing is heard of the request again.
    `holds_from` and `holds_until` bound the moment of admission that `full` and `floor` are right
    for, in microseconds by Redis's clock; 0 = any moment.
    """

    request_id: str
    account: int
    subject: str
    limits: Limits
    terms_version: int
    credits: int
    credits_version: int
    full: int
    floor: int
    lease_ms: int
    stretch: bool = False
    draft: str | bytes = ""
    caps: Caps = Caps()
    holds_from: int = 0
    holds_until: int = 0


class State(NamedTuple):
    """Where a subject and its account stand, as the last script left them.

    `binding` names what refused: of several limits the one that frees last. `windows` are rpm, 5h,
    daily, weekly and monthly; `spend` is told of a purse with caps. `now` is Redis's clock in
    microseconds. `outdated` tells `now` alone; `stale`, `cold`, `unseeded` nothing but themselves.
    """

    status: Status
    binding: Binding = ""
    retry_after_ms: int = 0
    hold: int = 0
    balance: int = 0
    held: int = 0
    active: int = 0
    now: int = 0
    windows: tuple[Window, ...] = ()
    spend: tuple[Spend, ...] = ()

    @property
    def available(self) -> int:
        """What the account can still spend; below zero if a cost exceeded its hold."""
        return self.balance - self.held


@dataclass(frozen=True, slots=True)
class Extension:
    """What extend() granted on top of the hold the caller had, and what that makes. "cold" and
    "unseeded": nothing, and the account or the purse has to be made anew first."""

    granted: int
    hold: int
    available: int
    status: Status = "ok"


@dataclass(frozen=True, slots=True)
class Expired:
    """An open request whose process has gone silent: what it held, cost, and its event so far."""

    request_id: str
    account: int
    subject: str
    hold: int
    cost: int
    draft: bytes
    purse: str = ""


@dataclass(frozen=True, slots=True)
class Account:
    """An account as Redis has it. `charged` = settled in the database + events underway."""

    terms_version: int
    credits: int
    credits_version: int
    charged: int
    held: int


_WINDOWS_END = 18  # of state.lua's answer; a capped purse's numbers come behind
_PURCHASES = "purchases"  # the subject of reservations, which count in no window
_RESERVATION: dict[bytes, Reservation] = {name.encode(): name for name in get_args(Reservation)}
_STATUS: dict[bytes, Status] = {name.encode(): name for name in get_args(Status)}
_BINDING: dict[bytes, Binding] = {name.encode(): name for name in get_args(Binding)}

# -- The data plane ------------------------------------------------------------------------------


async def admit(ask: Ask, commit: bool = True) -> State:
    """Admit one request, or say why not. Without `commit`: only look; takes and writes nothing.

    "outdated": the hold is not for this moment, reckon it and ask again. "stale": the snapshot is
    older than the account, load it and ask again. "cold": seed the account,
    "unseeded": seed the purse, and ask again. Admitting an open request again answers its
    admission and takes nothing.
    """
    return _state(await scripts.run(scripts.ADMIT, *_admission(ask, commit)), ask)


def look_sync(ask: Ask) -> State:
    """Where a subject stands, asked by the control plane: `admit` that only looks."""
    return _state(scripts.run_sync(scripts.ADMIT, *_admission(ask, False)), ask)


def _admission(ask: Ask, commit: bool) -> tuple[tuple[str, ...], tuple[redis.Argument, ...]]:
    """KEYS and ARGV of admit.lua."""
    limits = ask.limits
    caps = ask.caps
    names = (
        *keys.of(ask.account, ask.subject, caps.purse),
        keys.request(ask.account, ask.request_id),
    )
    args = (
        ask.request_id, ask.account, ask.subject,
        ask.terms_version, ask.credits, ask.credits_version,
        ask.full, ask.floor, 1 if ask.stretch else 0,
        ask.lease_ms, 1 if commit else 0, ask.draft,
        limits.rpm, limits.five_hours, limits.daily, limits.weekly, limits.monthly,
        limits.concurrent, caps.purse, caps.day, caps.month, caps.life,
        ask.holds_from, ask.holds_until,
    )  # fmt: skip
    return names, args


async def settle(ask: Ask, *, cost: int, event: str | bytes, giveback: bool = False) -> State:
    """End a request: free its lease and hold, charge `cost`, append `event`. Twice is once.

    `event` may be empty only if the cost is 0. `giveback`: generation was never reached, so no
    window counts it. "unknown": Redis lost the request while it ran; it is charged all the same.
    """
    reply = await scripts.run(scripts.SETTLE, *_settlement(ask, cost, event, giveback))
    return _state(reply, ask)


async def extend(ask: Ask, *, hold: int, step: int, stretch: bool = False) -> Extension:
    """Raise a hold from `hold` by `step`, or with `stretch` by what is affordable of it.

    Grants 0 if the money is not there or the request is no longer open. Asking again with the same
    `hold` is answered with what was granted already.
    """
    purse, *caps = ask.caps
    names = (
        keys.account(ask.account),
        keys.request(ask.account, ask.request_id),
        keys.spend(ask.account, purse),
    )
    args = (hold, step, 1 if stretch else 0, *caps)
    reply = await scripts.run(scripts.EXTEND, names, args)
    return Extension(*reply) if len(reply) == 3 else Extension(0, hold, 0, _STATUS[reply[0]])


async def beat(ask: Ask, *, cost: int, draft: str | bytes) -> bool:
    """Keep a request alive for another lease and report its cost so far. False: it was reaped."""
    _, _, _, leases, opened, _ = keys.of(ask.account, ask.subject, ask.caps.purse)
    names = (leases, opened, keys.request(ask.account, ask.request_id))
    deadline: int = await scripts.run(
        scripts.BEAT, names, (ask.request_id, ask.lease_ms, cost, draft)
    )
    return deadline > 0


async def give(ask: Ask, *, amount: int, most: int, given: int | None = None) -> bool | None:
    """Give `amount` away to the request's account, if it is at most `most` a UTC day with what was
    given before. Once a request: asked again, the answer is the same. None: what was given before
    is not known here, so look it up and say it (`given`)."""
    before = "" if given is None else given
    args = (ask.request_id, amount, most, epochs.believed(), before)
    answer: int = await scripts.run(scripts.GIVE, (keys.given(ask.account),), args)
    return None if answer < 0 else answer > 0


async def terms_version(account: int) -> int:
    """The newest version of an account's terms that Redis was told of; 0 if of none."""
    try:
        return int(await redis.pipe().execute("HGET", keys.account(account), "terms") or 0)
    except redis.RedisError as error:
        raise scripts.unavailable(error) from error


# -- The control plane ---------------------------------------------------------------------------


def publish_terms(account: int, version: int) -> bool:
    """Make every older snapshot of the account stale. False if Redis knew."""
    return bool(
        scripts.run_sync(scripts.PUBLISH, (keys.account(account),), ("terms", version, ""))
    )


def publish_credits(account: int, credits: int, version: int) -> bool:
    """Tell Redis the account's total of credits. False if it knew, or is not seeded."""
    return bool(
        scripts.run_sync(scripts.PUBLISH, (keys.account(account),), ("credits", version, credits))
    )


def reserve_sync(
    account: int, purchase: str, *, amount: int, credits: int, credits_version: int, lease_ms: int
) -> Reservation:
    """Set `amount` aside so that no request can spend it until `release_sync`.

    Call it under the lock of the account's wallet, with its credits. "hold": running requests
    hold too much; "balance": there is not enough; "cold": nobody can spend while the lock is kept.
    """
    opened = keys.open_requests(keys.shard(account))
    names = (keys.account(account), opened, keys.request(account, purchase))
    args = (purchase, account, _PURCHASES, credits, credits_version, amount, lease_ms)
    believed = epochs.believed()
    answer: bytes = scripts.run_sync(scripts.RESERVE, names, args)
    if answer == b"cold" and _confirmed() != believed:  # it was only we who did not know
        answer = scripts.run_sync(scripts.RESERVE, names, args)
    return _RESERVATION[answer]


def _confirmed() -> str:
    try:
        return epochs.confirm_sync()
    except redis.RedisError as error:
        raise scripts.unavailable(error) from error


def release_sync(account: int, purchase: str) -> None:
    """End a reservation. Twice is once, and so is after it was reaped."""
    ask = _closing(purchase, account, _PURCHASES)
    scripts.run_sync(scripts.SETTLE, *_settlement(ask, cost=0, event="", reaping=False))


def read_account_sync(account: int) -> Account | None:
    """An account's money as Redis has it, or None if it was not made in this epoch."""
    fields = ("epoch", "terms", "credits", "credits_version", "charged", "held")
    try:
        epoch, *values = redis.sync().hmget(keys.account(account), fields)
    except redis.RedisError as error:
        raise scripts.unavailable(error) from error
    if values[1] is None or epoch is None:
        return None
    made_in = epoch.decode()
    if made_in != epochs.believed() and made_in != _confirmed():
        return None
    return Account(*(int(value or 0) for value in values))


def expired(limit: int, shards: Sequence[int] = range(keys.SHARDS)) -> list[Expired]:
    """Open requests of these shards whose deadline has passed, at most `limit`."""
    found: list[Expired] = []
    for shard in shards:
        ids = scripts.run_sync(
            scripts.EXPIRED, (keys.open_requests(shard),), (limit - len(found),)
        )
        found += [record for name in ids if (record := _record(shard, name.decode()))]
        if len(found) >= limit:
            break
    return found


def reap_sync(dead: Expired, *, cost: int, event: str | bytes) -> State:
    """Settle a request for its dead process. "alive" if it beat meanwhile: nothing happened."""
    ask = _closing(dead.request_id, dead.account, dead.subject, dead.purse)
    return _state(
        scripts.run_sync(scripts.SETTLE, *_settlement(ask, cost, event, reaping=True)), ask
    )


def _record(shard: int, request_id: str) -> Expired | None:
    name = keys.request(shard, request_id)
    fields = ("state", "account", "subject", "hold", "cost", "draft", "purse")
    try:
        state, account, subject, hold, cost, draft, purse = redis.sync().hmget(name, fields)
        if state is None:  # lost without its record: nobody else would ever clear it away
            redis.sync().zrem(keys.open_requests(shard), request_id)
    except redis.RedisError as error:
        raise scripts.unavailable(error) from error
    if state != b"open":
        return None
    return Expired(
        request_id,
        int(account),
        subject.decode(),
        int(hold),
        int(cost),
        draft,
        (purse or b"").decode(),
    )


# -- Both ----------------------------------------------------------------------------------------


def _closing(request_id: str, account: int, subject: str, purse: str = "") -> Ask:
    """As much of an Ask as it takes to end it."""
    return Ask(
        request_id, account, subject, Limits(),
        terms_version=0, credits=0, credits_version=0, full=0, floor=0, lease_ms=0,
        caps=Caps(purse),
    )  # fmt: skip


def _settlement(
    ask: Ask, cost: int, event: str | bytes, giveback: bool = False, reaping: bool = False
) -> tuple[tuple[str, ...], tuple[redis.Argument, ...]]:
    """KEYS and ARGV of settle.lua."""
    names = (
        *keys.of(ask.account, ask.subject, ask.caps.purse),
        keys.request(ask.account, ask.request_id),
        keys.usage(keys.shard(ask.account)),
    )
    flags = (1 if giveback else 0, 1 if reaping else 0, ask.limits.rpm)
    return names, (ask.request_id, ask.account, cost, event, *flags)


def _state(reply: list[Any], ask: Ask) -> State:
    """state.lua's answer, by position."""
    if len(reply) == 1:
        return State(_STATUS[reply[0]])
    if len(reply) == 2:
        return State(_STATUS[reply[0]], now=reply[1])
    limits = ask.limits
    status, binding, wait, hold, balance, held, active, now = reply[:8]
    windows = (
        ("rpm", limits.rpm, reply[8], reply[9]),
        ("5h", limits.five_hours, reply[10], reply[11]),
        ("daily", limits.daily, reply[12], reply[13]),
        ("weekly", limits.weekly, reply[14], reply[15]),
        ("monthly", limits.monthly, reply[16], reply[17]),
    )
    spending = reply[_WINDOWS_END:]
    spend = standing(spending, ask.caps) if spending else ()
    return State(
        _STATUS[status], _BINDING[binding], wait, hold, balance, held, active, now, windows, spend
    )
