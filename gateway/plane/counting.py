"""What a request would use and cost, without making it: free, and no window counts it.

* `/v1/messages/count_tokens`, `/v1/responses/input_tokens`: the vendor's own count where the
  model's vendor speaks that dialect; for another model ours, a third of the bytes of the body,
  marked by the header `x-hontoni-token-count: estimate`
* `/v1beta/models/{model}:countTokens`: likewise, the vendor's own for Gemini
* `/v1/estimate`: a body of any dialect, and everything that would be decided about it
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import closing
from typing import Any, NamedTuple

import orjson
from django.conf import settings

from gateway.dialects.codecs import failures
from gateway.dialects.json_patch import parse
from gateway.metering.estimates import per_request
from gateway.plane import (
    adapters,
    admission,
    bodies,
    client_dialects,
    gemini_bodies,
    inbound,
    kept_responses,
    large,
    left_out,
    overflow,
    own_keys,
    pipeline,
)
from gateway.plane.callers import Caller
from gateway.plane.client_dialects import GEMINI, MESSAGES, RESPONSES, Dialect
from gateway.plane.exchange import Exchange
from gateway.plane.inbound import InboundRequest
from gateway.plane.own_keys import Mine
from gateway.plane.upstream import Upstream
from gateway.vendors import errors
from gateway.vendors.manners import PLAIN
from gateway.vendors.routes import Route
from hontoni.errors import ApiError, Unavailable
from hontoni.money import dollars, per_cent, per_million
from ratelimits.headers import refusal
from ratelimits.limiter import State

Sent = tuple[str, bytes, dict[bytes, bytes]]  # a path, a body and headers
_ESTIMATED = [(b"x-hontoni-token-count", b"estimate")]


class _Count(NamedTuple):
    """A door that counts, what our answer has beside the number, and whose models' hosts count in
    its dialect."""

    dialect: Dialect
    beside: Mapping[str, str]
    vendor: str


_MESSAGES = _Count(MESSAGES, {}, "")
_RESPONSES = _Count(RESPONSES, {"object": "response.input_tokens"}, "openai")


async def count_tokens(http: Exchange, upstream: Upstream) -> None:
    """How many tokens a prompt of Messages has. Raises ApiError."""
    await _count(http, upstream, _MESSAGES)


async def input_tokens(http: Exchange, upstream: Upstream) -> None:
    """The same of Responses. Raises ApiError."""
    await _count(http, upstream, _RESPONSES)


async def _count(http: Exchange, upstream: Upstream, count: _Count) -> None:
    http.dialect = count.dialect.name
    caller = await admission.enter(http)
    body = await bodies.read(http, caller, paid=False)
    if count.dialect is RESPONSES:
        body = await kept_responses.completed(http, caller, body)
    request, parsed = await _counted(http, count.dialect, body, caller, upstream)
    ours = upstream.routes(request.model)
    caller, mine, routes = await own_keys.found(caller, request.model, ours)
    counters = _counters(routes, request, count)
    if request.model.dialect != count.dialect.name or not counters:
        http.extra += [*pipeline.served(request), *_ESTIMATED]
        await http.respond_json({**count.beside, "input_tokens": request.estimate.likely})
        return

    async def counted(there: InboundRequest) -> Sent:
        headers = adapters.forwarded(there, http.headers)
        path = there.model.manners.counting(count.dialect.name)
        return path, await large.counted(there, parsed), headers

    work = _relay(http, upstream, request, counted, counters, mine)
    await http.present(work, settings.UPSTREAM_SILENCE_SECONDS)


async def _counted(
    http: Exchange, dialect: Dialect, body: bytes, caller: Caller, upstream: Upstream
) -> tuple[InboundRequest, dict[str, Any]]:
    """The request, and the body as it came: a count has no limit."""
    if large.is_large(body):
        request = await large.understand(http, dialect.name, body, caller, upstream, "counted")
        http.parsed = request.parsed
        return request, request.parsed
    http.parsed = parsed = parse(body)
    dialect.check(parsed)
    limited = {"max_tokens": 0, **parsed} if dialect.needs_limit else parsed
    sent, ip = http.headers, http.client_ip()
    request = await inbound.understand(dialect, body, limited, caller, upstream, sent, ip)
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
    ours = upstream.routes(request.model)
    caller, mine, routes = await own_keys.found(caller, request.model, ours)
    lane, counters = await large.choose(request), _plain(routes, request)
    if not counters or not lane.body:  # what it points at is not fetched
        http.extra += [*pipeline.served(request), *_ESTIMATED]
        await http.respond_json({"totalTokens": request.estimate.likely})
        return

    async def counted(there: InboundRequest) -> Sent:
        lane = await large.choose(there)
        named = orjson.dumps(f"models/{there.target.model}")
        wrapped = b'{"generateContentRequest":{"model":%b,%b}' % (named, lane.body[1:])
        return f"/v1beta/models/{there.target.model}:countTokens", wrapped, {}

    work = _relay(http, upstream, request, counted, counters, mine)
    await http.present(work, settings.UPSTREAM_SILENCE_SECONDS)


def _plain(routes: Sequence[Route], request: InboundRequest) -> list[Route]:
    """Who counts Gemini contents: Google itself."""
    there = [(route, request.model.at(route.named)) for route in routes]
    return [r for r, m in there if m.dialect == GEMINI.name and m.manners is PLAIN]


def _counters(routes: Sequence[Route], request: InboundRequest, count: _Count) -> list[Route]:
    """Who can be asked to count: the vendor's own API, or who has all of it."""
    name = count.dialect.name
    if count.vendor and request.model.vendor != count.vendor:
        return []
    there = [(route, request.model.at(route.named)) for route in routes]
    return [r for r, m in there if m.dialect == name and m.manners.counting(name)]


async def _relay(
    http: Exchange,
    upstream: Upstream,
    request: InboundRequest,
    counted: Callable[[InboundRequest], Awaitable[Sent]],
    routes: Sequence[Route],
    mine: Mine | None,
) -> None:
    """Ask one credential after another, where the vendor itself can be asked."""
    failed = failures.of(Unavailable("Nobody can count that model's tokens right now."))
    if all(route.breaker.gone for route in routes):
        failed = failures.GONE
    for route in routes:
        if not route.breaker.allows():
            continue
        path, body, headers = await counted(request.at(route.named))
        with closing(await upstream.post(route.access, path, body, headers)) as reply:
            answer = await reply.read()
        if reply.status < 400:
            http.extra += pipeline.served(request)
            await http.respond(200, answer)
            return
        failed = own_keys.refusal(mine, route.access, reply, answer)
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
    ours = upstream.routes(request.model)
    caller, mine, _ = await own_keys.found(caller, request.model, ours)
    request = own_keys.priced(request, mine, lane.sifted)
    if lane.thinks is not None:
        request.clamps["thinking"] = request.applied(lane.thinks)
    stretch = not request.parsed.get("stream") or request.hides() or bool(lane.sifted.uses)
    state = await admission.look(caller, http.request_id, request.hold, stretch=stretch)
    http.extra += pipeline.notices(request) + left_out.header(lane.sifted.left_out)
    verdict = _verdict(state, caller)
    if state is not None and overflow.may(caller, state):
        request = overflow.priced(request, request.model, lane.sifted, caller.surcharge)
        beyond = await admission.look(caller, http.request_id, request.hold, past=True)
        verdict |= _past(beyond, verdict, caller, request)
    await http.respond_json(_answer(request) | verdict)


def _past(
    state: State | None, verdict: dict[str, Any], caller: Caller, request: InboundRequest
) -> dict[str, Any]:
    """The same of who may go past the window that is full: at the surcharge, using no window."""
    admitted = state is not None and state.status == "ok"
    return {
        "admitted": admitted,
        "refusal": None if admitted else verdict["refusal"],
        "windows": {name: each | {"uses": 0} for name, each in verdict["windows"].items()},
        "overflow": {
            "admitted": admitted,
            "surcharge_percent": per_cent(caller.surcharge),
            "most_cost": dollars(request.hold.full),
        },
    }


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
    flat = per_request(model)
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
        "least_cost": dollars(per_million(least) + flat),
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
