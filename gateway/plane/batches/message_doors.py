"""/v1/messages/batches: create, list, look at, read, cancel and delete, as Anthropic documents it,
for every model."""

import asyncio
from typing import Any

from gateway.batches import records, results, wording
from gateway.batches.models import Batch
from gateway.plane import admission, bodies
from gateway.plane.batches import creation, pages, reading, runner
from gateway.plane.batches.file_doors import JSONL, named, stream
from gateway.plane.batches.line import MESSAGES_PATH
from gateway.plane.callers import Caller
from gateway.plane.client_dialects import MESSAGES
from gateway.plane.exchange import Exchange
from gateway.plane.upstream import Upstream
from hontoni import freshness
from hontoni.errors import BadRequest, NotFound

_USUAL, _MOST = 20, 1000


async def _entered(http: Exchange) -> Caller:
    http.dialect = MESSAGES.name
    return await admission.enter(http)


def _told(http: Exchange, batch: Batch) -> dict[str, Any]:
    place = f"{http.origin()}{MESSAGES_PATH}/batches/{batch.id}/results"
    return wording.message_batch(batch, place)


async def create(http: Exchange, upstream: Upstream) -> None:
    """POST: requests with their ids."""
    caller = await _entered(http)
    body = await bodies.read(http, caller, paid=False)
    http.hold(3 * len(body))  # as it is, by requests, and sealed
    requests = await asyncio.to_thread(reading.messages, body)
    batch = await creation.create(http, caller, upstream, MESSAGES_PATH, requests)
    await http.respond_json(_told(http, batch))


async def listing(http: Exchange, upstream: Upstream) -> None:
    """GET: a page of them, the newest first."""
    caller, query = await _entered(http), http.query()
    most = pages.limit(query, _USUAL, _MOST)

    def found() -> dict[str, Any]:
        rows = records.of(caller.account, anthropic=True)
        after, before = query.get("after_id", ""), query.get("before_id", "")
        return pages.page(rows, lambda row: _told(http, row), most, after=after, before=before)

    page = await freshness.query(found)
    del page["object"]
    await http.respond_json(page)


async def _mine(http: Exchange) -> Batch:
    caller = await _entered(http)
    return await freshness.query(records.find, caller.account, named(http), anthropic=True)


async def retrieve(http: Exchange, upstream: Upstream) -> None:
    """GET: how far it is."""
    await http.respond_json(_told(http, await _mine(http)))


async def read_results(http: Exchange, upstream: Upstream) -> None:
    """GET: a line a request, in no promised order."""
    batch = await _mine(http)
    if batch.open:
        raise BadRequest("The results are there when the batch has ended.")
    if batch.forgotten_at is not None:
        raise NotFound("The results of this batch are kept no longer.", code="results_expired")
    await stream(http, results.of(batch), JSONL)


async def cancel(http: Exchange, upstream: Upstream) -> None:
    """POST: nothing more of it is sent."""
    batch = await _mine(http)
    await freshness.query(records.cancel, batch)
    runner.wake()
    await http.respond_json(_told(http, batch))


async def delete(http: Exchange, upstream: Upstream) -> None:
    """DELETE: it is kept no longer."""
    batch = await _mine(http)
    await freshness.thorough(records.delete, batch)
    await http.respond_json({"id": named(http), "type": "message_batch_deleted"})
