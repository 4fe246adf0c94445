"""Everything else that tells what requests cost, after some of them were corrected."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from billing.invoices import statements
from gateway.reconciliation.invariants import problems
from gateway.reconciliation.vendors.earnings import margins
from gateway.usage import vendor_days
from gateway.usage.vendor_day import UsageVendorDay
from hontoni import redis
from hontoni.money import dollars
from ratelimits import keys
from tests.gateway.usage.test_corrections import COST, USED, first_version, reprice, used, version
from tests.gateway_server import Gateway, fund
from tests.world import Person


@pytest.fixture
def corrected(gateway: Gateway, alice: Person) -> Person:
    """Alice paid ten times the price for two requests, and has nine of them back."""
    fund(alice, "10")
    version(10)
    used(gateway, alice, times=2)
    reprice(first_version(), "--apply", "--reason", "A zero too many.")
    return alice


def test_the_sums_by_credential_and_the_margins_say_what_was_paid_in_the_end(
    corrected: Person,
) -> None:
    day = timezone.now().date()
    (row,) = UsageVendorDay.objects.all()
    assert (row.requests, row.cost, row.part) == (2, 2 * COST, "charged")
    assert [m.revenue for m in margins("model", day, day)] == [2 * COST]
    assert list(vendor_days.problems(day, day)) == [] and problems() == []
    vendor_days.rebuild(day, day)
    (again,) = UsageVendorDay.objects.values(*vendor_days.SUMS)
    assert again == {name: getattr(row, name) for name in vendor_days.SUMS}


def test_a_statement_has_what_was_charged_and_the_correction_on_a_line_of_its_own(
    corrected: Person,
) -> None:
    now = timezone.now()
    told = statements.of(corrected.user.pk, f"{now:%Y-%m}", now)
    (usage,), (line,) = told.of("usage"), told.of("corrections")
    assert (usage.text, usage.exact) == ("gpt-4o", -20 * COST)
    assert (line.text, line.exact) == ("A zero too many.", 18 * COST)
    assert line.number.startswith("CN-")
    assert [each.kind for each in told.of("credits")] == ["adjustment"]
    assert told.opening + sum(each.shown for each in told.lines) == told.closing
    answer = corrected.client().get(f"/api/billing/statements/{told.month}").json()
    assert answer["totals"]["corrections"] == dollars(line.shown)
    client = Client()
    client.force_login(corrected.user)
    page = client.get(f"/billing/statements/{told.month}").content.decode()
    assert "Corrections of usage" in page and "A zero too many." in page


def test_what_a_statement_said_of_usage_is_not_changed_by_a_correction(
    gateway: Gateway, alice: Person
) -> None:
    fund(alice, "10")
    version(10)
    used(gateway, alice)
    month, later = f"{timezone.now():%Y-%m}", timezone.now() + timedelta(days=32)
    before = statements.of(alice.user.pk, month, later).of("usage")
    reprice(first_version(), "--apply", "--reason", "Sorry.")
    now = statements.of(alice.user.pk, month, later).of("usage")
    assert [(line.text, line.exact) for line in before] == [("gpt-4o", -10 * COST)]
    assert [(line.text, line.exact) for line in now] == [("gpt-4o", -10 * COST)]


def test_a_cap_for_life_counts_what_was_corrected(gateway: Gateway, alice: Person) -> None:
    fund(alice, "10")
    alice.client().patch(
        f"/api/keys/{alice.key.pk}", {"lifetime_spend_cap": "0.15"}, format="json"
    )
    version(10)
    used(gateway, alice)
    refused = gateway.chat(alice, USED, max_tokens=1000)
    assert refused.status_code == 402 and "cap" in refused.json()["error"]["code"]
    reprice(version(1), "--apply", "--reason", "Sorry.")
    assert gateway.chat(alice, USED, max_tokens=1000).status_code == 200
    stored = redis.sync().hgetall(keys.spend(alice.user.pk, alice.key.purse))
    assert int(stored[b"life.spent"]) == 2 * COST
