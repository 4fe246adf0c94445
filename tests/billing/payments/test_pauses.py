"""Accounts that are closed or frozen, and what Stripe bills them."""

from datetime import timedelta
from typing import Any
from unittest import mock

from django.utils import timezone
from pytest_django import Settings

from accounts.models import User
from accounts.people import freezing
from accounts.sign_in import deletion
from billing.payments import autotopup, pauses, tasks
from billing.payments.models import TopUp
from billing.plans import prices, terms
from billing.plans.models import Plan, Subscription
from billing.stripe import customers
from billing.stripe.models import Quarantine
from billing.subscriptions import arrangements, card_changes
from hontoni.money import nanos
from tests.billing.api.test_balance_api import error
from tests.billing.conftest import committed
from tests.billing.rewards.test_promos import trial
from tests.billing.shop import Shop, balance
from tests.billing.subscriptions.test_card_changes import (
    at_stripe,
    cents,
    month,
    paid,
    post,
    shown,
    subscribed,
    told,
)

pytestmark = committed


def status(shop: Shop, mine: Subscription) -> str:
    return str(at_stripe(shop, mine).status)


def test_a_deleted_accounts_plan_ends_at_stripe_and_a_draft_is_given_up(
    shop: Shop, bob: User
) -> None:
    mine = subscribed(shop, bob)
    shop.knobs(drop=True)
    shop.stripe.advance(days=30, seconds=1800)  # a renewal's invoice is a draft for an hour
    deletion.delete(bob)
    assert status(shop, mine) == "canceled"
    shop.stripe.advance(days=40)
    shop.knobs()
    shop.deliver()
    tasks.renew_by_card()
    mine.refresh_from_db()
    assert (mine.status, paid(shop), told(bob)) == ("ended", [600], ["plan_started"])


def test_the_saved_cards_of_a_deleted_account_are_taken_off_at_stripe(
    shop: Shop, alice: User, bob: User
) -> None:
    shop.saved_card(alice)
    shop.saved_card(bob)
    User.objects.filter(pk=alice.pk).update(is_active=False)  # by staff, perhaps for a while
    deletion.delete(bob)
    tasks.renew_by_card()
    assert (len(customers.cards(alice.pk)), customers.cards(bob.pk)) == (1, [])
    assert pauses.left_over() == []


def test_a_card_that_is_saved_as_its_account_is_deleted_goes_too(shop: Shop, bob: User) -> None:
    order = shop.order(bob, save_card=True)
    with mock.patch("billing.payments.orders.withdraw"):  # the page is being paid right now
        deletion.delete(bob)
    assert pauses.left_over() == [bob.pk]  # for its page
    shop.pay(order)
    shop.deliver()
    tasks.renew_by_card()
    assert (customers.cards(bob.pk), pauses.left_over()) == ([], [])
    assert Quarantine.objects.get().problem == "closed_account"


def test_a_page_that_was_open_is_closed_with_its_account(shop: Shop, bob: User) -> None:
    page = post(shop, bob, "subscription", plan="basic", payment_method="stripe").json()
    order = shop.order(bob)
    url = shop.stripe.stripe.checkout.sessions.retrieve(order.session_id).url
    deletion.delete(bob)
    for closed in (page["payment_url"], url):
        shop.stripe.browser.post(closed, data={"card": "pm_card_visa", "email": "b@example.com"})
    shop.deliver()
    assert (paid(shop), balance(bob)) == ([], 0)
    assert TopUp.objects.get().state == "failed"


def test_what_was_paid_as_the_account_was_closed_waits_for_staff(shop: Shop, bob: User) -> None:
    page = post(shop, bob, "subscription", plan="basic", payment_method="stripe").json()
    shop.stripe.browser.post(page["payment_url"], data={"card": "pm_card_visa"})
    User.objects.filter(pk=bob.pk).update(is_active=False)
    shop.deliver()
    shop.deliver()
    assert {found.problem for found in Quarantine.objects.all()} == {"closed_account"}
    assert terms.subscription_of(bob.pk) is None
    assert [one.status for one in shop.stripe.stripe.subscriptions.list({"status": "all"})] == [
        "canceled"
    ]


def test_what_began_at_stripe_while_it_ended_here_is_billed_once_at_most(
    shop: Shop, alice: User
) -> None:
    post(shop, alice, "subscription", plan="basic")
    shop.saved_card(alice)
    post(shop, alice, "subscription/payment-method", payment_method="stripe")
    ended = timezone.now() - timedelta(minutes=1)
    Subscription.objects.update(period_start=ended - timedelta(days=30), period_end=ended)
    real = card_changes.start

    def closed_meanwhile(*args: Any) -> Any:
        found = real(*args)
        deletion.delete(User.objects.get(pk=alice.pk))
        return found

    with mock.patch("billing.subscriptions.card_changes.start", closed_meanwhile):
        tasks.renew_by_card()
    shop.deliver()
    month(shop)
    shop.deliver()
    (found,) = shop.stripe.stripe.subscriptions.list({"status": "all"})
    assert (found.status, paid(shop)) == ("canceled", [600])
    assert {found.problem for found in Quarantine.objects.all()} <= {
        *("ended_here", "unknown"),
        "payout_line",  # Stripe paid out what nothing here explains
    }


def test_a_frozen_account_is_not_billed_by_stripe_and_goes_on_when_it_is_thawed(
    shop: Shop, bob: User
) -> None:
    mine = subscribed(shop, bob)
    freezing.freeze(bob.pk, "Abuse.")
    shop.deliver()
    mine.refresh_from_db()
    assert (mine.payment_method, mine.status) == ("balance", "active")
    month(shop)
    shop.deliver()
    tasks.renew_by_card()
    assert (paid(shop), told(bob)) == ([600], ["plan_started"])
    # It was frozen for forty days, after ten of its thirty.
    began = timezone.now() - timedelta(days=50)
    Subscription.objects.update(period_start=began, period_end=began + timedelta(days=30))
    User.objects.filter(pk=bob.pk).update(frozen_at=began + timedelta(days=10))
    freezing.unfreeze(bob.pk)
    tasks.renew_by_card()
    mine.refresh_from_db()
    left = mine.period_end - timezone.now()
    assert abs(left - timedelta(days=20)) < timedelta(minutes=1)
    assert paid(shop) == [600]
    for item in arrangements.handed_over(mine.period_end):
        arrangements.hand_over(item, now=mine.period_end)
    period = shown(shop, bob)["period"]
    assert (period["payment_method"], period["status"]) == ("stripe", "active")
    assert paid(shop) == [600, 600]
    shop.deliver()
    assert told(bob) == ["plan_started", "plan_renewed"]
    assert not Quarantine.objects.exists()


def test_what_was_paid_before_the_freeze_is_booked(shop: Shop, bob: User) -> None:
    page = post(shop, bob, "subscription", plan="basic", payment_method="stripe").json()
    order = shop.order(bob)
    shop.pay(order)
    shop.stripe.browser.post(page["payment_url"], data={"card": "pm_card_visa"})
    freezing.freeze(bob.pk, "Abuse.")
    shop.deliver()
    tasks.renew_by_card()
    assert (balance(bob), shown(shop, bob)["plan"]["id"]) == (nanos("25"), "basic")
    mine = terms.subscription_of(bob.pk)
    assert mine is not None and mine.stripe_id == ""
    assert [one.status for one in shop.stripe.stripe.subscriptions.list({"status": "all"})] == [
        "canceled"
    ]


def test_a_frozen_accounts_cards_are_not_charged(shop: Shop, bob: User) -> None:
    shop.saved_card(bob)
    settings: dict[str, Any] = {"threshold": "5", "amount": "10", "monthly_cap": "50"}
    answer = shop.api(bob).put("/api/billing/auto-topup", {"enabled": True, **settings})
    assert answer.status_code == 200, answer.content
    freezing.freeze(bob.pk, "Abuse.")
    assert not autotopup.top_up(bob.pk, now=timezone.now())
    refused = post(shop, bob, "billing/topup/checkout", amount="10")
    assert error(refused) == (403, "account_frozen")
    refused = post(shop, bob, "billing/topup/intent", amount="10")
    assert error(refused) == (403, "account_frozen")
    assert shop.intents() == []
    freezing.unfreeze(bob.pk)
    assert autotopup.top_up(bob.pk, now=timezone.now())
    assert balance(bob) == nanos("10")


def test_a_trial_is_bought_by_card(shop: Shop, bob: User) -> None:
    trial()
    post(shop, bob, "billing/promo-code", code="TRY", apply=True)
    card = shop.saved_card(bob)
    asked = {"plan": "premium", "payment_method": "stripe", "card": card}
    answer = post(shop, bob, "subscription", **asked)
    assert answer.status_code == 201, answer.content
    period = answer.json()["subscription"]["period"]
    assert (period["payment_method"], period["trial"]) == ("stripe", False)
    shop.deliver()
    assert (paid(shop), told(bob)) == ([3900], ["promo", "plan_started"])
    assert Subscription.objects.filter(status="ended").count() == 1
    assert not Quarantine.objects.exists()


def test_a_card_that_is_refused_leaves_the_trial(shop: Shop, bob: User) -> None:
    trial()
    post(shop, bob, "billing/promo-code", code="TRY", apply=True)
    card = shop.saved_card(bob, "pm_card_chargeCustomerFail")
    answer = post(shop, bob, "subscription", plan="premium", payment_method="stripe", card=card)
    assert answer.status_code == 402
    period = shown(shop, bob)["period"]
    assert (period["trial"], period["cancel_at_period_end"]) == (True, True)


def test_a_price_that_rises_is_announced_and_then_billed_by_stripe(
    shop: Shop, bob: User, settings: Settings
) -> None:
    settings.PRICE_NOTICE_DAYS = 31  # no month is longer
    mine = subscribed(shop, bob)
    Plan.objects.filter(slug="basic").update(price=nanos("7"))
    tasks.renew_by_card()
    assert cents(shop, mine) == [600]  # nobody was told yet
    prices.announce(timezone.now())
    tasks.renew_by_card()
    assert cents(shop, mine) == [600]  # told, and too late for the next renewal
    month(shop)
    shop.deliver()
    assert paid(shop) == [600, 600]
    tasks.renew_by_card()
    assert cents(shop, mine) == [700]
    assert shown(shop, bob)["period"]["renewal"]["amount"] == "7.00"
    month(shop)
    shop.deliver()
    mine.refresh_from_db()
    assert (paid(shop), mine.plan_price) == ([700, 600, 600], nanos("7"))
    assert told(bob) == ["plan_started", "price_rises", "plan_renewed", "plan_renewed"]
    assert not Quarantine.objects.exists()


def test_a_price_that_falls_is_billed_with_the_next_period(shop: Shop, bob: User) -> None:
    mine = subscribed(shop, bob)
    post(shop, bob, "addons", add_on="rate-limit-2x")
    Plan.objects.filter(slug="basic").update(price=nanos("5"))
    tasks.renew_by_card()
    assert sorted(cents(shop, mine)) == [499, 500]
    period = shown(shop, bob)["period"]
    assert (period["next_plan"], period["renewal"]["amount"]) == (None, "9.99")
    answer = post(shop, bob, "subscription/upgrade", plan="standard")
    assert answer.status_code == 201, answer.content
    assert abs(float(answer.json()["paid"]) - 7) < 0.02  # 13 less the 6 that were paid
    month(shop)
    shop.deliver()
    assert paid(shop)[0] == 1799


def test_by_card_limits_are_not_rented_by_the_second(shop: Shop, bob: User) -> None:
    mine = subscribed(shop, bob)
    for slug in ("rate-limit-2x", "rate-limit-10x", "rate-limit-2x"):
        assert post(shop, bob, "addons", add_on=slug).status_code == 201
    customer = shop.stripe.stripe.customers.retrieve(at_stripe(shop, mine).customer)
    assert (customer.balance, len(paid(shop))) == (0, 3)
    assert abs(sum(paid(shop)) - 600 - 499 - 1500) <= 2
    assert shown(shop, bob)["limits"]["rpm"] == 80
    shop.api(bob).delete("/api/addons/rate-limit-2x")
    assert shown(shop, bob)["period"]["add_on_ends"]
    assert cents(shop, mine) == [600]


def test_an_upgrade_of_what_was_cancelled_renews_by_card_too(shop: Shop, bob: User) -> None:
    mine = subscribed(shop, bob)
    post(shop, bob, "subscription/cancel")
    answer = post(shop, bob, "subscription/upgrade", plan="standard")
    assert not answer.json()["subscription"]["period"]["cancel_at_period_end"]
    assert not at_stripe(shop, mine).cancel_at_period_end
