"""Moments as request ids: a UUIDv7 begins with its time, so a range of time is a range of ids."""

import uuid
from datetime import UTC, datetime


def first_id(moment: float) -> uuid.UUID:
    """The smallest UUIDv7 of an epoch second's millisecond (RFC 9562 section 5.7)."""
    return uuid.UUID(int=max(0, round(moment * 1000)) << 80)


def made_at(request_id: str) -> datetime | None:
    """When a request of /v1 got its id (`req_…`); None for what is no such id."""
    try:
        known = uuid.UUID(hex=request_id.removeprefix("req_"))
        return (
            datetime.fromtimestamp((known.int >> 80) / 1000, UTC) if known.version == 7 else None
        )
    except (ValueError, OverflowError, OSError):
        return None
