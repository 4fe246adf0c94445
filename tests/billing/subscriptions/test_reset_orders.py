"""A reset pass whose money comes from a saved card: charged once, or nothing is reset."""

import pytest
from django.utils import timezone

from accounts.models import User
from accounts.people.freezing import freeze
from billing.books import ledger
from billing.payments.models import TopUp
from billing.plans.models import Plan, ResetPass
from billing.subscriptions import balance_changes
from hontoni.money import DOLLAR
from tests.billing.conftest import committed
from tests.billing.shop import Shop
from tests.world import at_once

pytestmark = committed


@pytest.fixture
def poor(shop: Shop, bob: User) -> User:
    """Bob on Standard, a pass of which costs more than he has left."""
    Plan.objects.filter(slug="standard").update(reset_price=40 * DOLLAR)
    ledger.post(key="gift", kind="adjustment", user_id=bob.pk, amount=15 * DOLLAR, reason="x")
    plan = Plan.objects.get(slug="standard")
    balance_changes.subscribe(bob.pk, plan, now=timezone.now())
    return bob


def test_a_card_pays_what_the_balance_lacks(shop: Shop, poor: User) -> None:
    before = ledger.balance(poor.pk)
    card = shop.saved_card(poor)
    assert shop.api(poor).post("/api/subscription/reset", {}).status_code == 402
    had = ledger.balance(poor.pk)
    answer = shop.api(poor).post("/api/subscription/reset", {"card": card, "price": "40.00"})
    assert answer.status_code == 201, answer.content
    order = TopUp.objects.latest("created_at")
    assert order.state == "paid" and order.amount == 40 * DOLLAR - had
    assert ledger.balance(poor.pk) == 0 <= before
    assert ResetPass.objects.get().user == poor


def test_who_buys_it_often_at_once_is_charged_once(shop: Shop, poor: User) -> None:
    card = shop.saved_card(poor)
    orders = TopUp.objects.count()
    apis = [shop.api(poor) for _ in range(4)]
    codes = at_once(
        lambda: apis.pop().post("/api/subscription/reset", {"card": card}).status_code, 4
    )
    assert codes.count(201) <= 1 and set(codes) <= {201, 402, 409, 503}
    shop.api(poor).post("/api/subscription/reset", {"card": card})  # who had to come again
    assert TopUp.objects.count() == orders + 1 and ResetPass.objects.count() == 1


def test_a_card_that_is_refused_resets_nothing_and_another_may_pay(shop: Shop, poor: User) -> None:
    bad = shop.saved_card(poor, "pm_card_chargeCustomerFail")
    refused = shop.api(poor).post("/api/subscription/reset", {"card": bad})
    assert refused.status_code == 402 and not ResetPass.objects.exists()
    good = shop.saved_card(poor)
    assert shop.api(poor).post("/api/subscription/reset", {"card": good}).status_code == 201


def test_a_frozen_account_buys_none(shop: Shop, poor: User) -> None:
    card = shop.saved_card(poor)
    orders = TopUp.objects.count()
    freeze(poor.pk, "A dispute.")
    answer = shop.api(poor).post("/api/subscription/reset", {"card": card})
    assert answer.status_code == 403 and TopUp.objects.count() == orders
