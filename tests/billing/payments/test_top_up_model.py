"""Any story of top-ups, refunds and disputes, told badly, against a pure model.

The bonus of a top-up and the reward of whoever invited its buyer follow it, and are in the model.
"""

import uuid
from datetime import timedelta
from typing import Any, TypeVar
from unittest import mock

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from accounts.models import User
from billing.books import ledger
from billing.books.models import Transfer
from billing.payments import autotopup, inbox, reconcile, settlements
from billing.payments.models import AutoTopUp, TopUp
from billing.rewards import promos, referrals
from billing.rewards.models import Claim, PromoCode, Redemption, Referral
from billing.stripe import customers
from billing.stripe.models import Quarantine, StripeEvent
from hontoni import errors, redis
from hontoni.money import CENT, nanos
from tests.billing.conftest import committed
from tests.billing.shop import Shop
from tests.confirmed import confirm

pytestmark = committed
T = TypeVar("T")

cents = st.integers(500, 10_000)
picks = st.integers(0, 99)
BONUS, REWARD = 25, 10  # percent, of top-ups
knobs = st.fixed_dictionaries(
    {
        "drop": st.booleans(),
        "duplicate": st.integers(0, 2),
        "reorder": st.booleans(),
        "delay": st.sampled_from([0, 0, 3600, 86_400]),
    }
)


def _picked(found: list[T], pick: int) -> T:
    """One of them, whatever there is: drawing depends on nothing outside."""
    return found[pick % len(found)]


class Payment:
    """What the model knows of one order, in cents."""

    def __init__(self, amount: int) -> None:
        self.amount = amount
        self.paid = self.disputed = self.won = False
        self.refunded = 0
        self.dispute = ""

    @property
    def worth(self) -> int:
        taken = self.amount - self.refunded if self.disputed and not self.won else 0
        return self.amount - self.refunded - taken if self.paid else 0


class Commerce(RuleBasedStateMachine):
    shop: Shop

    @initialize()
    def world(self) -> None:
        """A new customer each time: the books are never emptied."""
        redis.sync().flushall()
        names = [uuid.uuid4().hex for _ in range(3)]
        self.user, referrer = (User.objects.create_user(f"{n}@{n}.org") for n in names[:2])
        Claim.objects.all().delete()  # everybody in these stories pays with the same test card
        confirm(self.user)
        confirm(referrer)
        code = referrals.code_of(referrer.pk)
        self.referral = referrals.accept(self.user, code, address=names[2], now=timezone.now())
        Referral.objects.filter(pk=self.referral.pk).update(
            percent=REWARD, basis="top_ups", hold_days=0, most=nanos("100000")
        )
        self.bonus = PromoCode.objects.create(
            code=names[2],
            kind="percent",
            percent=BONUS,
            max_uses_per_account=3,
            valid_from=timezone.now(),
        )
        self.redeemed = 0
        self.payments: dict[uuid.UUID, Payment] = {}
        self.spent = 0
        self.shop.knobs()

    def _orders(self, **state: bool) -> list[uuid.UUID]:
        return [
            id
            for id, payment in self.payments.items()
            if all(getattr(payment, name) == value for name, value in state.items())
        ]

    def _frozen(self) -> bool:
        """By a dispute: then nothing may be paid in, and open pages are closed."""
        self.user.refresh_from_db()
        return self.user.frozen_at is not None

    def _refused(self, path: str, body: dict[str, str]) -> None:
        answer = self.shop.api(self.user).post(f"/api/billing/{path}", body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "account_frozen")

    # -- Customers -------------------------------------------------------------------------------

    @rule(amount=cents)
    def order(self, amount: int) -> None:
        if self._frozen():
            self._refused("topup/checkout", {"amount": f"{amount / 100:.2f}"})
            return
        order = self.shop.order(self.user, f"{amount / 100:.2f}", save_card=True)
        self.payments[order.pk] = Payment(amount)

    @precondition(lambda self: self._orders(paid=False))
    @rule(pick=picks, look=st.booleans())
    def pay(self, pick: int, look: bool) -> None:
        id = _picked(self._orders(paid=False), pick)
        order = TopUp.objects.get(pk=id)
        page = self.shop.stripe.stripe.checkout.sessions.retrieve(order.session_id)
        if page.url is None:  # closed when the account was frozen
            return
        self.shop.pay(order)
        self.payments[id].paid = True
        if look:
            settlements.settle_session(order.session_id)

    @rule(amount=cents)
    def charge_a_saved_card(self, amount: int) -> None:
        card = self.shop.saved_card(self.user)
        body = {"amount": f"{amount / 100:.2f}", "payment_method": card}
        if self._frozen():
            self._refused("topup/intent", body)
            return
        answer = self.shop.api(self.user).post("/api/billing/topup/intent", body)
        payment = self.payments[uuid.UUID(answer.json()["id"])] = Payment(amount)
        payment.paid = True

    @rule(threshold=cents)
    def top_up_automatically(self, threshold: int) -> None:
        self.user.refresh_from_db()
        self.shop.saved_card(self.user)
        AutoTopUp.objects.update_or_create(
            user=self.user,
            defaults={
                "enabled": True,
                "threshold": threshold * CENT,
                "amount": nanos("20"),
                "monthly_cap": nanos("40"),
            },
        )
        before = set(TopUp.objects.filter(user=self.user).values_list("pk", flat=True))
        autotopup.run(now=timezone.now())
        for order in TopUp.objects.filter(user=self.user, state="paid").exclude(pk__in=before):
            self.payments[order.pk] = Payment(2000)
            self.payments[order.pk].paid = True
        assert autotopup.spent(self.user.pk, timezone.now()) <= nanos("40")

    @rule(amount=cents)
    def spend(self, amount: int) -> None:
        try:
            ledger.post(
                key=uuid.uuid4().hex,
                kind="subscription",
                user_id=self.user.pk,
                amount=-amount * CENT,
            )
        except ledger.Overdrawn:
            return
        self.spent += amount

    @rule()
    def redeem(self) -> None:
        """It comes with the top-up that is heard of next, whichever was paid first."""
        try:
            promos.redeem(self.user.pk, self.bonus.code, timezone.now())
            self.redeemed += 1
        except promos.NotForYou as refused:
            assert (refused.code, self.redeemed) == ("promo_code_already_used", 3)
        except errors.Forbidden as refused:
            assert refused.code == "account_frozen" and self._frozen()

    # -- Staff and banks -------------------------------------------------------------------------

    @precondition(lambda self: self._refundable())
    @rule(pick=picks, share=st.integers(1, 100))
    def refund(self, pick: int, share: int) -> None:
        id = _picked(self._refundable(), pick)
        payment = self.payments[id]
        amount = max(1, (payment.amount - payment.refunded) * share // 100)
        refund = {"payment_intent": self._intent(id), "amount": amount}
        self.shop.stripe.stripe.refunds.create(refund)
        payment.refunded += amount

    @precondition(lambda self: self._disputable())
    @rule(pick=picks)
    def dispute(self, pick: int) -> None:
        id = _picked(self._disputable(), pick)
        payment = self.payments[id]
        left = payment.amount - payment.refunded
        found = self.shop.stripe.control("disputes", payment_intent=self._intent(id), amount=left)
        payment.disputed, payment.dispute = True, found["id"]

    @precondition(lambda self: self._open_disputes())
    @rule(pick=picks, won=st.booleans())
    def decide(self, pick: int, won: bool) -> None:
        payment = self.payments[_picked(self._open_disputes(), pick)]
        self.shop.close_dispute(payment.dispute, "won" if won else "lost")
        payment.won, payment.dispute = won, ""

    def _refundable(self) -> list[uuid.UUID]:
        paid = self._orders(paid=True, disputed=False)
        return [id for id in paid if self.payments[id].refunded < self.payments[id].amount]

    _disputable = _refundable

    def _open_disputes(self) -> list[uuid.UUID]:
        return [id for id in self._orders(paid=True) if self.payments[id].dispute]

    def _intent(self, id: uuid.UUID) -> Any:
        order = TopUp.objects.get(pk=id)
        if order.intent_id:
            return order.intent_id
        sessions = self.shop.stripe.stripe.checkout.sessions
        return sessions.retrieve(order.session_id).payment_intent

    # -- The world between -----------------------------------------------------------------------

    @rule(turned=knobs)
    def turn(self, turned: dict[str, Any]) -> None:
        self.shop.knobs(**turned)

    @rule()
    def deliver(self) -> None:
        self.shop.deliver()

    @rule()
    def poll(self) -> None:
        inbox.poll(now=timezone.now())

    @rule(hours=st.integers(1, 48))
    def wait(self, hours: int) -> None:
        # Longer, and an open page would expire.
        if not self._orders(paid=False):
            self.shop.stripe.advance(seconds=3600 * hours)

    @rule()
    def settle_the_referral(self) -> None:
        referrals.settle_all(timezone.now())

    @rule(pick=picks)
    def replay(self, pick: int) -> None:
        kept = list(StripeEvent.objects.order_by("received_at")[:200])
        if kept:
            assert inbox.replay(_picked(kept, pick))

    # -- What must hold --------------------------------------------------------------------------

    @invariant()
    def the_books_balance(self) -> None:
        assert reconcile.problems() == []
        assert not Quarantine.objects.exists()

    @invariant()
    def nobody_has_more_than_the_truth_at_its_best(self) -> None:
        """What we have not heard of yet is at most good news withheld, or bad news delayed."""
        if not hasattr(self, "payments"):
            return
        paid = [payment.amount * CENT for payment in self.payments.values() if payment.paid]
        dearest = sorted(paid, reverse=True)[: self.redeemed]
        best = sum(paid) + sum(dearest) * BONUS // 100
        assert ledger.balance(self.user.pk) <= best - self.spent * CENT
        assert 0 <= ledger.balance(self.referral.referrer_id) <= sum(paid) * REWARD // 100

    def bonuses(self) -> int:
        """Nano-dollars: what is left of each top-up that brought one has its share."""
        given = list(Redemption.objects.filter(user=self.user).exclude(top_up=None))
        tops = [self.payments[uuid.UUID(one.top_up.ref["topup"])] for one in given if one.top_up]
        paid = sum(payment.paid for payment in self.payments.values())
        assert len({id(payment) for payment in tops}) == len(given) <= min(self.redeemed, paid)
        bonuses = ((payment, payment.amount * BONUS // 100) for payment in tops)
        return sum(bonus * payment.worth // payment.amount for payment, bonus in bonuses) * CENT

    def teardown(self) -> None:
        """In the end everything is heard of, and the ledger says what the model says."""
        if not hasattr(self, "payments"):
            return
        self.shop.knobs()
        self.shop.stripe.advance(seconds=86_400)
        self.shop.deliver()
        inbox.poll(now=timezone.now())
        inbox.retry(now=timezone.now() + timedelta(hours=2))
        worth = sum(payment.worth for payment in self.payments.values())
        assert ledger.balance(self.user.pk) == (worth - self.spent) * CENT + self.bonuses()
        referrals.settle_all(timezone.now())
        assert ledger.balance(self.referral.referrer_id) == worth * REWARD // 100 * CENT
        posted = Transfer.objects.filter(
            kind="topup", credit__code=ledger.wallet_code(self.user.pk)
        )
        assert posted.count() == sum(payment.paid for payment in self.payments.values())
        self.user.refresh_from_db()
        taken = [p for p in self.payments.values() if p.disputed and not p.won]
        assert (self.user.frozen_at is not None) == bool(taken)
        assert customers.find(self.user.pk) is not None or not self.payments
        self.the_books_balance()


@pytest.mark.timeout(300)
def test_every_story_ends_with_the_right_balance(shop: Shop) -> None:
    Commerce.shop = shop
    with mock.patch("billing.payments.card_throttles.OrdersByAccount.limit", 10_000):
        run_state_machine_as_test(
            Commerce,
            settings=settings(
                max_examples=8,
                stateful_step_count=12,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
