"""Settle the requests whose gateway process died: at the cost it last reported, as an estimate,
and like every other at no more than was held. Who is dead is found in gateway/stores/reaping.py.

Their slots have freed themselves at the lease's end; this frees the hold. A process that was only
slow and settles later is told "already" and changes nothing.
"""

import logging
from collections.abc import Sequence
from typing import Any

from accounts.models import ApiKey
from gateway.usage import events
from ratelimits import limiter
from ratelimits.guards import Guard
from ratelimits.limiter import Expired
from ratelimits.overflows import Overflow

logger = logging.getLogger(__name__)

MOST = 1_000


def reap(dead: Sequence[Expired]) -> int:
    """Settle these, unless they are heard of by now. Returns how many.

    Raises errors.Unavailable."""
    return sum(_settle(request) for request in dead)


def _settle(request: Expired) -> bool:
    """False if it lives, or ended by itself meanwhile."""
    cost, event = _last_word(request)
    key = _key(request)
    theirs = key.member.purse if key is not None and key.member else ""
    guard = Guard(key.purse, session=_session(event)) if key is not None and guarded(key) else None
    past = Overflow(request.purse, 0) if _went_past(event) else None
    reaped = limiter.reap_sync(
        request, cost=cost, event=event, member=theirs, guard=guard, overflow=past
    )
    if reaped.status != "settled":
        return False
    logger.warning("reaped %s at %d nano-dollars", request.request_id, cost)
    return True


def _key(request: Expired) -> ApiKey | None:
    """The first key of the purse it was charged to; None of a purchase."""
    if not request.purse:
        return None
    return ApiKey.objects.select_related("member").filter(pk=int(request.purse[1:])).first()


def guarded(key: ApiKey) -> bool:
    """Whether a guard counts what it spends."""
    return bool(key.brake_spend or key.brake_times or key.session_budget)


def _session(event: bytes) -> str:
    """Whose budget it was asked under, where its gateway had told."""
    return str(_details(event).get("session", ""))


def _went_past(event: bytes) -> bool:
    """Whether it was admitted past a window."""
    return "overflow" in _details(event)


def _details(event: bytes) -> dict[str, Any]:
    return events.read(event).get("details", {}) if event else {}


def _last_word(request: Expired) -> tuple[int, bytes]:
    """Its cost and usage event. Where the draft is unreadable it is free, but its hold ends."""
    if not request.draft:  # a purchase that died (billing/subscriptions/purchases.py)
        return 0, b""
    try:
        cost = min(request.cost, request.hold)
        event = events.read(request.draft) | {"cost": cost, "hold": request.hold}
        return cost, events.pack(event)
    except (events.Malformed, KeyError):
        logger.critical("unreadable draft of %s: %r", request.request_id, request.draft)
        return 0, b""
