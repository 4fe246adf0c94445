"""One such request, from its body to its receipt."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from gateway.catalogue.features.models import Pricing
from gateway.catalogue.features.sift import Sifted, Use
from gateway.catalogue.sold import Model
from gateway.catalogue.variants import Variant
from gateway.dialects.ir import UNSAID
from gateway.metering import estimates
from gateway.metering.estimates import Estimate
from gateway.plane import bodies, callers, inbound, pipeline
from gateway.plane.call import Call
from gateway.plane.callers import Caller
from gateway.plane.client_dialects import Dialect
from gateway.plane.endpoints.lane import JSON, Forward, Reading
from gateway.plane.exchange import Exchange
from gateway.plane.inbound import InboundRequest
from gateway.plane.upstream import Upstream
from gateway.plane.watching import ClientGone
from gateway.vendors import sessions
from gateway.vendors.manners import PLAIN
from gateway.vendors.routes import Route, ordered
from hontoni.errors import ApiError, BadRequest


class Job(NamedTuple):
    """What a request comes to at one model: what is sent where, how the answer is read, and what
    it can cost at most: tokens, and units of counters by their names."""

    path: str
    body: bytes
    reading: Reading
    input: int = 0
    output: int = 0
    heard: int = 0
    units: Mapping[str, int] = {}
    left_out: tuple[str, ...] = ()
    sent_as: bytes = JSON


class Endpoint(Protocol):
    """`dialect` is what its clients speak, `serves` the dialects of the models it can ask."""

    dialect: Dialect
    serves: tuple[str, ...]

    async def read(self, http: Exchange, body: bytes) -> dict[str, Any]:
        """The body's members, the model's name among them. Raises BadRequest."""

    def job(self, parsed: dict[str, Any], model: Model, name: str) -> Job:
        """What is asked of that model, which the client calls `name`. Raises BadRequest."""


def paid(endpoint: Endpoint) -> Callable[[Exchange, Upstream], Any]:
    """The handler of its path."""
    return lambda http, upstream: serve(http, endpoint, upstream)


async def serve(http: Exchange, endpoint: Endpoint, upstream: Upstream) -> None:
    """Answer one request, errors included."""
    http.dialect = http.dialect or endpoint.dialect.name  # Google's door words its errors
    try:
        caller = callers.at_hand(http) or await callers.enter(http)
        call = await prepare(http, endpoint, caller, upstream)
    except ApiError as error:
        await pipeline.refuse(http, error)
        return
    except ClientGone:
        return
    await pipeline.run(call, upstream)


async def prepare(http: Exchange, endpoint: Endpoint, caller: Caller, upstream: Upstream) -> Call:
    """Read and understand the request. Raises ApiError, ClientGone."""
    body = http.whole_body() or await bodies.read(http, caller)
    http.parsed = parsed = await endpoint.read(http, body)
    model, variant = await inbound.model_of(parsed, upstream, caller)
    caller = await _permitted(caller, http, model, variant)
    model = model.owned(caller.account)
    if model.dialect not in endpoint.serves:
        raise BadRequest(
            f"{model.id} is not for this address. GET /v1/models says what a model is for.",
            code="model_not_supported",
            param="model",
        )
    routes = _routes(upstream, model, parsed, http, caller)
    there = model.at(routes[0].named)
    job = endpoint.job(parsed, there, parsed["model"])
    request = _request(endpoint, parsed, body, caller, model, variant, job)
    http.extra += pipeline.served(request)
    sifted = Sifted(parsed, job.left_out, tuple(_uses(job, model)))
    lane = Forward(model.dialect, job.path, job.body, job.reading, sifted, job.sent_as)
    return Call(
        http=http,
        caller=caller,
        request=request.covering(sifted),
        lane=lane,
        routes=routes,
        named=routes[0].named,
        stream=False,
        clamps={},
        ip=http.client_ip(),
    )


async def _permitted(caller: Caller, http: Exchange, model: Model, variant: Variant) -> Caller:
    if (
        caller.models
        and (needed := inbound.permission(model, variant, caller)) not in caller.models
    ):
        return await callers.permit(caller, http.client_ip(), needed)
    return caller


def _routes(
    upstream: Upstream, model: Model, parsed: dict[str, Any], http: Exchange, caller: Caller
) -> tuple[Route, ...]:
    """Who has such an endpoint, and can be asked with the same body: by the name that the first of
    them has for the model. Raises BadRequest."""
    native = tuple(r for r in upstream.routes(model) if _is_native(model.at(r.named), model))
    if not native:
        raise BadRequest(f"{model.id} is not available here.", code="model_not_supported")
    found = ordered(native, lambda: sessions.key(parsed, http.headers, caller.account))
    return tuple(route for route in found if route.named == found[0].named)


def _is_native(there: Model, model: Model) -> bool:
    return there.manners is PLAIN and there.dialect == model.dialect


def _request(
    endpoint: Endpoint,
    parsed: dict[str, Any],
    body: bytes,
    caller: Caller,
    model: Model,
    variant: Variant,
    job: Job,
) -> InboundRequest:
    most, output, heard = job.input, job.output, job.heard
    estimate = Estimate(most, most, output, cached=False, heard=heard, whole=True)
    return InboundRequest(
        dialect=endpoint.dialect,
        body=body,
        parsed=parsed,
        name=parsed["model"],
        account=caller.account,
        model=model,
        variant=variant,
        target=model.target,
        thinking=UNSAID,
        estimate=estimate,
        hold=estimates.hold(model, estimate),
        clamps={},
        permitted=tuple(caller.models or ()),
    )


def _uses(job: Job, model: Model) -> list[Use]:
    """The counters that it may move, as far as they go. Raises BadRequest where one has no
    price."""
    uses = []
    for name, most in job.units.items():
        row = model.rules().counters.get(name)
        if row is None or row.pricing != Pricing.PER_CALL:
            raise BadRequest(f"{model.id} has no price for {name}.", code="unsupported_parameter")
        uses.append(Use(row, most, {}))
    return uses
