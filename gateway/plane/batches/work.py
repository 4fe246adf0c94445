"""One batch, run by this process for as long as it has its lease.

* A request is made RUNNING in the database, under the id of its receipt, before it is sent. Of one
  whose process died the books are asked (`orphans.py`).
* What will pass by itself (no slot, a hold, a cap of the day, a frozen account, a store that is
  away) is waited for, until the batch expires. What will not is the request's result.
* What failed at the vendor and cost nothing is sent again, MOST_ATTEMPTS times in all.
* What is set aside is said anew while it runs: the sum of what waits. So it is right after a
  restart, after Valkey was lost, and when a request is put back.
"""

import asyncio
import logging
import time
from collections import deque
from contextlib import suppress

import orjson
from django.conf import settings
from django.utils import timezone

from accounts.keys import api_keys, scopes
from gateway.batches import records
from gateway.batches.models import Batch, BatchRequest, State, Status
from gateway.dialects.codecs import failures
from gateway.plane import admission, life, pipeline
from gateway.plane.batches import line, means, orphans
from gateway.plane.batches.line import Line
from gateway.plane.call import Call
from gateway.plane.callers import Caller, of_digest
from gateway.plane.exchange import Config
from gateway.plane.upstream import Upstream
from hontoni import freshness
from hontoni.errors import ApiError, NotFound, Unauthenticated, Unavailable
from ratelimits import limiter
from ratelimits.limiter import State as Standing

logger = logging.getLogger(__name__)

BEAT_SECONDS, SAY_SECONDS = 5.0, 20.0
MOST_ATTEMPTS = 3
AGAIN_SECONDS = 2.0  # after a failure, the longer the more often
MOST_SECONDS = 30.0  # until it is looked again whether it may go on
_FETCHED = 32
_ENDLESS = ("balance", "spent_life", "settled")  # no waiting helps
_FROZEN = "account_frozen"


class _Later(Exception):
    """Nothing of this batch can be sent for so many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__("later")
        self.seconds = seconds


class Work:
    """A batch and what is known of it here."""

    def __init__(
        self,
        batch: Batch,
        runner: str,
        upstream: Upstream,
        config: Config,
        slots: asyncio.Semaphore,
    ) -> None:
        self.batch, self.runner = batch, runner
        self.upstream, self.config, self.slots = upstream, config, slots
        self.stopping = self.lost = self.doubtful = False
        self.attention = asyncio.Event()
        self.resume_at = 0.0
        self.running: dict[int, asyncio.Task[None]] = {}  # by request
        self.calls: dict[int, tuple[int, Call]] = {}  # what is set aside for those of them
        self.later: dict[int, float] = {}  # those put back, and when they may be sent again
        self.queue: deque[BatchRequest] = deque()
        self.orphans: list[BatchRequest] = []
        self.digest = b""
        self.most: int = settings.BATCH_ACCOUNT_CONCURRENCY

    def stop(self) -> None:
        """Send nothing more, and let others run the rest."""
        self.stopping = True
        self.attention.set()

    def look(self) -> None:
        """It may have been cancelled."""
        self.doubtful = True
        self.attention.set()

    async def run(self) -> None:
        """Until it has ended, or is somebody else's."""
        beat = asyncio.create_task(self._beat_for_ever())
        try:
            await self._find_orphans()
            while not (self.stopping or self.lost):
                try:
                    if await self._step():
                        break
                except ApiError as error:
                    logger.warning("batch.waits %s: %s", self.batch.id, error)
                    self._wait(AGAIN_SECONDS)
                    await self._pause()
            await asyncio.gather(*self.running.values(), return_exceptions=True)
        finally:
            beat.cancel()
            running = list(self.running.values())
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            if self.stopping:
                with suppress(ApiError):
                    await freshness.query(records.release, self.batch, self.runner)

    # -- One after another -----------------------------------------------------------------------

    async def _step(self) -> bool:
        """Send one, or wait for something to happen. True if all has ended."""
        if self.orphans:
            self.orphans = await orphans.resolved(self.batch, self.orphans)
        if (over := await self._over()) is not None:
            return await self._end(over)
        if time.monotonic() < self.resume_at or len(self.running) >= self.most:
            await self._pause()
        elif (request := await self._next()) is not None:
            await self._begin(request)
        elif self.later:
            await self._pause()
        else:
            return await self._end(Status.COMPLETED)
        return False

    async def _end(self, status: Status) -> bool:
        """It has ended, once nothing of it runs, here or as far as anybody knows."""
        if not self.running and not self.orphans:
            await self._find_orphans()  # what became of one may not have been noted
        if self.running or self.orphans:
            await self._pause()
            return False
        await self._close(status)
        return True

    async def _find_orphans(self) -> None:
        found = await freshness.query(records.running, self.batch)
        self.orphans = [each for each in found if each.pk not in self.running]

    async def _over(self) -> Status | None:
        """How it ends before its end, if it does."""
        self.attention.clear()
        if self.doubtful:
            self.doubtful = False
            await self._renew()
        if self.batch.status == Status.CANCELLING:
            return Status.CANCELLED
        return Status.EXPIRED if timezone.now() >= self.batch.expires_at else None

    async def _pause(self) -> None:
        """Until something happens, or may."""
        now = time.monotonic()
        moments = [at for at in (self.resume_at, *self.later.values()) if at > now]
        left = (self.batch.expires_at - timezone.now()).total_seconds()
        seconds = min([at - now for at in moments] + [BEAT_SECONDS, max(left, 0.05)])
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.attention.wait()

    def _wait(self, seconds: float) -> None:
        seconds = min(max(seconds, 0.05), MOST_SECONDS)
        self.resume_at = max(self.resume_at, time.monotonic() + seconds)

    async def _next(self) -> BatchRequest | None:
        now = time.monotonic()
        self.later = {pk: at for pk, at in self.later.items() if at > now}
        if not self.queue:
            most = _FETCHED + len(self.running) + len(self.later)
            self.queue.extend(await freshness.query(records.waiting, self.batch, most))
        while self.queue:
            request = self.queue.popleft()
            if request.pk not in self.running and request.pk not in self.later:
                return request
        return None

    async def _begin(self, request: BatchRequest) -> None:
        await self.slots.acquire()
        if self.stopping or self.lost or self.batch.status == Status.CANCELLING:
            self.slots.release()
            return
        task = asyncio.create_task(self._one(request))
        self.running[request.pk] = task
        task.add_done_callback(lambda _: self._done(request.pk))

    def _done(self, pk: int) -> None:
        self.running.pop(pk, None)
        self.slots.release()
        self.attention.set()

    async def _close(self, status: Status) -> None:
        if status != Status.COMPLETED:
            state = State.CANCELED if status == Status.CANCELLED else State.EXPIRED
            await freshness.thorough(records.skip, self.batch, state)
        await freshness.thorough(records.close, self.batch, self.runner, status)
        await means.earmark(self.batch.user_id, self.batch.id, 0, limiter.EARMARK_MS)
        logger.info("batch.ended %s %s", self.batch.id, status)

    # -- The lease, and what is set aside --------------------------------------------------------

    async def _beat_for_ever(self) -> None:
        said, heard = 0.0, time.monotonic()
        while not self.lost:
            try:
                await self._renew()
                heard = time.monotonic()
                if heard - said >= SAY_SECONDS:
                    await self._set_aside()
                    said = heard
            except Exception as error:
                logger.warning("batch.unheard %s: %r", self.batch.id, error)
                if time.monotonic() - heard > records.LEASE.total_seconds() - BEAT_SECONDS:
                    self.lost = True
                    self.attention.set()
            await asyncio.sleep(BEAT_SECONDS)

    async def _renew(self) -> None:
        found = await freshness.query(records.renew, self.batch, self.runner)
        if found is None:
            self.lost = True
            self.attention.set()
        else:
            if found.status != self.batch.status:
                self.attention.set()
            self.batch = found

    async def _set_aside(self) -> None:
        waiting = await freshness.query(records.waiting_bound, self.batch)
        begun = (life.PREPARED, life.ASKED)
        waiting += sum(bound for bound, call in self.calls.values() if call.life in begun)
        given = await means.earmark(self.batch.user_id, self.batch.id, waiting, limiter.EARMARK_MS)
        if given != "ok":
            logger.warning("batch.short %s of %d: %s", self.batch.id, waiting, given)

    # -- One request -----------------------------------------------------------------------------

    async def _one(self, request: BatchRequest) -> None:
        try:
            await self._run(request)
        except _Later as later:
            self._wait(later.seconds)
        except ApiError as error:
            logger.warning("batch.waits %s: %s", self.batch.id, error)
            self._wait(AGAIN_SECONDS)
        except Exception:
            logger.exception("batch.request_failed %s", request)
            ours = ApiError("Something went wrong on our side.")
            with suppress(ApiError):
                await self._refused(request, ours, Line(self.batch, b"", self.config))

    async def _run(self, request: BatchRequest) -> None:
        caller = await self._caller()
        body = b""
        problem: ApiError | None = None
        try:
            body = await freshness.query(records.body, request)
        except NotFound as error:
            problem = error
        http = Line(self.batch, body, self.config)
        try:
            if problem is None and not isinstance(caller, ApiError):
                caller = caller.in_batch()
                await self._passable(caller, http)
                problem = caller.forbidden(http.client_ip())
            call = await self._prepared(request, http, problem or caller)
            if call is not None:
                await self._send(request, call)
        finally:
            if http.held is not None:
                http.held.free()

    async def _caller(self) -> Caller | ApiError:
        """The key's snapshot, or what its requests are refused with from now on."""
        try:
            if self.digest:
                return _able(await of_digest(self.digest))
        except Unauthenticated:
            pass  # it may have been rotated
        try:
            key = await freshness.query(api_keys.latest, self.batch.api_key_id, timezone.now())
            self.digest = bytes(key.digest)
            return _able(await of_digest(self.digest))
        except Unavailable:
            raise
        except ApiError as error:
            if error.code == _FROZEN:
                raise _Later(MOST_SECONDS) from None
            return error

    async def _passable(self, caller: Caller, http: Line) -> None:
        """Raises _Later while the account's batches have no slot, or a cap leaves nothing."""
        state = await admission.look(caller, http.request_id)
        if state is not None and _passes(state):
            raise _Later(state.retry_after_ms / 1000)

    async def _prepared(
        self, request: BatchRequest, http: Line, caller: Caller | ApiError
    ) -> Call | None:
        """The call; None where what refuses it is its result."""
        try:
            if isinstance(caller, ApiError):
                raise caller
            call = await line.prepare(http, caller, self.upstream)
        except Unavailable:
            raise
        except ApiError as error:
            await self._refused(request, error, http)
            return None
        call.earmark = self.batch.id, request.bound
        return call

    async def _refused(self, request: BatchRequest, error: ApiError, http: Line) -> None:
        """It is not sent: why not is its result."""
        request.request_id = request.request_id or http.request_id
        answer = orjson.dumps(failures.body(error, request.request_id, http.dialect))
        await self._ended(request, State.ERRORED, error.status, answer)

    async def _send(self, request: BatchRequest, call: Call) -> None:
        if self.lost or not await freshness.query(records.send, request, call.id):
            return
        self.calls[request.pk] = request.bound, call
        try:
            await pipeline.run(call, self.upstream)
        finally:
            del self.calls[request.pk]
        await self._judge(request, call)

    async def _judge(self, request: BatchRequest, call: Call) -> None:
        """What came of it: a result, or another try."""
        http = call.http
        assert isinstance(http, Line)
        request.cost = call.cost
        state = call.state
        if call.life is life.REFUSED and state is not None and _passes(state):
            await freshness.query(records.put_back, request, attempted=False)
            raise _Later(state.retry_after_ms / 1000)
        if call.life is life.REFUSED and http.status >= 500:  # a store of ours is away
            await freshness.query(records.put_back, request, attempted=False)
            raise _Later(AGAIN_SECONDS)
        if http.status != 200 and not call.cost and self._try_again(request, http.status):
            stopped = call.error == "server_stopping"
            await freshness.query(records.put_back, request, attempted=not stopped)
            wait = AGAIN_SECONDS * (request.attempts + 1) ** 2
            self.later[request.pk] = time.monotonic() + wait
            return
        ended = State.SUCCEEDED if http.status == 200 else State.ERRORED
        await self._ended(request, ended, http.status or 500, http.reply)

    def _try_again(self, request: BatchRequest, status: int) -> bool:
        passing = status in (408, 429) or status >= 500
        return passing and request.attempts + 1 < MOST_ATTEMPTS

    async def _ended(
        self, request: BatchRequest, state: State, status: int, answer: bytes
    ) -> None:
        """Told to the database for as long as it takes: it has been paid for."""
        while True:
            try:
                await freshness.thorough(
                    records.end, self.batch, request, state, status, answer or b"null"
                )
                return
            except Unavailable:
                await asyncio.sleep(AGAIN_SECONDS)


def _able(caller: Caller) -> Caller:
    """Raises Forbidden where its owner has taken away what requests need."""
    if scopes.INFERENCE not in caller.scopes:
        raise scopes.missing(scopes.INFERENCE, "API key")
    return caller


def _passes(state: Standing) -> bool:
    """Whether what refuses it passes by itself."""
    return state.status == "refused" and state.binding not in _ENDLESS
