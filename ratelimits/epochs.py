"""In which epoch this process believes the two stores to be (docs/stores.md).

An epoch is a random id for one uninterrupted life of both stores. Scripts that spend carry it in
their text; an account that was not rebuilt in it is cold to them. Which epoch it is only the
database can say: `authority` asks it, and is put here by the app that has the table. Without one
(a program that uses counters alone) there is one epoch for ever.
"""

import asyncio
import threading
from collections.abc import Callable
from weakref import WeakKeyDictionary

from django.conf import settings
from django.db import InterfaceError, OperationalError

from hontoni.db import in_thread
from hontoni.errors import Unavailable


class _Belief:
    epoch = ""
    authority: Callable[[], str] | None = None


# One comparison at a time, so that what an earlier one found never takes a later one's place.
COMPARING = threading.RLock()


def believed() -> str:
    """What this process was told last."""
    return _Belief.epoch


def believe(epoch: str) -> str:
    """Note what the authority says. Answers it."""
    _Belief.epoch = epoch
    return epoch


def authority(ask: Callable[[], str] | None) -> None:
    """Who compares the stores and says which epoch they are in (blocking). Raises RedisError."""
    _Belief.authority = ask


def confirm_sync() -> str:
    """Have the stores compared now; a new epoch has begun if they did not agree."""
    ask = _Belief.authority
    if ask is None:
        return _Belief.epoch
    with COMPARING:
        return believe(ask())


class _Comparing:
    """Of one event loop: comparisons one after the other, and the one that has not begun yet."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.next: asyncio.Task[str] | None = None

    async def compare(self) -> str:
        async with self.turn:
            self.next = None  # whoever asks from now on wants a later one
            try:
                async with asyncio.timeout(settings.DATABASE_PATIENCE_SECONDS):
                    return await in_thread(confirm_sync)
            except (TimeoutError, OperationalError, InterfaceError) as error:
                raise Unavailable(
                    "Accounts cannot be checked right now. Try again in 2 seconds.",
                    headers={"Retry-After": "2"},
                ) from error


_comparing: WeakKeyDictionary[asyncio.AbstractEventLoop, _Comparing] = WeakKeyDictionary()


async def confirm() -> str:
    """The same on the data plane; all who ask at once share one comparison that began after they
    asked. Raises RedisError, errors.Unavailable."""
    if _Belief.authority is None:
        return _Belief.epoch
    comparing = _comparing.setdefault(asyncio.get_running_loop(), _Comparing())
    if comparing.next is None:
        comparing.next = asyncio.create_task(comparing.compare())
    return await asyncio.shield(comparing.next)
