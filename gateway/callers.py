"""Who is calling: a snapshot per API key of what it may do, kept in this process.

A warm request costs no query. A snapshot is never trusted on its own: admission compares its
version with Redis and answers "stale" if anything changed since (accounts/terms.py), and after
MAX_AGE_SECONDS it is read anew in any case, which heals a lost announcement.
"""

import time
from dataclasses import dataclass

from django.utils import timezone

from accounts import keys
from billing.terms import terms
from hontoni.db import in_thread
from hontoni.errors import ApiError, Unauthenticated
from ratelimits.limiter import Limits

MAX_AGE_SECONDS = 30.0
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


_callers: dict[bytes, Caller] = {}
_unknown: dict[bytes, float] = {}


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


async def authenticate(headers: dict[bytes, bytes]) -> Caller:
    """The caller behind a request's key. Raises as `reload`; garbage costs no I/O."""
    raw = presented(headers)
    digest = keys.digest(raw)
    caller = _callers.get(digest)
    if caller is None:
        if not keys.well_formed(raw):
            raise Unauthenticated("Invalid API key provided.")
        return await reload(digest)
    if time.monotonic() - caller.loaded_at > MAX_AGE_SECONDS:
        return await reload(digest)
    if caller.expires_at is not None and time.time() >= caller.expires_at:
        return await reload(digest)
    return caller


async def reload(digest: bytes) -> Caller:
    """Read a key's snapshot from the database. Raises Unauthenticated, or what refuses it."""
    if _unknown.get(digest, 0.0) > time.monotonic():
        raise Unauthenticated("Invalid API key provided.")
    try:
        caller = await in_thread(_load, digest)
    except ApiError:
        _callers.pop(digest, None)
        raise
    _callers.pop(digest, None)
    _callers[digest] = caller
    if len(_callers) > _MOST:
        del _callers[next(iter(_callers))]
    return caller


def _load(digest: bytes) -> Caller:
    key = keys.find(digest)
    if key is None:
        if len(_unknown) >= _MOST:
            _unknown.clear()
        _unknown[digest] = time.monotonic() + _UNKNOWN_SECONDS
        raise Unauthenticated("Invalid API key provided.")
    if problem := keys.refusal(key, timezone.now()):
        raise problem
    found = terms(key.user_id)
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
        loaded_at=time.monotonic(),
    )


def forget() -> None:
    """Read every key anew with its next request."""
    _callers.clear()
    _unknown.clear()
