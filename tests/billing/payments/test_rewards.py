"""What comes with a top-up by card, and goes with it."""

from django.utils import timezone

from accounts.models import User
from billing.plans import terms
from billing.rewards import promos, referrals
from billing.rewards.models import Card
from billing.stripe.models import Quarantine
from hontoni.money import nanos
from tests.billing.api.test_balance_api import error
from tests.billing.conftest import committed
from tests.billing.rewards.test_promos import percent, send, trial
from tests.billing.shop import Shop, balance
from tests.billing.subscriptions.test_card_changes import paid, pay, post

pytestmark = committed


def test_a_bonus_comes_with_a_payment_and_goes_with_its_refund(shop: Shop, bob: User) -> None:
    percent()
    promos.redeem(bob.pk, "MORE", timezone.now())
    order = shop.top_up(bob, "25")
    assert balance(bob) == nanos("30")
    shop.refund(order, 1000)
    shop.deliver()
    assert balance(bob) == nanos("18")
    shop.refund(order, None)
    shop.deliver()
    assert balance(bob) == 0


def test_who_pays_with_the_referrers_card_waits_for_staff(
    shop: Shop, alice: User, bob: User
) -> None:
    bob.email = "bob@elsewhere.org"
    bob.save()
    now = timezone.now()
    referral = referrals.accept(bob, referrals.code_of(alice.pk), address="", now=now)
    assert referral.status == "active"
    shop.top_up(alice, "25")
    shop.top_up(bob, "25")
    assert Card.objects.values("fingerprint").distinct().count() == 1
    referrals.settle_all(now)
    referral.refresh_from_db()
    assert (referral.status, referral.signals, referral.accrued) == ("review", ["card"], 0)


def test_a_trial_gives_way_to_a_plan_that_was_paid_and_not_heard_of(shop: Shop, bob: User) -> None:
    trial()
    pay(shop, bob, post(shop, bob, "subscription", plan="basic", payment_method="stripe"))
    assert error(send(bob, "TRY")) == (409, "promo_code_has_plan")
    shop.deliver()
    assert terms.terms(bob.pk).plan == "basic"
    assert (paid(shop), Quarantine.objects.count()) == ([600], 0)


def test_a_trial_closes_a_page_that_was_not_paid(shop: Shop, bob: User) -> None:
    trial()
    page = post(shop, bob, "subscription", plan="basic", payment_method="stripe")
    assert send(bob, "TRY").status_code == 200
    assert pay(shop, bob, page) == ""
    shop.deliver()
    assert terms.terms(bob.pk).plan == "premium"
    assert (paid(shop), Quarantine.objects.count()) == ([], 0)


def test_a_refund_of_a_plan_is_a_kindness_and_ends_nothing(shop: Shop, bob: User) -> None:
    pay(shop, bob, post(shop, bob, "subscription", plan="basic", payment_method="stripe"))
    shop.deliver()
    (intent,) = shop.intents()
    shop.stripe.stripe.refunds.create({"payment_intent": intent.id})
    shop.deliver()
    assert (terms.terms(bob.pk).plan, balance(bob)) == ("basic", 0)
    assert not Quarantine.objects.exists()
