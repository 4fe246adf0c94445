"""PaymentIntents: a form of the customer's own, or a saved card."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import User
from billing.payments import orders
from billing.payments.models import TopUp
from hontoni.money import nanos
from tests.billing.conftest import committed
from tests.billing.shop import Shop, balance

pytestmark = committed
PATH = "/api/billing/topup/intent"


def ask(shop: Shop, user: User, key: str = "", **asked: Any) -> Any:
    headers = {"Idempotency-Key": key} if key else {}
    return shop.api(user).post(PATH, {"amount": "25", **asked}, headers=headers)


def test_a_form_in_the_browser_pays(shop: Shop, bob: User) -> None:
    answer = ask(shop, bob).json()
    assert answer["status"] == "requires_payment_method" and answer["client_secret"]
    intent = TopUp.objects.get().intent_id
    shop.stripe.stripe.payment_intents.confirm(intent, {"payment_method": "pm_card_visa"})
    shop.deliver()
    assert balance(bob) == nanos("25")


def test_a_refused_card_may_be_followed_by_a_good_one(shop: Shop, bob: User) -> None:
    import stripe

    ask(shop, bob)
    intent = TopUp.objects.get().intent_id
    with pytest.raises(stripe.CardError):
        bad = {"payment_method": "pm_card_chargeDeclined"}
        shop.stripe.stripe.payment_intents.confirm(intent, bad)
    shop.deliver()
    assert TopUp.objects.get().state == "open"
    shop.stripe.stripe.payment_intents.confirm(intent, {"payment_method": "pm_card_visa"})
    shop.deliver()
    assert balance(bob) == nanos("25")


def test_a_saved_card_is_charged_at_once(shop: Shop, bob: User) -> None:
    answer = ask(shop, bob, payment_method=shop.saved_card(bob))
    assert (answer.status_code, answer.json()["state"]) == (201, "paid")
    shop.deliver()
    assert balance(bob) == nanos("25")


def test_a_declined_card_is_402_with_the_banks_reason(shop: Shop, bob: User) -> None:
    answer = ask(shop, bob, payment_method=shop.saved_card(bob, "pm_card_chargeCustomerFail"))
    assert answer.status_code == 402
    assert answer.json()["error"]["code"] == "generic_decline"
    shop.deliver()
    assert (TopUp.objects.get().state, balance(bob)) == ("failed", 0)


def test_a_bank_that_asks_is_asked_in_the_browser(shop: Shop, bob: User) -> None:
    answer = ask(shop, bob, payment_method=shop.saved_card(bob, "pm_card_authenticationRequired"))
    assert answer.json()["status"] == "requires_action" and balance(bob) == 0
    shop.stripe.browser.post(f"/3ds/{TopUp.objects.get().intent_id}", data={"answer": "complete"})
    shop.deliver()
    assert balance(bob) == nanos("25")


def test_nobody_charges_somebody_elses_card(shop: Shop, alice: User, bob: User) -> None:
    card = shop.saved_card(alice)
    shop.saved_card(bob)
    answer = ask(shop, bob, payment_method=card)
    assert answer.status_code == 404 and not TopUp.objects.exists()
    assert shop.api(bob).delete(f"/api/billing/payment-methods/{card}").status_code == 404
    assert shop.api(bob).post(f"/api/billing/payment-methods/{card}/default").status_code == 404


def test_an_answer_that_got_lost_is_one_charge(shop: Shop, bob: User) -> None:
    card = shop.saved_card(bob)
    shop.stripe.control("faults", kind="lost", path="/v1/payment_intents", times=2)
    assert ask(shop, bob, "k", payment_method=card).status_code == 503
    assert ask(shop, bob, "k", payment_method=card).json()["state"] == "paid"
    assert len(shop.intents()) == 1 and balance(bob) == nanos("25")


def test_a_failure_stripe_has_stored_does_not_stand_for_ever(shop: Shop, bob: User) -> None:
    card = shop.saved_card(bob)
    shop.stripe.control("faults", kind="error", path="/v1/payment_intents", times=2)
    assert ask(shop, bob, "k", payment_method=card).status_code == 503
    assert TopUp.objects.get().attempt == 2
    shop.stripe.control("faults", "DELETE")
    assert ask(shop, bob, "k", payment_method=card).json()["state"] == "paid"
    assert len(shop.intents()) == 1 and balance(bob) == nanos("25")


def test_an_old_order_is_looked_up_and_never_asked_for_again(shop: Shop, bob: User) -> None:
    card = shop.saved_card(bob)
    shop.knobs(drop=True)
    shop.stripe.control("faults", kind="lost", path="/v1/payment_intents", times=2)
    ask(shop, bob, "charged", payment_method=card)
    shop.stripe.control("faults", "DELETE")
    shop.stripe.control("faults", kind="rate_limit", path="/v1/payment_intents", times=2)
    ask(shop, bob, "never arrived", payment_method=card)
    shop.stripe.control("faults", "DELETE")
    orders.reconcile(now=timezone.now())
    assert balance(bob) == 0  # too early to say
    TopUp.objects.update(created_at=timezone.now() - timedelta(days=2))
    TopUp.objects.update(asked_at=timezone.now() - timedelta(days=2))
    assert orders.reconcile(now=timezone.now()) == 2
    states = dict(TopUp.objects.values_list("client_key", "state"))
    assert states == {"charged": "paid", "never arrived": "failed"}
    assert len(shop.intents()) == 1 and balance(bob) == nanos("25")
    assert ask(shop, bob, "never arrived", payment_method=card).status_code == 409


def test_cards_are_listed_chosen_and_forgotten(shop: Shop, bob: User) -> None:
    api = shop.api(bob)
    assert api.get("/api/billing/payment-methods").json() == {"payment_methods": []}
    visa, amex = shop.saved_card(bob), shop.saved_card(bob, "pm_card_amex")
    assert api.post(f"/api/billing/payment-methods/{visa}/default").status_code == 204
    shown = api.get("/api/billing/payment-methods").json()["payment_methods"]
    assert {card["id"]: card["is_default"] for card in shown} == {visa: True, amex: False}
    assert {card["last4"] for card in shown} == {"4242", "0005"}
    assert api.delete(f"/api/billing/payment-methods/{visa}").status_code == 204
    [left] = api.get("/api/billing/payment-methods").json()["payment_methods"]
    assert left["id"] == amex


def test_the_portal_opens(shop: Shop, bob: User) -> None:
    url = shop.api(bob).post("/api/billing/portal").json()["url"]
    assert shop.stripe.browser.get(url).status_code == 200


def test_invoices_are_listed_and_their_pdf_is_ones_own(shop: Shop, alice: User, bob: User) -> None:
    shop.top_up(bob, "25")
    [invoice] = shop.api(bob).get("/api/billing/invoices").json()["results"]
    assert (invoice["total"], invoice["kind"]) == ("25.00", "stripe")
    path = f"/api/billing/invoices/{invoice['id']}/pdf"
    pdf = shop.stripe.browser.get(shop.api(bob).get(path).json()["url"])
    assert pdf.content.startswith(b"%PDF")
    assert shop.api(alice).get(path).status_code == 404
    shop.saved_card(alice)
    assert shop.api(alice).get(path).status_code == 404
    assert shop.api(alice).get("/api/billing/invoices").json()["results"] == []
    shop.stripe.control("faults", kind="error", method="GET", path="/v1/invoices", times=2)
    assert shop.api(bob).get("/api/billing/invoices").json() == {"results": [], "complete": False}


def test_who_tries_cards_by_the_dozen_is_stopped(shop: Shop, bob: User) -> None:
    answers = [ask(shop, bob, amount="1").status_code for _ in range(31)]
    assert answers == [400] * 30 + [429]
