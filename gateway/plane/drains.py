"""Answers heard to their end without their client: what nobody saw is used all the same.

Where something is hidden (reasoning, the text behind a stop sequence of ours, a prompt whose size
only the vendor knows, what its tools, advisors and summaries used), leaving would make free what
the vendor bills. So an answer that has begun is read on in the background, by a task that owns the
vendor's reply, until it tells what was used: within bounds of time, bytes, number and what is
held. Slot and hold are kept until then (the call stays in admission.LIVE and its lease is
renewed), the client's connection is not.

While reasoning alone goes on nothing is heard out: the vendor is left at once, and the estimate
includes it (call.py). So is a vendor that is silent, and one whose every token was seen.

Leaving is a farewell: the vendor hears that nobody listens any more, and what it had sent until
then is still taken in. It was made and is billed, whether it lay in our kernel, on the wire or in
the vendor's socket: an estimate by what we happened to have read would depend on how busy we are.
"""

import asyncio
import logging
import time
from collections.abc import Coroutine
from contextlib import suppress

from django.conf import settings

from gateway.dialects.codecs import CODECS, endings
from gateway.dialects.ir import Finish, Usage
from gateway.dialects.json_patch import parse
from gateway.plane import admission, life
from gateway.plane.adapters import Stream
from gateway.plane.call import Call
from gateway.plane.endpoints.lane import Forward
from gateway.vendors.reply import Reply
from hontoni.bodies import Held
from hontoni.errors import ApiError

logger = logging.getLogger(__name__)

STOP_SECONDS = 6.0  # what a process that ends leaves them; then they are estimated
FAREWELL_SECONDS = 1.0  # for a vendor to notice that it is left: a round trip, mostly
_running: set[asyncio.Task[None]] = set()
_hearing: set[asyncio.Task[None]] = set()  # those of them that hear an answer to its end


class _Bound(Exception):
    """It takes more than it may."""


def take(call: Call, reply: Reply) -> bool:
    """Hear `reply` in the background: to its end, if that is called for, or what was under way
    when it was left. It is then no longer the caller's to close, nor the call the caller's to
    settle. False if there is nothing more to hear."""
    if call.tap is not None:
        with suppress(ApiError):
            _feed(call, call.tap, reply.arrived())  # made, whether or not it was passed on
    if _is_over(call):
        return False
    wanted = _wanted(call, reply) and len(_hearing) < settings.DRAINS_AT_ONCE
    call.hearing = life.hearing(call.hearing, life.DRAIN)
    held, call.http.held = call.http.held, None  # its body is in memory until it is heard out
    listening = hear(call, reply) if wanted else farewell(call, reply)
    task = asyncio.get_running_loop().create_task(_drain(call, reply, held, listening))
    for kept in (_running, _hearing) if wanted else (_running,):
        kept.add(task)
        task.add_done_callback(kept.discard)
    return True


def _is_over(call: Call) -> bool:
    """Whether nothing that can still come would change what is charged."""
    if call not in admission.LIVE or call.settled or call.failed:
        return True
    tap = call.tap
    return tap is not None and (tap.error is not None or tap.reported or _is_whole(tap))


def _is_whole(tap: Stream) -> bool:
    return tap.finished and not tap.cut


def _wanted(call: Call, reply: Reply) -> bool:
    """Whether it is heard to its end."""
    tap = call.tap
    unmeasured = call.estimate.blind or bool(call.lane.sifted.uses)
    unmeasured = unmeasured or isinstance(call.lane, Forward)
    if tap is None:  # all of it is invisible until it is whole, and then it was all made
        return call.hidden or unmeasured or 0 < reply.status < 400
    if tap.cut:
        return True
    return tap.begun and ((call.hidden and tap.reasoned) or unmeasured)


async def _drain(
    call: Call, reply: Reply, held: Held | None, listening: Coroutine[None, None, None]
) -> None:
    try:
        await listening
    finally:
        reply.close()
        if held is not None:
            held.free()
        await asyncio.shield(admission.close(call))


async def hear(call: Call, reply: Reply) -> None:
    """Read an answer to its end, or to a bound. What it used is then in its call."""
    try:
        async with asyncio.timeout(settings.DRAIN_SECONDS):
            await _listen(call, reply)
    except (ApiError, TimeoutError, _Bound) as problem:
        logger.info("drain.ended_early %s: %r", call.id, problem)
        await farewell(call, reply)


async def farewell(call: Call, reply: Reply) -> None:
    """Leave the vendor, and read what it says until it has noticed."""
    reply.hang_up()
    with suppress(ApiError, TimeoutError, _Bound):
        async with asyncio.timeout(FAREWELL_SECONDS):
            await _listen(call, reply)
    call.left_at = time.time()  # until then it may have reasoned


async def _listen(call: Call, reply: Reply) -> None:
    """Raises ApiError where it breaks off, and _Bound."""
    await reply.begun()
    call.upstream_status, call.upstream_request_id = reply.status, reply.request_id
    if reply.status >= 400:
        return
    if call.tap is None:
        await _whole(call, reply)
    elif "event-stream" in reply.content_type:
        await _events(call, call.tap, reply)


async def _whole(call: Call, reply: Reply) -> None:
    call.reach()
    body = await reply.read()
    if isinstance(call.lane, Forward):
        call.take(call.lane.read(body, reply.content_type))
        _whole_at_last(call)
        return
    parsed, codec = parse(body), CODECS[call.request.dialect.name]
    call.whole, call.tally = body, codec.decode_tally(parsed)
    ended = endings.of_reply(call.lane.dialect, parsed)
    call.ended = ended.reason if isinstance(ended, Finish) else ""
    if isinstance(usage := parsed.get("usage"), dict):
        call.usage = codec.decode_usage(usage)
        _whole_at_last(call)


async def _events(call: Call, tap: Stream, reply: Reply) -> None:
    heard = 0
    while chunk := await reply.chunk():
        _feed(call, tap, chunk)
        heard += len(chunk)
        if heard > settings.DRAIN_BYTES or _past_its_hold(call, tap.said):
            raise _Bound
    tap.close()
    if tap.reported or _is_whole(tap):
        _whole_at_last(call)


def _feed(call: Call, tap: Stream, chunk: bytes) -> None:
    tap.feed(chunk)
    if tap.begun:
        call.reach()


def _whole_at_last(call: Call) -> None:
    if call.hearing is life.DRAIN:  # a client may be waiting for a whole answer that is cut for it
        call.hearing = life.hearing(call.hearing, life.DRAINED)


def _past_its_hold(call: Call, said: int) -> bool:
    """Whether the text alone costs more than is held, at four bytes a token and half as much again
    for the doubt."""
    return call.price(Usage(output=said // 6)) > call.held


def running() -> int:
    """How many there are."""
    return len(_running)


async def stop() -> None:
    """Give those that run a little time, and settle the others as they are."""
    await asyncio.sleep(0)  # who was cancelled just now has yet to hand over
    if _running:
        await asyncio.wait(set(_running), timeout=STOP_SECONDS)
    for task in list(_running):
        task.cancel()
    await asyncio.gather(*_running, return_exceptions=True)
