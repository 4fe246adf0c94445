"""One request, from key to receipt. Start reading here.

    authenticate   401   who is calling: a snapshot in memory (callers.py)
    read, resolve  4xx   the body, the model, the clamps (patch.py, catalogue.py, passthrough.py)
    admit          402 429 503   every window, a slot and a hold, in one round trip (admission.py)
    forward        500 503 504   to the vendor; a stream's status waits for its first good event
    settle               the true cost, the slot back, the usage event: however it ended

Fair bill, as code: a vendor that failed or produced nothing costs nothing; a client that left
pays what was produced until then; nobody pays more than the vendor's own numbers say, nor more
than was held for the request, so no balance ever falls below zero by using it.
"""

import asyncio
import logging
import time
from typing import Any

from django.conf import settings

from gateway import admission, callers, catalogue, metering, upstream_errors
from gateway.call import Call
from gateway.catalogue import Model
from gateway.exchange import ClientGone, Exchange, Headers
from gateway.metering import FIRST_STEP_TOKENS
from gateway.passthrough import MESSAGES, Dialect, changes
from gateway.patch import parse, patch
from gateway.taps import Tap, text_bytes
from gateway.upstream import Reply, Upstream
from hontoni import money
from hontoni.errors import ApiError, BadRequest, PaymentRequired, UpstreamFailed
from ratelimits import limiter

logger = logging.getLogger(__name__)

_CLIENT_CLOSED = 499  # nginx's word for it; only ever written on receipts


async def serve(http: Exchange, dialect: Dialect, upstream: Upstream) -> None:
    """Answer one paid request in the dialect it came in, errors included."""
    try:
        caller = await callers.authenticate(http.headers)
        http.limits = caller.limits
        call = await _prepare(http, dialect, caller, upstream)
    except ApiError as error:
        await refuse(http, error)
        return
    except ClientGone:
        return
    await _run(call, dialect, upstream)


async def refuse(http: Exchange, error: ApiError) -> None:
    """Answer with an error; the limits in its headers are looked up if nothing else did."""
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
    """Read and understand the request. Raises BadRequest, TooLarge, NotFound, ClientGone."""
    body = await http.body()
    parsed = parse(body)
    if not isinstance(parsed.get("messages"), list):
        raise BadRequest("messages is required and must be a list.", param="messages")
    model = await _model_of(parsed, dialect, upstream)
    changed, clamps = changes(dialect, model, parsed, caller.thinking_budget)
    estimate = metering.estimate(model, body, parsed, dialect.most_output(model, parsed))
    http.extra += [(b"x-hontoni-model", model.id.encode()), *_clamp_headers(clamps)]
    return Call(
        http=http,
        caller=caller,
        model=model,
        requested_model=parsed["model"],
        dialect=dialect.name,
        stream=bool(parsed.get("stream")),
        body=patch(body, parsed, changed),
        parsed=parsed,
        estimate=estimate,
        hold=metering.hold(model, estimate),
        clamps=clamps,
        ip=http.client_ip(),
    )


async def _model_of(parsed: dict[str, Any], dialect: Dialect, upstream: Upstream) -> Model:
    """The model a body names. Raises BadRequest, or NotFound (404 model_not_found)."""
    name = parsed.get("model")
    if not isinstance(name, str) or not name:
        raise BadRequest("model is required and must be a string.", param="model")
    model = (await catalogue.current()).resolve(name)
    if not upstream.offers(model.vendor) or model.vendor != dialect.vendor:
        raise BadRequest(
            f"{model.id} is not reachable through this endpoint.", code="model_not_supported"
        )
    return model


def _clamp_headers(clamps: dict[str, Any]) -> Headers:
    headers: Headers = []
    if thinking := clamps.get("thinking"):
        told = f"{thinking['applied']}; asked={thinking['asked']}; clamped-by={thinking['by']}"
        headers.append((b"x-hontoni-thinking-budget", told.encode()))
    if output := clamps.get("max_tokens"):
        told = f"{output['applied']}; asked={output['asked']}; clamped-by={output['by']}"
        headers.append((b"x-hontoni-max-tokens", told.encode()))
    return headers


async def _run(call: Call, dialect: Dialect, upstream: Upstream) -> None:
    """Admit, forward, settle. Whatever happens after admission ends in one settlement."""
    try:
        await call.http.present(_serve(call, dialect, upstream), settings.UPSTREAM_TOTAL_SECONDS)
    except ClientGone:
        call.aborted, call.status, call.error = True, _CLIENT_CLOSED, "client_closed"
    except ApiError as error:
        call.fail(error)
        await _tell(call, dialect, error)
    except Exception:
        logger.exception("request.failed %s", call.id)
        failure = ApiError("Something went wrong on our side. Nothing was charged.")
        call.fail(failure)
        await _tell(call, dialect, failure)
    finally:
        if call in admission.LIVE:
            call.close_account()
            await asyncio.shield(admission.settle(call))


async def _serve(call: Call, dialect: Dialect, upstream: Upstream) -> None:
    await admission.admit(call)
    _fit_to_balance(call, dialect)
    await _forward(call, dialect, upstream)


async def _tell(call: Call, dialect: Dialect, error: ApiError) -> None:
    """Before the first byte an error is a status code; later it goes into the stream."""
    if call in admission.LIVE:
        call.close_account()
        await asyncio.shield(admission.settle(call))
    if not call.http.started:
        await refuse(call.http, error)
    elif call.stream:
        await call.http.write(dialect.stream_error(error.body(call.id)))
        await call.http.end_stream()


def _fit_to_balance(call: Call, dialect: Dialect) -> None:
    """Where the balance does not cover the whole output and we cannot watch it being produced,
    less of it is asked for."""
    if call.held >= call.hold.full or (call.stream and not call.hidden_reasoning()):
        return
    affordable = metering.affordable_output(call.model, call.estimate, call.held)
    if affordable >= call.estimate.output:
        return
    clamp = {"asked": call.estimate.output, "applied": affordable, "by": "balance"}
    call.clamps["max_tokens"] = clamp
    call.http.extra += _clamp_headers({"max_tokens": clamp})
    call.body = patch(call.body, parse(call.body), dialect.limit_output(call.parsed, affordable))


async def _forward(call: Call, dialect: Dialect, upstream: Upstream) -> None:
    reply = await upstream.post(call.model.vendor, dialect.path, call.body, call.http.headers)
    async with reply:
        call.upstream_status = reply.status
        call.upstream_request_id = reply.request_id
        if reply.status >= 400:
            body = await reply.read()
            raise upstream_errors.from_reply(
                reply.status, body, reply.retry_after, call.model.vendor
            )
        if call.stream:
            await _stream(call, dialect, reply)
        else:
            await _unary(call, dialect, reply)


async def _unary(call: Call, dialect: Dialect, reply: Reply) -> None:
    """The vendor's body as it came, but for the model's name."""
    call.reached = True
    body = await reply.read()
    call.first_byte = time.time()
    try:
        parsed = parse(body)
    except BadRequest:
        raise UpstreamFailed("The model's provider sent an answer we cannot read.") from None
    if isinstance(usage := parsed.get("usage"), dict):
        call.usage = dialect.decode_usage(usage)
    else:
        call.text_bytes = text_bytes(body)
    call.status = 200
    await _finish(call)
    told: Headers = [(b"x-hontoni-cost", money.dollars(call.cost).encode())]
    if call.settled and call.state is not None:  # or nobody can tell before Redis is back
        told.append((b"x-hontoni-balance", money.dollars(call.state.balance).encode()))
    await call.http.respond(200, patch(body, parsed, _renamed(parsed, call)), told)


def _renamed(parsed: dict[str, Any], call: Call) -> dict[str, Any]:
    return {"model": call.requested_model} if "model" in parsed else {}


async def _stream(call: Call, dialect: Dialect, reply: Reply) -> None:
    """The vendor's events as they come; 200 is said only after the first good one."""
    tap = dialect.tap(call.requested_model, call.parsed)
    call.tap = tap
    if "event-stream" not in reply.content_type:
        raise UpstreamFailed("The model's provider did not answer with a stream.")
    async for chunk in reply.chunks():
        if out := tap.feed(chunk):
            await _pass_on(call, tap, out)
        if tap.error is not None:
            raise _stream_failure(call, tap)
    if out := tap.close():
        await _pass_on(call, tap, out)
    if not tap.finished:
        raise UpstreamFailed("The model's provider broke off in mid-answer.")
    await _finish(call)
    await call.http.end_stream()


async def _pass_on(call: Call, tap: Tap, out: bytes) -> None:
    http = call.http
    if not http.started:
        call.reached, call.status, call.first_byte = True, 200, time.time()
        await http.start_stream([])
    if tap.finished:
        await _finish(call)  # before the client can see the end and ask again
    elif tap.text_bytes >= call.extend_at:
        await _extend(call)
    await http.write(out)


async def _finish(call: Call) -> None:
    if not call.settled:
        call.close_account()
        await admission.settle(call)


def _stream_failure(call: Call, tap: Tap) -> ApiError:
    assert tap.error is not None
    status = upstream_errors.status_of(tap.error)
    return upstream_errors.from_error(status, tap.error, "", call.model.vendor)


async def _extend(call: Call) -> None:
    """Pay for the next step of output before it is used. Raises PaymentRequired when the balance
    ends: what was produced until then is charged, and the stream ends with an error."""
    rates = call.model.price.rates
    step = money.per_million(FIRST_STEP_TOKENS * max(rates[4], rates[5]))
    extension = await limiter.extend(call.asked(), hold=call.held, step=step, stretch=True)
    if extension.granted == 0 and call.cost_so_far() >= extension.hold:
        raise PaymentRequired("Your balance was used up in mid-answer. Top up to continue.")
    call.hold_is(extension.hold)


async def count_tokens(http: Exchange, upstream: Upstream) -> None:
    """The vendor's own count of a prompt: free, and no window counts it. Raises ApiError."""
    body = await http.body()
    parsed = parse(body)
    model = await _model_of(parsed, MESSAGES, upstream)
    body = patch(body, parsed, {"model": model.upstream_id})
    await http.present(
        _relay(http, upstream, model.vendor, f"{MESSAGES.path}/count_tokens", body),
        settings.UPSTREAM_SILENCE_SECONDS,
    )


async def _relay(http: Exchange, upstream: Upstream, vendor: str, path: str, body: bytes) -> None:
    async with await upstream.post(vendor, path, body, http.headers) as reply:
        answer = await reply.read()
    if reply.status >= 400:
        raise upstream_errors.from_reply(reply.status, answer, reply.retry_after, vendor)
    await http.respond(200, answer)
