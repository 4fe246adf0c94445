"""Asks vendors now and then how they are, where no customer has lately: off unless there is a
budget (`PROBE_DAILY_DOLLARS`).

A tiny stream, by the very way customers' requests take: the same lane, credential and breaker, so
that an open one is closed by it before a customer has to find out. One gateway does it at a time.
"""

import asyncio
import logging
import time
from contextlib import closing
from typing import Any

import orjson
from django.conf import settings

from gateway.catalogue import snapshot
from gateway.catalogue.sold import Model
from gateway.dialects.codecs import failures
from gateway.dialects.ir import Failed, Usage
from gateway.plane import adapters, inbound
from gateway.plane.adapters import Stream
from gateway.plane.callers import Caller
from gateway.plane.client_dialects import CHAT
from gateway.plane.inbound import InboundRequest
from gateway.plane.upstream import Upstream
from gateway.usage import probes
from gateway.vendors import errors
from gateway.vendors.attempts import Attempt
from gateway.vendors.reply import Reply
from gateway.vendors.routes import Route
from hontoni import redis
from hontoni.db import in_thread
from hontoni.errors import ApiError, UpstreamFailed
from ratelimits.limiter import Limits
from ratelimits.purses import Caps

logger = logging.getLogger(__name__)

TURN = "vendors:probing"
_AT_ONCE = 5  # ways a round
_MOST_TOKENS = 16
_SECONDS = 60.0
_LOOK_SECONDS = 5.0
_NOBODY = Caller(
    digest=b"",
    key_id=0,
    account=0,
    subject="probe",
    limits=Limits(),
    thinking_budget=0,
    terms_version=0,
    credits=0,
    credits_version=0,
    expires_at=None,
    loaded_at=0.0,
    caps=Caps(),
    models=(),
    networks=(),
)


class Prober:
    """One gateway's."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self._last: dict[tuple[str, str], float] = {}

    async def for_ever(self) -> None:
        """Beside the requests."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                if probes.budget() and await self._is_its_turn():
                    await self.round()
            except Exception:
                logger.exception("probe.failed")

    async def _is_its_turn(self) -> bool:
        seconds = settings.PROBE_SECONDS
        return bool(await redis.pipe().execute("SET", TURN, b"1", "NX", "EX", seconds))

    async def round(self) -> int:
        """Ask those that were not asked for longest. How many were."""
        asked = 0
        for model, route in await self._idle():
            self._last[route.access.label, model.id] = time.monotonic()
            if not await self.probe(model, route):
                break
            asked += 1
        return asked

    async def _idle(self) -> list[tuple[Model, Route]]:
        """The ways that nobody has asked in the last minutes, the longest first."""
        models = (await snapshot.current()).models.values()
        found = [
            (model, route)
            for model in models
            for route in self.upstream.routes(model)
            if not any(route.breaker.tally.sums()) and route.breaker.allows()
        ]
        found.sort(key=lambda way: self._last.get((way[1].access.label, way[0].id), 0.0))
        return found[:_AT_ONCE]

    async def probe(self, model: Model, route: Route) -> bool:
        """Ask this way how it is. False where the day's budget is used up."""
        request = await _request(model, self.upstream)
        most = Usage(input=request.estimate.most, output=request.estimate.output)
        pk = await in_thread(probes.begin, route.access.label, model.id, most)
        if pk is None:
            return False
        asking, began = _Asking(self.upstream, request, route), time.monotonic()
        try:
            async with asyncio.timeout(_SECONDS):
                failed = await asking.ask()
        except (ApiError, TimeoutError) as error:
            found = error if isinstance(error, ApiError) else UpstreamFailed("It took too long.")
            failed = failures.of(found)
            asking.attempt.ended(failed)
        first = None if asking.first is None else int((asking.first - began) * 1000)
        word = asking.attempt.error if failed is not None else ""
        await in_thread(_end, pk, word, first, asking.used(failed))
        return True


def _end(pk: int, error: str, first_ms: int | None, used: Usage | None) -> None:
    probes.end(pk, error=error, first_ms=first_ms, used=used)


async def _request(model: Model, upstream: Upstream) -> InboundRequest:
    parsed: dict[str, Any] = {
        "model": model.id,
        "messages": [{"role": "user", "content": "Say OK."}],
        "max_tokens": _MOST_TOKENS,
        "stream": True,
    }
    body = orjson.dumps(parsed)
    return await inbound.understand(CHAT, body, parsed, _NOBODY, upstream, {}, "")


class _Asking:
    """One probe under way."""

    def __init__(self, upstream: Upstream, request: InboundRequest, route: Route) -> None:
        self.upstream, self.route = upstream, route
        self.lane = adapters.choose(request.at(route.named))
        self.tap = self.lane.stream("probe", int(time.time()))
        self.attempt = Attempt(route)
        self.first: float | None = None

    async def ask(self) -> Failed | None:
        """How it failed, if it did. Raises ApiError."""
        lane, access = self.lane, self.route.access
        reply = await self.upstream.send(access, lane.path, lane.body, lane.headers({}))
        with closing(reply):
            if not reply.status:
                await reply.begun()
            self.attempt.status = reply.status
            if reply.status >= 400:
                wait, body = reply.retry_after, await reply.read()
                return self._ended(errors.from_reply(reply.status, body, wait, access.label))
            assert self.tap is not None
            return self._ended(await self._hear(self.tap, reply))

    def _ended(self, failed: Failed | None) -> Failed | None:
        self.attempt.ended(failed)
        return failed

    async def _hear(self, tap: Stream, reply: Reply) -> Failed | None:
        while chunk := await reply.chunk():
            tap.feed(chunk)
            if tap.begun and self.first is None:
                self.first = time.monotonic()
                self.attempt.answered()
            if tap.error is not None:
                return tap.error
        tap.close()
        if tap.error is None and not tap.finished:
            raise UpstreamFailed("The model's provider broke off in mid-answer.")
        return tap.error

    def used(self, failed: Failed | None) -> Usage | None:
        """What the vendor told; nothing where it refused, None where nobody knows."""
        reported = self.tap.decoded_usage() if self.tap is not None else None
        if reported is None and failed is not None and (self.attempt.status or 0) >= 400:
            return Usage()
        return reported
