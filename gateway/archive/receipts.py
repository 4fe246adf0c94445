"""A receipt out of the archive, for whom it belongs to."""

import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson

from billing.books import checkpoints
from billing.books.models import Checkpoint, LedgerAccount, Transfer
from gateway.usage import ledger_roots
from gateway.usage.models import UsageEvent
from hontoni import storage
from hontoni.errors import Unavailable

logger = logging.getLogger(__name__)


@contextmanager
def reading() -> Iterator[None]:
    """Where the archive is away, that is said as of any other store. Raises Unavailable."""
    try:
        yield
    except storage.ERRORS as error:
        logger.error("archive.away: %r", error)
        raise Unavailable("Older requests cannot be read right now. Try again.") from error


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
        for row in _rows(each, _USAGE, **wanted):
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
        for row in _rows(each, _TRANSFERS, key=key):
            return ledger_roots.path(event, _transfer_of(row), _charged(event, first))
    return None


_USAGE, _TRANSFERS = 0, 1  # the places of a checkpoint's files
_NEAR = 3  # a request is charged in its month or the next one, and rarely later


def _charged(event: UsageEvent, first: Checkpoint) -> list[ledger_roots.Charged]:
    """The requests that were charged with this one."""
    wanted = {"user_id": event.user_id, "batch": event.batch and event.batch.hex}
    found = (event_of(row) for near in _around(first) for row in _rows(near, _USAGE, **wanted))
    return sorted((each.pk, each.cost) for each in found)


def _around(checkpoint: Checkpoint) -> list[Checkpoint]:
    """Those that may have requests of one charge."""
    near = (checkpoint.number - 1, checkpoint.number + _NEAR)
    return list(Checkpoint.objects.filter(number__range=near).order_by("number"))


def _rows(checkpoint: Checkpoint, place: int, **wanted: Any) -> Iterator[dict[str, Any]]:
    from gateway.archive import tables  # Arrow is 50 MB, which a gateway needs for nothing else

    yield from tables.find(checkpoints.contents(checkpoint)["files"][place]["name"], **wanted)


def _transfer_of(row: dict[str, Any]) -> Transfer:
    """As it was in the database, as far as it is shown."""
    return Transfer(
        pk=row["id"],
        kind=row["kind"],
        amount=row["amount"],
        debit=LedgerAccount(pk=1, code=row["debit"]),
        credit=LedgerAccount(pk=2, code=row["credit"]),
        created_at=row["created_at"],
    )


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
