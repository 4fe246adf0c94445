"""Answers heard to their end without their client: what nobody saw is used all the same.

Where something is hidden (reasoning, the text behind a stop sequence of ours, a prompt whose size
only the vendor knows, what its tools, advisors and summaries used), leaving would make free what
the vendor bills. So an answer that has begun is read on in the background, by a task that owns the
vendor's reply, until it tells what was used: within bounds of time, bytes, number and what is
held. Slot and hold are kept until then (the call stays in admission.LIVE and its lease is
renewed), the client's connection is not.

While reasoning alone goes on nothing is heard out: the vendor is left at once, and the estimate
includes it (call.py). So is a vendor that is silent, and one whose every token was seen.
"""

import asyncio
import logging
from contextlib import suppress

from django.conf import settings

from gateway.dialects.codecs import CODECS, endings
from gateway.dialects.ir import Finish, Usage
from gateway.dialects.json_patch import parse
from gateway.plane import admission, life
from gateway.plane.call import Call
from gateway.plane.endpoints.lane import Forward
from gateway.vendors.reply import Reply
from hontoni.bodies import Held
from hontoni.errors import ApiError

logger = logging.getLogger(__name__)

STOP_SECONDS = 6.0  # what a process that ends leaves them; then they are estimated
_running: set[asyncio.Task[None]] = set()


class _Bound(Exception):
    """It takes more than it may."""


def take(call: Call, reply: Reply) -> bool:
    """Hear `reply` to its end in the background, if that is called for; the reply is then no
    longer the caller's to close, nor the call the caller's to settle."""
    if call.tap is not None:
        with suppress(ApiError):
            call.tap.feed(reply.arrived())  # it was made, whether or not it was passed on
    if not _wanted(call, reply) or len(_running) >= settings.DRAINS_AT_ONCE:
        return False
    call.hearing = life.hearing(call.hearing, life.DRAIN)
    held, call.http.held = call.http.held, None  # its body is in memory until it is heard out
    task = asyncio.get_running_loop().create_task(_drain(call, reply, held))
    _running.add(task)
    task.add_done_callback(_running.discard)
    return True


def _wanted(call: Call, reply: Reply) -> bool:
    if call not in admission.LIVE or call.settled or call.failed:
        return False
    tap = call.tap
    unmeasured = call.estimate.blind or bool(call.lane.sifted.uses)
    unmeasured = unmeasured or isinstance(call.lane, Forward)
    if tap is None:  # all of it is invisible until it is whole, and then it was all made
        return call.hidden or unmeasured or 0 < reply.status < 400
    if tap.error is not None or tap.reported or (tap.finished and not tap.cut):
        return False
    if tap.cut:
        return True
    return tap.begun and ((call.hidden and tap.reasoned) or unmeasured)


async def _drain(call: Call, reply: Reply, held: Held | None) -> None:
    try:
        await hear(call, reply)
    finally:
        reply.close()
        if held is not None:
            held.free()
        await asyncio.shield(admission.close(call))


async def hear(call: Call, reply: Reply) -> None:
    """Read an answer to its end, or to a bound. What it used is then in its call."""
    try:
        async with asyncio.timeout(settings.DRAIN_SECONDS):
            await reply.begun()
            if call.tap is None:
                await _whole(call, reply)
            else:
                await _events(call, reply)
    except (ApiError, TimeoutError, _Bound) as problem:
        logger.info("drain.ended_early %s: %r", call.id, problem)


async def _whole(call: Call, reply: Reply) -> None:
    call.upstream_status, call.upstream_request_id = reply.status, reply.request_id
    if reply.status >= 400:
        return
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


async def _events(call: Call, reply: Reply) -> None:
    tap, heard = call.tap, 0
    assert tap is not None
    while chunk := await reply.chunk():
        tap.feed(chunk)
        heard += len(chunk)
        if heard > settings.DRAIN_BYTES or _past_its_hold(call, tap.said):
            raise _Bound
    tap.close()
    if tap.reported or not tap.cut:
        _whole_at_last(call)


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
