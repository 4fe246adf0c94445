"""What a purse has spent in this UTC day, in this month and ever, from the books: for Redis.

    spent (Redis) = costs of the rollups since the period began + of the stream's events that are
                    not in the database yet and began in it

As with an account's money nothing is ever added to repair. A request belongs to the day it was
admitted in: here by the gateway's clock, in Redis by Redis's own, so the two should be in step.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import UTC, datetime

from django.db import transaction
from django.db.models import QuerySet

from accounts.models import ApiKey
from billing.books import ledger
from billing.books.models import Wallet
from billing.books.seeding import waiting
from gateway.usage import events as spelled
from gateway.usage import spent
from gateway.usage.settlement import recorded
from hontoni import redis
from ratelimits import purses, rebuilding
from ratelimits.scripts import unavailable


def seed(key_id: int) -> bool:
    """Tell Redis what a key, and what it was rotated from or to, has spent, and so of all keys of
    its member. False if it knows.

    Under the wallet's lock, as billing.books.seeding.seed_account. Raises errors.Unavailable.
    """
    key = ApiKey.objects.select_related("member").get(pk=key_id)
    new = _seed(key, key.purse, ApiKey.objects.related(key))
    if key.member is not None:
        new = _seed(key, key.member.purse, ApiKey.objects.filter(member=key.member)) or new
    return new


def _seed(key: ApiKey, purse: str, members: QuerySet[ApiKey]) -> bool:
    ledger.wallet(key.user_id)
    with transaction.atomic():
        Wallet.objects.select_for_update().get(pk=key.user_id)
        found = list(members.order_by("pk"))
        mine = [each.pk for each in found]
        theirs = sorted({each.purse for each in found}) if purse != key.purse else []
        day = _today()
        month = day.replace(day=1)
        events, last_event_id = waiting(key.user_id, recorded)
        by_day, by_month, ever = spent.recorded(key.user_id, mine, day, month)
        new = list(_costs(events, mine))
        return purses.seed_sync(
            key.user_id,
            purse,
            day=(_number(day), by_day + sum(cost for began, cost in new if began >= day)),
            month=(_number(month), by_month + sum(cost for began, cost in new if began >= month)),
            life=ever + sum(cost for _, cost in new),
            key_ids=mine,
            purses=theirs,
            last_event_id=last_event_id,
            opened=[each.request_id for each in rebuilding.open_requests(key.user_id)],
        )


def _today() -> datetime:
    """When the UTC day began, by Redis's clock: the one the caps are decided by."""
    try:
        seconds, _ = redis.clock()
    except redis.RedisError as error:
        raise unavailable(error) from error
    return datetime.fromtimestamp(seconds - seconds % 86_400, UTC)


def _number(day: datetime) -> int:
    """Days since 1970."""
    return int(day.timestamp()) // 86_400


def _costs(
    events: Iterable[tuple[int, bytes]], keys: Collection[int]
) -> Iterable[tuple[datetime, int]]:
    """When each event of these keys began, and what it cost. What cannot be read is nobody's."""
    for cost, text in events:
        try:
            event = spelled.read(text)
            if event["api_key_id"] in keys:
                yield datetime.fromtimestamp(event["began"], UTC), cost
        except (spelled.Malformed, spelled.Newer, KeyError, TypeError):
            continue


def corrected(user_id: int, changes: Iterable[tuple[int, datetime, int]]) -> None:
    """Tell Redis what a correction changed: of each request its key, when it was admitted, and by
    how much. Under the wallet's lock, after the rollups. Raises errors.Unavailable."""
    day = _today()
    month = day.replace(day=1)
    found = list(changes)
    changed = ApiKey.objects.select_related("member").filter(pk__in={c[0] for c in found})
    purses_of = {
        key.pk: [key.purse, *([key.member.purse] if key.member else [])] for key in changed
    }
    by_purse: defaultdict[str, list[tuple[datetime, int]]] = defaultdict(list)
    for key_id, began, more in found:
        for purse in purses_of[key_id]:
            by_purse[purse].append((began, more))
    for purse, members in sorted(by_purse.items()):
        today = sum(more for began, more in members if began >= day)
        this_month = sum(more for began, more in members if began >= month)
        ever = sum(more for _, more in members)
        purses.correct_sync(
            user_id,
            purse,
            [
                ("day", _number(day), today),
                ("month", _number(month), this_month),
                ("life", 0, ever),
            ],
        )
