"""The newest transfer that Redis was told of: a database without it went back (docs/stores.md)."""

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
    compare. The order matters: a restore in between is seen by the second query.
    """
    newest = Transfer.objects.order_by("-pk").values_list("pk", "key").first()
    if newest is not None and not went_back(told()):
        rebuilding.mark_sync(*newest)
