"""Billing periods: every boundary is counted from the anchor, in UTC.

A month without the anchor's day ends the period on its last day; the next one returns to the
anchor's day (https://docs.stripe.com/billing/subscriptions/billing-cycle).
"""

import calendar
from datetime import UTC, datetime

from sandbox.stripe.clock import DAY
from sandbox.stripe.errors import Object

DAYS = {"day": 1, "week": 7}
MONTHS = {"month": 1, "year": 12}


def boundary(anchor: int, recurring: Object, number: int) -> int:
    """The end of the `number`-th period after the anchor, in seconds since the epoch."""
    interval, steps = recurring["interval"], recurring["interval_count"] * number
    if interval in DAYS:
        return anchor + int(steps) * DAYS[interval] * DAY
    start = datetime.fromtimestamp(anchor, UTC)
    months = start.year * 12 + start.month - 1 + steps * MONTHS[interval]
    year, month = divmod(months, 12)
    day = min(start.day, calendar.monthrange(year, month + 1)[1])
    return int(start.replace(year=year, month=month + 1, day=day).timestamp())


def end_after(anchor: int, recurring: Object, at: int) -> int:
    """The first boundary later than `at`."""
    number = 0
    while (end := boundary(anchor, recurring, number)) <= at:
        number += 1
    return end


def day(at: int) -> str:
    """A date as Stripe writes it on invoices: `12 Oct 2026`."""
    return datetime.fromtimestamp(at, UTC).strftime("%d %b %Y")
