"""A batch, made: every request of it is understood as if it ran now, and the most that all of them
can cost is set aside before anything is kept. What cannot be understood costs nothing, and says so
in its place among the results.

Making a batch is one request in every window of the key's plan, however many it has; they are in
none. So a batch of one gains nothing, and a large one leaves the windows to what cannot wait."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from django.utils import timezone

from gateway.batches import files, records
from gateway.batches.models import Batch, Status
from gateway.batches.records import Item
from gateway.plane import admission
from gateway.plane.batches import line, means, runner
from gateway.plane.batches.line import Line
from gateway.plane.batches.reading import Request
from gateway.plane.callers import Caller
from gateway.plane.exchange import Exchange
from gateway.plane.upstream import Upstream
from hontoni import freshness
from hontoni.errors import ApiError, Unavailable
from hontoni.money import dollars

FIRST_LEASE_MS = 120_000  # until its runner says more
_PAUSE_EVERY = 20


async def create(
    http: Exchange,
    caller: Caller,
    upstream: Upstream,
    endpoint: str,
    requests: Sequence[Request],
    **more: Any,
) -> Batch:
    """Set its money aside, keep it, and have it run. Raises ApiError: PaymentRequired where not
    all of it can be paid for."""
    batch = _blank(http, caller, endpoint, **more)
    batch.model = requests[0].model
    size = sum(len(each.body) for each in requests)
    await freshness.query(records.make_room, caller.account, size)  # again as it is kept
    async with _one_request(http, caller):
        await _keep(http, batch, requests, caller, upstream)
    runner.wake()
    return batch


async def fail(
    http: Exchange,
    caller: Caller,
    endpoint: str,
    errors: Sequence[Mapping[str, Any]],
    **more: Any,
) -> Batch:
    """Keep what is no batch, and why not. Raises ApiError."""
    batch = _blank(http, caller, endpoint, **more)
    async with _one_request(http, caller):
        await freshness.thorough(records.fail, batch, errors)
    return batch


@asynccontextmanager
async def _one_request(http: Exchange, caller: Caller) -> AsyncIterator[None]:
    """In every window of the key's plan, unless it fails; of an account that can pay at all."""
    await means.solvent(caller, http.request_id)
    place = await admission.enter_windows(caller, http.request_id)
    kept = False
    try:
        yield
        kept = True
    finally:
        await asyncio.shield(admission.leave(place, giveback=not kept))


async def _keep(
    http: Exchange, batch: Batch, requests: Sequence[Request], caller: Caller, upstream: Upstream
) -> None:
    items = await _bounded(http, batch, requests, caller, upstream)
    total = sum(item.bound for item in items)
    await _set_aside(http, caller, batch.id, total)
    try:
        await freshness.thorough(records.create, batch, items)
    except BaseException:
        await asyncio.shield(means.earmark(caller.account, batch.id, 0, FIRST_LEASE_MS))
        raise


def _blank(http: Exchange, caller: Caller, endpoint: str, **more: Any) -> Batch:
    """A batch of nothing yet."""
    now = timezone.now()
    named = "msgbatch" if endpoint == line.MESSAGES_PATH else "batch"
    given: Mapping[str, Any] = {"keeps_seconds": files.keeps_seconds(), **more}
    return Batch(
        id=f"{named}_{uuid.uuid4().hex}",
        user_id=caller.account,
        api_key_id=caller.key_id,
        endpoint=endpoint,
        status=Status.IN_PROGRESS,
        headers=line.headers_of(http.headers),
        address=http.client_ip() or None,
        created_at=now,
        expires_at=now + records.WINDOW,
        **given,
    )


async def _bounded(
    http: Exchange, batch: Batch, requests: Sequence[Request], caller: Caller, upstream: Upstream
) -> list[Item]:
    """The requests with the most that each can cost now."""
    items = []
    for number, request in enumerate(requests):
        if number % _PAUSE_EVERY == 0:
            await asyncio.sleep(0)  # the event loop is everybody's
        mine = Line(batch, request.body, http.config)
        try:
            bound = (await line.prepare(mine, caller, upstream)).hold.full
        except Unavailable:
            raise
        except ApiError:
            bound = 0
        finally:
            if mine.held is not None:
                mine.held.free()
        items.append(Item(request.custom_id, request.body, bound))
    return items


async def _set_aside(http: Exchange, caller: Caller, name: str, total: int) -> None:
    """Raises what refuses so large a hold."""
    try:
        await means.affords(caller, f"{http.request_id}_all", total)
        if await means.earmark(caller.account, name, total, FIRST_LEASE_MS) != "ok":
            await means.affords(caller, f"{http.request_id}_all", total)
            raise Unavailable("Your balance is changing right now. Try again.")
    except ApiError as error:
        if error.status == 402:
            error.message += (
                f" All of this batch may cost ${dollars(total)} at most; set lower output limits"
                " or split it."
            )
        raise
