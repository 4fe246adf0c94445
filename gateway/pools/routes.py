"""The ways to a model: by which credential, at which provider, under which name.

Read from the database with the catalogue, so what staff change binds on every node within
seconds. Where a vendor has no credential there, the environment's key is its pool.
"""

import logging
import math
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from multidict import CIMultiDict
from yarl import URL

from gateway.pools import sessions, vault
from gateway.pools.breaker import Breaker
from gateway.pools.models import DIALECTS, Credential, Offering, Vendor

logger = logging.getLogger(__name__)

_DEFAULT_ANTHROPIC_VERSION = "2023-06-01"
_ALWAYS = {"User-Agent": "hontoni", "Accept": "*/*", "Accept-Encoding": "identity"}


@dataclass(slots=True, eq=False)
class Access:
    """A credential in use: where it is taken, and how we introduce ourselves. `credential` is its
    id in the database, None for the environment's; `marked_at` when staff were last told that it
    is refused, by the monotonic clock."""

    label: str
    root: str
    headers: CIMultiDict[str]
    credential: int | None = None
    marked_at: float = -math.inf
    _urls: dict[str, URL] = field(default_factory=dict)
    _breakers: dict[str, Breaker] = field(default_factory=dict)

    def url(self, path: str) -> URL:
        """Parsed once a path, not once a request."""
        if path not in self._urls:
            self._urls[path] = URL(self.root + path)
        return self._urls[path]

    def breaker(self, model: str) -> Breaker:
        return self._breakers.setdefault(model, Breaker())


def introduce(
    label: str, vendor: str, base_url: str, secret: str, credential: int | None = None
) -> Access:
    """With the headers that go with every request. The URL may end in /v1 or not."""
    root = base_url.rstrip("/").removesuffix("/v1beta").removesuffix("/v1").rstrip("/")
    headers = CIMultiDict({"Content-Type": "application/json", **_ALWAYS})
    if vendor == Vendor.ANTHROPIC:
        headers["x-api-key"] = secret
        headers["anthropic-version"] = _DEFAULT_ANTHROPIC_VERSION
    elif vendor == Vendor.GOOGLE:
        headers["x-goog-api-key"] = secret
    else:
        headers["Authorization"] = f"Bearer {secret}"
    return Access(label, root, headers, credential)


NATIVE = ("", "")


class Route(NamedTuple):
    """One way to one model. `named`: its name and the dialect there, NATIVE where the catalogue's
    hold."""

    access: Access
    breaker: Breaker
    named: tuple[str, str] = NATIVE
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
    vendors = {credential.provider.vendor for credential in found}
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
            pools[model] = Pool(routes, vendor not in vendors)
    return pools


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
    if offering is not None:
        spoken = DIALECTS[provider.vendor]
        usual = dialect if dialect in spoken else spoken[0]
        named = (offering.upstream_id, offering.dialect or usual)
        return Route(access, access.breaker(model), named, *how)
    if provider.everything and provider.vendor == vendor:
        return Route(access, access.breaker(model), NATIVE, *how)
    return None


# What was made of a credential is kept while it stays the same, and with it its breakers: staff
# who correct a key start it afresh.
_accesses: dict[tuple[int, str, str, str, str], Access] = {}
_loading = threading.Lock()


def _access(credential: Credential) -> Access | None:
    provider = credential.provider
    if not (credential.active and provider.active):
        return None
    same = (credential.pk, str(credential), provider.vendor, provider.base_url, credential.sealed)
    if same not in _accesses:
        try:
            secret = vault.unseal(credential.sealed)
        except vault.Unreadable as error:
            logger.critical("credential.unreadable %s: %s", credential, error)
            return None
        _accesses[same] = introduce(
            str(credential), provider.vendor, provider.base_url, secret, credential.pk
        )
    return _accesses[same]


def _forget_all_but(used: set[Access]) -> None:
    for same in [same for same, access in _accesses.items() if access not in used]:
        del _accesses[same]
