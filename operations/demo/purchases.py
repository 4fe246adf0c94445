"""What customers pay, and what goes wrong with it: cards, plans, refunds, disputes.

Every deed is the domain's own, at the moment of the clock; Stripe's side is played by the
simulator, which hears of it by the same calls as from the running product.
"""

import logging
import random
import uuid
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal

from django.utils import timezone

from billing import tasks as billing_tasks
from billing.payments import inbox, orders, refunds, settlements
from billing.payments import tasks as payment_tasks
from billing.payments.models import TopUp
from billing.plans.models import AddOn, Plan
from billing.rewards import promos
from billing.stripe import customers
from billing.subscriptions import changes
from hontoni import errors
from operations.demo.clock import Clock
from operations.demo.people import Customer

REFUNDED, DISPUTED, DECLINED = 0.03, 0.03, 0.06  # of top-ups
REASONS = ("fraudulent", "product_not_received", "subscription_canceled", "unrecognized")


class Till:
    """Where customers pay."""

    def __init__(self, clock: Clock, chance: random.Random) -> None:
        self.clock, self.chance = clock, chance

    def top_up(self, customer: Customer, dollars: int) -> TopUp | None:
        """By the card on file; some are declined first, and then another one pays."""
        self.clock.tell()
        if not customer.card:
            customer.card = self._card(customer, "visa")
        if self.chance.random() < DECLINED:
            self._declined(customer, dollars)
        order, _made = orders.buy(
            user=customer.user,
            route=TopUp.Route.INTENT,
            amount=Decimal(dollars),
            payment_method=customer.card,
            client_key=self._key(),
        )
        return order if order.state == TopUp.State.PAID else None

    def _declined(self, customer: Customer, dollars: int) -> None:
        with suppress(errors.PaymentRequired):
            orders.buy(
                user=customer.user,
                route=TopUp.Route.INTENT,
                amount=Decimal(dollars),
                payment_method=self._card(customer, "chargeCustomerFail"),
                client_key=self._key(),
            )

    def _card(self, customer: Customer, name: str) -> str:
        given = {"customer": customers.of(customer.user)}
        answer = self.clock.stripe.post(f"/v1/payment_methods/pm_card_{name}/attach", data=given)
        answer.raise_for_status()
        return str(answer.json()["id"])

    def _key(self) -> str:
        return uuid.UUID(int=self.chance.getrandbits(128)).hex

    def subscribe(self, customer: Customer) -> None:
        """The plan of their habit; one of three by card, the others from the balance."""
        self.clock.tell()
        plan = Plan.objects.get(slug=customer.habit.plan)
        by_card = bool(customer.card) and self.chance.random() < 0.33
        changes.subscribe(
            customer.user.pk,
            plan,
            method="stripe" if by_card else "balance",
            now=timezone.now(),
            key=self._key(),
            card=customer.card if by_card else "",
        )
        if self.chance.random() < 0.2:
            add_on = AddOn.objects.order_by("price")[0]
            changes.add(customer.user.pk, add_on, now=timezone.now(), key=self._key())

    def refund(self, order: TopUp) -> None:
        """By finance, of all or of half."""
        self.clock.tell()
        payment = refunds.of_top_up(order)
        left = refunds.left(payment)
        cents = left if self.chance.random() < 0.5 else left // 2
        refunds.refund(
            payment,
            cents,
            key=self._key(),
            reason=self.chance.choice(("Bought twice", "Goodwill", "Not what was expected")),
            actor="finance@example.com",
        )

    def dispute(self, order: TopUp) -> str:
        """By the customer's bank; the dispute's id."""
        reason = self.chance.choice(REASONS)
        opened = self.clock.control("disputes", payment_intent=order.intent_id, reason=reason)
        settlements.settle_dispute(opened["id"])
        return str(opened["id"])

    def decide(self, dispute: str) -> None:
        """The bank's word, weeks later."""
        outcome = self.chance.choice(("won", "lost"))
        self.clock.control(f"disputes/{dispute}", outcome=outcome)
        settlements.settle_dispute(dispute)

    def redeem(self, customer: Customer, code: str) -> None:
        promos.redeem(customer.user.pk, code, timezone.now())

    def daily(self) -> None:
        """What the worker does every day or oftener."""
        self.clock.tell()
        inbox.poll(now=timezone.now())
        payment_tasks.renew_by_card()
        billing_tasks.renew_subscriptions()
        billing_tasks.settle_referrals()
        payment_tasks.issue_documents()


logger = logging.getLogger(__name__)


def attempt(do: Callable[[], object]) -> None:
    """Customers are told no, too: a purchase that is refused is part of the picture."""
    try:
        do()
    except errors.ApiError as error:
        logger.info("demo: %s", error)
