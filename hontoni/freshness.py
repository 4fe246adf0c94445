"""What a process keeps of the database in memory, and how old it may be.

Always true:

1. Nobody is answered by a value older than he asked for, however idle the process was: a value's
   age counts from before it was read, and who finds it too old waits for a new one.
2. All who wait share one reading. While values are asked for, the next one is read beside the
   requests once the present one is half as old as it may be, so a busy process never waits.
3. Where the database cannot be asked, that is an error within PATIENCE_SECONDS.

Each reading has a thread of its own: one that hangs stops neither the event loop nor the threads
that other work needs.
"""

import asyncio
import logging
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, NamedTuple, ParamSpec, TypeVar

from django.db import InterfaceError, OperationalError, connections

from hontoni.db import in_thread
from hontoni.errors import Unavailable

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

_MOST_READINGS = 4  # at once, of which all but the last were given up
_PAUSE_SECONDS = 0.25  # after a reading failed
PATIENCE_SECONDS = 1.5  # of a request that waits for the database; with all else under two
_SILENCE_SECONDS = 1.0  # after it said nothing for so long, nobody else waits for it


class _Silence:
    until = 0.0  # by the monotonic clock


def away() -> Unavailable:
    """What a customer is told while the database cannot be asked."""
    return Unavailable(
        "Accounts and prices cannot be checked right now. Try again in 2 seconds.",
        headers={"Retry-After": "2"},
    )


async def asked(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """`in_thread`, for what a request waits for. Raises Unavailable (503) where the database
    cannot be asked, or says nothing for PATIENCE_SECONDS."""
    if time.monotonic() < _Silence.until:
        raise away()
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await in_thread(work, *args, **kwargs)
    except TimeoutError:
        _Silence.until = time.monotonic() + _SILENCE_SECONDS
        logger.error("database.silent for %s seconds", PATIENCE_SECONDS)
        raise away() from None
    except (OperationalError, InterfaceError) as error:
        logger.error("database.away: %r", error)
        raise away() from error


class _Taken(NamedTuple, Generic[T]):
    value: T
    since: float  # by the monotonic clock, when reading it began


class _Reading(Generic[T]):
    """One reading of the value, in a thread."""

    def __init__(self, read: Callable[[], T]) -> None:
        self.since = time.monotonic()
        self.done: Future[_Taken[T]] = Future()
        self._read = read
        threading.Thread(target=self._run, name="reading", daemon=True).start()

    def _run(self) -> None:
        try:
            self.done.set_result(_Taken(self._read(), self.since))
        except BaseException as error:
            logger.error("reading.failed: %r", error)
            self.done.set_exception(error)
        finally:
            connections.close_all()


class Kept(Generic[T]):
    """A value that `read` reads from the database (blocking), shared by the whole process."""

    def __init__(self, read: Callable[[], T]) -> None:
        self._read = read
        self._taken: _Taken[T] | None = None
        self._readings: list[_Reading[T]] = []  # under way, the newest last
        self._forgotten = self._failed = -math.inf  # when last
        self._lock = threading.Lock()

    async def get(self, max_age: float, *, ahead: bool = True) -> T:
        """The value, at most `max_age` seconds old. `ahead`: renew it beside the request from
        half of that age on. Raises Unavailable."""
        value = self.warm(max_age, ahead=ahead)
        return await self._fresh(max_age) if value is None else value

    def warm(self, max_age: float, *, ahead: bool = True) -> T | None:
        """As `get`, if nothing need be waited for; None if it must be."""
        taken = self._taken
        if taken is None:
            return None
        age = time.monotonic() - taken.since
        if age > max_age:
            return None
        if ahead and age > max_age / 2 and not self._failing():
            self._reading(within=max_age)
        return taken.value

    def forget(self) -> None:
        """Read it anew with the next request."""
        with self._lock:
            self._taken, self._forgotten, self._failed = None, time.monotonic(), -math.inf
            self._readings.clear()

    def _failing(self) -> bool:
        return time.monotonic() - self._failed < _PAUSE_SECONDS

    async def _fresh(self, max_age: float) -> T:
        if self._failing():
            raise away()
        came = time.monotonic()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while True:
                    reading = self._reading(within=max_age)
                    taken = await asyncio.shield(asyncio.wrap_future(reading.done))
                    if taken.since >= came or time.monotonic() - taken.since <= max_age:
                        return taken.value
        except TimeoutError:
            raise away() from None
        except Exception as error:
            raise away() from error

    def _reading(self, within: float) -> _Reading[T]:
        """The reading under way; a new one if there is none, or it is of no more use: silent for
        longer than anybody waits for it, or begun too long ago."""
        with self._lock:
            last = self._readings[-1] if self._readings else None
            old = min(PATIENCE_SECONDS, within)
            useful = last is not None and time.monotonic() - last.since <= old
            if last is not None and (useful or len(self._readings) >= _MOST_READINGS):
                return last
            reading = _Reading(self._read)
            self._readings.append(reading)
        reading.done.add_done_callback(lambda done: self._finish(reading, done))
        return reading

    def _finish(self, reading: _Reading[T], done: "Future[_Taken[T]]") -> None:
        """In the reading's thread. An older value never takes a newer one's place."""
        with self._lock:
            if reading in self._readings:
                self._readings.remove(reading)
            if done.exception() is not None:
                self._failed = time.monotonic()
            elif reading.since < self._forgotten:
                return
            elif self._taken is None or self._taken.since < reading.since:
                self._taken = done.result()
