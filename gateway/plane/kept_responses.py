"""Answers of /v1/responses that are kept for a day, as its clients assume: written when an answer
ends, and put in front of what points at it. What is kept, and how, is `gateway.state`'s to say.

A request that neither keeps nor points at anything costs two looks at its members.
"""

import asyncio
import logging
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from gateway.dialects.json_patch import parse
from gateway.dialects.stream_readers import data_of
from gateway.plane import large, members
from gateway.plane.callers import Caller
from gateway.plane.exchange import Exchange
from gateway.state import conversation, records
from gateway.state.records import Record
from hontoni import redis
from hontoni.errors import BadRequest, TooLarge, Unavailable

logger = logging.getLogger(__name__)

_POINTS = re.compile(rb'"(?:previous_response_id|item_reference|background)"')

UNDERWAY = ("queued", "in_progress")


class Keeping(NamedTuple):
    """What to keep of a request once it is answered: `own` are the items it adds itself, `chain`
    the records before it. `identity` is its id where it was given one before its answer, and
    `admitted` is set once it has its place."""

    account: int
    own: list[Any]
    chain: tuple[str, ...] = ()
    identity: str = ""
    admitted: asyncio.Event | None = None


class Detach(Exception):
    """It wants its answer later: it is to be worked on while its client does something else."""

    def __init__(self, parsed: dict[str, Any]) -> None:
        super().__init__("background")
        self.parsed = parsed


async def prepare(
    http: Exchange, caller: Caller, body: bytes
) -> tuple[bytes, dict[str, Any] | None]:
    """The request made whole, if it points at anything, and as it was parsed, which is here or
    was before; a large one that points at nothing is neither parsed here nor kept. Whether its
    answer is kept is noted. Raises BadRequest, TooLarge, Unavailable, and Detach."""
    if not large.is_large(body):
        parsed = parse(body) if http.parsed is None else http.parsed
        return await _prepared(http, caller, body, parsed)
    if not _POINTS.search(body):
        http.kept = None
        return body, None
    return await _prepared(http, caller, body, await asyncio.to_thread(parse, body))


async def _prepared(
    http: Exchange, caller: Caller, body: bytes, parsed: dict[str, Any]
) -> tuple[bytes, dict[str, Any]]:
    allowed = records.keeps() and caller.keeps_responses
    http.parsed = parsed
    if (points := conversation.points(parsed)) or parsed.get("background"):
        await members.agreed(body, parsed)
    if parsed.get("background") and http.kept is None:
        _may_wait(parsed, allowed)
        raise Detach(parsed)
    if not allowed:
        return body, parsed
    before: Keeping = http.kept or Keeping(caller.account, [])
    if points:
        body, found = await _whole(http, caller, parsed)
        parsed, own, chain = found.body, found.own, found.chain
    elif parsed.get("store") is False:
        return body, parsed
    else:
        own, chain = conversation.items(parsed.get("input")), ()
    if parsed.get("store") is not False:
        http.kept = before._replace(own=own, chain=chain)
    return body, parsed


async def whole(account: int, parsed: dict[str, Any]) -> dict[str, Any]:
    """The request with everything it points at, if anything. Raises BadRequest, Unavailable."""
    return (await _found(account, parsed)).body if conversation.points(parsed) else parsed


async def _found(account: int, parsed: dict[str, Any]) -> conversation.Whole:
    try:
        return await conversation.whole(account, parsed)
    except redis.RedisError:
        raise Unavailable("What was kept cannot be read at the moment.") from None


async def _whole(
    http: Exchange, caller: Caller, parsed: dict[str, Any]
) -> tuple[bytes, conversation.Whole]:
    found = await _found(caller.account, parsed)
    body = orjson.dumps(found.body)
    if len(body) > http.config.max_body_bytes:
        raise TooLarge("The conversation behind this request is too large.")
    return body, found


async def completed(http: Exchange, caller: Caller, body: bytes) -> bytes:
    """A request that is only counted, made whole: nothing of it is kept, or worked on later.
    Raises as `prepare`."""
    if not _POINTS.search(body):
        return body
    parsed = await asyncio.to_thread(parse, body) if large.is_large(body) else parse(body)
    if not (records.keeps() and caller.keeps_responses and conversation.points(parsed)):
        return body
    return (await _whole(http, caller, parsed))[0]


def admitted(http: Exchange, caller: Caller) -> None:
    """It has its place. `caller` as admission knows it, who may have changed their mind."""
    if http.kept.admitted is not None:
        http.kept.admitted.set()
    if not caller.keeps_responses:
        http.kept = None


def _may_wait(parsed: Mapping[str, Any], allowed: bool) -> None:
    """Raises BadRequest where an answer could not be asked for later."""
    if not allowed or parsed.get("store") is False:
        raise BadRequest(
            "background: its answer must be kept for you to fetch it (`store: true`, and allowed "
            "on your profile)",
            code="unsupported_parameter",
            param="background",
        )
    if parsed.get("stream"):
        raise BadRequest(
            "background: poll GET /v1/responses/{id}; it cannot be streamed as well",
            code="unsupported_parameter",
            param="background",
        )


async def keep(keeping: Keeping, answer: bytes) -> None:
    """Keep an answer, whole or the last events of a stream. It is a courtesy: where it fails the
    client is answered all the same."""
    response = _response_in(answer)
    if response is None or not (identity := keeping.identity or response.get("id")):
        return
    previous = keeping.chain[-1] if keeping.chain else None
    response = response | {"id": identity, "store": True, "previous_response_id": previous}
    if keeping.identity:
        response["background"] = True
    await write(keeping.account, Record(str(identity), response, keeping.own, keeping.chain))


async def write(account: int, record: Record) -> None:
    """Keep a record, if Valkey lets us."""
    try:
        await records.keep(account, record)
    except redis.RedisError:
        logger.exception("response.unkept %s", record.id)


def _response_in(answer: bytes) -> dict[str, Any] | None:
    if answer.startswith(b"{"):
        whole = orjson.loads(answer)
        return whole if isinstance(whole, dict) else None
    found = None
    for data in data_of(answer):
        if isinstance(data.get("response"), dict):
            found = data["response"]
    return found
