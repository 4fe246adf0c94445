"""Usage of all customers over days, of ten million requests as quickly as of ten.

    whole days, summed  from SummedDay and CustomerDay
    everything else     from the hourly rollup, by its index on the hour: today, and a day that
                        changed since it was summed (late usage, a correction)

Whether a day changed is seen by what settlement books in the same transaction, by vendor and day
(UsageVendorDay, a few rows a day). So what is read here is never older than the books.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q, Sum
from django.db.models.functions import TruncDay

from cockpit.models import CustomerDay, SummedDay
from gateway.usage.models import UsageHour
from gateway.usage.vendor_day import UsageVendorDay

KEPT_DAYS = 190  # two spans of 90 days, and some: what is summed ahead
_SUMS = ("requests", "errors", "cost")


@dataclass(frozen=True, slots=True)
class Period:
    """From a full hour on, to before another moment."""

    begin: datetime
    end: datetime

    @property
    def days(self) -> Iterator[date]:
        """The days (UTC) that lie in it whole."""
        day = self.begin.date() + timedelta(days=self.begin.time() != time())
        while midnight(day + timedelta(days=1)) <= self.end:
            yield day
            day += timedelta(days=1)


@dataclass(slots=True)
class Used:
    """Requests, those of them that failed, and nano-dollars charged."""

    requests: int = 0
    errors: int = 0
    cost: int = 0

    def add(self, requests: int, errors: int, cost: int) -> None:
        self.requests += requests
        self.errors += errors
        self.cost += cost


def midnight(day: date) -> datetime:
    """When that day (UTC) begins."""
    return datetime.combine(day, time(), UTC)


def total(period: Period) -> Used:
    """All customers together."""
    whole = Used()
    for each in by_day(period).values():
        whole.add(each.requests, each.errors, each.cost)
    return whole


def by_day(period: Period) -> dict[date, Used]:
    """All customers together, by day; of a day that is not in it whole, the part that is."""
    good = _good(period)
    found: defaultdict[date, Used] = defaultdict(Used)
    for row in good.values():
        found[row.day].add(row.requests, row.errors, row.cost)
    days = TruncDay("hour", tzinfo=UTC)
    for day, *sums in _hours(period, set(good), days):
        found[day.date()].add(*sums)
    return dict(sorted(found.items()))


def by_customer(period: Period) -> dict[int, Used]:
    """By the id of the account; who used nothing is not in it."""
    good = set(_good(period))
    found: defaultdict[int, Used] = defaultdict(Used)
    rows = CustomerDay.objects.filter(day__in=good).values_list("user").order_by()
    for user, *sums in rows.annotate(*map(Sum, _SUMS)) if good else ():
        found[user].add(*sums)
    for user, *sums in _hours(period, good, "user"):
        found[user].add(*sums)
    return dict(found)


def _hours(period: Period, without: set[date], by: Any) -> Iterator[tuple[Any, int, int, int]]:
    """The hourly rollup of a period without these days, in one statement."""
    wanted = Q(pk__in=[])
    for begin, end in _gaps(period, without):
        wanted |= Q(hour__gte=begin, hour__lt=end)
    rows = UsageHour.objects.filter(wanted).order_by()
    named = rows.annotate(by=by) if not isinstance(by, str) else rows
    name = "by" if not isinstance(by, str) else by
    return named.values_list(name).annotate(*map(Sum, _SUMS)).iterator()


def _gaps(period: Period, without: set[date]) -> Iterator[tuple[datetime, datetime]]:
    """What is left of a period when these days are taken out of it, as few pieces."""
    begin = period.begin
    for day in sorted(without):
        if begin < midnight(day):
            yield begin, midnight(day)
        begin = midnight(day + timedelta(days=1))
    if begin < period.end:
        yield begin, period.end


# -- Summing ahead -------------------------------------------------------------------------------


def _good(period: Period) -> dict[date, SummedDay]:
    """The whole days of a period that are summed, and have not changed since."""
    days = list(period.days)
    if not days:
        return {}
    booked = _booked(days[0], days[-1])
    rows = SummedDay.objects.filter(day__gte=days[0], day__lte=days[-1])
    return {row.day: row for row in rows if booked[row.day] == _seen(row)}


def _seen(row: SummedDay) -> tuple[int, int]:
    return row.booked_requests, row.booked_cost


def _booked(first: date, last: date) -> defaultdict[date, tuple[int, int]]:
    """What settlement has booked: requests and nano-dollars, by day."""
    rows = UsageVendorDay.objects.filter(day__gte=first, day__lte=last).order_by()
    sums = rows.values_list("day").annotate(Sum("requests"), Sum("cost"))
    found: defaultdict[date, tuple[int, int]] = defaultdict(lambda: (0, 0))
    found.update({day: (requests, cost) for day, requests, cost in sums})
    return found


def catch_up(now: datetime) -> int:
    """Sum what is past and not summed, or has changed since; how many days that were."""
    today = now.astimezone(UTC).date()
    period = Period(midnight(today - timedelta(days=KEPT_DAYS)), midnight(today))
    due = set(period.days) - set(_good(period))
    for day in sorted(due, reverse=True):
        add_up(day)
    return len(due)


@transaction.atomic
def add_up(day: date) -> None:
    """Sum one day anew. Two at once do it one after the other."""
    nothing = dict.fromkeys(("requests", "errors", "cost", "booked_requests", "booked_cost"), 0)
    SummedDay.objects.bulk_create([SummedDay(day=day, **nothing)], ignore_conflicts=True)
    row = SummedDay.objects.select_for_update().get(pk=day)
    # Read before the sums: what is booked meanwhile makes the day one that has changed.
    row.booked_requests, row.booked_cost = _booked(day, day)[day]
    whole, period = Used(), Period(midnight(day), midnight(day + timedelta(days=1)))
    CustomerDay.objects.filter(day=day).delete()
    customers = []
    for user, requests, errors, cost in _hours(period, set(), "user"):
        sums = {"requests": requests, "errors": errors, "cost": cost}
        customers.append(CustomerDay(day=day, user_id=user, **sums))
        whole.add(requests, errors, cost)
    CustomerDay.objects.bulk_create(customers, batch_size=1_000)
    row.requests, row.errors, row.cost = whole.requests, whole.errors, whole.cost
    row.save()
