"""A request's body, read when it is known that it may be of use.

A small one is read at once. For a large one the caller is looked at first: whether the balance,
the plan's windows and its slots allow a request at all. No more of them are read at once, of what
shares those slots, than there are slots; what waits is not read, so it waits at its sender's. What
is compressed is large once it has become so, and is never more than a plain one may be.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from django.conf import settings

from gateway.catalogue import snapshot
from gateway.metering.estimates import Hold
from gateway.plane import admission, callers, overflow
from gateway.plane.callers import Caller
from gateway.plane.codings import Coded
from gateway.plane.exchange import Exchange
from hontoni.errors import RateLimited
from ratelimits.headers import refusal
from ratelimits.limiter import State

LARGE_BYTES = 1024 * 1024
_LOOK_SECONDS, _AGAIN_SECONDS = 0.5, 0.1
_MOST = 16  # at once, however many slots there are
_PIECE_SECONDS = 0.004
_reading: Counter[str] = Counter()  # large bodies, by the subject of the slots


async def read(http: Exchange, caller: Caller, *, paid: bool = True) -> bytes:
    """The body, as it was before it was compressed. Raises ApiError: what refuses the caller,
    too."""
    announced, coding = http.announced(), http.coding()
    found, coded = None, None
    if announced <= LARGE_BYTES:
        found = await http.body(announced, LARGE_BYTES)
        if found is not None and coding:
            coded = Coded(coding, found)
            found = await _undone(http, coded, LARGE_BYTES)
        if found is not None:
            return found
    async with _turn(http, caller, paid):
        if coded is None:
            found = await http.body(announced, http.config.max_body_bytes, _pause)
            assert found is not None
            coded = Coded(coding, found) if coding else None
        if coded is not None:
            found = await _undone(http, coded, http.config.max_body_bytes)
    if found is None:
        raise http.too_large()
    return found


async def _undone(http: Exchange, coded: Coded, most: int) -> bytes | None:
    """What it was before it was compressed; None once that is more than `most` bytes, and asked
    again it goes on. Raises BadRequest, or Unavailable while too much is held already."""
    while not coded.over and coded.size <= most:
        if coded.size < LARGE_BYTES:
            coded.step()
        else:
            await asyncio.to_thread(coded.step)
        http.hold(coded.sent + coded.size)
    if not coded.over or coded.size > most:
        return None
    whole = coded.whole()
    http.hold(len(whole))
    return whole


def _pause() -> float:
    """A piece of a large body is a quarter of a megabyte, and the event loop is everybody's: many
    of them together bring no more than about 64 MB a second. One alone waits for nobody."""
    return _PIECE_SECONDS * (_reading.total() - 1)


@asynccontextmanager
async def _turn(http: Exchange, caller: Caller, paid: bool) -> AsyncIterator[None]:
    """Wait for a slot, as admission does. Raises what it would refuse with by then."""
    deadline = asyncio.get_running_loop().time() + settings.CONCURRENCY_WAIT_SECONDS
    most = min(caller.limits.concurrent or _MOST, _MOST)
    while True:
        state = await _admissible(http, caller) if paid else None
        if state is None and _reading[caller.subject] < most:
            break
        if asyncio.get_running_loop().time() >= deadline:
            raise _crowded() if state is None else refusal(state, caller.limits)
        await asyncio.sleep(_AGAIN_SECONDS if state is None else _LOOK_SECONDS)
    _reading[caller.subject] += 1
    try:
        yield
    finally:
        _reading[caller.subject] -= 1
        if not _reading[caller.subject]:
            del _reading[caller.subject]


async def _admissible(http: Exchange, caller: Caller) -> State | None:
    """What keeps the caller waiting: None, or that no slot is free. Raises what else refuses."""
    state = await admission.look(caller, http.request_id, await _least())
    if state is not None and state.status == "refused":
        caller = await callers.of_digest(caller.digest)  # looking may have found it stale
    if state is not None and overflow.may(caller, state):
        past = await admission.look(caller, http.request_id, await _least(), past=True)
        state = state if past is not None and past.binding in overflow.CAPPED else past
    if state is None or state.status in ("ok", "inside"):
        return None
    http.state = state
    if state.binding != "concurrent":
        raise refusal(state, caller.limits)
    return state


async def _least() -> Hold:
    """What any request costs: more than nothing, unless some model is free."""
    known = await snapshot.current()
    free = any(not any(model.price.rates) for model in known.models.values() if model.chats)
    return Hold(0, 0) if free else Hold(1, 1)


def _crowded() -> RateLimited:
    return RateLimited(
        "Your large requests being read fill all your slots. Try again in a moment.",
        headers={"Retry-After": "2"},
    )
