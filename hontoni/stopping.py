"""SIGTERM, in the order in which nobody is hurt.

1. `/readyz` is red, and requests are served as before, for `STOP_NOTICE_SECONDS`: the balancer
   sends the next ones elsewhere.
2. The server listens no more. What is open has `STOP_STREAM_SECONDS` to finish.
3. What still runs is cut, each with an error in its own dialect and on its receipt.

A second signal skips what is left of the first step.
"""

import asyncio
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn
from django.conf import settings

_LAST_WORDS_SECONDS = 10.0  # then uvicorn ends whoever did not take them


class Stopping:
    """Of this process. `begun`: somebody has asked it to stop."""

    begun = False


class Watch:
    """Stands in front of the server's own handlers of signals. `cut` ends what is still open."""

    def __init__(self, cut: Callable[[], None]) -> None:
        self.cut = cut
        self.loop = asyncio.get_running_loop()
        self.server: dict[int, Any] = {}
        self.handed_on = False
        Stopping.begun = False

    def install(self) -> None:
        """Only the main thread has signals: a server in a test's thread has none."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in (signal.SIGTERM, signal.SIGINT):
            handler = signal.getsignal(number)
            if callable(handler):
                self.server[number] = handler
                signal.signal(number, self._stop_requested)

    def _stop_requested(self, number: int, frame: FrameType | None) -> None:
        self.loop.call_soon_threadsafe(self._begin, number)

    def _begin(self, number: int) -> None:
        seconds = 0.0 if Stopping.begun else settings.STOP_NOTICE_SECONDS
        Stopping.begun = True
        self.loop.call_later(seconds, self._hand_on, number)

    def _hand_on(self, number: int) -> None:
        """Let the server stop. Its own bound is behind ours, so that all is said by then."""
        handler = self.server[number]
        owner = getattr(handler, "__self__", None)
        if isinstance(owner, uvicorn.Server):
            patience = int(settings.STOP_STREAM_SECONDS + _LAST_WORDS_SECONDS)
            owner.config.timeout_graceful_shutdown = patience
        if not self.handed_on:
            self.handed_on = True
            self.loop.call_later(settings.STOP_STREAM_SECONDS, self.cut)
            handler(number, None)
