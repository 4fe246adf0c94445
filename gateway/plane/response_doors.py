"""/v1/responses/{id}: an answer that is kept, to be fetched, listed, cancelled and deleted."""

import hashlib
from typing import Any

from gateway.plane import admission, background
from gateway.plane.callers import Caller
from gateway.plane.exchange import Exchange
from gateway.plane.kept_responses import UNDERWAY
from gateway.plane.upstream import Upstream
from gateway.state import records
from gateway.state.records import Record
from hontoni import digits, redis
from hontoni.errors import BadRequest, NotFound, Unavailable

_MOST_LISTED, _LISTED = 100, 20


async def _mine(http: Exchange) -> tuple[Caller, Record]:
    """Whose it is, and the record. Raises NotFound, Unavailable, and what refuses the caller."""
    caller = await admission.enter(http)
    name = http.scope["path_params"]["id"]
    try:
        found = await records.find(caller.account, name)
    except redis.RedisError:
        raise Unavailable("What was kept cannot be read at the moment.") from None
    if found is None:
        raise NotFound(
            f"Response with id {name[:100]!r} is not kept here (any more).",
            code="response_not_found",
            param="response_id",
        )
    return caller, found


async def retrieve(http: Exchange, upstream: Upstream) -> None:
    """GET: the answer, or how far it is."""
    caller, record = await _mine(http)
    if record.response.get("status") in UNDERWAY:
        record = await background.looked_after(caller.account, record)
    await http.respond_json(record.response)


async def delete(http: Exchange, upstream: Upstream) -> None:
    """DELETE: it is kept no longer."""
    caller, record = await _mine(http)
    await records.forget(caller.account, record.id)
    await http.respond_json({"id": record.id, "object": "response", "deleted": True})


async def input_items(http: Exchange, upstream: Upstream) -> None:
    """GET: what was asked, the conversation before it included; the newest first, as at OpenAI."""
    caller, record = await _mine(http)
    before = await records.find_all(caller.account, record.chain)
    given = [item for each in before if each is not None for item in each.items()]
    listed = [_named(record.id, at, each) for at, each in enumerate([*given, *record.input])]
    query = http.query()
    if query.get("order") != "asc":
        listed.reverse()
    names = [item["id"] for item in listed]
    after = query.get("after", "")
    begin = names.index(after) + 1 if after in names else 0
    most = _most(query.get("limit", ""))
    page = listed[begin : begin + most]
    await http.respond_json(
        {
            "object": "list",
            "data": page,
            "first_id": page[0]["id"] if page else None,
            "last_id": page[-1]["id"] if page else None,
            "has_more": begin + most < len(listed),
        }
    )


def _most(given: str) -> int:
    number = digits.whole(given)
    return _LISTED if number is None else max(1, min(number, _MOST_LISTED))


def _named(identity: str, at: int, item: Any) -> dict[str, Any]:
    """An item with an id, as each in a list has one."""
    given = item if isinstance(item, dict) else {"content": str(item)}
    if given.get("type", "message") == "message":
        given = {**given, "type": "message", "content": _parts(given)}
    if given.get("id"):
        return given
    digest = hashlib.sha256(f"{identity}:{at}".encode()).hexdigest()[:24]
    return {"id": f"item_{digest}", **given}


async def cancel(http: Exchange, upstream: Upstream) -> None:
    """POST: stop one that runs in the background."""
    caller, record = await _mine(http)
    if not record.response.get("background"):
        raise BadRequest("Only background responses can be cancelled.", param="response_id")
    if record.response.get("status") in UNDERWAY:
        record = await background.cancelled(caller.account, record)
    await http.respond_json(record.response)


def _parts(message: dict[str, Any]) -> Any:
    """A text is a part, as OpenAI lists it."""
    content = message.get("content")
    if not isinstance(content, str):
        return content
    if message.get("role") == "assistant":
        return [{"type": "output_text", "text": content, "annotations": []}]
    return [{"type": "input_text", "text": content}]
