"""What a request would use and cost, without making it: free, and no window counts it.

* `/v1/messages/count_tokens`: the vendor's own count for Claude; for another model ours, a third
  of the bytes of the body, marked by the header `x-hontoni-token-count: estimate`
* `/v1beta/models/{model}:countTokens`: likewise, the vendor's own for Gemini
* `/v1/estimate`: a body of any dialect, and everything that would be decided about it
"""

from collections.abc import Awaitable, Callable
from contextlib import closing
from typing import Any

import orjson
from django.conf import settings

from gateway.dialects.codecs import failures
from gateway.dialects.json_patch import parse
from gateway.plane import (
    adapters,
    admission,
    bodies,
    client_dialects,
    gemini_bodies,
    inbound,
    large,
    left_out,
    pipeline,
)
from gateway.plane.callers import Caller
from gateway.plane.client_dialects import GEMINI, MESSAGES
from gateway.plane.exchange import Exchange
from gateway.plane.inbound import InboundRequest
from gateway.plane.upstream import Upstream
from gateway.vendors import errors
from gateway.vendors.manners import PLAIN
from gateway.vendors.routes import Route
from hontoni.errors import ApiError, Unavailable
from hontoni.money import dollars, per_million
from ratelimits.headers import refusal
from ratelimits.limiter import State

Sent = tuple[str, bytes, dict[bytes, bytes]]  # a path, a body and headers
_ESTIMATED = [(b"x-hontoni-token-count", b"estimate")]


async def count_tokens(http: Exchange, upstream: Upstream) -> None:
    """How many tokens a prompt has. Raises ApiError."""
    http.dialect = MESSAGES.name
    caller = await admission.enter(http)
    body = await bodies.read(http, caller, paid=False)
    request, parsed = await _counted(http, body, caller, upstream)
    if request.model.dialect != MESSAGES.name or not _counters(upstream, request):
        http.extra += [*pipeline.served(request), *_ESTIMATED]
        await http.respond_json({"input_tokens": request.estimate.likely})
        return

    async def counted(there: InboundRequest) -> Sent:
        headers = adapters.forwarded(there, http.headers)
        return there.model.manners.counting(), await large.counted(there, parsed), headers

    work = _relay(http, upstream, request, counted)
    await http.present(work, settings.UPSTREAM_SILENCE_SECONDS)


async def _counted(
    http: Exchange, body: bytes, caller: Caller, upstream: Upstream
) -> tuple[InboundRequest, dict[str, Any]]:
    """The request, and the body as it came: a count has no limit."""
    if large.is_large(body):
        name = MESSAGES.name
        request = await large.understand(http, name, body, caller, upstream, "counted")
        http.parsed = request.parsed
        return request, request.parsed
    http.parsed = parsed = parse(body)
    MESSAGES.check(parsed)
    limited = {"max_tokens": 0, **parsed}
    sent, ip = http.headers, http.client_ip()
    request = await inbound.understand(MESSAGES, body, limited, caller, upstream, sent, ip)
    return request, parsed


async def count_contents(http: Exchange, upstream: Upstream) -> None:
    """How many tokens Gemini contents have. Raises ApiError."""
    http.dialect = GEMINI.name
    caller = await admission.enter(http)
    body = await bodies.read(http, caller, paid=False)
    body, parsed = await gemini_bodies.prepare(http, body)
    http.parsed = {"model": parsed["model"]}
    if large.is_large(body):
        request = await large.understand(http, GEMINI.name, body, caller, upstream, "counted")
    else:
        sent, ip = http.headers, http.client_ip()
        request = await inbound.understand(GEMINI, body, parsed, caller, upstream, sent, ip)
    lane = await large.choose(request)
    if request.model.dialect != GEMINI.name or not lane.body:  # what it points at is not fetched
        http.extra += [*pipeline.served(request), *_ESTIMATED]
        await http.respond_json({"totalTokens": request.estimate.likely})
        return

    async def counted(there: InboundRequest) -> Sent:
        lane = await large.choose(there)
        named = orjson.dumps(f"models/{there.target.model}")
        wrapped = b'{"generateContentRequest":{"model":%b,%b}' % (named, lane.body[1:])
        return f"/v1beta/models/{there.target.model}:countTokens", wrapped, {}

    work = _relay(http, upstream, request, counted)
    await http.present(work, settings.UPSTREAM_SILENCE_SECONDS)


def _counters(upstream: Upstream, request: InboundRequest) -> list[Route]:
    """Who can be asked to count: the vendor's own API, or who has all of it."""
    dialect = request.model.dialect
    routes = upstream.routes(request.model)
    there = [(r, m) for r in routes if (m := request.model.at(r.named)).dialect == dialect]
    if dialect == MESSAGES.name:
        return [route for route, model in there if model.manners.counting()]
    return [route for route, model in there if model.manners is PLAIN]


async def _relay(
    http: Exchange,
    upstream: Upstream,
    request: InboundRequest,
    counted: Callable[[InboundRequest], Awaitable[Sent]],
) -> None:
    """Ask one credential after another, where the vendor itself can be asked."""
    failed = failures.of(Unavailable("Nobody can count that model's tokens right now."))
    for route in _counters(upstream, request):
        if not route.breaker.allows():
            continue
        path, body, headers = await counted(request.at(route.named))
        with closing(await upstream.post(route.access, path, body, headers)) as reply:
            answer = await reply.read()
        if reply.status < 400:
            http.extra += pipeline.served(request)
            await http.respond(200, answer)
            return
        label, wait = route.access.label, reply.retry_after
        failed = errors.from_reply(reply.status, answer, wait, label)
        if not errors.is_theirs(failed):
            break
    raise errors.raised(
        failed, request.model.vendor, request.model.id, request.model.life.successor
    )


async def estimate(http: Exchange, upstream: Upstream) -> None:
    """Everything that would be decided about a request, were it sent now. Raises ApiError."""
    caller = await admission.enter(http)
    body = await bodies.read(http, caller, paid=False)
    request = await _estimated(http, body, caller, upstream)
    lane = await large.choose(request)  # or the 400 that the request itself would get
    request = request.covering(lane.sifted)
    if lane.thinks is not None:
        request.clamps["thinking"] = request.applied(lane.thinks)
    stretch = not request.parsed.get("stream") or request.hides() or bool(lane.sifted.uses)
    state = await admission.look(caller, http.request_id, request.hold, stretch=stretch)
    http.extra += pipeline.notices(request) + left_out.header(lane.sifted.left_out)
    await http.respond_json(_answer(request) | _verdict(state, caller))


async def _estimated(
    http: Exchange, body: bytes, caller: Caller, upstream: Upstream
) -> InboundRequest:
    """A request in the dialect that the query names, or that the body looks like."""
    named = http.query().get("dialect", "")
    if named == GEMINI.name:
        body, _ = gemini_bodies.respelled(body)
    if large.is_large(body):
        request = await large.understand(http, named, body, caller, upstream, "estimated")
        http.parsed = request.parsed
        return request
    http.parsed = parsed = parse(body)
    sent, ip = http.headers, http.client_ip()
    dialect = client_dialects.of(named, parsed, sent)
    if dialect is GEMINI:
        body, http.parsed = gemini_bodies.respelled(body)
        parsed = http.parsed
    return await inbound.understand(dialect, body, parsed, caller, upstream, sent, ip)


def _answer(request: InboundRequest) -> dict[str, Any]:
    model, bounds = request.model, request.estimate
    rates = model.price.rates
    least = bounds.likely * min(rates[0], rates[1]) + rates[4]
    return {
        "object": "estimate",
        "dialect": request.dialect.name,
        "model": model.id,
        "requested_model": request.name,
        "variant": {
            "effort": request.variant.effort or None,
            "long_context": request.variant.long_context,
        },
        "clamps": request.clamps,
        "input_tokens": bounds.likely,
        "max_input_tokens": bounds.most,
        "max_output_tokens": bounds.output,
        "currency": "USD",
        "least_cost": dollars(per_million(least)),
        "most_cost": dollars(request.hold.full),
        "hold": dollars(request.hold.full),
        "least_hold": dollars(request.hold.floor),
    }


def _verdict(state: State | None, caller: Caller) -> dict[str, Any]:
    """Whether it would be admitted now; if not, why, and in how many seconds it may be."""
    if state is None:
        return {"admitted": None, "refusal": None, "windows": {}}
    windows = {
        name: {"limit": limit, "used": used, "uses": 1, "reset_ms": reset}
        for name, limit, used, reset in state.windows
    }
    given: dict[str, Any] = {"admitted": state.status == "ok", "refusal": None, "windows": windows}
    if state.status == "refused":
        given["refusal"] = _reason(refusal(state, caller.limits), state)
    else:
        given["hold"] = dollars(
            state.hold
        )  # less than the most it can cost, if that is all there is
    return given


def _reason(error: ApiError, state: State) -> dict[str, Any]:
    seconds = -(-state.retry_after_ms // 1000) or None
    return {
        "status": error.status,
        "type": error.type,
        "code": error.code,
        "message": error.message,
        "retry_after_seconds": seconds,
    }
