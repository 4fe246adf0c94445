"""An admitted request to a vendor and its answer back, by one credential after another.

* `forward`: the next credential, while the last one failed and nothing was sent on
* `_ask`: one credential; what can be repaired is repaired once, a closed connection redialled once
* `_attempt`: one try, on the receipt and in its breaker
* `_stream`: the answer as it comes, paid for as it comes
"""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from gateway.dialects import codecs
from gateway.dialects.codecs import endings, failures
from gateway.dialects.codecs.tokens import guessed
from gateway.dialects.ir import Failed
from gateway.dialects.json_patch import parse, patch
from gateway.dialects.rounds import Rounds
from gateway.dialects.stream_readers import text_bytes
from gateway.dialects.translator import Translator
from gateway.plane import (
    admission,
    counts,
    drains,
    extending,
    fitting,
    flow,
    helping,
    kept_responses,
    large,
    left_out,
    life,
    own_keys,
    tracing,
)
from gateway.plane.adapters import Lane, PassThrough, Stream, Translation
from gateway.plane.call import Call
from gateway.plane.endpoints.lane import Forward
from gateway.plane.upstream import Upstream
from gateway.vendors import errors, loading
from gateway.vendors.access import Access
from gateway.vendors.attempts import Attempt
from gateway.vendors.own_keys import failing
from gateway.vendors.reply import Reply
from gateway.vendors.routes import Route
from hontoni import money
from hontoni.errors import (
    BadRequest,
    PaymentRequired,
    Unavailable,
    UpstreamFailed,
    UpstreamTimeout,
)

_MOST_ROUTES = 4  # asked for one request


async def prepare(call: Call) -> None:
    """Complete the request; a stream is kept alive meanwhile. Raises BadRequest."""
    if call.stream and isinstance(call.lane, Translation) and call.lane.to_fetch():
        call.tap = call.lane.stream(call.id[4:], int(call.began))
        call.http.keep_alive = call.tap.ping
    await complete(call, call.lane)


async def complete(call: Call, lane: Lane) -> None:
    """Fetch what the request only points at and the vendor wants as bytes. Raises BadRequest, and
    Unavailable while too much is held already."""
    if isinstance(lane, Translation) and (urls := lane.to_fetch()):
        await loading.fetching()
        from gateway.vendors import fetching

        fetched = await fetching.fetch_all(urls, call.http.holder().grow)
        await asyncio.to_thread(lane.inline, fetched)  # megabytes are not for the event loop


async def forward(call: Call, upstream: Upstream) -> None:
    """Ask one credential after another until one answers, while nothing was sent on of an answer.

    Each costs the customer what the first would have: the price is the model's. Where the first is
    the customer's own key, ours come behind it only if its owner chose so. The deadline of
    the whole is the pipeline's. Raises what the last of them failed with, or PaymentRequired.
    """
    failed: Failed | None = None
    for route in call.routes[:_MOST_ROUTES]:
        if call.model.fee is not None and route.access.own_key is None:
            await fitting.hold_for_ours(call, failed)
            await large.beside(call.lane, fitting.fit, call)
        if route.named != call.named and not await _fits(call, route):
            continue
        if not route.breaker.allows():
            failed = _rested(call, route) or failed
            continue
        failed = await _ask(call, upstream, route)
        if failed is None:
            return
        if call.first_byte is not None or not errors.is_theirs(failed):
            break
    if failed is None and not all(route.breaker.gone for route in call.routes):
        raise _resting(call.routes)
    failed = failed or failures.GONE
    raise errors.raised(failed, call.model.vendor, call.model.id, call.model.life.successor)


def _rested(call: Call, route: Route) -> Failed | None:
    """Why the customer's own key is left alone for now."""
    failed = route.access.failures.get(call.model.id)
    if route.access.own_key is None or failed is None:
        return None
    return replace(failed, retry_after=max(1.0, math.ceil(route.breaker.wait())))


def _resting(routes: Sequence[Route]) -> Unavailable:
    """Every breaker is open."""
    seconds = max(1, math.ceil(min(route.breaker.wait() for route in routes)))
    return Unavailable(
        "This model's providers are failing. Try again in a moment.",
        code=failures.OVERLOADED,
        headers={"retry-after": str(seconds)},
    )


async def _fits(call: Call, route: Route) -> bool:
    """Put the request as this route wants it. False if it cannot be."""
    try:
        if isinstance(call.lane, Forward):
            lane: Lane = call.lane.at(route.named)
        else:
            lane = await large.choose(call.request.at(route.named))
            if call.request.sent_as(len(lane.body)) is not call.request:
                return False  # it is longer there than was held for
        await complete(call, lane)
        if call.http.compacts:
            await large.beside(lane, lane.compact)
        await large.beside(lane, _spare, call, lane)
    except BadRequest:
        return False
    if call.http.started and isinstance(call.tap, Translator) and isinstance(lane, PassThrough):
        return False  # its keep-alives have begun an answer that another's cannot go on with
    if call.request.affordable is not None:
        await large.beside(lane, lane.limit_output, call.request.affordable)
    call.lane, call.named = lane, route.named
    return True


def _spare(call: Call, lane: Lane) -> None:
    if call.spared is not None:
        lane.spare(call.spared)
    needed = call.request.covering(lane.sifted).hold.full
    if lane.sifted.uses and needed > max(call.held, call.hold.full):
        lane.spare(0)  # tools that were not held for


async def _ask(call: Call, upstream: Upstream, route: Route) -> Failed | None:
    """One credential's answer. What it refused for a reason that can be repaired is asked once
    more, and so is what found the connection closed: vendors close idle ones."""
    redialled = False
    while True:
        failed = await _attempt(call, upstream, route)
        if failed is None or call.first_byte is not None:
            return failed
        untried = not any(each.repaired for each in call.attempts)
        if untried and await large.beside(call.lane, call.lane.repair, failed):
            call.attempts[-1].repaired = True
        elif not redialled and call.upstream_status is None and failed.status == 500:
            redialled = True
        else:
            return failed


async def _attempt(call: Call, upstream: Upstream, route: Route) -> Failed | None:
    """One try. Returns how it failed, if it did."""
    before, call.tap = call.tap, call.lane.stream(call.id[4:], int(call.began))
    if call.stream and call.tap is not None:
        call.http.keep_alive = call.tap.ping
        if call.http.started and isinstance(before, Translator):
            assert isinstance(call.tap, Translator)
            call.tap.carry_on(before)
    call.upstream_status, call.upstream_request_id = None, ""
    attempt = Attempt(route)
    call.attempts.append(attempt)
    try:
        failed = await _exchange(call, upstream, attempt)
        while failed is None and isinstance(call.tap, Rounds) and call.tap.waiting:
            await _between(call, call.tap)
            if not call.tap.finished:
                failed = await _exchange(call, upstream, attempt)
    except (UpstreamFailed, UpstreamTimeout) as error:
        failed = failures.of(error)
    except BaseException:
        attempt.abandoned()
        raise
    if failed is not None:
        failed = _owners(call, route.access, failed)
    attempt.ended(failed)
    return failed


async def _between(call: Call, tap: Rounds) -> None:
    """Run what is waiting, and make ready for the next round, or the end where none follows."""
    call.rounds.append(call.upstream_request_id or tap.upstream_id)
    async with aclosing(helping.run(call, tap)) as told:
        async for out in told:
            if out:
                await _pass_on(call, tap, out)
    if tap.finished:
        await (call.http.end_stream() if call.stream else _respond_whole(call, tap))


def _owners(call: Call, access: Access, failed: Failed) -> Failed:
    """The same in words for its owner, where it was a customer's own key that failed."""
    if access.own_key is None or call.mine is None:
        return failed
    if failed.code not in failing.CODES:
        key = call.mine.key
        failed = failing.told(failed, key.name, key.prefix, call.upstream_status, failed.message)
    access.failures[call.model.id] = failed
    return failed


async def _exchange(call: Call, upstream: Upstream, attempt: Attempt) -> Failed | None:
    lane, access = call.lane, attempt.route.access
    headers = lane.headers(call.http.headers)
    if lane.sifted.left_out or call.attempts[1:]:
        left_out.tell(call.http, lane.sifted.left_out)
    if call.trace is not None or tracing.TRACEPARENT in call.http.headers:
        headers = {**headers, **tracing.passed_on(call)}
    call.sent_at = time.time()
    reply = await upstream.send(access, lane.path, lane.body, headers)
    call.become(life.SENT if call.life is life.ADMITTED else life.REACHED)
    try:
        if not reply.status:
            await reply.begun()
        attempt.status = call.upstream_status = reply.status
        call.upstream_request_id = reply.request_id
        if reply.status >= 400:
            return own_keys.refusal(call.mine, access, reply, await reply.read())
        if isinstance(lane, Forward):
            await _forwarded(call, lane, reply)
            return None
        if call.tap is None:
            return await _unary(call, reply)
        return await _stream(call, call.tap, reply)
    except asyncio.CancelledError:
        drains.take(call, reply)  # its client left, or we cut it off
        raise
    except PaymentRequired:
        await drains.farewell(call, reply)
        raise
    finally:
        if call.hearing is life.CLIENT:
            reply.close()
            if call.life in life.OPEN:
                call.become(life.ADMITTED if call.life is life.SENT else life.BROKEN)


async def _unary(call: Call, reply: Reply) -> Failed | None:
    """The vendor's body as it came, but for the model's name, and our estimate of the usage
    where it has none. Returns how it failed, if that is what it says."""
    call.reach()
    if (body := reply.whole()) is None:
        body = await reply.read()
    try:
        parsed = parse(body)
    except BadRequest:
        raise UpstreamFailed("The model's provider sent an answer we cannot read.") from None
    ended = endings.of_reply(call.lane.dialect, parsed)
    if isinstance(ended, Failed):
        return ended
    call.first_byte, call.whole, call.ended = time.time(), body, ended.reason
    changes: dict[str, Any] = {"model": call.request.name} if "model" in parsed else {}
    if endings.corrected(call.lane.dialect, ended) or len(parsed.get("choices") or ()) > 1:
        changes |= endings.rewritten(call.lane.dialect, parsed)
    codec = codecs.CODECS[call.request.dialect.name]
    call.tally = codec.decode_tally(parsed)
    if isinstance(usage := parsed.get("usage"), dict):
        call.usage = codec.decode_usage(usage)
    else:
        guess = guessed(call.estimate.likely, text_bytes(body))
        changes["usage"] = codec.encode_usage(guess)  # SDKs crash where there is none
    await _respond(call, patch(body, parsed, changes))
    return None


async def _forwarded(call: Call, lane: Forward, reply: Reply) -> None:
    """The answer of an endpoint that is no conversation."""
    call.reach()
    answered = lane.read(await reply.read(), reply.content_type)
    call.first_byte = time.time()
    call.take(answered)
    call.http.body_head = b"content-type: %b\r\n" % answered.media_type
    await _respond(call, answered.body)


async def _respond(call: Call, body: bytes) -> None:
    """The whole answer, and in its headers what it cost."""
    call.status = 200
    await _finish(call, body)
    costs = b"x-hontoni-cost: %b\r\n%b" % (money.dollars(call.cost).encode(), overhead(call))
    if call.settled and call.state is not None:  # or nobody can tell before Redis is back
        costs += b"x-hontoni-balance: %b\r\n" % money.dollars(call.state.balance).encode()
    await call.http.respond(200, body, costs)


async def _stream(call: Call, tap: Stream, reply: Reply) -> Failed | None:
    """The vendor's events as they come; 200 is said only after the first good one."""
    if "event-stream" not in reply.content_type:
        raise UpstreamFailed("The model's provider did not answer with a stream.")
    take = flow.at_once(call, tap)
    while chunk := await _chunk(tap, reply, take):
        if out := tap.feed(chunk):
            await _pass_on(call, tap, out)
        elif tap.begun:
            call.reach()
        if tap.error is not None:
            return tap.error
        if tap.cut:
            await _stopped(call, tap, reply)
            return None
    if out := tap.close():
        await _pass_on(call, tap, out)
    if tap.error is not None:
        return tap.error
    if isinstance(tap, Rounds) and tap.waiting:
        return None  # for what is run between two rounds
    if not tap.finished:
        raise UpstreamFailed("The model's provider broke off in mid-answer.")
    if isinstance(tap, Translator) and not call.stream:
        await _respond_whole(call, tap)
        return None
    await _finish(call)
    await call.http.end_stream()
    return None


async def _chunk(tap: Stream, reply: Reply, take: Callable[[bytes], bool]) -> bytes:
    """What comes next; nothing where a connection breaks behind an answer that said its end."""
    try:
        return await reply.chunk(take)
    except (UpstreamFailed, UpstreamTimeout):
        if not tap.complete:
            raise
        return b""


async def _stopped(call: Call, tap: Stream, reply: Reply) -> None:
    """A stop sequence of ours was met. The client has its answer, at once if it is streamed; what
    the vendor used is heard without it."""
    if call.stream:
        await call.http.end_stream()
        drains.take(call, reply)
        return
    assert isinstance(tap, Translator)
    await drains.hear(call, reply)
    await _respond_whole(call, tap)


def overhead(call: Call) -> bytes:
    """Milliseconds of ours up to now, as a line of a head."""
    return b"x-hontoni-overhead-ms: %.2f\r\n" % (counts.overhead(call, time.time()) * 1000)


async def _respond_whole(call: Call, tap: Translator) -> None:
    """The events as one answer. Up to a stop sequence of ours its usage is what is billed."""
    call.first_byte, call.status = time.time(), 200
    await _finish(call)
    await _respond(call, tap.whole(call.usage if tap.stopped else None))


async def _pass_on(call: Call, tap: Stream, out: bytes) -> None:
    http = call.http
    http.writing = True  # from here on nothing else may be
    if call.first_byte is None:
        call.reach()
        call.status, call.first_byte = 200, time.time()
        call.attempts[-1].answered()
    if not http.started:
        await http.start_stream(overhead(call))
    if tap.finished and not tap.cut:
        await _finish(call, out)  # before the client can see the end and ask again
    elif tap.text_bytes >= call.extend_at:
        await extending.extend(call)
    if not http.write_now(out):
        await http.write(out)


async def _finish(call: Call, answer: bytes = b"") -> None:
    """Settle it, and keep what is kept of the answer: both before its client hears its end."""
    keeping = call.http.kept if answer else None
    if keeping is not None and call.settled:
        await kept_responses.keep(keeping, answer)
    elif keeping is not None:
        await asyncio.gather(admission.close(call), kept_responses.keep(keeping, answer))
    elif not call.settled:
        await admission.close(call)
