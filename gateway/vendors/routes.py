"""The ways to a model: by which credential, at which provider, under which name.

Read from the database with the catalogue, so what staff change binds on every node within
seconds. Where a vendor has no credential there, the environment's key is its pool.
"""

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import NamedTuple

from gateway.vendors import sessions, vault
from gateway.vendors.access import Access, introduce
from gateway.vendors.breaker import Breaker
from gateway.vendors.manners import NATIVE, Named
from gateway.vendors.models import Credential, Offering

logger = logging.getLogger(__name__)


class Route(NamedTuple):
    """One way to one model. `named`: its name and the dialect there, NATIVE where the catalogue's
    hold and nothing else is to be minded."""

    access: Access
    breaker: Breaker
    named: Named = NATIVE
    priority: int = 0
    weight: int = 1


class Pool(NamedTuple):
    """All ways to one model, by priority. `environment`: and the environment's key, first."""

    routes: tuple[Route, ...] = ()
    environment: bool = True


EMPTY = Pool()


def ordered(routes: tuple[Route, ...], session: Callable[[], bytes]) -> tuple[Route, ...]:
    """In the order in which a session asks them. It is only looked up where it matters."""
    if len(routes) == 1:  # nearly always
        return routes
    wanted = session()

    def rank(route: Route) -> tuple[int, float]:
        salt = route.access.label.encode()
        return route.priority, -sessions.score(wanted, salt, route.weight)

    return tuple(sorted(routes, key=rank))


def load(models: Iterable[tuple[str, str, str]]) -> dict[str, Pool]:
    """The pools of these models: (id, vendor, dialect) each. Models without credentials of their
    own are not in it."""
    credentials = Credential.objects.select_related("provider").order_by("priority", "pk")
    offered: defaultdict[int, dict[str, Offering]] = defaultdict(dict)
    for offering in Offering.objects.all():
        offered[offering.provider_id][offering.model_id] = offering
    found = list(credentials)
    vendors = {c.provider.vendor for c in found if _takes_the_place(c)}
    with _loading:
        accesses = [(c, a) for c in found if (a := _access(c))]
        _forget_all_but({access for _, access in accesses})
    pools = {}
    for model, vendor, dialect in models:
        routes = tuple(
            route
            for credential, access in accesses
            if (route := _route(credential, access, model, vendor, dialect, offered))
        )
        if routes or vendor in vendors:
            clouds = any(route.access.hosting for route in routes)
            pools[model] = Pool(routes, not clouds and vendor not in vendors)
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
) -> Route | None:
    provider = credential.provider
    offering = offered[provider.pk].get(model)
    how = (credential.priority, credential.weight)
    spoken = provider.spoken
    usual = dialect if dialect in spoken else spoken[0]
    if offering is not None:
        there = offering.dialect or usual
        named = Named(offering.upstream_id, there, provider.manners(there))
        return Route(access, access.breaker(model), named, *how)
    if provider.everything and provider.vendor == vendor:
        manners = provider.manners(usual)
        named = Named("", "" if usual == dialect else usual, manners)
        return Route(access, access.breaker(model), named, *how)
    return None


# What was made of a credential is kept while it stays the same, and with it its breakers: staff
# who correct a key start it afresh.
_accesses: dict[tuple[int | str, ...], Access] = {}
_loading = threading.Lock()


def breakers() -> dict[tuple[str, str], int]:
    """The states of those of credentials in the database, by credential and model."""
    return {
        (access.label, model): breaker.state()
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
