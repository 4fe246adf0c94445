"""Money that goes back, and money that is taken back."""

import pytest
from django.utils import timezone

from accounts.models import User
from billing.books import ledger
from billing.books.models import Transfer
from billing.mails.models import Notice
from billing.payments import inbox
from billing.payments.models import Dispute
from billing.stripe.models import Quarantine, StripeCustomer
from hontoni.money import nanos
from tests.billing.conftest import committed
from tests.billing.shop import Shop, balance

pytestmark = committed


def spend(user: User, dollars: str) -> None:
    ledger.post(
        key=f"plan:{user.pk}", kind="subscription", user_id=user.pk, amount=-nanos(dollars)
    )


def frozen(user: User) -> bool:
    user.refresh_from_db()
    return user.frozen_at is not None


def test_refunds_in_parts_take_it_all_back(shop: Shop, bob: User) -> None:
    order = shop.top_up(bob, "25")
    for cents, left in ((1000, "15"), (500, "10"), (None, "0")):
        shop.refund(order, cents)
        shop.deliver()
        assert balance(bob) == nanos(left)


def test_a_refund_after_the_money_is_spent_goes_below_zero(shop: Shop, bob: User) -> None:
    order = shop.top_up(bob, "25")
    spend(bob, "20")
    shop.refund(order)
    shop.deliver()
    assert balance(bob) == -nanos("20")


def test_a_refund_we_hear_of_before_the_payment_leaves_nothing(shop: Shop, bob: User) -> None:
    shop.knobs(drop=True)
    order = shop.order(bob)
    shop.pay(order)
    order.intent_id = shop.stripe.stripe.checkout.sessions.retrieve(
        order.session_id
    ).payment_intent
    shop.knobs(duplicate=1)
    shop.refund(order)
    shop.deliver()
    inbox.poll(now=timezone.now())
    assert balance(bob) == 0
    assert Transfer.objects.filter(kind__in=["topup", "refund"]).count() == 2


@pytest.mark.parametrize("back", ["refund", "dispute"])
def test_a_second_payment_for_one_order_gave_nothing_and_takes_nothing(
    shop: Shop, bob: User, back: str
) -> None:
    order = shop.top_up(bob, "25")
    second = shop.stripe.stripe.payment_intents.create(
        {
            "amount": 2500,
            "currency": "usd",
            "customer": StripeCustomer.objects.get(user=bob).stripe_id,
            "payment_method": shop.saved_card(bob),
            "confirm": True,
            "off_session": True,
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
            "metadata": {"topup": str(order.pk)},
        }
    )
    shop.deliver()
    assert Quarantine.objects.get().problem == "second_payment"
    order.intent_id = second.id
    getattr(shop, back)(order)
    shop.deliver()
    inbox.poll(now=timezone.now())
    assert (balance(bob), frozen(bob)) == (nanos("25"), False)


def test_a_refund_that_fails_comes_back(shop: Shop, bob: User) -> None:
    order = shop.top_up(bob, "25", "pm_card_refundFail")
    shop.refund(order)
    shop.deliver()
    assert balance(bob) == 0
    shop.stripe.advance(days=1)
    shop.deliver()
    assert balance(bob) == nanos("25")


def test_a_refund_that_had_failed_before_we_heard_of_it_is_nothing(shop: Shop, bob: User) -> None:
    order = shop.top_up(bob, "25", "pm_card_refundFail")
    shop.knobs(drop=True)
    shop.refund(order)
    shop.stripe.advance(days=1)
    inbox.poll(now=timezone.now())
    assert balance(bob) == nanos("25")
    assert not Transfer.objects.filter(kind="refund").exists()


def test_a_dispute_takes_the_money_and_freezes_the_keys(shop: Shop, bob: User) -> None:
    order = shop.top_up(bob, "25")
    spend(bob, "20")
    shop.knobs(duplicate=1, reorder=True)
    dispute = shop.dispute(order)
    shop.deliver()
    assert (balance(bob), frozen(bob)) == (-nanos("20"), True)
    shop.close_dispute(dispute, "won")
    shop.deliver()
    assert (balance(bob), frozen(bob)) == (nanos("5"), False)
    assert Dispute.objects.get().status == "won"
    told = Notice.objects.filter(user=bob).order_by("pk").values_list("kind", flat=True)
    assert list(told) == ["topup_receipt", "dispute", "dispute_won"]


def test_a_lost_dispute_stays_taken(shop: Shop, bob: User) -> None:
    dispute = shop.dispute(shop.top_up(bob))
    shop.deliver()
    shop.close_dispute(dispute, "lost")
    shop.deliver()
    assert (balance(bob), frozen(bob)) == (0, True)


def test_one_dispute_won_does_not_lift_another(shop: Shop, bob: User) -> None:
    first, second = (shop.dispute(shop.top_up(bob)) for _ in range(2))
    shop.deliver()
    shop.close_dispute(first, "won")
    shop.deliver()
    assert (balance(bob), frozen(bob)) == (nanos("25"), True)
    shop.close_dispute(second, "won")
    shop.deliver()
    assert (balance(bob), frozen(bob)) == (nanos("50"), False)


def test_a_dispute_opened_and_won_before_we_heard_of_it_changes_nothing(
    shop: Shop, bob: User
) -> None:
    order = shop.top_up(bob)
    shop.close_dispute(shop.dispute(order), "won")
    shop.deliver()
    assert (balance(bob), frozen(bob)) == (nanos("25"), False)
