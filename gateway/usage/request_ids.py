"""Moments as request ids: a UUIDv7 begins with its time, so a range of time is a range of ids."""

import uuid


def first_id(moment: float) -> uuid.UUID:
    """The smallest UUIDv7 of an epoch second's millisecond (RFC 9562 section 5.7)."""
    return uuid.UUID(int=max(0, round(moment * 1000)) << 80)
