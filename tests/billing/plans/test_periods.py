from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.plans.periods import first_end, next_end, share
from hontoni.money import CENT

START = datetime(2026, 11, 22, 12, 30, tzinfo=UTC)
amounts = st.integers(0, 10**13)


@pytest.mark.parametrize("day", range(1, 32))
def test_a_subscription_keeps_its_day_through_shorter_months(day: int) -> None:
    start = datetime(2027, 1, day, 12, 30, tzinfo=UTC)
    end = first_end(start)
    for _ in range(36):  # with a leap year among them
        start, end = end, next_end(start, end)
        assert (end.year * 12 + end.month) - (start.year * 12 + start.month) == 1
        last_of_month = (end + timedelta(days=1)).day == 1
        assert end.day == day or (end.day < day and last_of_month)
        assert (end.hour, end.minute) == (12, 30)


def test_after_a_trial_the_day_of_its_end_counts() -> None:
    start = datetime(2026, 11, 28, tzinfo=UTC)
    end = start + timedelta(days=14)
    assert next_end(start, end) == datetime(2027, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("amount", "left", "expected"),
    [
        (100, 30, 100),
        (100, 15, 50),
        (100, 0, 0),
        (100, -3, 0),
        (100, 33, 100),
        (1, 15, 1),  # half up
        (1, 14, 0),
        (-1, 15, -1),
        (-1, 14, 0),
    ],
)
def test_a_share_is_rounded_half_up_to_a_cent(amount: int, left: int, expected: int) -> None:
    end = first_end(START)
    now = end - timedelta(days=left)
    assert share(amount * CENT, start=START, end=end, now=now) == expected * CENT


@given(amounts, st.integers(0, 31 * 86_400))
def test_a_share_is_a_cent_that_is_next_to_it(amount: int, second: int) -> None:
    end = START + timedelta(days=31)
    got = share(amount, start=START, end=end, now=START + timedelta(seconds=second))
    exact_times_total = amount * (31 * 86_400 - second)
    assert abs(2 * (got * 31 * 86_400 - exact_times_total)) <= 31 * 86_400 * CENT
    assert got % CENT == 0


def test_a_period_shorter_than_a_month_has_only_its_share() -> None:
    end = START + timedelta(days=15)
    assert share(100 * CENT, start=START, end=end, now=START) == 50 * CENT
    assert share(100 * CENT, start=START, end=end, now=START + timedelta(days=9)) == 20 * CENT


def test_a_period_longer_than_a_month_costs_every_month_of_it() -> None:
    year = datetime(2027, 11, 22, 12, 30, tzinfo=UTC)
    assert share(100 * CENT, start=START, end=year, now=START) == 1200 * CENT
    last = datetime(2027, 10, 22, 12, 30, tzinfo=UTC)  # 31 of its 365 days are left
    assert share(100 * CENT, start=START, end=year, now=last) == 102 * CENT
    half = START + timedelta(days=45)  # a month of 30 days, and 15 of the next one's 31
    assert share(100 * CENT, start=START, end=half, now=START) == 148 * CENT


@pytest.mark.parametrize("days", [28, 29, 30, 31])
def test_a_month_is_a_month_wherever_it_was_moved(days: int) -> None:
    for start in (START, datetime(2027, 2, 28, tzinfo=UTC), datetime(2028, 1, 31, tzinfo=UTC)):
        end = start + timedelta(days=days)
        got = share(100 * CENT, start=start, end=end, now=start)
        assert got == 100 * CENT or end < first_end(start)
