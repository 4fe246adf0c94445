"""The ways to a model: by which credential, at which provider, under which name.

Read from the database with the catalogue, so what staff change binds on every node within
seconds. Where a vendor has no credential there, the environment's key is its pool.
"""

import logging
import math
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import NamedTuple

from gateway.vendors import sessions, vault
from gateway.vendors.access import Access, introduce
from gateway.vendors.breaker import Breaker
from gateway.vendors.manners import NATIVE, Named
from gateway.vendors.models import Credential, Offering, Provider
from gateway.vendors.routing.models import Choice, RouteTerms, Routing

logger = logging.getLogger(__name__)


class Route(NamedTuple):
    """One way to one model. `named`: its name and the dialect there, NATIVE where the catalogue's
    hold and nothing else is to be minded."""

    access: Access
    breaker: Breaker
    named: Named = NATIVE
    priority: int = 0
    weight: int = 1
    rate: int | None = None  # nano-dollars of a million tokens, to compare by (RouteTerms)


class OwnWay(NamedTuple):
    """What a provider calls a model (as `Route.named`), and whether customers may bring a key of
    their own for it."""

    provider: int
    named: Named
    open: bool


class Pool(NamedTuple):
    """All ways to one model, by priority. `environment`: and the environment's key, first. `own`:
    where an own key of a customer's leads to it. `choose`: how one of the same priority is chosen
    (routing/models.py)."""

    routes: tuple[Route, ...] = ()
    environment: bool = True
    own: tuple[OwnWay, ...] = ()
    choose: str = Choice.SHARE


EMPTY = Pool()


def ordered(
    routes: tuple[Route, ...], session: Callable[[], bytes], choose: str = Choice.SHARE
) -> tuple[Route, ...]:
    """In the order in which a session asks them: whoever any gateway found ill comes last, then by
    priority, then as staff chose, and equal ones by the session's own hash. It is only looked up
    where it matters."""
    if len(routes) == 1:  # nearly always
        return routes
    wanted, now = session(), time.time()

    def rank(route: Route) -> tuple[bool, int, float, float]:
        shared = route.breaker.shared
        ill = shared is not None and shared.is_ill(now)
        score = sessions.score(wanted, route.access.label.encode(), route.weight)
        return ill, route.priority, _preference(route, choose), -score

    return tuple(sorted(routes, key=rank))


def _preference(route: Route, choose: str) -> float:
    """The less, the sooner it is asked. A rate that nobody wrote down comes after all others.
    Latencies within a quarter of each other are equal, so that sessions stay where their prompt
    cache is; one that nobody has measured lately is tried, and so becomes known."""
    if choose == Choice.COST:
        return math.inf if route.rate is None else route.rate
    if choose == Choice.LATENCY:
        shared = route.breaker.shared
        first_ms = shared.first_ms if shared is not None else None
        return -1.0 if first_ms is None else math.floor(math.log(max(1, first_ms), 1.25))
    return 0.0


class _Chosen(NamedTuple):
    """What staff chose: by model ("" is every other), and of each provider's model."""

    by_model: dict[str, str]
    terms: dict[tuple[int, str], RouteTerms]

    @classmethod
    def read(cls) -> "_Chosen":
        rows = Routing.objects.values_list("model_id", "choose")
        terms = {(row.provider_id, row.model_id): row for row in RouteTerms.objects.all()}
        return cls({model or "": choose for model, choose in rows}, terms)

    def of(self, model: str) -> str:
        return self.by_model.get(model) or self.by_model.get("", Choice.SHARE)


def load(models: Iterable[tuple[str, str, str]]) -> dict[str, Pool]:
    """The pools of these models: (id, vendor, dialect) each. Models without credentials of their
    own are not in it."""
    credentials = Credential.objects.select_related("provider").order_by("priority", "pk")
    offered: defaultdict[int, dict[str, Offering]] = defaultdict(dict)
    for offering in Offering.objects.all():
        offered[offering.provider_id][offering.model_id] = offering
    found, providers = list(credentials), list(Provider.objects.all())
    vendors = {c.provider.vendor for c in found if _takes_the_place(c)}
    chosen = _Chosen.read()
    with _loading:
        accesses = [(c, a) for c in found if (a := _access(c))]
        _forget_all_but({access for _, access in accesses})
    pools = {}
    for model, vendor, dialect in models:
        routes = tuple(
            route
            for credential, access in accesses
            if (route := _route(credential, access, model, vendor, dialect, offered, chosen))
        )
        own = _own_ways(providers, model, vendor, dialect, offered)
        if routes or own or vendor in vendors:
            clouds = any(route.access.hosting for route in routes)
            ours = not clouds and vendor not in vendors
            pools[model] = Pool(routes, ours, own, chosen.of(model))
    return pools


def _takes_the_place(credential: Credential) -> bool:
    """Whether it stands in for the environment's key: not one at a cloud that has some models of
    a vendor's only. What it does offer, it has alone."""
    return credential.provider.everything or not credential.provider.hosting


def _route(
    credential: Credential,
    access: Access,
    model: str,
    vendor: str,
    dialect: str,
    offered: dict[int, dict[str, Offering]],
    chosen: _Chosen,
) -> Route | None:
    named = _named(credential.provider, model, vendor, dialect, offered)
    if named is None:
        return None
    terms = chosen.terms.get((credential.provider_id, model))
    weight, rate = credential.weight, None
    if terms is not None:
        weight, rate = terms.share or weight, terms.compared
    return Route(access, access.breaker(model), named, credential.priority, weight, rate)


def _named(
    provider: Provider,
    model: str,
    vendor: str,
    dialect: str,
    offered: dict[int, dict[str, Offering]],
) -> Named | None:
    """What a provider calls a model; None if it does not have it."""
    offering = offered[provider.pk].get(model)
    spoken = provider.spoken
    usual = dialect if dialect in spoken else spoken[0]
    if offering is not None:
        there = offering.dialect or usual
        return Named(offering.upstream_id, there, provider.manners(there))
    if provider.everything and provider.vendor == vendor:
        return Named("", "" if usual == dialect else usual, provider.manners(usual))
    return None


def _own_ways(
    providers: Iterable[Provider],
    model: str,
    vendor: str,
    dialect: str,
    offered: dict[int, dict[str, Offering]],
) -> tuple[OwnWay, ...]:
    return tuple(
        OwnWay(provider.pk, named, provider.active and provider.own_keys)
        for provider in providers
        if (named := _named(provider, model, vendor, dialect, offered)) is not None
    )


# What was made of a credential is kept while it stays the same, and with it its breakers: staff
# who correct a key start it afresh.
_accesses: dict[tuple[int | str, ...], Access] = {}
_loading = threading.Lock()


def breakers() -> dict[tuple[str, str], Breaker]:
    """Those of credentials in the database, by credential and model."""
    return {
        (access.label, model): breaker
        for access in list(_accesses.values())
        for model, breaker in list(access._breakers.items())
    }


def _access(credential: Credential) -> Access | None:
    provider = credential.provider
    if not (credential.active and provider.active):
        return None
    if not credential.is_at_home:
        logger.error("credential.elsewhere %s was for %s", credential, credential.entered_for)
        return None
    shown = (provider.auth, provider.hosting, provider.dialect, provider.region)
    where = (str(credential), provider.vendor, provider.base_url)
    same = (credential.pk, *where, credential.sealed, *shown)
    if same not in _accesses:
        try:
            _accesses[same] = of(credential)
        except (vault.Unreadable, ValueError) as error:
            logger.critical("credential.unreadable %s: %s", credential, error)
            return None
    return _accesses[same]


def of(credential: Credential) -> Access:
    """A credential as it is shown to its provider. Raises ValueError, Unreadable among them."""
    provider = credential.provider
    return introduce(
        str(credential),
        provider.vendor,
        provider.base_url,
        vault.unseal(credential.sealed),
        credential.pk,
        auth=provider.auth,
        hosting=provider.hosting,
        dialect=provider.dialect,
        region=provider.region,
    )


def in_use() -> list[Access]:
    """Those of credentials in the database that anybody may be asked with."""
    return list(_accesses.values())


def _forget_all_but(used: set[Access]) -> None:
    for same in [same for same, access in _accesses.items() if access not in used]:
        del _accesses[same]
