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
from gateway.usage import overflow, spent
from gateway.usage.settlement import recorded
from hontoni import redis
from ratelimits import overflows, purses, rebuilding
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
    if key.overflow_cap is not None:
        new = _seed_overflow(key) or new
    return new


def _seed_overflow(key: ApiKey) -> bool:
    """The same of what it, and what it was rotated from or to, has spent past windows."""
    ledger.wallet(key.user_id)
    with transaction.atomic():
        Wallet.objects.select_for_update().get(pk=key.user_id)
        mine = list(ApiKey.objects.related(key).order_by("pk").values_list("pk", flat=True))
        month = _today().replace(day=1)
        events, last_event_id = waiting(key.user_id, recorded)
        new = sum(cost for began, cost in _costs(events, mine, past=True) if began >= month)
        return overflows.seed_sync(
            key.user_id,
            key.purse,
            month=(_number(month), overflow.spent(mine, month) + new),
            key_ids=mine,
            last_event_id=last_event_id,
            opened=[each.request_id for each in rebuilding.open_requests(key.user_id)],
        )


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
    events: Iterable[tuple[int, bytes]], keys: Collection[int], *, past: bool = False
) -> Iterable[tuple[datetime, int]]:
    """When each event of these keys began, and what it cost; with `past` of those past a
    window. What cannot be read is nobody's."""
    for cost, text in events:
        try:
            event = spelled.read(text)
            if event["api_key_id"] in keys and (not past or "overflow" in event["details"]):
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


def corrected_overflow(user_id: int, changes: Iterable[tuple[int, datetime, int]]) -> None:
    """The same of the requests past windows among them, to what their overflow counts."""
    month, sums = _today().replace(day=1), defaultdict[int, int](int)
    for key_id, began, more in changes:
        sums[key_id] += more if began >= month else 0
    for key in ApiKey.objects.filter(pk__in=sums):
        overflows.correct_sync(user_id, key.purse, _number(month), sums[key.pk])
