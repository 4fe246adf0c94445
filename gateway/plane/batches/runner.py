"""This process's part in running batches: it takes over those that nobody runs, and works on them
beside its own requests. An idle process asks for such once in LOOK_SECONDS, one small query.
"""

import asyncio
import logging
import uuid

from django.conf import settings

from gateway.batches import records
from gateway.plane.batches.work import Work
from gateway.plane.exchange import Config
from gateway.plane.upstream import Upstream
from hontoni import freshness
from hontoni.errors import ApiError

logger = logging.getLogger(__name__)

LOOK_SECONDS = 15.0
_STOP_SECONDS = 5.0
_MOST = 16  # batches at once


class Runner:
    """Runs batches until it is stopped."""

    def __init__(self, upstream: Upstream, config: Config) -> None:
        self.id = uuid.uuid4().hex
        self.upstream, self.config = upstream, config
        self.slots = asyncio.Semaphore(settings.BATCH_CONCURRENCY)
        self.works: dict[asyncio.Task[None], Work] = {}
        self.woken, self.stopped = asyncio.Event(), False
        self.loop: asyncio.AbstractEventLoop | None = None

    async def for_ever(self) -> None:
        """At start, when a batch is made here, when one ends, and now and then."""
        _Here.runner, self.loop = self, asyncio.get_running_loop()
        while True:
            self.woken.clear()
            try:
                await self.look()
            except ApiError as error:
                logger.warning("batches.unlooked: %s", error)
            except Exception:
                logger.exception("batches.unlooked")
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self.woken.wait()
            except TimeoutError:
                pass

    async def look(self) -> None:
        """Take over what nobody runs."""
        most = _MOST - len(self.works)
        if most <= 0 or self.stopped:
            return
        for batch in await freshness.query(records.claim, self.id, most):
            work = Work(batch, self.id, self.upstream, self.config, self.slots)
            task = asyncio.create_task(work.run())
            self.works[task] = work
            task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self.works.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("batch.broken", exc_info=error)
        self.woken.set()

    async def stop(self) -> None:
        """Send nothing more, give what runs a little time, and let others run the rest."""
        self.stopped = True
        if _Here.runner is self:
            _Here.runner = None
        for work in self.works.values():
            work.stop()
        tasks = set(self.works)
        if tasks:
            await asyncio.wait(tasks, timeout=_STOP_SECONDS)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Here:
    """Of this process."""

    runner: Runner | None = None


def wake() -> None:
    """There may be something to run, or to end."""
    if (runner := _Here.runner) is not None:
        runner.woken.set()
        for work in runner.works.values():
            work.look()
