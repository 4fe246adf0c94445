"""How all of it ends: files by their time, answers by theirs, everything with its account."""

from datetime import datetime, timedelta

from django.db import transaction

from gateway.batches.models import OPEN, Batch, BatchRequest, Status, StoredFile

_AT_ONCE = 500


def forget_expired(now: datetime) -> int:
    """What has been kept for long enough is gone; how many files and batches."""
    files = StoredFile.objects.filter(expires_at__lte=now).values_list("pk", flat=True)
    gone = StoredFile.objects.filter(pk__in=list(files[:_AT_ONCE])).delete()[0]
    for batch in Batch.objects.filter(forgotten_at=None, ended_at__lte=now).order_by("ended_at"):
        assert batch.ended_at is not None
        if batch.ended_at + timedelta(seconds=batch.keeps_seconds) <= now:
            _forget(batch, now)
            gone += 1
    return gone


@transaction.atomic
def _forget(batch: Batch, now: datetime) -> None:
    batch.requests.all().delete()
    batch.files.all().delete()
    Batch.objects.filter(pk=batch.pk).update(forgotten_at=now, bytes=0, metadata={}, errors=[])


def forget_all(account: int, now: datetime) -> None:
    """An account is closed: nothing more of it is sent, and nothing of it is kept. What runs at
    this moment is charged, as any request is."""
    Batch.objects.filter(user_id=account, status__in=OPEN).update(
        status=Status.CANCELLED, cancelling_at=now, ended_at=now, lease_until=None
    )
    Batch.objects.filter(user_id=account).update(forgotten_at=now, bytes=0, metadata={}, errors=[])
    BatchRequest.objects.filter(batch__user_id=account).delete()
    StoredFile.objects.filter(user_id=account).delete()
