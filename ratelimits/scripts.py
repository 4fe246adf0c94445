"""The Lua scripts, and how they are run: Redis failing is a 503, never a way around a limit."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hontoni import errors, redis

_LUA = Path(__file__).parent / "lua"
_SPEND = _LUA / "spend.lua"
ADMIT = redis.Script(_LUA / "state.lua", _SPEND, _LUA / "admit.lua")
SETTLE = redis.Script(_LUA / "state.lua", _SPEND, _LUA / "settle.lua")
EXTEND = redis.Script(_SPEND, _LUA / "extend.lua")
BEAT = redis.Script(_LUA / "beat.lua")
RESERVE = redis.Script(_LUA / "reserve.lua")
SEED = redis.Script(_LUA / "seed.lua")
SEED_SPEND = redis.Script(_SPEND, _LUA / "seed_spend.lua")
PUBLISH = redis.Script(_LUA / "publish.lua")
EXPIRED = redis.Script(_LUA / "expired.lua")
GIVE = redis.Script(_LUA / "give.lua")
HIT = redis.Script(_LUA / "hit.lua")

logger = logging.getLogger(__name__)


async def run(script: redis.Script, keys: Sequence[str], args: Sequence[redis.Argument]) -> Any:
    """The script's answer, on the data plane. Raises errors.Unavailable."""
    try:
        return await script.run(keys, args)
    except redis.RedisError as error:
        raise unavailable(error) from error


def run_sync(script: redis.Script, keys: Sequence[str], args: Sequence[redis.Argument]) -> Any:
    """The script's answer, on the control plane. Raises errors.Unavailable."""
    try:
        return script.run_sync(keys, args)
    except redis.RedisError as error:
        raise unavailable(error) from error


def unavailable(error: redis.RedisError) -> errors.Unavailable:
    """What a customer is told when Redis does not answer."""
    logger.error("Redis failed us: %r", error)
    return errors.Unavailable(
        "Limits and balances cannot be checked right now. Try again in 2 seconds.",
        headers={"Retry-After": "2"},
    )
