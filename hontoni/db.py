"""The database from the event loop: in a thread, and with no connection left behind.

Django gives connections back at the end of *its* requests; the data plane's are not.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.db import InterfaceError, OperationalError, connections

from hontoni.errors import Unavailable

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

PATIENCE_SECONDS = 1.5  # of a request that waits for the database; with all else under two
_PAUSE_SECONDS = 1.0  # after it kept silent for so long, nobody else waits for it


class _Silence:
    until = 0.0  # by the monotonic clock


def away() -> Unavailable:
    """What a customer is told while the database cannot be asked."""
    return Unavailable(
        "Accounts and prices cannot be checked right now. Try again in 2 seconds.",
        headers={"Retry-After": "2"},
    )


async def in_thread(work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Await blocking database work. Its connection goes back to the pool when it is done."""

    def run() -> R:
        try:
            return work(*args, **kwargs)
        finally:
            connections.close_all()

    return await sync_to_async(run, thread_sensitive=False)()


async def asked(work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """`in_thread`, for what a request waits for. Raises Unavailable (503) where the database
    cannot be asked, or says nothing for PATIENCE_SECONDS."""
    if time.monotonic() < _Silence.until:
        raise away()
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await in_thread(work, *args, **kwargs)
    except TimeoutError:
        _Silence.until = time.monotonic() + _PAUSE_SECONDS
        logger.error("database.silent for %s seconds", PATIENCE_SECONDS)
        raise away() from None
    except (OperationalError, InterfaceError) as error:
        logger.error("database.away: %r", error)
        raise away() from error
