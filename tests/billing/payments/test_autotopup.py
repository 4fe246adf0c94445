"""Automatic top-ups."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import User
from accounts.people import freezing
from billing.mails.models import Notice
from billing.payments import autotopup, orders
from billing.payments.models import AutoTopUp, TopUp
from hontoni.money import nanos
from tests.billing.conftest import committed
from tests.billing.shop import Shop, balance

pytestmark = committed
PATH = "/api/billing/auto-topup"
ON = {"enabled": True, "threshold": "5", "amount": "20", "monthly_cap": "40"}


def switch_on(shop: Shop, user: User, card: str = "pm_card_visa", **changed: Any) -> str:
    saved = shop.saved_card(user, card)
    answer = shop.api(user).put(PATH, {**ON, **changed})
    assert answer.status_code == 200, answer.content
    return saved


def run(hours: int = 0) -> int:
    return autotopup.run(now=timezone.now() + timedelta(hours=hours))


def test_it_is_off_unless_asked_for(shop: Shop, bob: User) -> None:
    assert shop.api(bob).get(PATH).json()["enabled"] is False
    shop.saved_card(bob)
    assert run() == 0 and balance(bob) == 0


def test_it_tops_up_under_the_threshold_and_only_there(shop: Shop, alice: User, bob: User) -> None:
    switch_on(shop, alice)
    switch_on(shop, bob)
    assert run() == 1
    assert (balance(alice), balance(bob)) == (nanos("10"), nanos("20"))
    shop.deliver()
    assert run() == 0 and balance(bob) == nanos("20")
    told = Notice.objects.get(user=bob)
    assert (told.kind, told.facts["amount"]) == ("auto_topup", "20.00")


def test_it_stops_at_the_monthly_cap(shop: Shop, bob: User) -> None:
    switch_on(shop, bob, threshold="1000")
    assert [run() for _ in range(4)] == [1, 1, 0, 0]
    assert shop.api(bob).get(PATH).json()["spent_this_month"] == "40.00"
    TopUp.objects.update(created_at=timezone.now() - timedelta(days=32))
    assert run() == 1


def test_many_workers_at_once_charge_once(shop: Shop, bob: User, at_once: Any) -> None:
    switch_on(shop, bob)
    at_once(lambda _: run(), 8)
    assert len(shop.intents()) == 1 and balance(bob) == nanos("20")


@pytest.mark.parametrize(
    ("card", "reason"),
    [
        ("pm_card_chargeCustomerFail", "generic_decline"),
        ("pm_card_authenticationRequired", "authentication_required"),
    ],
)
def test_three_failures_switch_it_off(shop: Shop, bob: User, card: str, reason: str) -> None:
    switch_on(shop, bob, card)
    assert run() == 0 and run() == 0  # an hour's pause after a failure
    assert AutoTopUp.objects.get().failures == 1
    run(hours=2)
    run(hours=5)
    shown = shop.api(bob).get(PATH).json()
    assert (shown["enabled"], shown["failures"], shown["last_failure"]) == (False, 3, reason)
    run(hours=99)
    assert TopUp.objects.count() == 3 and balance(bob) == 0
    told = Notice.objects.filter(user=bob).order_by("pk").values_list("kind", flat=True)
    assert list(told) == ["auto_topup_failed", "auto_topup_failed", "auto_topup_off"]


def test_a_success_forgets_the_failures(shop: Shop, bob: User) -> None:
    switch_on(shop, bob, "pm_card_chargeCustomerFail")
    run()
    good = shop.saved_card(bob)
    AutoTopUp.objects.update(payment_method=good)
    run(hours=2)
    assert AutoTopUp.objects.get().failures == 0 and balance(bob) == nanos("20")


def test_a_card_that_is_gone_is_a_failure(shop: Shop, bob: User) -> None:
    card = switch_on(shop, bob)
    assert shop.api(bob).delete(f"/api/billing/payment-methods/{card}").status_code == 204
    run()
    assert AutoTopUp.objects.get().last_failure == "no_payment_method"


def test_an_answer_that_got_lost_is_asked_for_again_under_its_key(shop: Shop, bob: User) -> None:
    switch_on(shop, bob)
    shop.stripe.control("faults", kind="lost", path="/v1/payment_intents", times=2)
    assert run() == 0
    shop.stripe.control("faults", "DELETE")
    assert run() == 1
    assert len(shop.intents()) == 1 and balance(bob) == nanos("20")


def test_a_lost_answer_of_a_decline_counts_once(shop: Shop, bob: User) -> None:
    switch_on(shop, bob, "pm_card_chargeCustomerFail")
    shop.stripe.control("faults", kind="lost", path="/v1/payment_intents", times=2)
    run()
    shop.stripe.control("faults", "DELETE")
    run()
    assert AutoTopUp.objects.get().failures == 1


def test_a_frozen_account_is_left_alone(shop: Shop, bob: User) -> None:
    switch_on(shop, bob)
    freezing.freeze(bob.pk, "because")
    assert run() == 0 and not TopUp.objects.exists()


def test_nothing_is_ordered_while_an_order_is_open(shop: Shop, bob: User) -> None:
    switch_on(shop, bob)
    shop.stripe.control("faults", kind="rate_limit", path="/v1/payment_intents", times=4)
    run()
    run()
    assert TopUp.objects.count() == 1
    shop.stripe.control("faults", "DELETE")
    TopUp.objects.update(created_at=timezone.now() - timedelta(days=2))
    TopUp.objects.update(asked_at=timezone.now() - timedelta(days=2))
    orders.reconcile(now=timezone.now())
    assert TopUp.objects.get().failure == "lost"
    assert run() == 1


@pytest.mark.parametrize(
    ("changed", "param"),
    [
        ({"amount": "1"}, "amount"),
        ({"monthly_cap": "19.99"}, "monthly_cap"),
        ({"threshold": "-1"}, "threshold"),
        ({"enabled": "perhaps"}, "enabled"),
    ],
)
def test_what_makes_no_sense_is_refused(
    shop: Shop, bob: User, changed: dict[str, Any], param: str
) -> None:
    answer = shop.api(bob).put(PATH, {**ON, **changed})
    assert answer.status_code == 400 and answer.json()["error"]["param"] == param


def test_without_a_card_it_cannot_be_switched_on(shop: Shop, bob: User) -> None:
    answer = shop.api(bob).put(PATH, ON)
    assert answer.json()["error"]["code"] == "no_payment_method"
