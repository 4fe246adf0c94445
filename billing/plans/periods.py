"""Months, and shares of them. The clock is passed in; amounts are nano-dollars."""

import calendar
from datetime import datetime, timedelta
from fractions import Fraction

from hontoni.money import whole_cents

GRACE = timedelta(days=3)  # how long a plan goes on after the first try to renew it failed
NOTICE = timedelta(days=3)  # how long before a renewal it is announced
LONGEST_MONTH = timedelta(days=31)
_SECOND = timedelta(seconds=1)


def first_end(start: datetime) -> datetime:
    """A month later, on the same day, or the month's last: 31 January to 28 February."""
    return _next_month(start, start.day)


def next_end(start: datetime, end: datetime) -> datetime:
    """The end of the period after this one.

    A subscription of the 31st comes back to the 31st after every shorter month: no two months in
    a row are too short for a day, so one of the two dates still knows it. After a period that was
    not a month (a trial) the day of its end counts.
    """
    day = start.day if _next_month(start, start.day) == end else end.day
    return _next_month(end, day)


def _next_month(moment: datetime, day: int) -> datetime:
    year, month = divmod(moment.year * 12 + moment.month, 12)
    return moment.replace(
        year=year, month=month + 1, day=min(day, calendar.monthrange(year, month + 1)[1])
    )


def months(start: datetime, end: datetime) -> Fraction:
    """How many months a period is: a trial of a week a part of one, a gift of a year twelve."""
    if end - start <= LONGEST_MONTH:
        return min(_part(end - start, first_end(start) - start), Fraction(1))
    whole, last, following = 0, start, first_end(start)
    while following <= end:
        whole, last = whole + 1, following
        following = _next_month(following, start.day)
    return whole + _part(end - last, following - last)


def _part(some: timedelta, whole: timedelta) -> Fraction:
    return Fraction(some // _SECOND, whole // _SECOND)


def share(amount: int, *, start: datetime, end: datetime, now: datetime) -> int:
    """What of a price of `amount` a month falls on the rest of a period, by whole seconds.

    Rounded half up, once, to whole cents: what is quoted, charged and invoiced is one number.
    Nothing is left after the end, and all of it before the start. `amount` may be negative (a
    cheaper price replaces a dearer one).
    """
    length = (end - start) // _SECOND
    left = min(max((end - now) // _SECOND, 0), length)
    return whole_cents(Fraction(amount * left, max(length, 1)) * months(start, end))
