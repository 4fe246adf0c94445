"""The simulator's clock: real time plus an offset that only grows.

Stripe's own test clocks freeze; this one keeps ticking, so that a sandbox behaves like the real
service, and jumps when told to. Seconds since the epoch, always whole.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

MINUTE, HOUR, DAY = 60, 3600, 86_400


class Clock:
    """Now, as the simulator sees it."""

    def __init__(self, offset: int = 0) -> None:
        self.offset = offset
        self._pinned: int | None = None

    def now(self) -> int:
        """Seconds since the epoch."""
        return int(time.time()) + self.offset if self._pinned is None else self._pinned

    @contextmanager
    def pinned(self, at: int) -> Iterator[None]:
        """Stand still at `at`: a job that was due then must see its own time."""
        before, self._pinned = self._pinned, at
        try:
            yield
        finally:
            self._pinned = before
