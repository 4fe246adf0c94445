"""What cards pay for plans is revenue as what balances pay: on the home, and for accountants."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from accounts.models import User
from billing.payments import refunds
from billing.payments.exports import EXPORTS
from cockpit import figures, growth_reports
from cockpit.figures import Span
from hontoni.money import nanos
from tests.billing.conftest import committed
from tests.billing.shop import Shop

pytestmark = [committed, pytest.mark.any_database]


def test_a_plan_by_card_is_revenue_and_what_goes_back_is_none(
    shop: Shop, bob: User, paid: str
) -> None:
    span = Span(timezone.now() + timedelta(minutes=1), 7)
    assert figures.sold([span, span.previous]) == [nanos("6"), 0]
    assert figures.fees(span) == {bob.pk: nanos("6")}
    assert figures.payers([bob.pk]) == {bob.pk}, "who has a plan by card has paid"
    assert "1 (100 %)" in [cell.text for row in growth_reports.cohorts(span).rows for cell in row]
    [choice] = refunds.choices(bob.pk)
    payment = refunds.find(bob.pk, choice.subject)
    refunds.refund(payment, 200, key="once", reason="Sorry", actor="finance@example.com")
    assert figures.sold([span]) == [nanos("4")] and figures.fees(span) == {bob.pk: nanos("4")}


def test_accountants_find_what_stripe_invoiced(shop: Shop, bob: User, paid: str) -> None:
    shop.top_up(bob, "25")
    payment = refunds.find(bob.pk, refunds.choices(bob.pk)[-1].subject)
    refunds.refund(payment, 200, key="once", reason="Sorry", actor="finance@example.com")
    now = timezone.now()
    begin = now - timedelta(hours=1)
    rows = {str(row[12]): row for row in EXPORTS["invoices"].rows(begin, now)}
    assert {total: row[1] for total, row in rows.items()} == {
        "6.00": "stripe",
        "25.00": "stripe",
        "-2.00": "credit_note",
    }
    assert rows["-2.00"][15] == rows["6.00"][0], "it names what Stripe numbered"
    taxed = list(EXPORTS["tax"].rows(begin, now))
    assert sum(Decimal(str(row[6])) for row in taxed) == 29


def test_what_is_bought_later_is_counted_once(shop: Shop, bob: User, paid: str) -> None:
    shop.api(bob).post("/api/addons", {"add_on": "rate-limit-2x"})
    shop.knobs(duplicate=2)
    shop.deliver()
    span = Span(timezone.now() + timedelta(minutes=1), 7)
    took = sum(intent.amount_received for intent in shop.intents())
    assert took > 600 and figures.sold([span]) == [took * 10_000_000]
