"""The epoch both stores are in, and when a new one begins (docs/stores.md).

They agree if Valkey is in the life that the epoch began with, every shard names the epoch, and
the database has the newest transfer that Valkey was told of. Where they do not, a new epoch
begins, under the lock of its one row: all who compare at once find the same one.
"""

import logging
import secrets
from datetime import timedelta
from typing import Any, NamedTuple

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from billing.books import marks
from gateway.stores.models import StoreEpoch
from hontoni import redis
from ratelimits import epochs, keys

logger = logging.getLogger(__name__)

_SHARDS = [keys.epoch(shard) for shard in range(keys.SHARDS)]
RESTORED = "the database went back"


class _Seen(NamedTuple):
    """What Valkey says of itself."""

    incarnation: str
    epochs: frozenset[str]
    mark: tuple[int, str] | None


def confirm() -> str:
    """The epoch both stores are in now. Raises RedisError."""
    seen = _look()
    row = StoreEpoch.objects.filter(pk=StoreEpoch.THE).first()
    if row is not None and not _difference(row, seen):
        return row.epoch
    return begin()


def begin(certain: str = "") -> str:
    """A new epoch, unless the stores agree by now. `certain` says why they cannot."""
    with epochs.COMPARING:
        return epochs.believe(_begin(certain))


def _begin(certain: str) -> str:
    StoreEpoch.objects.get_or_create(pk=StoreEpoch.THE)
    with transaction.atomic():
        row = StoreEpoch.objects.select_for_update().get(pk=StoreEpoch.THE)
        seen = _look()
        reason = certain or _difference(row, seen)
        if reason:
            row.restored = reason == RESTORED or _may_have_gone_back(row, seen)
            row.epoch, row.incarnation, row.reason = secrets.token_hex(8), seen.incarnation, reason
            row.began_at = timezone.now()
            row.save()
            _tell(row.epoch)
            logger.warning("epoch.began %s: %s", row.epoch, reason)
    if reason:
        # Not before all can see the new epoch: who finds nothing wrong with the mark looks for it.
        redis.sync().delete(keys.MARK)
        marks.move()
    return row.epoch


def _may_have_gone_back(row: StoreEpoch, seen: _Seen) -> bool:
    """Whether a gateway may have missed that the database went back: Valkey names an epoch that
    the database does not know, as after a second restore; or the last epoch began with one, and
    this one covers it before everybody has looked."""
    lately = timezone.now() - timedelta(seconds=settings.SPOOL_KEEP_SECONDS)
    missed = row.restored and row.began_at is not None and row.began_at > lately
    return missed or bool(seen.epochs - {row.epoch, ""})


def watch_mark() -> None:
    """Whoever has read an account from the database asks then whether the database went back, and
    whether somebody has begun a new epoch. A Valkey that is away is the next step's trouble."""
    try:
        if marks.went_back(marks.told()):
            begin()
        elif epochs.believed() != _current():
            epochs.confirm_sync()
    except redis.RedisError as error:
        logger.warning("epoch.unwatched: %r", error)


def _current() -> str | None:
    found = StoreEpoch.objects.filter(pk=StoreEpoch.THE)
    return found.values_list("epoch", flat=True).first()


def _look() -> _Seen:
    incarnation = redis.incarnation()
    client = redis.sync()
    values = client.mget_nonatomic(_SHARDS) if redis.is_cluster() else client.mget(_SHARDS)
    return _Seen(incarnation, frozenset((each or b"").decode() for each in values), marks.told())


def _difference(row: StoreEpoch, seen: _Seen) -> str:
    """What they do not agree on; empty if they do."""
    if not row.epoch:
        return "the first"
    if marks.went_back(seen.mark):
        return RESTORED
    if row.incarnation != seen.incarnation:
        return "Valkey restarted or failed over"
    if seen.epochs != {row.epoch}:
        return "Valkey lost keys, or one of them is older"
    return ""


def _tell(epoch: str) -> None:
    client: Any = redis.sync()
    with client.pipeline(transaction=False) as batch:
        for name in _SHARDS:
            batch.set(name, epoch)
        batch.execute()
