"""Waiting for what happens beside a test. The time is a bound for a busy machine, and never what
decides."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

ENOUGH = 90.0  # seconds


def until(what: Callable[[], Any], why: str = "it never came", seconds: float = ENOUGH) -> Any:
    """Ask until the answer is true; the answer."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, why
        time.sleep(0.02)
    return found


async def until_within(what: Callable[[], Any], why: str = "it never came") -> Any:
    """The same on an event loop, of something that happens on it."""
    deadline = time.monotonic() + ENOUGH
    while not (found := what()):
        assert time.monotonic() < deadline, why
        await asyncio.sleep(0.01)
    return found
