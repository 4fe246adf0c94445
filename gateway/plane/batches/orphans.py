"""Requests of a batch that were sent, as far as is known, by a process that is no more.

The books decide. What was charged is not sent again: its answer is lost, and that is its result.
What was not charged is sent again, once it is certain that it will not be: while its record is in
Valkey somebody settles it, and while events wait one may be its own.
"""

from collections.abc import Sequence
from datetime import timedelta

import orjson
from django.conf import settings
from django.utils import timezone

from gateway.batches import records
from gateway.batches.models import Batch, BatchRequest, State
from gateway.dialects.codecs import failures
from gateway.plane.client_dialects import CHAT, MESSAGES
from hontoni import freshness
from hontoni.errors import UpstreamFailed
from ratelimits import limiter


async def resolved(batch: Batch, orphans: Sequence[BatchRequest]) -> list[BatchRequest]:
    """Decide about those of which enough is known; the others. Raises Unavailable."""
    return [each for each in orphans if not await _decided(batch, each)]


async def _decided(batch: Batch, request: BatchRequest) -> bool:
    cost = await freshness.query(records.charged, request)
    if cost is None:
        if await _may_be_booked(batch, request):
            return False
        cost = await freshness.query(records.charged, request)  # written in between
    if cost:
        request.cost = cost
        await freshness.query(
            records.end,
            batch,
            request,
            State.ERRORED,
            UpstreamFailed.status,
            _lost(batch, request),
        )
    else:
        await freshness.query(records.put_back, request, attempted=False)
    return True


async def _may_be_booked(batch: Batch, request: BatchRequest) -> bool:
    young = timezone.now() - timedelta(seconds=2 * settings.LEASE_SECONDS)
    if request.sent_at is None or request.sent_at > young:
        return True
    return await limiter.may_still_be_booked(batch.user_id, request.request_id)


def _lost(batch: Batch, request: BatchRequest) -> bytes:
    error = UpstreamFailed(
        "The gateway that ran this request stopped before its answer was kept. What had been "
        "produced was charged; see its receipt.",
        code="answer_lost",
    )
    dialect = MESSAGES if batch.is_anthropic else CHAT
    return orjson.dumps(failures.body(error, request.request_id, dialect.name))
