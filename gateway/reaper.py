"""Settle the requests whose gateway process died: at the cost it last reported, as an estimate.

Their slots have freed themselves at the lease's end; this frees the hold. A process that was only
slow and settles later is told "already" and changes nothing.
"""

import logging

import orjson

from ratelimits import limiter

logger = logging.getLogger(__name__)

MOST = 1_000


def reap() -> int:
    """Settle every request whose last heartbeat is older than a lease. Returns how many."""
    dead = limiter.expired(MOST)
    for request in dead:
        event = orjson.loads(request.draft)
        event["cost"], event["hold"] = request.cost, request.hold
        limiter.reap_sync(request, cost=request.cost, event=orjson.dumps(event))
        logger.warning("reaped %s at %d nano-dollars", request.request_id, request.cost)
    return len(dead)
