"""/v1/files: upload, list, look at, read and delete, as OpenAI documents it, for batches."""

import asyncio
from collections.abc import Iterator
from typing import Any

from gateway.batches import files, wording
from gateway.batches.models import StoredFile
from gateway.plane import admission, bodies
from gateway.plane.batches import means, pages
from gateway.plane.callers import Caller
from gateway.plane.client_dialects import CHAT
from gateway.plane.endpoints import multipart
from gateway.plane.exchange import Exchange
from gateway.plane.upstream import Upstream
from hontoni import digits, freshness
from hontoni.errors import BadRequest

LISTED = 10_000
_AS_IS = b"content-type: application/octet-stream\r\n"
JSONL = b"content-type: application/x-jsonl\r\n"


async def entered(http: Exchange) -> Caller:
    """Who asks. Raises what refuses the caller."""
    http.dialect = CHAT.name
    return await admission.enter(http)


def named(http: Exchange) -> str:
    """The id in the path."""
    name: str = http.scope["path_params"]["id"]
    return name


async def upload(http: Exchange, upstream: Upstream) -> None:
    """POST multipart/form-data: `file`, `purpose`, and how long to keep it. Nothing is kept for an
    account that could not pay for any request."""
    caller = await entered(http)
    await means.solvent(caller, http.request_id)
    body = await bodies.read(http, caller, paid=False)
    form = await asyncio.to_thread(multipart.read, body, http.header(b"content-type"))
    file = form.files.get("file")
    if file is None:
        raise BadRequest("file is required: a file of JSON lines.", param="file")
    if (purpose := form.one("purpose")) != files.PURPOSE:
        raise BadRequest(
            f"purpose must be {files.PURPOSE!r}; {purpose[:40]!r} is not kept here.",
            param="purpose",
        )
    seconds = _seconds(form.one("expires_after[anchor]"), form.one("expires_after[seconds]"))
    kept = await freshness.thorough(files.upload, caller.account, file.name, file.content, seconds)
    await http.respond_json(wording.file(kept))


def _seconds(anchor: str, given: str) -> int | None:
    return expiry({"anchor": anchor, "seconds": given}) if anchor or given else None


def expiry(given: Any, param: str = "expires_after") -> int:
    """For how long a file shall be kept. Raises BadRequest."""
    told = given if isinstance(given, dict) else {}
    seconds = digits.whole(str(told.get("seconds", "")))
    if told.get("anchor") != "created_at" or seconds is None:
        raise BadRequest(
            f"{param} must have anchor 'created_at' and seconds, a whole number.", param=param
        )
    least, most = files.LEAST_SECONDS, files.MOST_SECONDS
    if not least <= seconds <= most:
        raise BadRequest(f"{param}: seconds must be between {least} and {most}.", param=param)
    return seconds


async def listing(http: Exchange, upstream: Upstream) -> None:
    """GET: a page of them."""
    caller, query = await entered(http), http.query()
    most, ascending = pages.limit(query, LISTED, LISTED), query.get("order") == "asc"

    def found() -> dict[str, Any]:
        rows = files.of(caller.account)
        if purpose := query.get("purpose"):
            rows = rows.filter(purpose=purpose)
        after = query.get("after", "")
        return pages.page(rows, wording.file, most, after=after, ascending=ascending)

    await http.respond_json(await freshness.query(found))


async def _mine(http: Exchange) -> StoredFile:
    caller = await entered(http)
    return await freshness.query(files.find, caller.account, named(http))


async def retrieve(http: Exchange, upstream: Upstream) -> None:
    """GET: what is known of one."""
    await http.respond_json(wording.file(await _mine(http)))


async def content(http: Exchange, upstream: Upstream) -> None:
    """GET: its bytes."""
    file = await _mine(http)
    await stream(http, files.content(file), _AS_IS)


async def stream(http: Exchange, parts: Iterator[bytes], head: bytes) -> None:
    """Answer with parts read one at a time; the first before anything is said."""
    first = await freshness.thorough(next, parts, None)
    http.stream_head = head
    await http.start_stream()
    while first is not None:
        await http.write(first)
        first = await freshness.thorough(next, parts, None)
    await http.end_stream()


async def delete(http: Exchange, upstream: Upstream) -> None:
    """DELETE: it is kept no longer."""
    caller = await entered(http)
    await freshness.thorough(files.delete, caller.account, named(http))
    await http.respond_json({"id": named(http), "object": "file", "deleted": True})
