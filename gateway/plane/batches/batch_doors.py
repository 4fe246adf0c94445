"""/v1/batches: create, list, look at and cancel, as OpenAI documents it."""

import asyncio
from collections.abc import Mapping
from typing import Any

from gateway.batches import files, records, wording
from gateway.batches.models import Batch
from gateway.dialects.json_patch import parse
from gateway.plane import bodies
from gateway.plane.batches import creation, pages, reading, runner
from gateway.plane.batches.file_doors import entered, expiry, named
from gateway.plane.batches.line import ENDPOINTS
from gateway.plane.exchange import Exchange
from gateway.plane.upstream import Upstream
from hontoni import freshness
from hontoni.errors import BadRequest

_USUAL, _MOST = 20, 100
_METADATA, _NAME, _VALUE = 16, 64, 512


def _told(batch: Batch) -> dict[str, Any]:
    return wording.batch(batch, list(batch.files.all()))


async def create(http: Exchange, upstream: Upstream) -> None:
    """POST: a file that was uploaded, as requests to one endpoint."""
    caller = await entered(http)
    given = parse(await bodies.read(http, caller, paid=False))
    endpoint, more = _understood(given)
    file_id = str(given.get("input_file_id") or "")
    content = await _content(http, caller.account, file_id)
    more["input_file_id"] = file_id
    try:
        requests = await asyncio.to_thread(reading.lines, content, endpoint)
    except reading.Unusable as unusable:
        batch = await creation.fail(http, caller, endpoint, unusable.errors, **more)
    else:
        batch = await creation.create(http, caller, upstream, endpoint, requests, **more)
    await http.respond_json(await freshness.query(_told, batch))


def _understood(given: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The endpoint, and what else it says. Raises BadRequest."""
    endpoint = given.get("endpoint")
    if endpoint not in ENDPOINTS:
        raise BadRequest(f"endpoint must be one of {', '.join(ENDPOINTS)}.", param="endpoint")
    if given.get("completion_window") != wording.WINDOW:
        raise BadRequest("completion_window must be '24h'.", param="completion_window")
    more: dict[str, Any] = {"metadata": _metadata(given.get("metadata"))}
    if (kept := given.get("output_expires_after")) is not None:
        more["keeps_seconds"] = files.keeps_seconds(expiry(kept, "output_expires_after"))
    return str(endpoint), more


def _metadata(given: Any) -> dict[str, str]:
    told = {} if given is None else given
    fine = isinstance(told, dict) and len(told) <= _METADATA
    if not fine or not all(
        isinstance(value, str)
        and len(name) <= _NAME
        and len(value) <= _VALUE
        and "\0" not in name + value
        for name, value in told.items()
    ):
        raise BadRequest(
            f"metadata: up to {_METADATA} texts of {_VALUE} characters.", param="metadata"
        )
    return dict(told)


async def _content(http: Exchange, account: int, file_id: str) -> bytes:
    """The file's bytes, which count as this request's. Raises ApiError."""
    if not file_id:
        raise BadRequest("input_file_id is required.", param="input_file_id")
    file = await freshness.query(files.find, account, file_id)
    if file.purpose != files.PURPOSE:
        raise BadRequest(
            f"input_file_id: the file's purpose must be {files.PURPOSE!r}.", param="input_file_id"
        )
    http.hold(3 * file.bytes)  # as it is, by lines, and sealed
    return await freshness.thorough(lambda: b"".join(files.content(file)))


async def listing(http: Exchange, upstream: Upstream) -> None:
    """GET: a page of them, the newest first."""
    caller, query = await entered(http), http.query()
    most, after = pages.limit(query, _USUAL, _MOST), query.get("after", "")

    def found() -> dict[str, Any]:
        rows = records.of(caller.account, anthropic=False).prefetch_related("files")
        return pages.page(rows, _told, most, after=after)

    await http.respond_json(await freshness.query(found))


async def _mine(http: Exchange) -> Batch:
    caller = await entered(http)
    return await freshness.query(records.find, caller.account, named(http), anthropic=False)


async def retrieve(http: Exchange, upstream: Upstream) -> None:
    """GET: how far it is."""
    await http.respond_json(await freshness.query(_told, await _mine(http)))


async def cancel(http: Exchange, upstream: Upstream) -> None:
    """POST: nothing more of it is sent."""
    batch = await _mine(http)
    if not batch.open:
        raise BadRequest(f"Cannot cancel a batch with status {batch.status!r}.", param="batch_id")
    await freshness.query(records.cancel, batch)
    runner.wake()
    await http.respond_json(await freshness.query(_told, batch))
