"""One API call over HTTP: who asks, what is asked, run once, answered in Stripe's manner.

* Keys: https://docs.stripe.com/api/authentication (Bearer, or Basic with the key as user name).
* Versions: https://docs.stripe.com/api/versioning; every monthly version of one major release
  has the same shapes, so any `*.dahlia` is served and others are refused.
"""

import base64
import binascii
import re
from urllib.parse import parse_qsl

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as HttpRoute
from starlette.types import Receive, Scope, Send

from sandbox.stripe import forms
from sandbox.stripe.errors import Object, StripeError, malformed
from sandbox.stripe.faults import Fault, raise_ordered
from sandbox.stripe.idempotency import Saved
from sandbox.stripe.simulator import API_VERSION, Call, Route, Simulator
from sandbox.stripe.store import random_id
from sandbox.stripe.wire import HERE, LIST, expand, render

TEST_KEY = re.compile(r"^(sk|rk)_test_[A-Za-z0-9_]{8,}$")
DAHLIA = re.compile(r"^\d{4}-\d\d-\d\d\.dahlia$")


def http_route(sim: Simulator, route: Route) -> HttpRoute:
    """The Starlette route that serves one of ours."""

    async def endpoint(request: Request) -> Response:
        return await _answer(sim, route, request)

    return HttpRoute(route.path, endpoint, methods=[route.method])


class Lost(Response):
    """An answer that never arrives: the connection breaks half-way."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"1000"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"{", "more_body": True})


async def _answer(sim: Simulator, route: Route, request: Request) -> Response:
    request_id = random_id("req_", 14)
    try:
        check_key(sim, request)
        _check_version(request)
        return await _once(sim, route, request, request_id)
    except StripeError as error:
        return _response(error.status, orjson.dumps(error.body()), request_id, None)


async def _once(sim: Simulator, route: Route, request: Request, request_id: str) -> Response:
    """Run the call, or answer as the first time where its idempotency key is known."""
    path, body = request.url.path, await request.body()
    key = request.headers.get("idempotency-key") if route.method == "POST" else None
    if key and (saved := sim.keys.claim(key, path, body, sim.now())):
        return _replay(saved, key, request_id)
    try:
        fault = sim.faults.take(route.method, path)
        await sim.faults.wait(fault)
        sim.base_url = str(request.base_url)
        sim.run_until(sim.now())  # before the request's id is on the events
        sim.request = {"id": request_id, "idempotency_key": key}
        status, content, stored = _run(sim, route, request, body, fault)
        if key and stored:
            sim.keys.keep(key, status, content, request_id)
    finally:
        sim.request = {}
        if key:
            sim.keys.release_running(key)
    lost = fault is not None and fault.kind == "lost"
    return Lost() if lost else _response(status, content, request_id, key)


def _run(
    sim: Simulator, route: Route, request: Request, body: bytes, fault: Fault | None
) -> tuple[int, bytes, bool]:
    """Status, body, and whether idempotency remembers them. Nothing awaits: this is atomic."""
    sim.dirty = sim.dirty or route.method != "GET"
    try:
        raise_ordered(fault)
        return 200, orjson.dumps(_call(sim, route, request, body)), True
    except StripeError as error:
        sent = render(error.body(), sim.public_url or sim.base_url)
        return error.status, orjson.dumps(sent), error.stored


def _call(sim: Simulator, route: Route, request: Request, body: bytes) -> Object:
    params = forms.Params(forms.parse(_pairs(request, body)))
    params.only([*route.takes.split(), *(LIST if route.method == "GET" else ("expand",))])
    call = Call(params, request.path_params, request.url.path)
    result: Object = render(route.handler(sim, call), HERE)
    expand(sim.store, result, params.texts("expand"))
    absolute: Object = render(result, sim.public_url or sim.base_url)
    return absolute


def _pairs(request: Request, body: bytes) -> list[tuple[str, str]]:
    kind = request.headers.get("content-type", "")
    if body and not kind.startswith("application/x-www-form-urlencoded"):
        raise malformed(f"Invalid request (check that your POST content type is form): {kind}")
    query = parse_qsl(request.url.query, keep_blank_values=True)
    return query + parse_qsl(body.decode(errors="replace"), keep_blank_values=True)


def check_key(sim: Simulator, request: Request) -> None:
    """Only the account's own secret key; without a configured one, any test key."""
    key = _key(request.headers.get("authorization", ""))
    if not key:
        message = "You did not provide an API key. Use HTTP Basic or Bearer authentication."
        raise StripeError(401, "invalid_request_error", message, stored=False)
    if key != sim.api_key if sim.api_key else not TEST_KEY.match(key):
        shown = f"{key[:8]}{'*' * 8}{key[-4:]}"
        message = f"Invalid API Key provided: {shown}"
        raise StripeError(401, "invalid_request_error", message, stored=False)


def _key(authorization: str) -> str:
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() != "basic":
        return value.strip() if scheme.lower() == "bearer" else ""
    try:
        return base64.b64decode(value).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _check_version(request: Request) -> None:
    version = request.headers.get("stripe-version", API_VERSION)
    if not DAHLIA.match(version):
        raise malformed(f"Invalid Stripe API version: {version}. Here it is {API_VERSION}.")


def _replay(saved: Saved, key: str, request_id: str) -> Response:
    response = _response(saved.status, saved.body.encode(), request_id, key)
    response.headers["Idempotent-Replayed"] = "true"
    response.headers["Original-Request"] = saved.request_id
    return response


def _response(status: int, content: bytes, request_id: str, key: str | None) -> Response:
    headers = {"Request-Id": request_id, "Stripe-Version": API_VERSION}
    if key:
        headers["Idempotency-Key"] = key
    return Response(content, status, headers, media_type="application/json")
