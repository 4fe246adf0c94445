"""Topping up on Stripe's page, and everything that tells us about it."""

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from billing.books.models import Transfer
from billing.payments import inbox
from billing.payments.models import TopUp
from billing.stripe.models import Quarantine
from hontoni.money import nanos
from tests.billing.conftest import committed
from tests.billing.shop import Shop, balance

pytestmark = committed


def visit(url: str) -> Any:
    """Our page Checkout sends the browser to."""
    return Client().get(url.removeprefix("http://testserver"))


def test_a_webhook_credits_what_was_paid(shop: Shop, bob: User) -> None:
    order = shop.top_up(bob, "25.50")
    assert balance(bob) == nanos("25.50")
    transfer = Transfer.objects.get(key=f"topup:{order.intent_id}")
    assert transfer.ref["topup"] == str(order.pk)
    shown = shop.api(bob).get(f"/api/billing/topups/{order.pk}").json()
    assert (shown["state"], shown["amount"]) == ("paid", "25.50")


def test_ordering_and_leaving_credits_nothing(shop: Shop, bob: User) -> None:
    order = shop.order(bob)
    shop.deliver()
    assert "Nothing was charged" in visit(order.return_url).content.decode()
    assert balance(bob) == 0 and TopUp.objects.get().state == "open"


def test_the_page_after_checkout_credits_before_any_webhook(shop: Shop, bob: User) -> None:
    page = visit(shop.pay(shop.order(bob)))
    assert "$25.00 is on your balance" in page.content.decode()
    assert balance(bob) == nanos("25")


def test_page_webhook_and_poll_together_credit_once(shop: Shop, bob: User) -> None:
    shop.knobs(duplicate=2)
    back = shop.pay(shop.order(bob))
    visit(back)
    shop.deliver()
    visit(back)
    inbox.poll(now=timezone.now())
    assert balance(bob) == nanos("25")
    assert Transfer.objects.filter(kind="topup").count() == 1


def test_the_poll_finds_what_was_never_delivered(shop: Shop, bob: User) -> None:
    shop.knobs(drop=True)
    shop.pay(shop.order(bob))
    shop.deliver()
    assert balance(bob) == 0
    assert inbox.poll(now=timezone.now()) > 0
    assert balance(bob) == nanos("25")
    assert inbox.poll(now=timezone.now()) == 0


def test_nobody_may_ask_about_an_unknown_session(shop: Shop) -> None:
    assert Client().get("/billing/topup/done?session_id=cs_test_x").status_code == 404


def test_a_bank_debit_is_credited_when_it_arrives(shop: Shop, bob: User) -> None:
    order = shop.order(bob)
    page = visit(shop.pay(order, "pm_usBankAccount_success"))
    shop.deliver()
    assert "on its way" in page.content.decode() and balance(bob) == 0
    shop.stripe.advance(days=2)
    shop.deliver()
    assert balance(bob) == nanos("25")


def test_a_bank_debit_that_comes_back_ends_the_order(shop: Shop, bob: User) -> None:
    order = shop.order(bob)
    back = shop.pay(order, "pm_usBankAccount_insufficientFunds")
    shop.stripe.advance(days=2)
    shop.deliver()
    order.refresh_from_db()
    assert (order.state, balance(bob)) == ("failed", 0)
    assert "did not go through" in visit(back).content.decode()


def test_a_page_that_expires_ends_the_order(shop: Shop, bob: User) -> None:
    order = shop.order(bob)
    shop.stripe.advance(days=2)
    shop.deliver()
    order.refresh_from_db()
    assert (order.state, order.failure) == ("failed", "expired")


def test_tax_is_on_top_and_not_ours(shop: Shop, bob: User, settings: Settings) -> None:
    settings.STRIPE_TAX = True
    shop.stripe.control("tax", basis_points=825)
    order = shop.top_up(bob, "20")
    assert (order.charged_cents, balance(bob)) == (2165, nanos("20"))
    shop.refund(order, 1000)
    shop.deliver()
    shop.refund(order)
    shop.deliver()
    assert abs(balance(bob)) <= 2  # nano-dollars, from rounding down twice
    answer = shop.api(bob).post("/api/billing/topup/intent", {"amount": "20"})
    assert answer.json()["error"]["code"] == "checkout_required"


@pytest.mark.parametrize("amount", ["4.99", "5000.01", "0", "-5", "1e9", "5.001", "x"])
def test_amounts_out_of_range_are_refused(shop: Shop, bob: User, amount: str) -> None:
    for route in ("checkout", "intent"):
        answer = shop.api(bob).post(f"/api/billing/topup/{route}", {"amount": amount})
        assert answer.status_code == 400 and answer.json()["error"]["param"] == "amount"
    assert not TopUp.objects.exists()


def test_the_same_key_is_the_same_order(shop: Shop, bob: User) -> None:
    def ask(amount: str) -> Any:
        body = {"amount": amount}
        path = "/api/billing/topup/checkout"
        return shop.api(bob).post(path, body, headers={"Idempotency-Key": "k1"})

    first, again, other = ask("25"), ask("25"), ask("30")
    assert first.json()["url"] == again.json()["url"] and TopUp.objects.count() == 1
    assert other.status_code == 409


def test_without_stripe_it_says_so(bob: User) -> None:
    from tests.billing.conftest import client

    asked = {"amount": "25"}
    answer = client(bob).post("/api/billing/topup/checkout", asked, format="json")
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "payments_not_set_up"


@pytest.mark.parametrize(
    ("change", "problem"),
    [({"amount": nanos("24")}, "amount"), ({"user_id": "alice"}, "account")],
)
def test_what_does_not_fit_the_order_waits_for_staff(
    shop: Shop, alice: User, bob: User, change: dict[str, Any], problem: str
) -> None:
    order = shop.order(bob)
    shop.order(alice)  # she is known to Stripe too
    if "user_id" in change:
        change = {"user_id": alice.pk}
    shop.pay(order)
    TopUp.objects.filter(pk=order.pk).update(**change)
    before = balance(alice)
    shop.deliver()
    inbox.poll(now=timezone.now())
    order.refresh_from_db()
    assert (order.state, balance(bob), balance(alice)) == ("quarantined", 0, before)
    assert Quarantine.objects.get().problem == problem


def test_an_order_nobody_placed_waits_for_staff(shop: Shop, bob: User) -> None:
    order = shop.order(bob)
    shop.pay(order)
    TopUp.objects.filter(pk=order.pk).delete()
    shop.deliver()
    problems = set(Quarantine.objects.values_list("problem", flat=True))
    assert (problems, balance(bob)) == ({"unknown_order"}, 0)
