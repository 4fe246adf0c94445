"""The settlement process: reads its shards, writes what it finds, and never gives up.

It waits in the stream itself, so an idle one costs next to nothing and a receipt is there at once.
While events come it takes a batch every PACE_SECONDS, for a batch of many costs little more than
one of few. Valkey or the database may be away for as long as they like: it asks again, ever more
slowly, says so once a minute, and goes on where it was.

Besides, it keeps the house of its shards: requests whose gateway died, batches whose process died,
and the refusals that gateways noted.
"""

import gc
import logging
import os
import secrets
import socket
import time
from collections.abc import Callable, Sequence
from threading import Event

from django.db import Error, connection
from redis.backoff import NoBackoff
from redis.exceptions import RedisClusterException, RedisError
from redis.retry import Retry

from gateway.usage import refusals, settlement, shards
from hontoni import errors, health, redis
from ratelimits.keys import SHARDS

logger = logging.getLogger(__name__)

PACE_SECONDS = 0.2
HOUSE_SECONDS = 5.0
REFUSALS_SECONDS = 1.0
FIRST_PAUSE, LAST_PAUSE = 0.1, 2.0
SAID_AGAIN_SECONDS = 60.0

Reap = Callable[[Sequence[int]], object]


class Trouble:
    """What is away, since when, and how long to wait before asking again."""

    def __init__(self) -> None:
        self.part = ""
        self.since = self.said = 0.0
        self.pause = FIRST_PAUSE

    def met(self, part: str, error: Exception) -> float:
        """Note a failure; the seconds to wait. Logged once, and then once a minute."""
        now = time.monotonic()
        if part != self.part:
            self.part, self.since, self.said, self.pause = part, now, 0.0, FIRST_PAUSE
        if not self.said or now - self.said >= SAID_AGAIN_SECONDS:
            self.said = now
            seconds = now - self.since
            logger.error("settlement.waits for %s since %.0f s: %r", part, seconds, error)
        self.pause, wait = min(self.pause * 2, LAST_PAUSE), self.pause
        return wait

    def over(self) -> None:
        if self.part:
            seconds = time.monotonic() - self.since
            logger.warning("settlement.goes_on after %.0f s without %s", seconds, self.part)
            self.part = ""


class Settler:
    """One settlement process. `stop` ends it after the batch it has in hand; `reap` settles the
    requests of dead gateways in some shards."""

    def __init__(self, stop: Event, reap: Reap) -> None:
        self.stop, self.reap = stop, reap
        self.name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"
        self.shards: list[int] = []
        self.alive: list[str] = []  # the settlement processes, this one too
        self.trouble = Trouble()
        self.due: dict[Callable[[], object], float] = {}
        self.failed = False  # the batch in hand was not written, and is still ours

    def run(self) -> None:
        """Until it is stopped."""
        settle_in()
        while not self.stop.is_set():
            try:
                self._turn()
            except Exception as error:
                self._recover(error)
        self._leave()

    def _turn(self) -> None:
        self._every(shards.RENEW_SECONDS, self._renew)
        if self.failed:
            settlement.take_over(self.name, self.shards, idle_ms=0)
            self.failed = False
        self._every(REFUSALS_SECONDS, refusals.drain)
        self._every(HOUSE_SECONDS, self._keep_house)
        began = time.monotonic()
        if not self.shards:  # there are more processes than shards
            self.stop.wait(shards.RENEW_SECONDS)
            return
        entries = settlement.read(self.name, self.shards, int(shards.RENEW_SECONDS * 1000))
        if entries:
            self.failed = True  # until it is known to be written
            settlement.settle(entries)
            self.failed = False
        self.trouble.over()
        if entries and len(entries) < settlement.BATCH:
            self.stop.wait(max(0.0, began + PACE_SECONDS - time.monotonic()))

    def _every(self, seconds: float, work: Callable[[], object]) -> None:
        now = time.monotonic()
        if now < self.due.get(work, 0.0):
            return
        self.due[work] = now + seconds
        try:
            work()
        except Exception as error:
            if _part(error):
                raise
            logger.exception("settlement.housekeeping_failed")  # usage is written all the same

    def _renew(self) -> None:
        mine, self.alive = shards.renew(self.name)
        if mine != self.shards:
            logger.info("settlement.shards %s: %d of %d", self.name, len(mine), SHARDS)
            self.shards = mine
            settlement.make_groups(mine)
            settlement.take_over(self.name, mine)

    def _keep_house(self) -> None:
        health.beat()
        self.reap(self.shards)
        settlement.take_over(self.name, self.shards)
        settlement.inherit(self.name, self.shards, self.alive)

    def _recover(self, error: Exception) -> None:
        part = _part(error)
        if not part:
            logger.error("settlement.failed", exc_info=error)
        if part != "Valkey":
            connection.close()  # it may be broken, and would stay so
        self.stop.wait(self.trouble.met(part or "a cure", error))

    def _leave(self) -> None:
        try:
            shards.leave(self.name)
        except RedisError:
            logger.warning("settlement.left without a word: its lease runs out")
        connection.close()


def _part(error: Exception) -> str:
    if isinstance(error, RedisError | RedisClusterException | errors.Unavailable):
        return "Valkey"
    return "the database" if isinstance(error, Error) else ""


def settle_in() -> None:
    """What was loaded stays, so the garbage collector need not look at it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    client = redis.sync()
    if hasattr(client, "set_retry"):  # its own patience is longer than ours
        client.set_retry(Retry(NoBackoff(), 0))
