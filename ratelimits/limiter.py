"""Who may send how much: every window, the concurrency and the money, decided in one round trip.

Always true, and checked by tests/ratelimits/test_model.py:

1. At most `rpm` requests of a subject are admitted in any 60 seconds; at most the limit in each
   window of 5 h, 24 h, 7 d and 30 d, which opens with the first request after the last one closed.
2. At most `concurrent` requests of a subject hold a lease; a dead process loses its leases.
3. Holds are taken from credits - charged - held only, and never below zero.
4. A request is charged once, however often it is settled, and its event is appended with it.
5. A refusal takes nothing.
6. What a purse (a key, and what it is rotated to) has spent and holds in a UTC day, in a month and
   in its life is at most its caps; and likewise a member's purse, which all their keys share.
7. What a purse has spent and holds past full windows in a month is at most its overflow's cap.

The clock is Redis's. Money is nano-dollars. An account is a number, a subject (whom the windows
belong to) a string; nothing here knows what they stand for. A limit of 0 means there is none.
Every function raises errors.Unavailable if Redis does not answer: money fails closed.
"""

from dataclasses import dataclass
from struct import Struct
from typing import Literal, NamedTuple, get_args

from hontoni import redis
from ratelimits import epochs, keys, records, scripts
from ratelimits.answers import Binding, Limits, State, Status, Window, state
from ratelimits.guards import Guard
from ratelimits.overflows import Overflow
from ratelimits.purses import Caps

# Where everybody looks for it: what is asked, and what is answered.
__all__ = ["Ask", "Binding", "Limits", "State", "Status", "Window", "admit", "settle"]

Reservation = Literal["ok", "hold", "balance", "cold"]


class Ask(NamedTuple):
    """One request for admission: who, under which snapshot of the account, for how much.

    `full` is the hold wanted, `floor` the least that will do, in nano-dollars. Where the account
    affords less than `full`, `stretch` holds all it affords, else exactly `floor` is held.
    `draft` is the usage event (JSON) to settle with if nothing is heard of the request again.
    `holds_from` and `holds_until` bound the moment of admission that `full` and `floor` are right
    for, in microseconds by Redis's clock; 0 = any moment. A batch's request takes at most `drawn`
    of its hold out of what is set aside for `batch`. `guard` is what holds programs back that run
    away. `overflow` asks to go past a full window, which then counts nothing; "inside": none is
    full. No window counts what was before `reset` (ms by Redis's clock; 0: it was never).
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
    member: Caps = Caps()
    batch: str = ""
    drawn: int = 0
    guard: Guard | None = None
    overflow: Overflow | None = None
    reset: int = 0


@dataclass(frozen=True, slots=True)
class Extension:
    """What extend() granted on top of the hold the caller had, and what that makes. `capped`: if
    a cap leaves less than is `available` to the account, whose. "cold" and "unseeded": nothing,
    and the account or the purse has to be made anew first."""

    granted: int
    hold: int
    available: int
    capped: Literal["", "purse", "member"] = ""
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


# Longer than a snapshot lives, so that by then everybody knows the credits that a purchase left.
RESERVATION_MS = 120_000
# What is set aside for a batch outlives a restart of all that runs it.
EARMARK_MS = 600_000
_PURCHASES = "purchases"  # the subject of reservations, which count in no window
_BATCHES = "batches"  # the subject of what is set aside for them, likewise
_RESERVATION: dict[bytes, Reservation] = {name.encode(): name for name in get_args(Reservation)}
_CAPPED: tuple[Literal["", "purse", "member"], ...] = ("", "purse", "member")
_NOT_EXTENDED: dict[bytes, Status] = {b"cold": "cold", b"unseeded": "unseeded"}
_ADMISSION = Struct(">17q??")  # as admit.lua unpacks it
_MEMBER = Struct(">3q")  # likewise
_SETTLEMENT = Struct(">qBBB")  # as settle.lua does
_OUT_OF_WINDOWS, _OUT_OF_MINUTE = 1, 2

# -- The data plane ------------------------------------------------------------------------------


async def admit(ask: Ask, commit: bool = True) -> State:
    """Admit one request, or say why not. Without `commit`: only look; takes and writes nothing.

    "outdated": the hold is not for this moment, reckon it and ask again. "stale": the snapshot is
    older than the account, load it and ask again. "cold": seed the account,
    "unseeded": seed the purse, and ask again. Admitting an open request again answers its
    admission and takes nothing.
    """
    reply = await scripts.run(scripts.ADMIT, *_admission(ask, commit))
    return state(reply, ask.limits, ask.caps, ask.member, ask.overflow is not None)


def look_sync(ask: Ask) -> State:
    """Where a subject stands, asked by the control plane: `admit` that only looks."""
    reply = scripts.run_sync(scripts.ADMIT, *_admission(ask, False))
    return state(reply, ask.limits, ask.caps, ask.member)


def _admission(ask: Ask, commit: bool) -> tuple[tuple[str, ...], tuple[redis.Argument, ...]]:
    """KEYS and ARGV of admit.lua."""
    account, subject, limits, caps = ask.account, ask.subject, ask.limits, ask.caps
    purse, day, month, life = caps
    numbers = _ADMISSION.pack(
        ask.terms_version, ask.credits_version, ask.full, ask.floor, ask.lease_ms, *limits,
        day, month, life, ask.holds_from, ask.holds_until, ask.reset, ask.stretch, commit,
    )  # fmt: skip
    rest = records.rest(account, subject, purse, ask.draft)
    names = _keys(ask)
    args: tuple[redis.Argument, ...] = (ask.request_id, numbers, ask.credits, rest)
    if ask.batch:
        names = (*names, keys.request(account, ask.batch))
        args = (*args, ask.drawn)
    if ask.overflow is not None:
        names = (*names, keys.overflow(account, ask.overflow.purse))
    if ask.guard is not None:
        names = (*names, *ask.guard.keys(keys.tag(keys.shard(account))))
    if ask.member.any:
        theirs, *most = ask.member
        names = (*names, keys.spend(account, theirs))
        args = (*args, *(() if ask.batch else ("",)), _MEMBER.pack(*most))
    if ask.guard is not None:
        args = (*args, *("",) * (6 - len(args)), ask.guard.packed)
    if ask.overflow is not None:
        args = (*args, *("",) * (7 - len(args)), ask.overflow.packed)
    return names, args


def _keys(ask: Ask) -> tuple[str, ...]:
    """KEYS 1 to 6 as in state.lua."""
    account, subject, log, running, purse = keys.of(ask.account, ask.subject, ask.caps.purse)
    return account, subject, log, running, keys.request(ask.account, ask.request_id), purse


async def settle(
    ask: Ask, *, cost: int, event: str | bytes, giveback: bool = False, failed: bool = False
) -> State:
    """End a request: free its lease and hold, charge `cost`, append `event`. Twice is once.

    `event` may be empty only if the cost is 0. `giveback`: generation was never reached, so no
    window counts it. `failed`: not by its client's fault, whose guard then counts no repetition.
    "unknown": Redis lost the request while it ran; it is charged all the same.
    """
    reply = await scripts.run(
        scripts.SETTLE, *_settlement(ask, cost, event, giveback, failed=failed)
    )
    return state(reply, ask.limits, ask.caps)


async def extend(ask: Ask, *, hold: int, step: int, stretch: bool = False) -> Extension:
    """Raise a hold from `hold` by `step`, or with `stretch` by what is affordable of it.

    Grants 0 if the money is not there or the request is no longer open. Asking again with the same
    `hold` is answered with what was granted already.
    """
    purse, *caps = ask.caps
    names: tuple[str, ...] = (
        keys.account(ask.account),
        keys.request(ask.account, ask.request_id),
        keys.spend(ask.account, purse),
    )
    args: tuple[redis.Argument, ...] = (hold, step, 1 if stretch else 0, *caps)
    if ask.member.any:
        theirs, *most = ask.member
        names = (*names, keys.spend(ask.account, theirs))
        args = (*args, *most, ask.request_id)
    reply = await scripts.run(scripts.EXTEND, names, args)
    if len(reply) == 1:
        return Extension(0, hold, 0, status=_NOT_EXTENDED[reply[0]])
    granted, held, available, capped = reply
    return Extension(granted, held, available, _CAPPED[capped])


async def beat(ask: Ask, *, cost: int, draft: str | bytes) -> bool:
    """Keep a request alive for another lease and report its cost so far. False: it was reaped."""
    args = (ask.request_id, ask.lease_ms, cost, draft)
    deadline: int = await scripts.run(scripts.BEAT, _keys(ask), args)
    return deadline > 0


async def give(ask: Ask, *, amount: int, most: int, given: int | None = None) -> bool | None:
    """Give `amount` away to the request's account, if it is at most `most` a UTC day with what was
    given before. Once a request: asked again, the answer is the same. None: what was given before
    is not known here, so look it up and say it (`given`)."""
    before = "" if given is None else given
    args = (ask.request_id, amount, most, epochs.believed(), before)
    answer: int = await scripts.run(scripts.GIVE, (keys.given(ask.account),), args)
    return None if answer < 0 else answer > 0


async def earmark(account: int, batch: str, *, amount: int, lease_ms: int) -> Reservation:
    """Set exactly `amount` aside for a batch, whatever was set aside before; 0 frees all of it.

    "hold": running requests hold too much; "balance": there is not enough; "cold": seed it.
    """
    names = keys.account(account), keys.open_requests(keys.shard(account))
    rest = records.rest(account, _BATCHES, "", "")
    args = batch, amount, lease_ms, rest
    where = (*names, keys.request(account, batch))
    answer: bytes = await scripts.run(scripts.EARMARK, where, args)
    return _RESERVATION[answer]


async def may_still_be_booked(account: int, request_id: str) -> bool:
    """Whether a request that is not in the books may get there yet: it is open, or has just ended,
    or events of its shard wait to be written."""
    pipe = redis.pipe()
    try:
        record = pipe.execute("EXISTS", keys.request(account, request_id))
        waiting = pipe.execute("XLEN", keys.usage(keys.shard(account)))
        return bool(await record) or bool(await waiting)
    except redis.RedisError as error:
        raise scripts.unavailable(error) from error


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
    rest = records.rest(account, _PURCHASES, "", "")
    args = (purchase, credits, credits_version, amount, lease_ms, rest)
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


def reap_sync(
    dead: Expired,
    *,
    cost: int,
    event: str | bytes,
    member: str = "",
    guard: Guard | None = None,
    overflow: Overflow | None = None,
) -> State:
    """Settle a request for its dead process; `member` is the purse of whose key it was, `overflow`
    what it was admitted by. "alive" if it beat meanwhile: nothing happened."""
    ask = _closing(dead.request_id, dead.account, dead.subject, dead.purse)
    ask = ask._replace(member=Caps(member), guard=guard, overflow=overflow)
    reply = scripts.run_sync(scripts.SETTLE, *_settlement(ask, cost, event, reaping=True))
    return state(reply, ask.limits, ask.caps)


# -- Both ----------------------------------------------------------------------------------------


def _closing(request_id: str, account: int, subject: str, purse: str = "") -> Ask:
    """As much of an Ask as it takes to end it."""
    return Ask(
        request_id, account, subject, Limits(),
        terms_version=0, credits=0, credits_version=0, full=0, floor=0, lease_ms=0,
        caps=Caps(purse),
    )  # fmt: skip


def _settlement(
    ask: Ask,
    cost: int,
    event: str | bytes,
    giveback: bool = False,
    reaping: bool = False,
    failed: bool = False,
) -> tuple[tuple[str, ...], tuple[redis.Argument, ...]]:
    """KEYS and ARGV of settle.lua."""
    names = (*_keys(ask), keys.usage(keys.shard(ask.account)))
    if ask.member.purse:
        names = (*names, keys.spend(ask.account, ask.member.purse))
    out = _OUT_OF_WINDOWS if ask.overflow is None else _OUT_OF_MINUTE
    how = _SETTLEMENT.pack(ask.limits.rpm, giveback and out, reaping, failed)
    args: tuple[redis.Argument, ...] = (ask.request_id, ask.account, cost, event, how)
    if ask.guard is not None:
        guarding = ask.guard.keys(keys.tag(keys.shard(ask.account)))
        names, args = (*names, *guarding), (*args, len(guarding))
    if ask.overflow is not None:
        names = (*names, keys.overflow(ask.account, ask.overflow.purse))
        args = (*args, *((0,) if ask.guard is None else ()), 1)
    return names, args
