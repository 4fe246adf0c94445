"""How a batch goes, in the database. Blocking; who runs batches calls it in threads.

A batch is run by who has its lease, and a request is sent by who made it RUNNING under an id: both
by updates that find the row as it was, so that of two who try one succeeds, whatever their clocks
or Valkey say. Money is not moved here: requests are charged as any others are.
"""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import orjson
from django.conf import settings
from django.db import models, transaction
from django.db.models import Count, F, Q, Sum
from django.db.models.functions import Now
from django.utils import timezone

from gateway.batches import files, results
from gateway.batches.models import OPEN, Batch, BatchRequest, State, Status, StoredFile, ended
from gateway.batches.sealing import opened, sealed
from gateway.usage.models import UsageEvent
from hontoni.errors import BadRequest, NotFound, RateLimited

WINDOW = timedelta(hours=24)
LEASE = timedelta(seconds=30)
_ROWS = 200


class Item(NamedTuple):
    """A request as it came, and the most it can cost (nano-dollars)."""

    custom_id: str
    body: bytes
    bound: int


# -- Its owner's side ----------------------------------------------------------------------------


@transaction.atomic
def create(batch: Batch, items: Sequence[Item]) -> None:
    """Keep a batch that is to be run. Raises RateLimited, TooLarge."""
    batch.total, batch.held = len(items), sum(item.bound for item in items)
    batch.bytes = sum(len(item.body) for item in items)
    files.one_at_a_time(batch.user_id)
    make_room(batch.user_id, batch.bytes)
    batch.save(force_insert=True)
    BatchRequest.objects.bulk_create(
        (
            BatchRequest(
                batch=batch,
                number=number,
                custom_id=item.custom_id,
                body=sealed(item.body),
                bound=item.bound,
                size=len(item.body),
            )
            for number, item in enumerate(items)
        ),
        batch_size=_ROWS,
    )


def of(user_id: int, *, anthropic: bool) -> models.QuerySet[Batch]:
    """An account's batches that were made at an API, the newest first."""
    mine = Batch.objects.filter(user_id=user_id)
    here = Q(endpoint="/v1/messages")
    return mine.filter(here if anthropic else ~here).order_by("-created_at", "-id")


def find(user_id: int, batch_id: str, *, anthropic: bool) -> Batch:
    """Raises NotFound."""
    found = of(user_id, anthropic=anthropic).filter(pk=batch_id).first()
    if found is None:
        raise NotFound(
            f"No batch found with id {batch_id[:100]!r}.",
            code="batch_not_found",
            param="batch_id",
        )
    return found


@transaction.atomic
def fail(batch: Batch, errors: Sequence[Mapping[str, Any]]) -> None:
    """Keep a batch of which nothing can be run, and why. Raises TooLarge."""
    batch.status, batch.errors, batch.ended_at = Status.FAILED, list(errors), batch.created_at
    batch.bytes = len(orjson.dumps([batch.errors, batch.metadata]))
    files.one_at_a_time(batch.user_id)
    files.make_room(batch.user_id, batch.bytes)
    batch.save(force_insert=True)


def make_room(user_id: int, size: int) -> None:
    """Raises RateLimited where the account may not have another open batch, TooLarge where it may
    not have so many bytes more."""
    most: int = settings.BATCHES_PER_ACCOUNT
    if Batch.objects.filter(user_id=user_id, status__in=OPEN).count() >= most:
        raise RateLimited(
            f"You have {most} open batches, which is the most. Wait until one has ended.",
            code="batch_limit_reached",
            headers={"Retry-After": "60"},
        )
    files.make_room(user_id, size)


def underway() -> tuple[int, int]:
    """How many batches are open, and how many of their requests have not ended."""
    done = F("succeeded") + F("errored") + F("canceled") + F("expired")
    found = Batch.objects.filter(status__in=OPEN).aggregate(
        batches=Count("pk"), waiting=Sum(F("total") - done)
    )
    return int(found["batches"]), int(found["waiting"] or 0)


def cancel(batch: Batch) -> None:
    """Nothing more of it is sent; what runs may end. Twice is once, and so is after its end."""
    Batch.objects.filter(pk=batch.pk, status=Status.IN_PROGRESS).update(
        status=Status.CANCELLING, cancelling_at=timezone.now()
    )
    batch.refresh_from_db()


def delete(batch: Batch) -> None:
    """Raises BadRequest while it is open."""
    if batch.open:
        raise BadRequest("A batch must have ended, or be cancelled, before it can be deleted.")
    batch.delete()


# -- Its runner's side ---------------------------------------------------------------------------


def _free() -> Q:
    return Q(lease_until=None) | Q(lease_until__lt=Now())


def claim(runner: str, most: int) -> list[Batch]:
    """Take over batches that nobody runs, the oldest first."""
    waiting = Batch.objects.filter(_free(), status__in=OPEN).order_by("created_at", "pk")
    claimed = []
    for pk in list(waiting.values_list("pk", flat=True)[:most]):
        mine = Batch.objects.filter(_free(), pk=pk, status__in=OPEN)
        if mine.update(runner=runner, lease_until=Now() + LEASE):
            claimed.append(pk)
    return list(Batch.objects.filter(pk__in=claimed).order_by("created_at", "pk"))


def renew(batch: Batch, runner: str) -> Batch | None:
    """It is run still; as it is now. None if somebody else has it, or it has ended."""
    mine = Batch.objects.filter(pk=batch.pk, runner=runner, status__in=OPEN)
    if not mine.update(lease_until=Now() + LEASE):
        return None
    return mine.first()


def release(batch: Batch, runner: str) -> None:
    """Anybody may run it on, at once."""
    Batch.objects.filter(pk=batch.pk, runner=runner).update(lease_until=None)


def waiting(batch: Batch, most: int) -> list[BatchRequest]:
    """The first of those that wait."""
    found = batch.requests.filter(state=State.WAITING).defer("body", "answer")
    return list(found.order_by("number")[:most])


def body(request: BatchRequest) -> bytes:
    """What is sent. Raises NotFound where the key to it is gone."""
    return opened(BatchRequest.objects.values_list("body", flat=True).get(pk=request.pk))


def waiting_bound(batch: Batch) -> int:
    """What those that wait can cost at most."""
    found = batch.requests.filter(state=State.WAITING).aggregate(n=Sum("bound"))
    return int(found["n"] or 0)


def send(request: BatchRequest, request_id: str) -> bool:
    """It is about to be sent under that id. False if somebody else has it."""
    mine = BatchRequest.objects.filter(pk=request.pk, state=State.WAITING)
    request.request_id = request_id
    return bool(
        mine.update(
            state=State.RUNNING,
            request_id=request_id,
            sent_at=timezone.now(),
            attempts=F("attempts") + 1,
        )
    )


def put_back(request: BatchRequest, *, attempted: bool) -> None:
    """It cost nothing, and is sent again; `attempted` if its failure counts."""
    mine = BatchRequest.objects.filter(
        pk=request.pk, state=State.RUNNING, request_id=request.request_id
    )
    back = 0 if attempted else 1
    mine.update(state=State.WAITING, request_id="", attempts=F("attempts") - back)


@transaction.atomic
def end(batch: Batch, request: BatchRequest, state: State, status: int, answer: bytes) -> bool:
    """A request has ended. False if somebody else has said so before."""
    request.state, request.status = state, status
    size = len(results.line(batch, request, answer))
    found = BatchRequest.objects.filter(
        pk=request.pk,
        state__in=(State.WAITING, State.RUNNING),
        request_id__in=("", request.request_id),
    )
    written = found.update(
        state=state,
        request_id=request.request_id,
        status=status,
        cost=request.cost,
        answer=sealed(answer),
        size=size,
        body=b"",
    )
    if written:
        count = ended(state)
        changes = {count: F(count) + 1, "cost": F("cost") + request.cost}
        Batch.objects.filter(pk=batch.pk).update(bytes=F("bytes") + size - request.size, **changes)
    return bool(written)


@transaction.atomic
def skip(batch: Batch, state: State) -> None:
    """None of those that wait is sent any more."""
    left = batch.requests.filter(state=State.WAITING)
    freed = int(left.aggregate(n=Sum("size"))["n"] or 0)
    gone = left.update(state=state, body=b"", size=0)
    count = ended(state)
    Batch.objects.filter(pk=batch.pk).update(bytes=F("bytes") - freed, **{count: F(count) + gone})


def running(batch: Batch) -> list[BatchRequest]:
    """Those that were sent, as far as is known, and have not ended."""
    found = batch.requests.filter(state=State.RUNNING).defer("body", "answer")
    return list(found.order_by("number"))


def charged(request: BatchRequest) -> int | None:
    """What the books say a request has cost; None if they do not know it (yet)."""
    found = UsageEvent.objects.filter(pk=uuid.UUID(hex=request.request_id.removeprefix("req_")))
    return found.values_list("cost", flat=True).first()


@transaction.atomic
def close(batch: Batch, runner: str, status: Status) -> None:
    """All of it has ended: its results are files now."""
    now = timezone.now()
    mine = Batch.objects.filter(pk=batch.pk, runner=runner, status__in=OPEN)
    if not mine.update(status=status, ended_at=now, lease_until=None):
        return
    batch.refresh_from_db()
    if not batch.is_anthropic:
        _results(batch, now)


def _results(batch: Batch, now: datetime) -> None:
    for errors, count in ((False, batch.succeeded), (True, batch.done - batch.succeeded)):
        if count:
            StoredFile.objects.create(
                id=f"file-{uuid.uuid4().hex}",
                user_id=batch.user_id,
                name=f"{batch.id}_{'error' if errors else 'output'}.jsonl",
                purpose=files.OUTPUT,
                bytes=results.size(batch, errors=errors),
                created_at=now,
                expires_at=now + timedelta(seconds=batch.keeps_seconds),
                batch=batch,
                errors=errors,
            )
