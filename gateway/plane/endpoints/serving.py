"""One such request, from its body to its receipt."""

from collections.abc import Callable
from typing import Any, Protocol

from gateway.catalogue.features.models import Pricing
from gateway.catalogue.features.sift import Sifted, Use
from gateway.catalogue.sold import Model
from gateway.catalogue.variants import Variant
from gateway.dialects.ir import UNSAID
from gateway.metering import estimates
from gateway.metering.estimates import Estimate
from gateway.plane import bodies, callers, end_users, inbound, own_keys, pipeline
from gateway.plane.call import Call
from gateway.plane.callers import Caller
from gateway.plane.client_dialects import Dialect
from gateway.plane.endpoints.lane import Forward, Job
from gateway.plane.exchange import Exchange
from gateway.plane.inbound import InboundRequest
from gateway.plane.upstream import Upstream
from gateway.plane.watching import ClientGone
from gateway.vendors import sessions
from gateway.vendors.manners import Named
from gateway.vendors.routes import Route, ordered
from hontoni.errors import ApiError, BadRequest


class Endpoint(Protocol):
    """`dialect` is what its clients speak, `serves` the dialects of the models it can ask."""

    dialect: Dialect
    serves: tuple[str, ...]

    async def read(self, http: Exchange, body: bytes) -> dict[str, Any]:
        """The body's members, the model's name among them. Raises BadRequest."""

    def job(self, parsed: dict[str, Any], model: Model, name: str, user: str) -> Job:
        """What is asked of that model, which the client calls `name`, and of whom the vendor is
        told where its dialect has a place for it. Raises BadRequest."""


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
    ours = _ours(upstream, model, parsed, http, caller)
    caller, mine, routes = await own_keys.found(caller, model, ours)
    if not routes:
        raise BadRequest(f"{model.id} is not available here.", code="model_not_supported")
    if mine is not None:
        http.extra.append(mine.header())

    def lane(named: Named) -> Forward:
        user = end_users.pseudonym(caller.account)
        job = endpoint.job(parsed, model.at(named), parsed["model"], user)
        sifted = Sifted(parsed, job.left_out, tuple(_uses(job, model)))
        return Forward(model.dialect, job, sifted, lane)

    first = lane(routes[0].named)
    request = _request(endpoint, parsed, body, caller, model, variant, first.job)
    http.extra += pipeline.served(request)
    return Call(
        http=http,
        caller=caller,
        request=own_keys.priced(request, mine, first.sifted),
        lane=first,
        routes=routes,
        ours=ours,
        mine=mine,
        fell_back=mine.fell_back if mine else "",
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


def _ours(
    upstream: Upstream, model: Model, parsed: dict[str, Any], http: Exchange, caller: Caller
) -> tuple[Route, ...]:
    """Who of ours has such an endpoint, in the order in which this session asks them."""
    native = tuple(r for r in upstream.routes(model) if own_keys.takes(model, r.named))
    if not native:
        return ()
    return ordered(native, lambda: sessions.key(parsed, http.headers, caller.account))


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
