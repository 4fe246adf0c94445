"""Responses in the background: worked on without their client, who polls for the answer.

Nothing else is different: such a request takes its place in every limit, holds its money and is
settled as any other. Whether its process still works on it is told by a beat; one whose beat has
stopped has failed. Whoever cancels it leaves a word for that process.
"""

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any

import orjson
from django.conf import settings
from starlette.types import Scope
from uuid_utils import uuid7

from gateway.plane import kept_responses, pipeline, wire
from gateway.plane.client_dialects import RESPONSES
from gateway.plane.detached import Detached
from gateway.plane.exchange import Exchange
from gateway.plane.kept_responses import UNDERWAY, Detach, Keeping
from gateway.plane.upstream import Upstream
from gateway.state import conversation, records
from gateway.state.records import Record
from hontoni import redis
from ratelimits import keys

logger = logging.getLogger(__name__)

_BEAT_SECONDS, _DEAD_SECONDS = 2.0, 20
_STOP_SECONDS = 5.0
_OF_BODIES = (b"content-length", b"content-encoding", b"transfer-encoding")
_running: set[asyncio.Task[None]] = set()
_LOST = {
    "code": "server_error",
    "message": "The gateway that worked on it has stopped. Ask again.",
}


def _scope(http: Exchange, length: int) -> Scope:
    kept = [each for each in http.headers.items() if not each[0].startswith(_OF_BODIES)]
    headers = [*kept, (b"content-length", b"%d" % length)]
    return {**http.scope, "headers": headers, "extensions": {}}


async def start(http: Exchange, upstream: Upstream, requested: Detach) -> None:
    """Begin, and answer that it is queued once it has its place; or what refused it."""
    parsed = {n: v for n, v in requested.parsed.items() if n not in ("background", "stream")}
    body = orjson.dumps(parsed)
    identity = f"resp_{uuid7().hex}"
    owner = http.owner
    assert owner is not None
    account = owner[0]
    admitted = asyncio.Event()
    detached = Detached(_scope(http, len(body)), body, http.config)
    detached.kept = Keeping(account, [], (), identity, admitted)
    queued = _queued(identity, requested.parsed)
    own = conversation.items(parsed.get("input"))
    await kept_responses.write(account, Record(identity, queued, own))
    task = asyncio.create_task(_work(account, detached, upstream, Record(identity, queued, own)))
    _running.add(task)
    task.add_done_callback(_running.discard)
    waiting = asyncio.create_task(admitted.wait())
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if detached.status >= 400 and not admitted.is_set():
        await records.forget(account, identity)
        await _refused(http, detached)
        return
    http.state, http.limits = detached.state, detached.limits
    http.extra = list(detached.extra)
    await http.respond_json(queued)


async def _refused(http: Exchange, detached: Detached) -> None:
    kept = (b"retry-after", b"x-should-retry")
    heads = [(name, value) for name, value in detached.heads if name in kept]
    http.state, http.limits = detached.state, detached.limits
    await http.respond(detached.status, detached.reply, wire.lines(heads))


def _queued(identity: str, parsed: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": identity,
        "object": "response",
        "created_at": int(time.time()),
        "status": "queued",
        "background": True,
        "error": None,
        "incomplete_details": None,
        "instructions": parsed.get("instructions"),
        "metadata": parsed.get("metadata") or {},
        "model": parsed.get("model"),
        "output": [],
        "parallel_tool_calls": parsed.get("parallel_tool_calls") is not False,
        "previous_response_id": parsed.get("previous_response_id"),
        "store": True,
        "tool_choice": parsed.get("tool_choice") or "auto",
        "tools": parsed.get("tools") or [],
        "usage": None,
    }


async def _work(account: int, detached: Detached, upstream: Upstream, record: Record) -> None:
    beat = asyncio.create_task(_beat(account, record.id, detached))
    try:
        await pipeline.serve(detached, RESPONSES, upstream)
        if detached.status != 200:
            await kept_responses.write(
                account, record._replace(response=_failed(record, detached))
            )
    finally:
        beat.cancel()
        if detached.held is not None:
            detached.held.free()


def _failed(record: Record, detached: Detached) -> dict[str, Any]:
    """The answer in place of one that did not come: cancelled, or failed with its error."""
    if detached.left.is_set() or not detached.reply:
        return record.response | {"status": "cancelled"}
    error = orjson.loads(detached.reply)["error"]
    given = {"code": error.get("code") or "server_error", "message": error.get("message") or ""}
    return record.response | {"status": "failed", "error": given}


async def _beat(account: int, identity: str, detached: Detached) -> None:
    """Say that it is worked on, and listen for who cancels it."""
    alive, over = _place(account, "resp_alive", identity), _place(account, "resp_over", identity)
    while not detached.left.is_set():
        try:
            saying = redis.pipe().execute("SET", alive, "1", "EX", str(_DEAD_SECONDS))
            heard = await redis.pipe().execute("GET", over)
            await saying
            if heard is not None:
                detached.left.set()
        except redis.RedisError:
            logger.warning("background.unheard %s", identity)
        await asyncio.sleep(_BEAT_SECONDS)


def _place(account: int, kind: str, identity: str) -> str:
    return f"{keys.tag(keys.shard(account))}:{kind}:{account}:{identity}"


async def looked_after(account: int, record: Record) -> Record:
    """The record of one that is underway, as it is: in progress, or lost with its process."""
    pipe = redis.pipe()
    alive = await pipe.execute("GET", _place(account, "resp_alive", record.id))
    young = time.time() - record.response.get("created_at", 0) < _DEAD_SECONDS
    if alive is not None or young:
        return record._replace(response=record.response | {"status": "in_progress"})
    latest = await records.find(account, record.id)
    if latest is not None and latest.response.get("status") not in UNDERWAY:
        return latest
    lost = record._replace(response=record.response | {"status": "failed", "error": _LOST})
    await kept_responses.write(account, lost)
    return lost


async def cancelled(account: int, record: Record) -> Record:
    """Have the process that works on it stop: what was produced until then is charged."""
    over = _place(account, "resp_over", record.id)
    await redis.pipe().execute("SET", over, "1", "EX", str(int(settings.UPSTREAM_TOTAL_SECONDS)))
    gone = record._replace(response=record.response | {"status": "cancelled"})
    await kept_responses.write(account, gone)
    return gone


async def stop() -> None:
    """Give those that run a little time, and end the others: whoever asks hears that they
    failed."""
    if _running:
        await asyncio.wait(set(_running), timeout=_STOP_SECONDS)
    for task in list(_running):
        task.cancel()
    await asyncio.gather(*_running, return_exceptions=True)
