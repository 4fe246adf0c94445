"""One request, from key to receipt. Start reading here.

    authenticate   401 403   who is calling, from where: a snapshot in memory (callers.py)
    understand     4xx   the model, the variant, the clamps, the bounds (asked.py)
    choose a lane  4xx   the bytes as they are, or through the hub (lanes.py)
    admit          402 429 503   every window, a slot and a hold, in one round trip (admission.py)
    forward        500 503 504   to the vendor; a stream's status waits for its first good event
    settle               the true cost, the slot back, the usage event: however it ended

Fair bill, as code: a vendor that failed or produced nothing costs nothing; a client that left
pays what was produced until then; nobody pays more than the vendor's own numbers say.
"""

import asyncio
import logging
import math
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from gateway import admission, asked, callers, fetching, lanes, metering, refusals, upstream_errors
from gateway.asked import Asked
from gateway.call import Call
from gateway.codecs import failures
from gateway.dialects import Dialect
from gateway.exchange import ClientGone, Exchange, Headers
from gateway.http_client import Reply
from gateway.ir import Failed
from gateway.lanes import Lane, PassThrough, Stream, Translation
from gateway.metering import FIRST_STEP_TOKENS
from gateway.patch import parse, patch
from gateway.pools import sessions
from gateway.pools.attempts import Attempt
from gateway.pools.routes import NATIVE, Route, ordered
from gateway.taps import text_bytes
from gateway.translator import Translator
from gateway.upstream import Upstream
from hontoni import money
from hontoni.errors import (
    ApiError,
    BadRequest,
    PaymentRequired,
    Unavailable,
    UpstreamFailed,
    UpstreamTimeout,
)
from ratelimits import limiter

logger = logging.getLogger(__name__)

_MOST_ROUTES = 4  # asked for one request
_CLIENT_CLOSED = 499  # nginx's word for it; only ever written on receipts


async def serve(http: Exchange, dialect: Dialect, upstream: Upstream) -> None:
    """Answer one paid request in the dialect it came in, errors included."""
    http.dialect = dialect.name
    try:
        caller = await callers.enter(http)
        call = await _prepare(http, dialect, caller, upstream)
    except ApiError as error:
        await refuse(http, error)
        return
    except ClientGone:
        return
    await _run(call, upstream)


async def refuse(http: Exchange, error: ApiError) -> None:
    """Answer with an error; the limits in its headers are looked up if nothing else did."""
    if http.owner is None and error.status != 401:
        with suppress(ApiError):
            await callers.enter(http)
    refusals.note(http, error)
    if http.state is None and http.limits is not None and error.status != 401:
        try:
            caller = await callers.authenticate(http.headers)
            http.state = await admission.look(caller, http.request_id)
        except ApiError:
            pass  # the first error says more
    await http.fail(error)


async def _prepare(
    http: Exchange, dialect: Dialect, caller: callers.Caller, upstream: Upstream
) -> Call:
    """Read and understand the request. Raises BadRequest, Forbidden, TooLarge, NotFound,
    ClientGone."""
    body = await http.body()
    http.parsed = parsed = parse(body)
    agent, ip = http.header(b"user-agent"), http.client_ip()
    request = await asked.understand(dialect, body, parsed, caller, upstream, agent, ip)
    http.extra += told(request)
    routes = _routes(request, http, upstream)
    named = routes[0].named
    return Call(
        http=http,
        caller=caller,
        request=request,
        lane=lanes.choose(request if named == NATIVE else request.at(named)),
        routes=routes,
        named=named,
        stream=bool(request.parsed.get("stream")),
        clamps=request.clamps,
        ip=ip,
    )


def _routes(request: Asked, http: Exchange, upstream: Upstream) -> tuple[Route, ...]:
    """Who can be asked, in the order in which this session asks them."""
    return ordered(
        upstream.routes(request.model),
        lambda: sessions.key(request.parsed, http.headers, request.account),
    )


def told(request: Asked) -> Headers:
    """The headers that say what really serves the request, and what was taken from it."""
    headers: Headers = [(b"x-hontoni-model", request.model.id.encode())]
    if request.clamps:
        headers += _clamp_headers(request.clamps)
    return headers


_CLAMPS = {
    "thinking": b"x-hontoni-thinking-budget",
    "max_tokens": b"x-hontoni-max-tokens",
    "context": b"x-hontoni-context",
}


def _clamp_headers(clamps: dict[str, Any]) -> Headers:
    return [(_CLAMPS[name], _clamped(clamp)) for name, clamp in clamps.items() if name in _CLAMPS]


def _clamped(clamp: dict[str, Any]) -> bytes:
    words = [str(clamp["applied"])]
    if effort := clamp.get("effort"):
        words.append(f"effort={effort}")
    if by := clamp.get("by"):
        words += [f"asked={clamp['asked']}", f"clamped-by={by}"]
    return "; ".join(words).encode()


async def _run(call: Call, upstream: Upstream) -> None:
    """Admit, forward, settle. Whatever happens after admission ends in one settlement."""
    try:
        await call.http.present(_serve(call, upstream), call.http.config.total_seconds)
    except ClientGone:
        call.aborted, call.status, call.error = True, _CLIENT_CLOSED, "client_closed"
    except ApiError as error:
        call.fail(error)
        await _tell(call, error)
    except Exception:
        logger.exception("request.failed %s", call.id)
        failure = ApiError("Something went wrong on our side. Nothing was charged.")
        call.fail(failure)
        await _tell(call, failure)
    finally:
        if call in admission.LIVE:
            call.close_account()
            await asyncio.shield(admission.settle(call))


async def _serve(call: Call, upstream: Upstream) -> None:
    await admission.admit(call)
    await _complete(call.lane)
    _fit_to_balance(call)
    await _forward(call, upstream)


async def _complete(lane: Lane) -> None:
    """Fetch what the request only points at and the vendor wants as bytes. Raises BadRequest."""
    if isinstance(lane, Translation) and (urls := lane.to_fetch()):
        lane.inline(await fetching.fetch_all(urls))


async def _tell(call: Call, error: ApiError) -> None:
    """Before the first byte an error is a status code; later it goes into the stream."""
    if call in admission.LIVE:
        call.close_account()
        await asyncio.shield(admission.settle(call))
    if not call.http.started:
        await refuse(call.http, error)
    elif call.stream and call.tap is not None:
        await call.http.write(call.tap.fail(failures.of(error), call.id))
        await call.http.end_stream()


def _fit_to_balance(call: Call) -> None:
    """Where the balance does not cover the whole output and we cannot watch it being produced,
    less of it is asked for."""
    if call.held >= call.hold.full or (call.stream and not call.hidden_reasoning()):
        return
    affordable = metering.affordable_output(call.model, call.estimate, call.held)
    if affordable >= call.estimate.output:
        return
    by = "balance" if call.state is None or call.state.available <= 0 else "spend-cap"
    clamp = {"asked": call.estimate.output, "applied": affordable, "by": by}
    call.clamps["max_tokens"] = clamp
    call.http.extra += _clamp_headers({"max_tokens": clamp})
    call.fitted = affordable
    call.lane.limit_output(affordable)


async def _forward(call: Call, upstream: Upstream) -> None:
    """Ask one credential after another until one answers, while nothing was sent on of an answer.

    Each costs the customer what the first would have: the price is the model's. The deadline of
    the whole is `_run`'s.
    """
    failed: Failed | None = None
    for route in call.routes[:_MOST_ROUTES]:
        if not route.breaker.allows() or not await _fits(call, route):
            continue
        failed = await _ask(call, upstream, route)
        if failed is None:
            return
        if call.first_byte is not None or not upstream_errors.is_theirs(failed):
            break
    if failed is None:
        raise _resting(call.routes)
    raise upstream_errors.raised(failed, call.model.vendor)


def _resting(routes: Sequence[Route]) -> Unavailable:
    """Every breaker is open."""
    seconds = max(1, math.ceil(min(route.breaker.wait() for route in routes)))
    return Unavailable(
        "This model's providers are failing. Try again in a moment.",
        headers={"retry-after": str(seconds)},
    )


async def _fits(call: Call, route: Route) -> bool:
    """Put the request as this route wants it. False if it cannot be."""
    if route.named == call.named:
        return True
    try:
        lane = lanes.choose(call.request.at(route.named))
        await _complete(lane)
    except BadRequest:
        return False
    if call.http.started and isinstance(call.tap, Translator) and isinstance(lane, PassThrough):
        return False  # its keep-alives have begun an answer that another's cannot go on with
    if call.fitted is not None:
        lane.limit_output(call.fitted)
    call.lane, call.named = lane, route.named
    return True


async def _ask(call: Call, upstream: Upstream, route: Route) -> Failed | None:
    """One credential's answer. What it refused for a reason that can be repaired is asked once
    more, and so is what found the connection closed: vendors close idle ones."""
    redialled = False
    while True:
        failed = await _attempt(call, upstream, route)
        if failed is None or call.first_byte is not None:
            return failed
        if not call.repaired and call.lane.repair(failed):
            call.repaired = True
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
    except (UpstreamFailed, UpstreamTimeout) as error:
        failed = failures.of(error)
    except BaseException:
        attempt.abandoned()
        raise
    attempt.ended(failed)
    return failed


async def _exchange(call: Call, upstream: Upstream, attempt: Attempt) -> Failed | None:
    lane, access = call.lane, attempt.route.access
    headers = lane.headers(call.http.headers)
    async with await upstream.post(access, lane.path, lane.body, headers) as reply:
        attempt.status = call.upstream_status = reply.status
        call.upstream_request_id = reply.request_id
        if reply.status >= 400:
            body, wait = await reply.read(), reply.retry_after
            return upstream_errors.from_reply(reply.status, body, wait, access.label)
        if call.tap is None:
            await _unary(call, reply)
            return None
        return await _stream(call, call.tap, reply)


async def _unary(call: Call, reply: Reply) -> None:
    """The vendor's body as it came, but for the model's name, and our estimate of the usage
    where it has none."""
    call.reached = True
    body = await reply.read()
    try:
        parsed = parse(body)
    except BadRequest:
        raise UpstreamFailed("The model's provider sent an answer we cannot read.") from None
    call.first_byte, call.whole = time.time(), body
    changes: dict[str, Any] = {"model": call.request.name} if "model" in parsed else {}
    codec = call.request.dialect.codec
    if isinstance(usage := parsed.get("usage"), dict):
        call.usage = codec.decode_usage(usage)
    else:
        call.text_bytes = text_bytes(body)
        guess = metering.produced(call.estimate, call.text_bytes)
        changes["usage"] = codec.encode_usage(guess)  # SDKs crash where there is none
    await _respond(call, patch(body, parsed, changes))


async def _respond(call: Call, body: bytes) -> None:
    """The whole answer, and in its headers what it cost."""
    call.status = 200
    await _finish(call)
    costs: Headers = [(b"x-hontoni-cost", money.dollars(call.cost).encode())]
    if call.settled and call.state is not None:  # or nobody can tell before Redis is back
        costs.append((b"x-hontoni-balance", money.dollars(call.state.balance).encode()))
    await call.http.respond(200, body, costs)


async def _stream(call: Call, tap: Stream, reply: Reply) -> Failed | None:
    """The vendor's events as they come; 200 is said only after the first good one."""
    if "event-stream" not in reply.content_type:
        raise UpstreamFailed("The model's provider did not answer with a stream.")
    while chunk := await reply.chunk():
        if out := tap.feed(chunk):
            await _pass_on(call, tap, out)
        elif tap.begun:
            call.reached = True
        if tap.error is not None:
            return tap.error
        if tap.cut:
            break  # leaving closes the connection: nobody pays for what nobody reads
    if out := tap.close():
        await _pass_on(call, tap, out)
    if tap.error is not None:
        return tap.error
    if not tap.finished:
        raise UpstreamFailed("The model's provider broke off in mid-answer.")
    if isinstance(tap, Translator) and not call.stream:
        call.first_byte = time.time()
        await _respond(call, tap.whole())
        return None
    await _finish(call)
    await call.http.end_stream()
    return None


async def _pass_on(call: Call, tap: Stream, out: bytes) -> None:
    http = call.http
    if call.first_byte is None:
        call.reached, call.status, call.first_byte = True, 200, time.time()
        call.attempts[-1].answered()
    if not http.started:
        await http.start_stream()
    if tap.finished:
        await _finish(call)  # before the client can see the end and ask again
    elif tap.text_bytes >= call.extend_at:
        await _extend(call)
    await http.write(out)


async def _finish(call: Call) -> None:
    if not call.settled:
        call.close_account()
        await admission.settle(call)


async def _extend(call: Call) -> None:
    """Pay for the next step of output before it is used. Raises PaymentRequired when the balance
    ends or the key's spend cap is reached: what was produced until then is charged, and the
    stream ends with an error."""
    rates = call.model.price.rates
    step = money.per_million(FIRST_STEP_TOKENS * max(rates[4], rates[5]))
    extension = await limiter.extend(call.asked(), hold=call.held, step=step, stretch=True)
    if extension.granted == 0 and call.cost_so_far() >= extension.hold:
        if extension.available > 0:
            raise PaymentRequired(
                "This API key's spend cap was reached in mid-answer.", code="key_cap_reached"
            )
        raise PaymentRequired("Your balance was used up in mid-answer. Top up to continue.")
    call.hold_is(extension.hold)
