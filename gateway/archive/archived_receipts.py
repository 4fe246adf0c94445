"""A receipt out of the archive, for whom it belongs to."""

import time
import uuid
from collections.abc import Iterator
from itertools import islice
from typing import Any

import orjson

from billing.books import archived, checkpoints
from billing.books.archived import reading
from billing.books.models import Checkpoint
from gateway.usage import ledger_roots
from gateway.usage.models import UsageEvent


@reading()
def find(user_id: int | None, request: uuid.UUID) -> UsageEvent | None:
    """A request of this account's (None: of whichever) that is in the archive alone. Raises
    Unavailable."""
    first = checkpoints.containing(request)
    if first is None:
        return None
    wanted: dict[str, Any] = {"request_id": f"req_{request.hex}"}
    if user_id is not None:
        wanted["user_id"] = user_id
    for each in [first, *_with_late_ones(first)]:
        for row in _rows(each, USAGE, **wanted):
            return event_of(row)
    return None


@reading()
def proof(event: UsageEvent) -> dict[str, Any] | None:
    """From a request in the archive to the root of the ledger it is under. Raises Unavailable."""
    first = checkpoints.containing(event.pk)
    if first is None or event.batch is None:
        return None
    key = f"usage:req_{event.batch.hex}"
    for each in Checkpoint.objects.filter(number__gte=first.number).order_by("number")[:_NEAR]:
        for row in _rows(each, archived.TRANSFERS, key=key):
            charge = archived.transfer_of(row)
            return ledger_roots.path(event, charge, _charged(event, first))
    return None


@reading()
def by_vendors_id(text: str, seconds: float, most: int) -> list[UsageEvent]:
    """Requests in the archive alone that a vendor calls so: the newest month first, as far back
    as so many seconds go. Raises Unavailable."""
    until = time.monotonic() + seconds
    for each in Checkpoint.objects.order_by("-number"):
        rows = _rows(each, USAGE, upstream_request_id=text)
        if found := [event_of(row) for row in islice(rows, most)]:
            return found
        if time.monotonic() > until:
            break
    return []


USAGE = 0  # the place among a checkpoint's files
_NEAR = 3  # a request is charged in its month or the next one, and rarely later


def _charged(event: UsageEvent, first: Checkpoint) -> list[ledger_roots.Charged]:
    """The requests that were charged with this one."""
    wanted = {"user_id": event.user_id, "batch": event.batch and event.batch.hex}
    found = (event_of(row) for near in _around(first) for row in _rows(near, USAGE, **wanted))
    return sorted((each.pk, each.cost) for each in found)


def _around(checkpoint: Checkpoint) -> list[Checkpoint]:
    """Those that may have requests of one charge."""
    near = (checkpoint.number - 1, checkpoint.number + _NEAR)
    return list(Checkpoint.objects.filter(number__range=near).order_by("number"))


def _rows(checkpoint: Checkpoint, place: int, **wanted: Any) -> Iterator[dict[str, Any]]:
    with archived.file(checkpoint, place) as file:
        yield from file.rows(**{column: (value, value) for column, value in wanted.items()})


def _with_late_ones(first: Checkpoint) -> list[Checkpoint]:
    """Later ones, which have requests that came when their own month was gone."""
    later = Checkpoint.objects.filter(number__gt=first.number).order_by("number")
    return [each for each in later if checkpoints.contents(each)["usage"]["late"]]


def event_of(row: dict[str, Any]) -> UsageEvent:
    """As it was in the database."""
    batch = row["batch"]
    return UsageEvent(
        **{name: value for name, value in row.items() if name not in _SPELLED},
        id=uuid.UUID(hex=row["request_id"].removeprefix("req_")),
        batch=uuid.UUID(hex=batch) if batch else None,
        details=orjson.loads(row["details"]),
    )


_SPELLED = ("request_id", "batch", "details")
