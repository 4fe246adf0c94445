"""What a process keeps of the database in memory, and how old it may be.

Always true:

1. Nobody is answered by a value that nobody has vouched for within the time he asked for, however
   idle the process was: the database, or, while it cannot be asked, Redis, where every change is
   announced (announced.py). A value's age counts from before it was read or vouched for.
2. All who wait share one reading. While values are asked for, the next one is read beside the
   requests once the present one is half as old as it may be, so a busy process never waits.
3. Where the database cannot be asked, what Redis vouches for is good for SNAPSHOT_SECONDS more.
   Everything else is an error within DATABASE_PATIENCE_SECONDS, and at once while it is known
   that the database is away. One thread looks for its return; nobody else waits for it.

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

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, connections

from hontoni import announced
from hontoni.db import in_thread
from hontoni.errors import Unavailable

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

_MOST_READINGS = 4  # at once, of which all but the last were given up
_PAUSE_SECONDS = 0.25  # after a reading failed


class _Absence:
    """While the database is away, a thread asks it again and again."""

    watch: threading.Thread | None = None
    lock = threading.Lock()


def is_away() -> bool:
    """Whether the database is known not to answer."""
    watch = _Absence.watch
    return watch is not None and watch.is_alive()


def _note_absence() -> None:
    with _Absence.lock:
        if not is_away():
            _Absence.watch = threading.Thread(target=_until_back, name="absence", daemon=True)
            _Absence.watch.start()


def _until_back() -> None:
    while True:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        except (OperationalError, InterfaceError):
            time.sleep(_PAUSE_SECONDS)
        except Exception:
            logger.exception("database.unknown")
            return
        else:
            logger.info("database.back")
            return
        finally:
            connections.close_all()


def away() -> Unavailable:
    """What a customer is told while the database cannot be asked."""
    return Unavailable(
        "Accounts and prices cannot be checked right now. Try again in 2 seconds.",
        headers={"Retry-After": "2"},
    )


async def query(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """`in_thread`, for what a request waits for. Raises Unavailable (503) where the database
    cannot be asked, or says nothing for DATABASE_PATIENCE_SECONDS."""
    if is_away():
        raise away()
    try:
        async with asyncio.timeout(settings.DATABASE_PATIENCE_SECONDS):
            return await in_thread(work, *args, **kwargs)
    except TimeoutError:
        logger.error("database.silent for %s seconds", settings.DATABASE_PATIENCE_SECONDS)
        _note_absence()
        raise away() from None
    except (OperationalError, InterfaceError) as error:
        logger.error("database.away: %r", error)
        _note_absence()
        raise away() from error


async def thorough(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """As `query`, for work that takes its time and is not given up: what it answers is so. Raises
    Unavailable."""
    if is_away():
        raise away()
    try:
        return await in_thread(work, *args, **kwargs)
    except (OperationalError, InterfaceError) as error:
        logger.error("database.away: %r", error)
        _note_absence()
        raise away() from error


class _Taken(NamedTuple, Generic[T]):
    """By the monotonic clock: `since` when reading it began, `good` when it was last known to be
    what the database has. `version` is what Redis called it."""

    value: T
    since: float
    good: float
    version: bytes | None


class _Reading(Generic[T]):
    """One reading of the value, in a thread."""

    def __init__(self, read: Callable[[], T]) -> None:
        self.since = time.monotonic()
        self.done: Future[_Taken[T]] = Future()
        self._read = read
        threading.Thread(target=self._run, name="reading", daemon=True).start()

    def _run(self) -> None:
        try:
            version = announced.version()
            self.done.set_result(_Taken(self._read(), self.since, self.since, version))
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
        age = time.monotonic() - taken.good
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
        if not (self._failing() or is_away()):
            try:
                return await self._awaited(max_age)
            except Exception as error:
                if isinstance(error, TimeoutError):
                    _note_absence()
                failure: Exception | None = error
        else:
            failure = None
        if (taken := await self._vouched_for()) is not None:
            return taken.value
        raise away() from failure

    async def _awaited(self, max_age: float) -> T:
        """The value that is being read. Raises what that raises, and TimeoutError."""
        came = time.monotonic()
        async with asyncio.timeout(settings.DATABASE_PATIENCE_SECONDS):
            while True:
                reading = self._reading(within=max_age)
                taken = await asyncio.shield(asyncio.wrap_future(reading.done))
                if taken.since >= came or time.monotonic() - taken.since <= max_age:
                    return taken.value

    async def _vouched_for(self) -> _Taken[T] | None:
        """The present value, if nothing was announced since it was read: Redis says so."""
        taken, now = self._taken, time.monotonic()
        if taken is None or taken.version is None or now - taken.since > settings.SNAPSHOT_SECONDS:
            return None
        if await announced.heard() != taken.version:
            return None
        with self._lock:
            if self._taken is not None and self._taken.since == taken.since:
                self._taken = taken._replace(good=max(now, self._taken.good))
        return taken

    def _reading(self, within: float) -> _Reading[T]:
        """The reading under way; a new one if there is none, or it is of no more use: silent for
        longer than anybody waits for it, or begun too long ago."""
        with self._lock:
            last = self._readings[-1] if self._readings else None
            old = min(settings.DATABASE_PATIENCE_SECONDS, within)
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
