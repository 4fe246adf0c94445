"""Usage events by month, on Postgres (hontoni/partitions.py): their ids are UUIDv7."""

import uuid
from datetime import UTC, datetime

from gateway.usage.request_ids import first_id
from hontoni import months
from hontoni.partitions import Monthly


def first_of(month: datetime) -> uuid.UUID:
    """The smallest id of a month."""
    return first_id(month.timestamp())


def moment_of(request: uuid.UUID) -> datetime:
    """When a request was sent. Raises ValueError of what no clock has made."""
    return datetime.fromtimestamp((request.int >> 80) / 1000, UTC)


def month_of(request: uuid.UUID) -> datetime:
    """The month a request was sent in. Raises as `moment_of`."""
    return months.begin(moment_of(request))


EVENTS = Monthly(
    "gateway_usageevent",
    lambda month: str(first_of(month)),
    lambda bound: month_of(uuid.UUID(bound)),
)
