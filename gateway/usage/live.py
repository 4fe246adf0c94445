"""The live dashboard's bell: whoever has a page open is told that something finished.

It rings when a request is in the books (settlement.py), so that the receipt it announces can
be opened, and so that /v1 has nothing to do with it. Only accounts somebody is watching are rung
for: open pages keep their account in the sorted set WATCHED, by when that ends.
"""

import logging
import time
from collections.abc import Iterable

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from redis.exceptions import RedisError

from hontoni import redis

logger = logging.getLogger(__name__)

WATCHED = "live:watched"
WATCH_SECONDS = 90


def group(account: int) -> str:
    """The channel group of everybody who watches an account."""
    return f"account.{account}"


async def watch(account: int) -> None:
    """Say that somebody watches; to be repeated before WATCH_SECONDS are over."""
    now = int(time.time())
    pipe = redis.pipe()
    await pipe.execute("ZADD", WATCHED, now + WATCH_SECONDS, account)
    await pipe.execute("ZREMRANGEBYSCORE", WATCHED, "-inf", now)


def ring(accounts: Iterable[int]) -> None:
    """Tell the open pages of these accounts. Without Redis nobody is told; the pages come back."""
    try:
        found = list(accounts)
        until = redis.sync().zmscore(WATCHED, found) if found else []
        now = time.time()
        watched = [account for account, end in zip(found, until, strict=True) if end and end > now]
        if watched:
            async_to_sync(_send)(watched)
    except (RedisError, OSError):
        logger.exception("live.ring_failed")


async def _send(accounts: list[int]) -> None:
    layer = get_channel_layer()
    assert layer is not None
    for account in accounts:
        await layer.group_send(group(account), {"type": "changed"})
