"""Whether a customer's own key answers a request, at which price, and who is asked after it.

Where an account has a key at a provider of the model, nobody else is asked in its place, unless
its owner chose so: what is sent, and whom it is billed to, is no surprise.
"""

from typing import TYPE_CHECKING, NamedTuple, Protocol

from gateway.catalogue.features.sift import Sifted
from gateway.catalogue.sold import Model
from gateway.dialects.codecs import failures
from gateway.dialects.ir import Failed
from gateway.plane import callers
from gateway.plane.callers import Caller
from gateway.vendors import errors
from gateway.vendors.access import Access
from gateway.vendors.manners import PLAIN, Named
from gateway.vendors.own_keys import failing
from gateway.vendors.own_keys.access import Key
from gateway.vendors.routes import Route
from hontoni.errors import Forbidden
from ratelimits import limiter

if TYPE_CHECKING:
    from gateway.plane.call import Call
    from gateway.plane.inbound import InboundRequest

HEADER = b"x-hontoni-own-key"


class Mine(NamedTuple):
    """The key for a request. `route` is None where it cannot be used now."""

    key: Key
    route: Route | None

    @property
    def fell_back(self) -> str:
        """Why it is not the one that answers, as far as that is known beforehand."""
        return failing.CLOSED if self.route is None else ""

    def header(self, fell_back: str = "") -> tuple[bytes, bytes]:
        """What the answer says of it."""
        why = fell_back or self.fell_back
        return HEADER, (self.key.name + (f"; fell-back={why}" if why else "")).encode()


def takes(model: Model, named: Named) -> bool:
    """Whether whoever has the model under that name can be asked: for what is no conversation,
    where its own dialect is spoken as its vendor does."""
    there = model.at(named)
    return model.chats or (there.manners is PLAIN and there.dialect == model.dialect)


def chosen(caller: Caller, model: Model) -> Mine | None:
    """The caller's own key for this model, one that can be used before one that cannot."""
    found = None
    for key in caller.own_keys:
        for way in model.pool.own:
            if way.provider != key.provider or not takes(model, way.named):
                continue
            if way.open and key.access is not None and model.by_own_key() is not None:
                return Mine(key, Route(key.access, key.access.breaker(model.id), way.named))
            found = found or Mine(key, None)
    return found


def reaches(caller: Caller, model: Model) -> bool:
    """Whether an own key leads to it."""
    found = chosen(caller, model)
    return found is not None and found.route is not None


def ways(mine: Mine | None, ours: tuple[Route, ...]) -> tuple[Route, ...]:
    """Who is asked: the own key, and ours behind it if its owner chose that. Raises Forbidden
    where the key cannot be used and nobody else may be asked."""
    if mine is None:
        return ours
    routes: tuple[Route, ...] = () if mine.route is None else (mine.route,)
    if mine.key.falls_back:
        routes += ours
    if not routes:
        raise Forbidden(
            f"Your own key at {mine.key.name} cannot be used any more. Enter it again, switch it "
            f"off, or let requests go to our accounts in its place: see {failing.PAGE}.",
            code=failing.CLOSED,
        )
    return routes


async def found(
    caller: Caller, model: Model, ours: tuple[Route, ...]
) -> tuple[Caller, Mine | None, tuple[Route, ...]]:
    """The key for this model, and who is asked. Raises as `ways`, but by a snapshot only that
    Redis knows of nothing newer than."""
    mine = chosen(caller, model)
    try:
        return caller, mine, ways(mine, ours)
    except Forbidden:
        if await limiter.terms_version(caller.account) <= caller.terms_version:
            raise
        caller = await callers.reload(caller.digest)
        mine = chosen(caller, model)
        return caller, mine, ways(mine, ours)


class Reply(Protocol):
    """What is looked at of a vendor's."""

    status: int

    @property
    def retry_after(self) -> str: ...

    @property
    def error_type(self) -> str: ...


def refusal(mine: Mine | None, access: Access, reply: Reply, body: bytes) -> Failed:
    """What a vendor's error status means: of an own key in words for its owner."""
    said = reply.status, body, reply.retry_after
    if access.own_key is None or mine is None:
        return errors.from_reply(*said, access.label, reply.error_type)
    failed, words = errors.parsed(*said, reply.error_type), failures.words(body)
    return failing.told(failed, mine.key.name, mine.key.prefix, reply.status, words)


def priced(request: "InboundRequest", mine: Mine | None, sifted: Sifted) -> "InboundRequest":
    """The request at what is paid for who is asked first."""
    base = request.model.ours or request.model
    keyed = base.by_own_key() if mine is not None and mine.route is not None else None
    model = keyed or base
    return request.covering(sifted) if model is request.model else request.priced(model, sifted)


def renew(call: "Call") -> None:
    """The account's keys have changed since they were chosen. Raises Forbidden."""
    model = call.model.ours or call.model
    call.mine = chosen(call.caller, model)
    call.routes = ways(call.mine, call.ours)
    call.request = priced(call.request, call.mine, call.lane.sifted)
    call.fell_back = call.mine.fell_back if call.mine else ""
    tell(call)


def tell(call: "Call") -> None:
    """In the answer's head: whose key, and why another one answered, if so."""
    call.http.extra = [each for each in call.http.extra if each[0] != HEADER]
    if call.mine is not None:
        call.http.extra.append(call.mine.header(call.fell_back))
