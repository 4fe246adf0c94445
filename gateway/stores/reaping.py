"""Settling the requests of dead processes, once it is known which have really not ended."""

from collections.abc import Sequence
from contextlib import suppress

from gateway.stores import rebuilding
from gateway.usage import reaper
from ratelimits import keys, limiter


def reap(shards: Sequence[int] = range(keys.SHARDS)) -> int:
    """As reaper.reap. A Valkey that came back older says that requests are open which have ended:
    their accounts are made anew first, which clears those away."""
    if not limiter.expired(1, shards):
        return 0
    with suppress(rebuilding.Behind):
        rebuilding.rebuild_stale()
        return reaper.reap(shards)
    return 0
