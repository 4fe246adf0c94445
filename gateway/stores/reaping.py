"""Settling the requests of dead processes, once it is known which are dead and have not ended.

A request is dead if its deadline has passed by Valkey's clock *and* has not moved while it was
watched by this process's steady clock for longer than a gateway that lives lets pass without a
heartbeat. So no clock that jumps, and no machine that slept, has a request taken for dead whose
gateway lives. Watching begins before the deadline, so whoever is dead is settled when it comes.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from django.conf import settings

from gateway.stores import rebuilding
from gateway.usage import reaper
from gateway.usage.settler import HOUSE_SECONDS
from ratelimits import keys, limiter, overdue
from ratelimits.limiter import Expired
from ratelimits.overdue import Overdue


class Reaper:
    """What one settlement process watches. `steady` tells seconds, and never jumps."""

    def __init__(self, steady: Callable[[], float] = time.monotonic) -> None:
        self._steady = steady
        self._watched: dict[Overdue, float] = {}  # since when

    def reap(self, shards: Sequence[int] = range(keys.SHARDS)) -> int:
        """Settle the dead of these shards; how many. A Valkey that came back older says that
        requests are open which have ended: their accounts are made anew first, which clears those
        away. Raises errors.Unavailable."""
        if not (dead := self._dead(shards)):
            return 0
        with suppress(rebuilding.Behind):
            rebuilding.rebuild_stale({each.account for each in dead})
            return reaper.reap(dead)
        return 0

    def _dead(self, shards: Sequence[int]) -> list[Expired]:
        patience = settings.LEASE_SECONDS / 2  # a heartbeat is due after a third
        soon = int((patience + HOUSE_SECONDS) * 1000)
        leases = settings.LEASE_SECONDS * 1000, limiter.RESERVATION_MS, limiter.EARMARK_MS
        furthest = 2 * max(leases)
        # If Valkey does not answer now, nobody could be heard meanwhile: all are watched anew.
        watched, self._watched = self._watched, {}
        found = overdue.find(reaper.MOST, shards, soon_ms=soon, furthest_ms=furthest)
        now = self._steady()
        self._watched = {each: watched.get(each, now) for each in found}
        silent = [e for e in found if e.passed and now - self._watched[e] >= patience]
        return [dead for each in silent if (dead := overdue.read(each))]
