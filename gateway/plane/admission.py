"""From a parsed request to an admitted one, and from a finished one to a settled one.

Admission is one Redis round trip that decides every limit and the money hold together
(ratelimits/lua/admit.lua). What surrounds it: a snapshot that turned out stale is read again, a
cold account is seeded from the ledger, and a concurrency conflict waits a while for a slot.
"""

import asyncio
import logging
from collections import defaultdict

from django.conf import settings

from accounts.keys import scopes
from gateway.catalogue import clock, snapshot
from gateway.metering.estimates import Hold
from gateway.plane import (
    callers,
    counts,
    guard,
    inbound,
    life,
    overflow,
    own_keys,
    stores,
    tracing,
    usage_events,
)
from gateway.plane.call import Call
from gateway.plane.callers import Caller
from gateway.plane.counts import Counts
from gateway.plane.exchange import Exchange
from gateway.usage import fair_bill, spending
from hontoni import freshness, redis
from hontoni.errors import ApiError, Unavailable
from ratelimits import epochs, limiter
from ratelimits.headers import refusal
from ratelimits.limiter import Ask, Extension, State

logger = logging.getLogger(__name__)

_MOST_RENEWALS = 5
_RETRY_SECONDS = 0.5
_NOTHING = Hold(0, 0)
_RECHECK_SECONDS = 0.1  # a slot freed on another node is noticed by looking again
_waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
LIVE = stores.LIVE
_unsettled = stores.UNSETTLED  # tried again by `heartbeat`


def _ask(
    caller: Caller,
    request_id: str,
    hold: Hold,
    *,
    stretch: bool,
    lease_ms: int = 0,
    draft: bytes = b"",
    price: tuple[int, int] = (0, 0),
) -> Ask:
    return Ask(
        request_id, caller.account, caller.subject, caller.limits,
        caller.terms_version, caller.credits, caller.credits_version,
        hold.full, hold.floor, lease_ms, stretch, draft, caller.caps, *price, caller.member,
        reset=caller.reset,
    )  # fmt: skip


async def _renewed(caller: Caller, state: State) -> Caller:
    """What it takes to ask again: a fresh snapshot, or a seeded account or purse."""
    if state.status == "stale":
        given = await limiter.terms_version(caller.account)
        caller = await callers.reload(caller.digest)
        if caller.terms_version < given:  # Redis knows no terms but from the database
            await stores.went_back()
        return caller
    await _anew(caller, state.status)
    return await callers.reload(caller.digest)


async def _anew(caller: Caller, status: limiter.Status) -> None:
    if status == "cold":
        await stores.rebuilt(caller.account)
    elif status == "unseeded":
        await freshness.query(spending.seed, caller.key_id)


async def look(
    caller: Caller,
    request_id: str,
    hold: Hold = _NOTHING,
    *,
    stretch: bool = False,
    past: bool = False,
) -> State | None:
    """Where a caller's limits and money stand, nothing taken: for headers, and to tell whether a
    request with that hold would be admitted, or go `past` a full window. Raises Unavailable."""
    for _ in range(_MOST_RENEWALS):
        ask = _ask(caller, request_id, hold, stretch=stretch)
        if past:
            ask = ask._replace(overflow=caller.overflow)
        state = await limiter.admit(ask, commit=False)
        if (
            state.status in ("ok", "inside")
            or state.status == "refused"
            and not callers.old(caller)
        ):
            return state
        caller = await _renewed(caller, state)
    return None


async def enter(http: Exchange, scope: str = scopes.INFERENCE) -> Caller:
    """Who asks, and where their limits stand: for questions that use none of them up."""
    caller = await callers.enter(http, scope)
    http.state = await look(caller, http.request_id)
    return await callers.enter(http, scope)  # looking may have found the snapshot stale


async def admit(call: Call) -> None:
    """Take the request's place in every window, a slot and a hold, at the prices of that moment.
    Raises what refused it."""
    renewals, deadline, moment = 0, 0.0, None
    while True:
        _price(call, snapshot.at_hand(moment) or await snapshot.current(moment))
        state = await _ask_limiter(call)
        if state.status in ("stale", "cold", "unseeded", "outdated", "inside"):
            renewals += 1
            if renewals > _MOST_RENEWALS:
                raise Unavailable("Your account is changing right now. Try again.")
            moment = state.now or None  # outdated: by Redis's clock the price is another one
            if moment is not None:
                clock.set_to(moment)
            elif state.status == "inside":
                overflow.leave(call)
            else:
                await _renew(call, state)
            continue
        moment = None
        call.state = call.http.state = state
        if state.status == "ok":
            call.become(life.ADMITTED)
            call.admitted_at = state.now
            call.hold_is(state.hold)
            overflow.tell(call)
            if stores.admitted(call):
                await stores.introduce(call)
            return
        if overflow.enters(call, state):
            continue
        now = asyncio.get_running_loop().time()
        deadline = deadline or now + settings.CONCURRENCY_WAIT_SECONDS
        if state.binding == "concurrent" and now < deadline:
            await _slot(call.caller.subject)
        elif not callers.old(call.caller):
            raise overflow.refused(call, state)
        else:  # an announcement may have been lost: look again
            try:
                await _renew(call, state)
            except Unavailable as error:
                raise overflow.refused(call, state) from error


def _price(call: Call, known: snapshot.Catalogue) -> None:
    """What it costs by that catalogue, of now or of the moment Redis told: it may have waited
    since it was understood. Raises NotFound if it is no longer sold."""
    call.price_read_at, call.priced_for = known.of.read_at, (known.since, known.until)
    sold = known.models.get(call.model.id)
    if sold is None:
        raise known.missing(call.request.name)
    sold = sold.owned(call.request.account)
    if call.model.fee is not None:
        sold = sold.by_own_key() or sold
    if call.past is not None:
        surcharge = call.caller.surcharge
        call.request = overflow.priced(call.request, sold, call.lane.sifted, surcharge)
    elif sold is not call.model:  # seldom
        call.request = call.request.priced(sold, call.lane.sifted)


async def _ask_limiter(call: Call) -> State:
    call.ask = _ask(
        call.caller,
        call.id,
        call.hold,
        stretch=not call.stream or call.hidden or bool(call.lane.sifted.uses),
        lease_ms=call.http.config.lease_ms,
        draft=usage_events.draft(call),
        price=call.priced_for,
    )
    if call.earmark is not None:
        batch, drawn = call.earmark
        call.ask = call.ask._replace(batch=batch, drawn=drawn)
    if call.caller.guard is not None:
        guarded = guard.of(call.caller.guard, call.request, call.http.headers)
        call.ask = call.ask._replace(guard=guarded)
    if call.past is not None:
        call.ask = call.ask._replace(overflow=call.caller.overflow)
    call.epoch = epochs.believed()
    call.become(life.ASKED)
    try:
        state = await limiter.admit(call.ask)
    except asyncio.CancelledError:
        LIVE.add(call)  # Redis was asked: what it may have given is given back
        raise
    if state.now:
        clock.heard(state.now)
    return state


async def _renew(call: Call, state: State) -> None:
    """Read anew whatever was too old for it to be decided."""
    before = call.caller.own_keys
    call.caller = await _renewed(call.caller, state)
    if call.earmark is not None:
        call.caller = call.caller.in_batch()
    if call.caller.overflow is None and call.past is not None:
        overflow.leave(call)
    if call.caller.own_keys != before:
        own_keys.renew(call)
    call.http.limits = call.caller.limits
    if scopes.INFERENCE not in call.caller.scopes:
        raise scopes.missing(scopes.INFERENCE, "API key")
    needed = inbound.permission(call.model, call.request.variant, call.caller)
    if problem := call.caller.forbidden(call.ip, needed):
        raise problem


async def _slot(subject: str) -> None:
    """Wait until a slot of this subject may be free: at once if it is freed by this process."""
    freed = asyncio.Event()
    _waiting[subject].add(freed)
    try:
        async with asyncio.timeout(_RECHECK_SECONDS):
            await freed.wait()
    except TimeoutError:
        pass
    finally:
        _waiting[subject].discard(freed)
        if not _waiting[subject]:
            del _waiting[subject]


async def close(call: Call) -> None:
    """Decide what it costs, within what may be given away, and settle it. Once."""
    if call.life in life.DECIDED:
        return await settle(call)
    if call.reached and not call.failed and call.held < call.hold.full:
        await _cover(call)
    call.close_account()
    if call.gift and not await _may_give(call):
        call.charge_in_full()
    await settle(call)


async def _cover(call: Call) -> None:
    """Less than the whole was held, and it cost more (its prompt was denser than most): what is
    missing is held first, as far as there is money. Never more than the whole."""
    missing = min(call.cost_so_far(), call.hold.full) - call.held
    if missing <= 0:
        return
    try:
        more = await extend(call, missing)
    except ApiError:
        logger.exception("hold.uncovered %s", call.id)
    else:
        call.held = more.hold


async def extend(call: Call, step: int) -> Extension:
    """Hold so much more, as far as there is money. Raises Unavailable."""
    for _ in range(_MOST_RENEWALS):
        more = await limiter.extend(call.admitted_ask(), hold=call.held, step=step, stretch=True)
        if more.status == "ok":
            return more
        await _anew(call.caller, more.status)
    raise Unavailable("Your account is changing right now. Try again.")


async def enter_windows(caller: Caller, request_id: str) -> Ask:
    """Take a place in every window, and a slot, for what is no request to a vendor: it holds
    nothing, and `leave` ends it. Raises what refuses it."""
    for _ in range(_MOST_RENEWALS):
        ask = _ask(caller, request_id, _NOTHING, stretch=False, lease_ms=limiter.RESERVATION_MS)
        state = await limiter.admit(ask)
        if state.status == "ok":
            return ask
        if state.status == "refused" and not callers.old(caller):
            raise refusal(state, caller.limits)
        caller = await _renewed(caller, state)
    raise Unavailable("Your account is changing right now. Try again.")


async def leave(ask: Ask, *, giveback: bool) -> None:
    """The slot is free again; with `giveback` so is the place in every window."""
    await limiter.settle(ask, cost=0, event=b"", giveback=giveback)


async def _may_give(call: Call) -> bool:
    """Whether the account's day has room for it. A Redis that is away is no fault of theirs."""
    most, ask = call.http.config.fair_bill_daily, call.admitted_ask()
    try:
        answer = await limiter.give(ask, amount=call.gift, most=most)
        if answer is None:  # a new day, or a Valkey that has lost the old one
            given = await freshness.query(fair_bill.given_today, ask.account)
            answer = await limiter.give(ask, amount=call.gift, most=most, given=given)
        return bool(answer)
    except (ApiError, redis.RedisError):
        logger.exception("gift.unasked %s", call.id)
        return True


async def settle(call: Call) -> None:
    """Release the slot and the hold, charge `call.cost`, append the usage event. Once.

    Where Redis is away the customer need not wait for it: `heartbeat` settles it later.
    """
    if call.settled:
        return
    if call.life not in life.DECIDED:
        call.become(life.CLOSED if call.reached else life.FREED)
        if Counts.on:
            counts.ended(call)
        if call.trace is not None:
            tracing.end(call)
    event, giveback = usage_events.event(call), call.life is life.FREED
    stores.keep(call, event)
    try:
        state = await limiter.settle(
            call.admitted_ask(),
            cost=call.cost,
            event=event,
            giveback=giveback,
            failed=call.failed,
        )
    except ApiError:
        logger.exception("settle.postponed %s", call.id)
        _unsettled[call.id] = call
        return
    finally:
        LIVE.discard(call)
    _unsettled.pop(call.id, None)
    stores.answered(call)
    if call.settled:  # said twice at once
        return
    call.become(life.SETTLED)
    call.state = call.http.state = state
    for freed in _waiting.get(call.caller.subject, ()):
        freed.set()


def unsettled() -> int:
    """How many requests have ended while Redis was away, and wait for it."""
    return len(_unsettled)


async def heartbeat() -> bool:
    """Tell Redis which requests are alive and what they cost so far; settle what it missed.

    False if something of it has to be said again.
    """
    alive, well = list(LIVE), True
    answers = await asyncio.gather(*(_beat(call) for call in alive), return_exceptions=True)
    for call, answer in zip(alive, answers, strict=True):
        if isinstance(answer, BaseException):
            logger.warning("heartbeat.failed %s: %s", call.id, answer)
            well = False
    for call in list(_unsettled.values()) if well else ():
        await settle(call)
        if not call.settled:
            return False  # still away
    return well


async def _beat(call: Call) -> None:
    now = call.so_far()
    draft = usage_events.event(now, lost=True)
    await limiter.beat(call.admitted_ask(), cost=now.cost, draft=draft)


async def beat_for_ever() -> None:
    """Three heartbeats within a lease, so that losing two of them costs nothing.

    One that failed is repeated soon: when Redis comes back, leases have run out, and who is alive
    has to say so before others get their slots. Nor does it wait where Redis's clock has jumped.
    """
    well, loop = True, asyncio.get_running_loop()
    due = loop.time() + settings.LEASE_SECONDS / 3
    while True:
        await asyncio.sleep(_RETRY_SECONDS)
        if well and not _unsettled and loop.time() < due and not clock.jumped():
            continue
        due = loop.time() + settings.LEASE_SECONDS / 3
        try:
            well = await heartbeat()
        except Exception:
            logger.exception("heartbeat.failed")
            well = False
