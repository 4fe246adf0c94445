"""Who is still there: stops the work on an answer when its client leaves, its time is over, or
this process ends.

uvicorn's `send()` does not fail after the client left; only a concurrent `receive()` learns of
it. An answer that is there within WATCH_AFTER_SECONDS needs nobody to look meanwhile.
"""

import asyncio
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from starlette.types import Receive

from hontoni.errors import UpstreamTimeout

WATCH_AFTER_SECONDS = 0.25
# Looked at this often, a stream is never silent for twice as long: under 15 s.
KEEP_ALIVE_SECONDS = 7.0


class ClientGone(Exception):
    """The client closed the connection before it had its answer."""


class Overdue(UpstreamTimeout):
    """It took longer than any request may take: a cut of ours, not the vendor's failure."""


class Stopping(Overdue):
    """This process ends, and took the answer with it."""

    status, code = 503, "server_stopping"

    def __init__(self) -> None:
        text = "The gateway is restarting and cut this answer off. Ask again."
        super().__init__(text, headers={"retry-after": "1"})


class Watched(Protocol):
    """An exchange, as far as it is looked at."""

    receive: Receive

    async def break_silence(self) -> None: ...


class Watch:
    """Cancels a task, with a reason, when its client leaves or its time is over."""

    __slots__ = ("among", "http", "leaving", "loop", "next_look", "pinging", "reason", "seconds", "since", "task", "timer")  # noqa: E501  # fmt: skip

    def __init__(self, http: Watched, task: asyncio.Task[Any], seconds: float) -> None:
        self.http, self.task, self.seconds = http, task, seconds
        self.loop = task.get_loop()
        self.since = self.loop.time()
        self.among: _Watches  # all those of its loop
        self.reason: Exception | None = None
        self.timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """From now on somebody looks."""
        _Last.begun.add(self)
        self.pinging: asyncio.Task[None] | None = None  # kept, or it may be collected
        self.leaving = self.loop.create_task(self._leave())
        self.timer = self.loop.call_at(self.since + self.seconds, self._overdue)
        self.next_look = self.loop.call_later(KEEP_ALIVE_SECONDS, self._look)
        if _Last.cutting:
            self.cut()

    def _look(self) -> None:
        self.pinging = self.loop.create_task(self.http.break_silence())
        self.next_look = self.loop.call_later(KEEP_ALIVE_SECONDS, self._look)

    async def _leave(self) -> None:
        while (await self.http.receive())["type"] != "http.disconnect":
            pass
        self._stop(ClientGone())

    def _overdue(self) -> None:
        self._stop(Overdue("The request took longer than we let any request take."))

    def _stop(self, reason: Exception) -> None:
        if self.reason is None:
            self.reason = reason
            self.task.cancel()

    def cut(self) -> None:
        self._stop(Stopping())

    def end(self) -> None:
        _Last.begun.discard(self)
        if self.timer is not None:
            self.timer.cancel()
            self.next_look.cancel()
            self.leaving.cancel()


class _Watches:
    """Those of one event loop that have not begun, the oldest first. One timer serves them all, so
    that a request which is answered at once costs none."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._waiting: dict[Watch, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, watch: Watch) -> None:
        if watch.seconds < WATCH_AFTER_SECONDS:
            watch.begin()
            return
        self._waiting[watch] = None
        if self._timer is None:
            self._timer = self.loop.call_later(WATCH_AFTER_SECONDS, self._begin)

    def discard(self, watch: Watch) -> None:
        if watch not in self._waiting:
            watch.end()
        else:
            del self._waiting[watch]

    def _begin(self) -> None:
        self._timer = None
        now = self.loop.time()
        while self._waiting:
            oldest = next(iter(self._waiting))
            left = oldest.since + WATCH_AFTER_SECONDS - now
            if left > 0:
                self._timer = self.loop.call_later(left, self._begin)
                return
            del self._waiting[oldest]
            oldest.begin()


class _Last:
    """Nearly always the loop's that is asked for: there is one a process."""

    watches: _Watches | None = None
    begun: set[Watch] = set()
    cutting = False


_of: WeakKeyDictionary[asyncio.AbstractEventLoop, _Watches] = WeakKeyDictionary()


def _watches(loop: asyncio.AbstractEventLoop) -> _Watches:
    last = _Last.watches
    if last is None or last.loop is not loop:
        last = _Last.watches = _of.setdefault(loop, _Watches(loop))
    return last


def begin(http: Watched, task: asyncio.Task[Any], seconds: float) -> Watch:
    """Watch over that task, for so long at most. `end` it."""
    watch = Watch(http, task, seconds)
    watch.among = _watches(watch.loop)
    watch.among.add(watch)
    return watch


def end(watch: Watch) -> None:
    """The work is done."""
    watch.among.discard(watch)


def cut_all() -> None:
    """End every exchange that is being answered, and each that begins to last from now on."""
    _Last.cutting = True
    for watch in list(_Last.begun):
        watch.cut()
