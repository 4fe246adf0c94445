"""Months by UTC, each named by its first moment."""

from datetime import UTC, date, datetime


def begin(moment: datetime) -> datetime:
    """The month a moment lies in."""
    at = moment.astimezone(UTC)
    return datetime(at.year, at.month, 1, tzinfo=UTC)


def of_day(day: date) -> datetime:
    """The month of a date."""
    return datetime(day.year, day.month, 1, tzinfo=UTC)


def shifted(month: datetime, by: int) -> datetime:
    """So many months later."""
    number = month.year * 12 + month.month - 1 + by
    return datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC)


def name(month: datetime) -> str:
    """As 2026-11."""
    return f"{month:%Y-%m}"
