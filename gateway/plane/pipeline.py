"""One request, from key to receipt. Start reading here.

    authenticate   401 403   who is calling, from where: a snapshot in memory (callers.py)
    understand     4xx   the model, the variant, the clamps, the bounds (inbound.py)
    choose a lane  4xx   the bytes as they are, or through the hub (adapters.py)
    admit          402 429 503   every window, a slot and a hold, in one round trip (admission.py)
    forward        500 503 504   to the vendor (relay.py); a stream's status waits for a good event
    settle               the true cost, the slot back, the usage event: however it ended

Fair bill, as code: a vendor that failed or produced nothing costs nothing; a client that left
pays what was produced until then; nobody pays more than the vendor's own numbers say.
"""

import asyncio
import logging
from contextlib import suppress

from gateway.catalogue import snapshot
from gateway.dialects.codecs import failures
from gateway.dialects.json_patch import parse
from gateway.plane import (
    adapters,
    admission,
    bodies,
    callers,
    compaction,
    counts,
    fitting,
    gemini_bodies,
    inbound,
    kept_responses,
    large,
    life,
    own_keys,
    relay,
    tracing,
)
from gateway.plane.adapters import Translation
from gateway.plane.call import Call
from gateway.plane.client_dialects import GEMINI, RESPONSES, Dialect
from gateway.plane.counts import Counts
from gateway.plane.exchange import Exchange
from gateway.plane.inbound import InboundRequest
from gateway.plane.life import End
from gateway.plane.upstream import Upstream
from gateway.plane.watching import ClientGone, Overdue, Stopping
from gateway.plane.wire import Headers
from gateway.usage import refusals
from gateway.vendors.manners import NATIVE
from gateway.vendors.routes import Route, ordered
from hontoni.errors import ApiError

logger = logging.getLogger(__name__)

_CLIENT_CLOSED = 499  # nginx's word for it; only ever written on receipts


async def serve(http: Exchange, dialect: Dialect, upstream: Upstream) -> None:
    """Answer one paid request in the dialect it came in, errors included."""
    http.dialect = dialect.name
    try:
        caller = callers.at_hand(http) or await callers.enter(http)
        call = await prepare(http, dialect, caller, upstream)
    except ApiError as error:
        await refuse(http, error)
        return
    except ClientGone:
        return
    await run(call, upstream)


async def refuse(http: Exchange, error: ApiError, more: bytes = b"") -> None:
    """Answer with an error, with `more` lines in its head; the limits in it are looked up if
    nothing else did."""
    if http.owner is None and error.status != 401:
        with suppress(ApiError):
            await callers.enter(http)
    refusals.note(http, error)
    _tell_of_end(http)
    if Counts.on:
        counts.refused(error.status, error.code)
    if http.state is None and http.limits is not None and error.status != 401:
        try:
            caller = await callers.authenticate(http.headers)
            http.state = await admission.look(caller, http.request_id)
        except ApiError:
            pass  # the first error says more
    await http.fail(error, more)


def _tell_of_end(http: Exchange) -> None:
    """Of a model that ends every answer says so, refusals of what was not understood, too."""
    name, known = http.parsed.get("model") if http.parsed else None, snapshot.at_hand()
    if known is None or not isinstance(name, str) or any(n == b"sunset" for n, _ in http.extra):
        return
    with suppress(ApiError):
        http.extra += known.resolve(name)[0].life.headers


async def prepare(
    http: Exchange, dialect: Dialect, caller: callers.Caller, upstream: Upstream
) -> Call:
    """Read and understand the request. Raises BadRequest, Forbidden, TooLarge, NotFound,
    ClientGone, kept_responses.Detach."""
    body = http.whole_body() or await bodies.read(http, caller)
    sent, ip, parsed = http.headers, http.client_ip(), None
    if http.compacts:
        body = await compaction.requested(body)
    if dialect is RESPONSES:
        body, parsed = await kept_responses.prepare(http, caller, body)
    elif dialect is GEMINI:
        body, parsed = await gemini_bodies.prepare(http, body)
    if large.is_large(body):
        request = await large.understand(http, dialect.name, body, caller, upstream, "paid")
        http.parsed = request.parsed
    else:
        http.parsed = parsed = parse(body) if parsed is None else parsed
        request = inbound.outlined(
            dialect, body, parsed, caller, upstream, sent
        ) or await inbound.understand(dialect, body, parsed, caller, upstream, sent, ip)
    http.extra += notices(request)
    mine, routes = None, (ours := _routes(request, http, upstream))
    if caller.own_keys:
        caller, mine, routes = await own_keys.found(caller, request.model, ours)
    if mine is not None:
        http.extra.append(mine.header())
    named = routes[0].named
    there = request if named == NATIVE else request.at(named)
    lane = adapters.choose(there) if request.beside is None else await large.choose(there)
    if http.compacts:
        await large.beside(lane, lane.compact)
    if isinstance(lane, Translation):
        request = request.sent_as(len(lane.body))
    return Call(
        http=http,
        caller=caller,
        request=own_keys.priced(request, mine, lane.sifted),
        lane=lane,
        routes=routes,
        ours=ours,
        mine=mine,
        fell_back=mine.fell_back if mine else "",
        named=named,
        stream=bool(request.parsed.get("stream")),
        clamps=request.clamps,
        ip=ip,
    )


def _routes(request: InboundRequest, http: Exchange, upstream: Upstream) -> tuple[Route, ...]:
    """Who can be asked, in the order in which this session asks them."""
    routes = upstream.routes(request.model)
    if len(routes) == 1:  # nearly always
        return routes
    return ordered(routes, lambda: request.session(http.headers), request.model.pool.choose)


def notices(request: InboundRequest) -> Headers:
    """The headers that say what really serves the request, and what was taken from it."""
    headers = served(request)
    if request.clamps:
        headers += fitting.clamp_headers(request.clamps)
    return headers


def served(request: InboundRequest) -> Headers:
    """Which model serves, for which one, and when that ends (catalogue/model_life.py)."""
    model, gone = request.model, request.variant.instead_of
    headers: Headers = [(b"x-hontoni-model", model.id.encode())]
    if gone is not None:
        headers += [snapshot.stand(model, gone, request.account).header, *gone.life.headers]
    elif model.life.headers:
        headers += model.life.headers
    return headers


async def run(call: Call, upstream: Upstream) -> None:
    """Admit, forward, settle. Whatever happens after admission ends in one settlement."""
    if tracing.Tracing.on:
        tracing.begin(call)
    try:
        await call.http.present(_serve(call, upstream), call.http.config.total_seconds)
    except ClientGone:
        call.end, call.status, call.error = End.LEFT, _CLIENT_CLOSED, "client_closed"
    except Overdue as error:
        _cut(call, error)
        await _tell(call, error)
    except ApiError as error:
        call.fail(error)
        await _tell(call, error)
    except asyncio.CancelledError:  # by the server, which waits for nobody any more
        stopping = Stopping()
        _cut(call, stopping)
        await _tell(call, stopping)
        raise
    except Exception:
        logger.exception("request.failed %s", call.id)
        failure = ApiError("Something went wrong on our side. Nothing was charged.")
        call.fail(failure)
        await _tell(call, failure)
    finally:
        if call.life is not life.SETTLED:  # nearly always it is
            await _settle(call)
        if call.trace is not None and call.hearing is life.CLIENT:
            tracing.end(call)  # it was refused


def _cut(call: Call, error: Overdue) -> None:
    """What was produced until then is no less produced, and paid; but of a batch's request, which
    is sent again when its gateway stops, nobody has seen any of it."""
    if call.earmark is not None and isinstance(error, Stopping):
        call.fail(error)
    else:
        call.end, call.status, call.error = End.OVERDUE, error.status, error.code


async def _settle(call: Call) -> None:
    """Unless it is settled, or will be once its answer is heard to the end (drains.py)."""
    if call.life is life.SETTLED:  # nearly always
        return
    if call in admission.LIVE:
        if call.hearing is life.CLIENT:
            await asyncio.shield(admission.close(call))
    elif call.life in (life.PREPARED, life.ASKED):
        call.become(life.REFUSED)


async def _serve(call: Call, upstream: Upstream) -> None:
    await admission.admit(call)
    if call.http.kept is not None:
        kept_responses.admitted(call.http, call.caller)
    if (allowed := call.caller.may_store) is not call.request.may_store:  # changed just now
        call.request = call.request._replace(may_store=allowed)
        await large.beside(call.lane, call.lane.let_store, allowed)
    if isinstance(call.lane, Translation):
        await relay.prepare(call)
    if call.held < call.hold.full:
        await large.beside(call.lane, fitting.fit, call)
    _tell_thinking(call)
    await relay.forward(call, upstream)


async def _tell(call: Call, error: ApiError) -> None:
    """Before the first byte an error is a status code; later it goes into the stream."""
    await _settle(call)
    if not call.http.started:
        await refuse(call.http, error, relay.overhead(call))
    elif call.stream and call.tap is not None and call.http.answer is life.BEGUN:
        await call.http.write(call.tap.fail(failures.of(error), call.id))
        await call.http.end_stream()


def _tell_thinking(call: Call) -> None:
    """What the vendor is really asked: a forced call or a fitted limit may leave less."""
    if "thinking" not in call.clamps or call.lane.thinks is None:
        return
    clamp = call.request.applied(call.lane.thinks)
    if call.request.affordable is not None and clamp.get("by") == "tools":
        clamp["by"] = call.clamps["max_tokens"]["by"]
    if clamp != call.clamps["thinking"]:
        call.clamps["thinking"] = clamp
        fitting.retell(call.http, {"thinking": clamp})
