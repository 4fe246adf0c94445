"""What this gateway tells the others of the vendors, and hears from them (vendors/routing/)."""

import asyncio
import logging
import time
import uuid

from gateway.plane.upstream import Upstream
from gateway.vendors.breaker import Breaker
from gateway.vendors.routing import health
from gateway.vendors.routing.health import Told, Way
from gateway.vendors.routing.tally import Sums
from hontoni import redis

logger = logging.getLogger(__name__)

SHARE_SECONDS = 2.0
_AGAIN_SECONDS = 10.0  # what has not changed is said again, or it would be gone
_MOST = 300  # ways that one gateway tells of


class Sharing:
    """One gateway's."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream, self.node = upstream, uuid.uuid4().hex[:12]
        self._last: dict[Way, Told] = {}
        self._heard: dict[Way, Breaker] = {}

    async def for_ever(self) -> None:
        """Beside the requests."""
        while True:
            await asyncio.sleep(SHARE_SECONDS)
            try:
                await self.share()
            except redis.RedisError as error:
                logger.warning("health.unshared: %s", error)
            except Exception:
                logger.exception("health.unshared")

    async def share(self) -> None:
        """Tell what is new, and hear the others, if anybody here was asked lately."""
        ways = self.upstream.asked()
        told = {way: one for way, breaker in ways.items() if (one := _told(breaker))}
        if not told:
            self._forget()
            return
        new = [way for way in list(told)[-_MOST:] if self._is_news(way, told[way])]
        pipe = redis.pipe()
        if new:
            pairs = [part for way in new for part in self._pair(way, told[way])]
            await pipe.execute("HSET", health.KEY, *pairs)
            self._last.update({way: told[way] for way in new})
        raw = await pipe.execute("HGETALL", health.KEY)
        found, gone = health.read(_mapping(raw))
        if gone:
            await pipe.execute("HDEL", health.KEY, *gone)
        self._forget()
        for way, breaker in ways.items():
            breaker.shared = found.get(way)
        self._heard = ways

    def _forget(self) -> None:
        for breaker in self._heard.values():
            breaker.shared = None
        self._heard = {}

    def _pair(self, way: Way, told: Told) -> tuple[bytes, bytes]:
        return health.field(self.node, way), health.value(told)

    def _is_news(self, way: Way, told: Told) -> bool:
        last = self._last.get(way)
        return (
            last is None
            or told.at - last.at >= _AGAIN_SECONDS
            or told._replace(at=last.at) != last
        )


def _told(breaker: Breaker) -> Told | None:
    """None where there is nothing to tell."""
    sums, wait, tally = breaker.tally.sums(), breaker.wait(), breaker.tally
    if sums == Sums() and not breaker.state():
        return None
    now = time.time()
    return Told(
        at=round(now, 1),
        sums=sums,
        state=breaker.state(),
        open_until=float(round(now + wait)) if wait else 0.0,
        limited_until=float(round(tally.limited_until)),
        refused=breaker.refused,
        error=tally.error[:60],
    )


def _mapping(raw: object) -> dict[bytes, bytes]:
    if isinstance(raw, dict):
        return raw
    assert isinstance(raw, list)
    return dict(zip(raw[::2], raw[1::2], strict=True))
