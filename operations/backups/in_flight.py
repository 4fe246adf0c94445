"""What Valkey alone knows and money hangs on: usage events that are not in the books yet.

All else there is made anew from the database: accounts, windows, purses. So a backup keeps the
events, and a restore puts them back into the stream and forgets the accounts, which are cold then.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from django.core.cache import cache

from hontoni import redis
from ratelimits import keys

_PAGE = 1_000
_SHARD_KEYS = "{s:*"


def events() -> Iterator[dict[str, str]]:
    """Those in the stream: account, cost and the event's JSON. Raises RedisError."""
    for shard in range(keys.SHARDS):
        after = "-"
        while page := redis.sync().xrange(keys.usage(shard), after, "+", count=_PAGE):
            for stream_id, fields in page:
                yield {name.decode(): value.decode() for name, value in fields.items()}
                after = f"({stream_id.decode()}"


def put_back(kept: Iterable[dict[str, str]]) -> int:
    """Into the stream again, but for those that are there. Answers how many. Settlement takes an
    event once, so one that is in the books already changes nothing."""
    there, count = {fields["event"] for fields in events()}, 0
    for fields in kept:
        if fields["event"] not in there:
            redis.sync().xadd(keys.usage(keys.shard(int(fields["account"]))), fields)
            count += 1
    return count


def forget_accounts() -> None:
    """Everything of the shards but their streams, and what pages had cached: the database that
    comes next knows better."""
    client = redis.sync()
    streams = {keys.usage(shard).encode() for shard in range(keys.SHARDS)}
    for name in client.scan_iter(match=_SHARD_KEYS, count=_PAGE):
        if name not in streams:
            client.delete(name)
    pages: Any = cache  # django-redis has more than Django knows; its `clear` takes everything
    pages.delete_pattern("*")
