"""What comes with a top-up by card, and goes with it."""

from django.utils import timezone

from accounts.models import User
from billing import promos, referrals
from billing.models import Card
from hontoni.money import nanos
from tests.billing.conftest import committed
from tests.billing.payments.conftest import Shop, balance
from tests.billing.test_promos import percent

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
