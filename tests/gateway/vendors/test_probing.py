"""What we ask vendors ourselves, to see how they are: rarely, within a budget, at our cost."""

import asyncio
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from gateway.catalogue import snapshot
from gateway.catalogue.models import Model
from gateway.plane.probing import TURN, Prober
from gateway.reconciliation.vendors.comparison import booked
from gateway.reconciliation.vendors.earnings import margins
from gateway.usage import probes, vendor_days
from gateway.usage.probes import VendorProbe
from gateway.usage.vendor_day import Part
from hontoni import redis
from hontoni.money import nanos
from tests.gateway.vendors.test_failover import error
from tests.gateway.vendors.world import credential
from tests.gateway_server import Gateway, fund
from tests.vendors import Vendors
from tests.world import Person

pytestmark = pytest.mark.outside_the_law  # nobody is charged for these


@pytest.fixture(autouse=True)
def no_other_round(gateway: Gateway) -> None:
    """The gateway's own rounds are another's turn."""
    redis.sync().set(TURN, "1", ex=600)


def on_the_gateway(work: str, *args: Any) -> Any:
    from hontoni.asgi import v1

    assert v1.upstream is not None
    prober, loop = Prober(v1.upstream), next(iter(v1._working)).get_loop()
    return asyncio.run_coroutine_threadsafe(getattr(prober, work)(*args), loop).result(30)


def only(*names: str) -> None:
    Model.objects.exclude(pk__in=names).update(active=False)
    snapshot.forget()


def test_nobody_is_asked_without_a_budget(gateway: Gateway, settings: Settings) -> None:
    only("gpt-4o")
    assert settings.PROBE_DAILY_DOLLARS == "0"
    assert on_the_gateway("round") == 0
    assert gateway.vendors.requests == []
    assert not VendorProbe.objects.exists()


@pytest.mark.both_databases
def test_each_vendor_that_is_idle_is_asked_a_little_at_our_cost(
    gateway: Gateway, settings: Settings
) -> None:
    settings.PROBE_DAILY_DOLLARS = "1"
    only("gpt-4o", "gpt-5.2", "claude-sonnet-4.5", "gemini-2.5-pro")
    assert on_the_gateway("round") == 4
    assert len(gateway.vendors.requests) == 4
    rows = list(VendorProbe.objects.all())
    assert {row.ok for row in rows} == {True}
    assert all(row.first_byte_ms is not None and row.tokens for row in rows)
    bills = {bill.model: bill for bill in gateway.vendors.sandbox.meter.bills}
    for row in rows:
        bill = bills[Model.objects.get(pk=row.model).upstream_id]
        counted = sum(line.tokens.prompt + line.tokens.output + line.tokens.reasoning
                      for line in bill.lines)  # fmt: skip
        assert row.tokens == counted
    assert 0 < probes.spent(timezone.now()) == sum(row.cost for row in rows)
    today = timezone.now().date()
    parts = {part for place in booked(today, today).values() for part in place}
    assert parts == {Part.PROBED}
    (earned,) = margins("day", today, today)
    assert (earned.revenue, earned.cost > 0) == (0, True)
    vendor_days.rebuild(today, today)
    assert set(booked(today, today)) and gateway.books() == []
    assert on_the_gateway("round") == 0  # they were asked just now


def test_the_budget_of_a_day_is_never_exceeded(gateway: Gateway, settings: Settings) -> None:
    only("gpt-4o")
    settings.PROBE_DAILY_DOLLARS = "0.0000001"
    assert on_the_gateway("round") == 0
    assert gateway.vendors.requests == []
    settings.PROBE_DAILY_DOLLARS = "1"
    VendorProbe.objects.create(credential="a/b", model="gpt-4o", cost=nanos("0.9999999"))
    assert on_the_gateway("round") == 0
    assert gateway.vendors.requests == []


def test_a_vendor_that_fails_a_probe_is_known_to_before_a_customer_asks(
    gateway: Gateway, alice: Person, first: Vendors, second: Vendors, settings: Settings
) -> None:
    fund(alice, "1")
    settings.PROBE_DAILY_DOLLARS = "1"
    only("gpt-4o")
    credential(first, "bad", weight=1000)
    credential(second, "good")
    first.faults.append(error(401, "authentication_error", "Bad key."))
    assert on_the_gateway("round") == 2
    failed = VendorProbe.objects.get(credential="bad/main")
    assert (failed.ok, failed.error, failed.cost) == (False, "authentication_error", 0)
    assert gateway.chat(alice).status_code == 200
    assert len(first.requests) == 1  # the probe alone
