"""Who is calling: a snapshot per API key of what it may do, kept in this process.

A warm request costs no query. A snapshot is never trusted on its own: admission compares its
version with Redis and answers "stale" if anything changed since (accounts/people/terms.py), and
after MAX_AGE_SECONDS it is read anew in any case, which heals a lost announcement: beside the
requests of a busy key, in front of an idle one's. While the database is away Redis's word alone
will do, for SNAPSHOT_SECONDS; whom nobody here knows is told to come again.
"""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import NamedTuple

from django.conf import settings
from django.utils import timezone

from accounts.keys import api_keys, restrictions, scopes
from accounts.models import ApiKey
from billing.plans.terms import terms
from gateway.plane.exchange import Exchange
from gateway.stores.epochs import watch_mark
from gateway.usage import velocity
from gateway.vendors.own_keys import access
from gateway.vendors.own_keys.access import Key
from hontoni import freshness
from hontoni.errors import ApiError, Forbidden, Unauthenticated, Unavailable
from ratelimits import limiter
from ratelimits.guards import Guard
from ratelimits.limiter import Limits
from ratelimits.overflows import Overflow
from ratelimits.purses import Caps

MAX_AGE_SECONDS = 30.0
_AHEAD_SECONDS = 25.0  # from then on it is read anew, beside requests: that costs milliseconds
REFUSES_SECONDS = 5.0  # an older snapshot's limits and credits refuse nobody: it is read anew
_MOST = 50_000  # snapshots kept; the longest unread go first
_UNKNOWN_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Caller:
    """A key's snapshot. Money in nano-dollars."""

    digest: bytes
    key_id: int
    account: int
    subject: str
    limits: Limits
    thinking_budget: int
    terms_version: int
    credits: int
    credits_version: int
    expires_at: float | None
    loaded_at: float
    caps: Caps
    models: tuple[str, ...]  # all that are allowed; empty: every one
    networks: tuple[restrictions.Network, ...]  # likewise
    may_store: bool = False  # vendors, what they are sent, if a request asks them to
    keeps_responses: bool = True  # we, for clients that point at them
    own_keys: tuple[Key, ...] = ()  # the account's own, at vendors
    scopes: frozenset[str] = frozenset((scopes.INFERENCE,))
    member: Caps = Caps()  # of whose key it is in a team
    guard: Guard | None = None  # against programs that run away
    overflow: Overflow | None = None  # what it may spend past full windows
    surcharge: int = 0  # of that, in basis points
    reset: int = 0  # when its windows were last reset, in ms by Redis's clock

    def in_batch(self) -> "Caller":
        """The same for a request of a batch: it uses up no window of the key's or the account's,
        and has slots apart, of all the account's batches."""
        limits = Limits(concurrent=settings.BATCH_ACCOUNT_CONCURRENCY)
        # The batch as a whole was held for: the key's guard has nothing to brake.
        return replace(self, subject=f"b{self.account}", limits=limits, guard=None, overflow=None)

    def forbidden(self, address: str, model: str = "") -> Forbidden | None:
        """What its owner does not let it do. Which models are allowed is told; which addresses
        are, a thief would like to know."""
        if self.networks and not restrictions.contains(self.networks, address):
            return Forbidden(
                f"This API key may not be used from {address or 'this address'}. "
                "Its owner allows other IP ranges only.",
                code="ip_not_allowed",
            )
        if model and self.models and model not in self.models:
            return Forbidden(
                f"This API key may not use {model}. Its owner allows: {', '.join(self.models)}.",
                code="model_not_allowed",
                param="model",
                details={"allowed_models": self.models},
            )
        return None


class Ended(NamedTuple):
    """A key that we know and that may not be used (any more), and what its user is told."""

    account: int
    key_id: int
    error: ApiError


_callers: dict[bytes, Caller] = {}
_digests: dict[bytes, bytes] = {}  # by what was presented, hashed: of keys that are known
_unknown: dict[bytes, float] = {}
_renewals: dict[bytes, asyncio.Task[None]] = {}  # under way, beside requests


def presented(headers: dict[bytes, bytes]) -> str:
    """The key a request carries: X-API-Key, or Authorization: Bearer. Raises Unauthenticated."""
    if raw := headers.get(b"x-api-key", b""):
        return raw.decode("latin-1").strip()
    scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    raise Unauthenticated(
        "No API key. Send it as 'Authorization: Bearer sk-gw-...' or as 'X-API-Key'.",
        code="missing_api_key",
    )


async def enter(http: Exchange, scope: str = scopes.INFERENCE) -> Caller:
    """The caller of a request, told from its key and its address, if it has that scope. Raises
    Unauthenticated or Forbidden; garbage costs no I/O."""
    found = await _find(http.headers)
    http.owner = found.account, found.key_id
    if isinstance(found, Ended):
        raise found.error
    if found.networks:
        found = await permit(found, http.client_ip())
    http.limits = found.limits
    if scope not in found.scopes and scope != scopes.ANY:
        found = await _with(found, scope)
    return found


async def _with(caller: Caller, scope: str) -> Caller:
    """The caller, if its owner has given it that scope meanwhile. Raises Forbidden."""
    if await limiter.terms_version(caller.account) > caller.terms_version:
        caller = await reload(caller.digest)
    if scope not in caller.scopes:
        raise scopes.missing(scope, "API key")
    return caller


def at_hand(http: Exchange) -> Caller | None:
    """As `enter` for a key that is known and young, without waiting: nearly always."""
    caller = _known(http.headers)
    if caller is None or caller.networks or caller.expires_at is not None:
        return None
    if scopes.INFERENCE not in caller.scopes:
        return None
    if time.monotonic() - caller.loaded_at > _AHEAD_SECONDS:
        return None
    http.owner, http.limits = (caller.account, caller.key_id), caller.limits
    return caller


def _known(headers: dict[bytes, bytes]) -> Caller | None:
    """By the header it came in, hashed: a key's peppered digest is the dearest of its look-up."""
    sent = headers.get(b"x-api-key")  # no header has a NUL in it
    same = sha256(b"\0" + sent if sent else headers.get(b"authorization", b"")).digest()
    digest = _digests.get(same)
    if digest is not None:
        return _callers.get(digest)
    digest = api_keys.digest(presented(headers))
    if digest in _callers:
        if len(_digests) >= _MOST:
            _digests.clear()
        _digests[same] = digest
    return _callers.get(digest)


async def permit(caller: Caller, address: str, model: str = "") -> Caller:
    """The caller, if its owner lets it ask from there, for that model. Raises Forbidden, but by a
    snapshot only that Redis knows of nothing newer than."""
    if caller.forbidden(address, model):
        if await limiter.terms_version(caller.account) > caller.terms_version:
            caller = await reload(caller.digest)
        if problem := caller.forbidden(address, model):
            raise problem
    return caller


async def authenticate(headers: dict[bytes, bytes]) -> Caller:
    """The caller behind a request's key alone. Raises as `reload`."""
    return _live(await _find(headers))


async def of_digest(digest: bytes) -> Caller:
    """The caller behind a key that is presented by nobody now. Raises as `reload`."""
    return _live(await _by_digest(digest))


async def reload(digest: bytes) -> Caller:
    """Read a key's snapshot from the database. Raises Unauthenticated, or what refuses it."""
    return _live(await _read(digest))


def old(caller: Caller) -> bool:
    """Whether it is too old to refuse anything by, while there may be a newer one."""
    return time.monotonic() - caller.loaded_at > REFUSES_SECONDS and not freshness.is_away()


def _live(found: Caller | Ended) -> Caller:
    if isinstance(found, Ended):
        raise found.error
    return found


async def _find(headers: dict[bytes, bytes]) -> Caller | Ended:
    raw = presented(headers)
    digest = api_keys.digest(raw)
    if digest not in _callers and not api_keys.well_formed(raw):
        raise Unauthenticated("Invalid API key provided.")
    return await _by_digest(digest)


async def _by_digest(digest: bytes) -> Caller | Ended:
    caller = _callers.get(digest)
    if caller is None:
        return await _read(digest)
    if caller.expires_at is not None and time.time() >= caller.expires_at:
        return await _read(digest)
    age = time.monotonic() - caller.loaded_at
    if age > _AHEAD_SECONDS:
        return await _renewed(caller, age)
    return caller


async def _renewed(caller: Caller, age: float) -> Caller | Ended:
    """The snapshot read anew: beside the request while it is young enough. Where the database is
    away it is still this one, for a while: admission asks Redis whether anything has changed."""
    if age <= MAX_AGE_SECONDS:
        if caller.digest not in _renewals and not freshness.is_away():
            task = asyncio.create_task(_renew(caller.digest))
            _renewals[caller.digest] = task
            task.add_done_callback(lambda _: _renewals.pop(caller.digest, None))
        return caller
    try:
        return await _read(caller.digest)
    except Unavailable:
        if age > settings.SNAPSHOT_SECONDS:
            raise
        return caller


async def _renew(digest: bytes) -> None:
    with suppress(ApiError):  # the request that needs it will hear of it
        await _read(digest)


async def _read(digest: bytes) -> Caller | Ended:
    if _unknown.get(digest, 0.0) > time.monotonic():
        raise Unauthenticated("Invalid API key provided.")
    found = await freshness.query(_load, digest)
    _callers.pop(digest, None)
    if found is None:
        raise Unauthenticated("Invalid API key provided.")
    if isinstance(found, Caller):
        _callers[digest] = found
        if len(_callers) > _MOST:
            del _callers[next(iter(_callers))]
    return found


def _load(digest: bytes) -> Caller | Ended | None:
    loaded_at = time.monotonic()
    key = api_keys.find(digest)
    if key is None:
        if len(_unknown) >= _MOST:
            _unknown.clear()
        _unknown[digest] = time.monotonic() + _UNKNOWN_SECONDS
        return None
    if problem := api_keys.refusal(key, timezone.now()):
        return Ended(key.user_id, key.pk, problem)
    found = terms(key.user_id)
    watch_mark()
    return Caller(
        digest=digest,
        key_id=key.pk,
        account=key.user_id,
        subject=f"k{key.user_id}-{key.slot}" if found.subject == "key" else f"a{key.user_id}",
        limits=found.limits,
        thinking_budget=found.thinking_budget,
        terms_version=key.user.terms_version,
        credits=found.credits_total,
        credits_version=found.credits_version,
        expires_at=key.expires_at.timestamp() if key.expires_at else None,
        loaded_at=loaded_at,
        caps=Caps(key.purse, *restrictions.caps(key)),
        models=restrictions.models_of(key),
        networks=restrictions.networks_of(key),
        member=Caps(key.member.purse, *restrictions.caps(key.member)) if key.member else Caps(),
        may_store=key.user.vendors_may_store,
        keeps_responses=key.user.keeps_responses,
        own_keys=access.of_account(key.user_id),
        scopes=frozenset(key.scopes),
        guard=_guard(key),
        overflow=Overflow(key.purse, key.overflow_cap) if key.overflow_cap else None,
        surcharge=found.overflow_surcharge,
        reset=found.reset,
    )


def _guard(key: ApiKey) -> Guard | None:
    found = Guard(
        key.purse,
        velocity.bound(key, timezone.now()),
        key.brake_loop or 0,
        key.session_budget or 0,
    )
    return found if found.any else None


def forget() -> None:
    """Read every key anew with its next request."""
    _callers.clear()
    _digests.clear()
    _unknown.clear()
