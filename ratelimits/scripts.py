"""The Lua scripts, and how they are run: Redis failing is a 503, never a way around a limit.

A `Guarded` script decides by what Redis holds, so it carries the epoch in its text. A server that
does not know it may have restarted or failed over with writes lost: whether it did is asked of the
database before the script is given to it (docs/stores.md).
"""

import logging
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hontoni import errors, redis
from ratelimits import epochs

_LUA = Path(__file__).parent / "lua"
_ATTEMPTS = 3


class Guarded:
    """A script under the epoch of the moment, as `EPOCH`."""

    def __init__(self, file: Path) -> None:
        self._plain = redis.Script(file)
        self._known: tuple[str, redis.Script] | None = None

    def of(self, epoch: str) -> redis.Script:
        """The script as it is sent in an epoch."""
        known = self._known
        if known is None or known[0] != epoch:
            known = self._known = (
                epoch,
                self._plain.under(f"local EPOCH = '{epoch}'"),
            )
        return known[1]


ADMIT = Guarded(_LUA / "admit.lua")
EXTEND = Guarded(_LUA / "extend.lua")
RESERVE = Guarded(_LUA / "reserve.lua")
EARMARK = Guarded(_LUA / "earmark.lua")
COUNT = Guarded(_LUA / "count.lua")
SEED = Guarded(_LUA / "seed.lua")
ANNOUNCE = Guarded(_LUA / "announce.lua")
SETTLE = redis.Script(_LUA / "settle.lua")
BEAT = redis.Script(_LUA / "beat.lua")
ADOPT = redis.Script(_LUA / "adopt.lua")
SEED_SPEND = redis.Script(_LUA / "seed_spend.lua")
SEED_OVERFLOW = redis.Script(_LUA / "seed_overflow.lua")
CORRECT_OVERFLOW = redis.Script(_LUA / "correct_overflow.lua")
CORRECT_SPEND = redis.Script(_LUA / "correct_spend.lua")
PUBLISH = redis.Script(_LUA / "publish.lua")
MARK = redis.Script(_LUA / "mark.lua")
EXPIRED = redis.Script(_LUA / "expired.lua")
GIVE = redis.Script(_LUA / "give.lua")
HIT = redis.Script(_LUA / "hit.lua")

logger = logging.getLogger(__name__)

Keys = Sequence[str]
Args = Sequence[redis.Argument]


async def run(script: redis.Script | Guarded, keys: Keys, args: Args) -> Any:
    """The script's answer, on the data plane. Raises errors.Unavailable."""
    known = script if isinstance(script, redis.Script) else script.of(epochs.believed())
    try:
        try:
            return await known.known(keys, args)
        except redis.NoScriptError:
            if isinstance(script, Guarded):
                return await _introduce(script, keys, args)
            return await script.run(keys, args)
    except redis.RedisError as error:
        raise unavailable(error) from error


async def _introduce(script: Guarded, keys: Keys, args: Args) -> Any:
    """To the server whose epoch was confirmed, and to no other: it may restart meanwhile."""
    for _ in range(_ATTEMPTS):
        line = redis.line()
        epoch = await epochs.confirm()
        if redis.line() != line:
            continue
        with suppress(redis.MovedError):  # to a node of the cluster that was not looked at
            return await script.of(epoch).introduced(keys, args)
    raise redis.ConnectionError("the connection does not last")


def run_sync(script: redis.Script | Guarded, keys: Keys, args: Args) -> Any:
    """The script's answer, on the control plane. Raises errors.Unavailable."""
    try:
        if isinstance(script, redis.Script):
            return script.run_sync(keys, args)
        try:
            return script.of(epochs.believed()).known_sync(keys, args)
        except redis.NoScriptError:
            return script.of(epochs.confirm_sync()).introduced_sync(keys, args)
    except redis.RedisError as error:
        raise unavailable(error) from error


def run_within(epoch: str, script: Guarded, keys: Keys, args: Args) -> Any:
    """The same, unless another epoch has begun: None, for what was prepared in this one may not be
    true in that. Raises errors.Unavailable."""
    try:
        try:
            return script.of(epoch).known_sync(keys, args)
        except redis.NoScriptError:
            if epochs.confirm_sync() != epoch:
                return None
            return script.of(epoch).introduced_sync(keys, args)
    except redis.RedisError as error:
        raise unavailable(error) from error


def unavailable(error: redis.RedisError) -> errors.Unavailable:
    """What a customer is told when Redis does not answer."""
    logger.error("Redis failed us: %r", error)
    return errors.Unavailable(
        "Limits and balances cannot be checked right now. Try again in 2 seconds.",
        headers={"Retry-After": "2"},
    )
