"""Sums of days say what the hourly rollup says, whenever they were made."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from cockpit import daily
from cockpit.daily import Period, Used, midnight
from cockpit.models import CustomerDay, SummedDay
from gateway.usage.models import UsageHour
from gateway.usage.vendor_day import UsageVendorDay
from tests.gateway.usage.test_quarantine import staff
from tests.world import Person

NOW = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)
TODAY = NOW.date()
WEEK = Period(midnight(TODAY - timedelta(days=6)), NOW.replace(hour=16, minute=0))


def booked(person: Person, at: datetime, requests: int, cost: int) -> None:
    """As settlement writes it: the hour of the customer, and the vendor's day."""
    hour = at.replace(minute=0, second=0, microsecond=0)
    row, _ = UsageHour.objects.get_or_create(
        user=person.user, api_key=person.key, hour=hour, model="gpt-4o"
    )
    row.requests, row.cost = row.requests + requests, row.cost + cost
    row.save()
    day, _ = UsageVendorDay.objects.get_or_create(
        day=at.date(), vendor="openai", credential="x", model="gpt-4o", part="charged"
    )
    day.requests, day.cost = day.requests + requests, day.cost + cost
    day.save()


@pytest.fixture
def week(alice: Person, bob: Person) -> None:
    for ago in range(7):
        at = NOW - timedelta(days=ago)
        booked(alice, at, 10 + ago, 1_000)
        booked(bob, at.replace(hour=0), 1, 7 * ago)


def read() -> tuple[dict[int, Used], list[Used], Used]:
    return daily.by_customer(WEEK), list(daily.by_day(WEEK).values()), daily.total(WEEK)


def test_summed_or_not_it_is_the_same(week: None, alice: Person) -> None:
    before = read()
    assert before[0][alice.user.pk].requests == sum(10 + ago for ago in range(7))
    assert daily.catch_up(NOW) == daily.KEPT_DAYS
    assert not SummedDay.objects.filter(day=TODAY).exists(), "a day that runs is not summed"
    assert read() == before
    assert daily.catch_up(NOW) == 0


def test_the_sums_are_what_is_read(week: None, alice: Person) -> None:
    daily.catch_up(NOW)
    before = read()
    past = UsageHour.objects.filter(hour__lt=midnight(TODAY))
    past.update(requests=0, errors=0, cost=0)  # nobody looks there any more
    assert read() == before


@pytest.mark.parametrize("ago", [0, 1, 5])
def test_late_usage_and_corrections_are_seen_at_once(week: None, alice: Person, ago: int) -> None:
    daily.catch_up(NOW)
    before = daily.total(WEEK)
    booked(alice, NOW - timedelta(days=ago), 1, -400)
    for _ in range(2):
        now = daily.total(WEEK)
        assert (now.requests, now.cost) == (before.requests + 1, before.cost - 400)
        assert daily.catch_up(NOW) == (1 if ago and _ == 0 else 0)


def test_only_hours_of_the_period_count(week: None, alice: Person) -> None:
    daily.catch_up(NOW)
    until = (NOW - timedelta(days=2)).replace(hour=15, minute=0)
    half = Period(midnight(until.date()), until)
    assert alice.user.pk not in daily.by_customer(half)
    assert daily.total(Period(half.begin, until + timedelta(hours=1))).requests == 13


def test_an_hour_is_found_by_the_index(week: None) -> None:
    """However many years are in the table."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")
    rows = UsageHour.objects.filter(hour__gte=midnight(TODAY), hour__lt=NOW)
    assert "usage_hour_by_hour" in rows.explain()


@pytest.mark.any_database
def test_the_home_asks_as_much_of_many_customers_as_of_one(alice: Person, bob: Person) -> None:
    finance, now = staff("finance"), timezone.now()

    def asked() -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert finance.get("/admin/?days=30").status_code == 200
        return len(queries)

    booked(alice, now, 1, 1)
    daily.catch_up(now)
    asked()
    one = asked()
    for ago in range(40):
        booked(bob, now - timedelta(days=ago), 5, 100)
        booked(alice, now - timedelta(days=ago), 5, 100)
    daily.catch_up(now)
    assert asked() <= one + 2 and one < 90
    assert CustomerDay.objects.count() >= 60
