"""The newest transfer that Redis was told of: a database without it went back (docs/stores.md)."""

from django.db.models import Subquery

from billing.books import checkpoints
from billing.books.models import Transfer
from hontoni import redis
from ratelimits import keys, rebuilding

Mark = tuple[int, str]  # the transfer's number and its key


def told() -> Mark | None:
    """What Redis was told of last. Raises RedisError."""
    number, name = redis.sync().hmget(keys.MARK, "number", "name")
    return None if number is None else (int(number), name.decode())


def went_back(mark: Mark | None) -> bool:
    """Whether that transfer is gone, and not into the archive."""
    if mark is None or Transfer.objects.filter(pk=mark[0], key=mark[1]).exists():
        return False
    return mark[0] >= checkpoints.transfers_floor()


def move() -> None:
    """Tell Redis the newest transfer, after the commit. Raises errors.Unavailable, RedisError.

    Not where the database went back: what is booked there now must not hide that from those who
    compare.
    """
    before = told()
    newest = Transfer.objects.order_by("-pk").values("pk")[:1]
    wanted = [Subquery(newest)] if before is None else [before[0], Subquery(newest)]
    found = dict(Transfer.objects.filter(pk__in=wanted).values_list("pk", "key"))
    if not found:
        return
    if before is None or found.get(before[0]) == before[1] or not went_back(before):
        rebuilding.mark_sync(max(found), found[max(found)])
