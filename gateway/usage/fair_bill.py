"""What fair billing has given an account away today, as the books and the stream have it: what the
day's allowance is reckoned from when Valkey does not know."""

import uuid

from gateway.usage import events
from gateway.usage.models import UsageEvent
from gateway.usage.settlement import recorded
from hontoni import redis
from ratelimits import keys


def given_today(account: int) -> int:
    """Nano-dollars since UTC midnight, by Valkey's clock. Raises RedisError."""
    seconds, _ = redis.clock()
    midnight = seconds - seconds % 86_400
    rows = UsageEvent.objects.filter(
        user_id=account, pk__gte=_first_id(midnight), details__gift__isnull=False
    )
    underway = _underway(account, midnight)
    known = recorded(list(underway))
    given = sum(int(details["gift"]) for details in rows.values_list("details", flat=True))
    return given + sum(gift for name, gift in underway.items() if name not in known)


def _first_id(at: int) -> uuid.UUID:
    """The least id of a request of that moment or later: ids begin with their milliseconds."""
    return uuid.UUID(int=at * 1000 << 80)


def _underway(account: int, since: int) -> dict[str, int]:
    """Of the account's events in the stream that gave something away: how much, by id."""
    found: dict[str, int] = {}
    for _, fields in redis.sync().xrange(keys.usage(keys.shard(account)), f"{since * 1000}"):
        if fields.get(b"account") != str(account).encode():
            continue
        try:
            event = events.read(fields[b"event"])
        except (events.Malformed, events.Newer):
            continue
        if gift := (event.get("details") or {}).get("gift"):
            found[str(event["id"])] = int(gift)
    return found
