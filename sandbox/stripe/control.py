"""The controls a test or a sandbox turns: the clock, webhooks, faults, disputes, the tax rate.

JSON, at `/_control/*`, with the account's secret key. Not part of Stripe.
"""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.stripe.api import check_key
from sandbox.stripe.errors import Object, StripeError, malformed
from sandbox.stripe.faults import Fault
from sandbox.stripe.resources import disputes
from sandbox.stripe.simulator import Simulator
from sandbox.stripe.webhooks import Knobs
from sandbox.stripe.wire import render

Control = Callable[[Simulator, Request, Object], Awaitable[Any]]
LONGEST_ADVANCE = 3 * 366 * 86_400


async def _advance(sim: Simulator, request: Request, given: Object) -> Object:
    """Move the clock, delivering what that causes: {seconds} -> {now}."""
    seconds = given.get("seconds")
    if type(seconds) is not int or not 0 <= seconds <= LONGEST_ADVANCE:
        raise malformed("seconds must be a whole number up to three years", "seconds")
    sim.base_url = str(request.base_url)
    sim.advance(seconds)
    return {"now": sim.now()}


async def _clock(sim: Simulator, request: Request, given: Object) -> Object:
    return {"now": sim.now(), "offset": sim.clock.offset}


async def _set_clock(sim: Simulator, request: Request, given: Object) -> Object:
    """Put the clock at a moment, doing on the way what falls due: {now} -> {now}. Backwards only
    before anything has happened: an account has one past."""
    now = given.get("now")
    if type(now) is not int or abs(now - sim.now()) > LONGEST_ADVANCE:
        raise malformed("now must be a time within three years", "now")
    if now < sim.now() and sim.store.all("event"):
        raise malformed("The clock of an account that has events only goes forward.", "now")
    sim.base_url = str(request.base_url)
    sim.advance(now - sim.now())
    return {"now": sim.now()}


async def _knobs(sim: Simulator, request: Request, given: Object) -> Object:
    return {
        "knobs": asdict(sim.webhooks.knobs),
        "queued": len(sim.webhooks.queue),
        "log": list(sim.webhooks.log),
    }


async def _turn(sim: Simulator, request: Request, given: Object) -> Object:
    """Replace all knobs by those given; the others go back to normal."""
    sim.webhooks.knobs = _build(Knobs, given)
    return {"knobs": asdict(sim.webhooks.knobs)}


async def _reset(sim: Simulator, request: Request, given: Object) -> Object:
    sim.webhooks.knobs = Knobs()
    sim.webhooks.wake.set()
    return {"knobs": asdict(sim.webhooks.knobs)}


async def _flush(sim: Simulator, request: Request, given: Object) -> Object:
    """Deliver everything that is due, held or not, and return when done."""
    await sim.webhooks.flush()
    return {"queued": len(sim.webhooks.queue), "log": list(sim.webhooks.log)}


async def _resend(sim: Simulator, request: Request, given: Object) -> Object:
    """{event}: send it once more, as the dashboard can."""
    event = sim.store.need("event", str(given.get("event", "")), "event")
    return {"deliveries": sim.webhooks.enqueue(event)}


async def _order_fault(sim: Simulator, request: Request, given: Object) -> Object:
    sim.faults.orders.append(_build(Fault, given))
    return {"faults": [asdict(order) for order in sim.faults.orders]}


async def _clear_faults(sim: Simulator, request: Request, given: Object) -> Object:
    sim.faults.clear()
    return {"faults": []}


async def _open_dispute(sim: Simulator, request: Request, given: Object) -> Object:
    """{charge | payment_intent, amount?, reason?} -> the dispute."""
    if "charge" in given:
        charge = sim.store.need("charge", given["charge"], "charge")
    else:
        intent = sim.store.need(
            "payment_intent", given.get("payment_intent", ""), "payment_intent"
        )
        charge = sim.store.need("charge", intent["latest_charge"] or "", "payment_intent")
    reason = given.get("reason", "fraudulent")
    return disputes.make(sim, charge, given.get("amount"), reason)


async def _close_dispute(sim: Simulator, request: Request, given: Object) -> Object:
    """{outcome: won | lost} -> the dispute."""
    dispute = sim.store.need("dispute", request.path_params["id"])
    if given.get("outcome") not in ("won", "lost"):
        raise malformed("outcome must be won or lost", "outcome")
    return disputes.settle(sim, dispute, won=given["outcome"] == "won")


async def _tax(sim: Simulator, request: Request, given: Object) -> Object:
    """{basis_points}: the rate where `automatic_tax` is on; 825 is 8.25 %."""
    rate = given.get("basis_points")
    if type(rate) is not int or not 0 <= rate <= 10_000:
        raise malformed("basis_points must be between 0 and 10000", "basis_points")
    sim.tax_basis_points = rate
    return {"basis_points": rate}


def _build(kind: type[Any], given: Object) -> Any:
    try:
        return kind(**given)
    except (TypeError, ValueError) as error:
        raise malformed(str(error)) from error


def _route(sim: Simulator, method: str, path: str, control: Control) -> Route:
    async def endpoint(request: Request) -> Response:
        try:
            check_key(sim, request)
            body = await request.body()
            answer, status = await control(sim, request, orjson.loads(body) if body else {}), 200
            sim.dirty = sim.dirty or method != "GET"
        except StripeError as error:
            answer, status = error.body(), error.status
        except orjson.JSONDecodeError:
            answer, status = malformed("The body must be JSON.").body(), 400
        content = orjson.dumps(render(answer, str(request.base_url)))
        return Response(content, status, media_type="application/json")

    return Route(f"/_control/{path}", endpoint, methods=[method])


def routes(sim: Simulator) -> list[Route]:
    """The controls of one account."""
    controls = (
        ("GET", "clock", _clock),
        ("POST", "clock", _set_clock),
        ("POST", "advance", _advance),
        ("GET", "webhooks", _knobs),
        ("POST", "webhooks", _turn),
        ("DELETE", "webhooks", _reset),
        ("POST", "webhooks/flush", _flush),
        ("POST", "webhooks/resend", _resend),
        ("POST", "faults", _order_fault),
        ("DELETE", "faults", _clear_faults),
        ("POST", "disputes", _open_dispute),
        ("POST", "disputes/{id}", _close_dispute),
        ("POST", "tax", _tax),
    )
    return [_route(sim, *control) for control in controls]
