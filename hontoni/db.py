"""The database from the event loop: in a thread, and with no connection left behind.

Django gives connections back at the end of *its* requests; the data plane's are not. The threads
are our own, so that a database that says nothing takes none from anything else.
"""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import ParamSpec, TypeVar

from django.conf import settings
from django.db import connections

P = ParamSpec("P")
R = TypeVar("R")


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(settings.DATABASE_THREADS, "database")


async def in_thread(work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Await blocking database work. Its connection goes back to the pool when it is done; only
    SQLite's, which nobody else could use, stays open: opening costs more than most work."""

    def run() -> R:
        try:
            return work(*args, **kwargs)
        finally:
            give_back()

    context = contextvars.copy_context()
    return await asyncio.get_running_loop().run_in_executor(_threads(), context.run, run)


def give_back() -> None:
    """This thread's connections, but for a sound one to SQLite."""
    for connection in connections.all(initialized_only=True):
        sound = not (connection.errors_occurred or connection.in_atomic_block)
        if not (connection.vendor == "sqlite" and sound):
            connection.close()
