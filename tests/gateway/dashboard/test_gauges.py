"""The limits as the overview shows them: when a window opened, resets, and runs out."""

from datetime import UTC, datetime, timedelta

import pytest

from accounts.keys import api_keys
from accounts.models import ApiKey
from billing.plans.seed import seed
from gateway.dashboard import gauges
from gateway.dashboard.gauges import gauge
from hontoni.money import nanos
from tests.gateway_server import Gateway, fund
from tests.world import Person

pytestmark = pytest.mark.any_database

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
HOUR = 3_600_000


def test_a_window_that_runs_out_says_when() -> None:
    found = gauge(("5h", 20, 10, 4 * HOUR), NOW)  # ten of twenty in the first hour
    assert found.opened_at == NOW - timedelta(hours=1)
    assert found.resets_at == NOW + timedelta(hours=4)
    assert found.empties_at == NOW + timedelta(hours=1)
    assert (found.percent, found.level) == (50, "high")


@pytest.mark.parametrize(
    ("used", "reset_ms"),
    [
        (4, 1 * HOUR),  # four in four hours: the fifth hour needs one more
        (10, 5 * HOUR - 60_000),  # a minute tells nothing about five hours
        (20, 4 * HOUR),  # it is empty already
    ],
)
def test_a_forecast_is_made_only_where_it_tells_something(used: int, reset_ms: int) -> None:
    assert gauge(("5h", 20, used, reset_ms), NOW).empties_at is None


def test_levels() -> None:
    assert gauge(("daily", 10, 10, HOUR), NOW).level == "full"
    assert gauge(("rpm", 10, 8, 1000), NOW).level == "high"
    assert gauge(("rpm", 0, 8, 1000), NOW).level == "fine"  # no such limit
    assert gauge(("5h", 20, 0, 0), NOW).opened_at is None


def test_a_key_never_used_stands_at_zero(alice: Person) -> None:
    seed()
    assert [(g.name, g.used) for g in gauges.of_key(alice.key)] == [
        *(("rpm", 0), ("5h", 0), ("daily", 0), ("weekly", 0), ("monthly", 0), ("concurrent", 0))
    ]


def test_a_request_is_counted_in_every_window(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    assert gateway.chat(alice).status_code == 200
    found = gauges.of_key(alice.key)
    assert [g.used for g in found] == [1, 1, 1, 1, 1, 0]
    assert found[1].limit == 20 and found[5].limit == 1


def test_a_spend_cap_is_a_gauge_too(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    api_keys.change(
        alice.key, daily_cap=nanos("5"), monthly_cap=nanos("50"), lifetime_cap=nanos("60")
    )
    assert gateway.chat(alice).status_code == 200
    (event,) = gateway.books()
    key = ApiKey.objects.get(pk=alice.key.pk)
    *_, day, month, life = gauges.of_key(key)
    assert (day.name, day.limit, day.used) == ("spend_day", nanos("5"), event.cost)
    assert (month.name, month.limit, month.used) == ("spend_month", nanos("50"), event.cost)
    assert (life.name, life.limit, life.used) == ("spend_life", nanos("60"), event.cost)
    assert life.resets_at is None and life.empties_at is None
    assert day.is_money and day.opened_at and day.resets_at
    assert day.resets_at - day.opened_at == timedelta(days=1)
    assert month.opened_at and month.opened_at.day == 1
