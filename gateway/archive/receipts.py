"""A receipt out of the archive, for whom it belongs to."""

import uuid
from typing import Any

import orjson

from billing.books import checkpoints
from billing.books.models import Checkpoint
from gateway.usage.models import UsageEvent


def find(user_id: int | None, request: uuid.UUID) -> UsageEvent | None:
    """A request of this account's (None: of whichever) that is in the archive alone. Raises
    OSError, or what the storage raises, where the archive is away."""
    first = checkpoints.containing(request)
    if first is None:
        return None
    from gateway.archive import tables  # Arrow is 50 MB, which a gateway needs for nothing else

    for each in [first, *_with_late_ones(first)]:
        name = checkpoints.contents(each)["files"][0]["name"]
        wanted: dict[str, Any] = {"request_id": f"req_{request.hex}"}
        if user_id is not None:
            wanted["user_id"] = user_id
        for row in tables.find(name, **wanted):
            return event_of(row)
    return None


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
