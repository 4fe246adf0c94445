"""Payments by card: top-ups, automatic ones, and disputes.

Amounts are nano-dollars unless named `cents`. For Django, the whole app's models are named here.
"""

import uuid
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q, Value
from django.utils.translation import gettext

from billing.invoices import taxes
from billing.payments.einvoice.models import EInvoice
from billing.payments.vietqr.models import (
    BankCursor,
    BankOrder,
    BankRefund,
    BankTransfer,
    ExchangeRate,
)
from billing.stripe.models import (
    PollCursor,
    Quarantine,
    StripeCustomer,
    StripeEvent,
    StripePrice,
    StripeTaxRate,
)
from billing.subscriptions.models import PlanOrder
from hontoni import money

__all__ = [
    "AutoTopUp",
    "BankCursor",
    "BankOrder",
    "BankRefund",
    "BankTransfer",
    "Dispute",
    "EInvoice",
    "ExchangeRate",
    "Payout",
    "PayoutLine",
    "PlanOrder",
    "PollCursor",
    "Quarantine",
    "StripeCustomer",
    "StripeEvent",
    "StripePrice",
    "StripeTaxRate",
    "TopUp",
]


class TopUp(models.Model):
    """An order: one attempt to buy balance. It is credited once, when Stripe confirms payment."""

    class Route(models.TextChoices):
        CHECKOUT = "checkout", "Checkout"
        INTENT = "intent", "PaymentIntent"
        AUTO = "auto", "automatic"

    class State(models.TextChoices):
        CREATED = "created", "not yet known to Stripe"
        OPEN = "open", "waiting for the customer"
        PAID = "paid"
        FAILED = "failed"
        QUARANTINED = "quarantined", "paid, but not as ordered"

    PENDING = (State.CREATED, State.OPEN)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="topups")
    route = models.CharField(max_length=10, choices=Route.choices)
    state = models.CharField(max_length=12, choices=State.choices, default=State.CREATED)
    amount = models.BigIntegerField(help_text="Nano-dollars, before tax; whole cents.")
    charged_cents = models.BigIntegerField(
        default=0, help_text="What the card paid, tax included. 0 until it has."
    )
    save_card = models.BooleanField(default=False)
    payment_method = models.CharField(max_length=255, blank=True)
    return_url = models.CharField(max_length=500, blank=True)
    # The customer's Idempotency-Key: the same again is the same order.
    client_key = models.CharField(max_length=100, blank=True)
    # Of the idempotency key we give Stripe. It rises only where Stripe has stored a failure.
    attempt = models.PositiveIntegerField(default=1)
    session_id = models.CharField(max_length=255, blank=True)
    intent_id = models.CharField(max_length=255, blank=True)
    failure = models.CharField(max_length=255, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    asked_at = models.DateTimeField(null=True, blank=True, help_text="When Stripe was asked.")
    paid_at = models.DateTimeField(null=True, blank=True)
    invoice_id = models.CharField(
        max_length=255,
        blank=True,
        default="",
        db_default="",
        help_text="Stripe's invoice; empty: ours.",
    )

    class Meta:
        verbose_name = "top-up"
        permissions = [("refund_topup", "Can give a payment back to its card")]
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["user", "-created_at"], name="topup_of_user"),
            models.Index(
                fields=["created_at"],
                name="topup_pending",
                condition=Q(state__in=["created", "open"]),
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(amount__range=(money.CENT, money.MAX)), name="topup_amount_in_range"
            ),
            models.UniqueConstraint(
                fields=["user", "client_key"],
                condition=~Q(client_key=""),
                name="topup_client_key_once",
            ),
            models.UniqueConstraint(
                fields=["session_id"], condition=~Q(session_id=""), name="topup_session_once"
            ),
            models.UniqueConstraint(
                fields=["intent_id"], condition=~Q(intent_id=""), name="topup_intent_once"
            ),
            models.UniqueConstraint(
                fields=["invoice_id"], condition=~Q(invoice_id=""), name="topup_invoice_once"
            ),
            # The lock of an account's automatic top-ups.
            models.UniqueConstraint(
                fields=["user"],
                condition=Q(route="auto", state__in=["created", "open"]),
                name="topup_one_automatic_pending",
            ),
        ]

    def __str__(self) -> str:
        return gettext("%(amount)s for %(user)s") % {
            "amount": f"${money.dollars(self.amount)}",
            "user": self.user,
        }

    @property
    def cents(self) -> int:
        """What is bought, before tax."""
        return money.cents(self.amount)

    @property
    def idempotency_key(self) -> str:
        """Ours for Stripe: saved, with the row, before it is used."""
        return f"topup:{self.pk}:{self.attempt}"

    def fail(self, failure: str) -> bool:
        """It came to nothing. False if it had ended before."""
        pending = TopUp.objects.filter(pk=self.pk, state__in=self.PENDING)
        failed = pending.update(state=self.State.FAILED, failure=failure[:255])
        self.refresh_from_db()
        return bool(failed)

    def worth(self, cents: int) -> int:
        """Nano-dollars of balance, in whole cents, that these cents of the payment bought.

        The tax is not the customer's balance.
        """
        return taxes.share(self.amount, cents, self.charged_cents)


class AutoTopUp(models.Model):
    """Buy `amount` whenever the balance falls under `threshold`. Off unless asked for."""

    MOST_FAILURES = 3

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.PROTECT, primary_key=True, related_name="auto_topup"
    )
    enabled = models.BooleanField(default=False)
    threshold = models.BigIntegerField()
    amount = models.BigIntegerField()
    monthly_cap = models.BigIntegerField()
    payment_method = models.CharField(max_length=255, blank=True, help_text="Empty: the default.")
    failures = models.PositiveIntegerField(default=0)
    last_failure = models.CharField(max_length=255, blank=True)
    retry_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "automatic top-up"
        constraints = [
            models.CheckConstraint(
                condition=Q(threshold__gte=0, amount__gt=0, monthly_cap__gte=models.F("amount")),
                name="auto_topup_sane",
            )
        ]

    def __str__(self) -> str:
        return gettext("automatic top-up of %(user)s") % {"user": self.user}


class Dispute(models.Model):
    """A payment somebody's bank takes back, as Stripe told us last."""

    id = models.CharField(max_length=255, primary_key=True)
    topup = models.ForeignKey(TopUp, models.PROTECT, null=True, related_name="disputes")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        related_name="disputes",
        help_text="Whose payment it is, if it is of a plan and not of a top-up.",
    )
    status = models.CharField(max_length=50)
    amount = models.BigIntegerField(help_text="Nano-dollars; of balance, if of a top-up.")
    withdrawn = models.BooleanField(default=False)
    reinstated = models.BooleanField(default=False)
    updated_at = models.DateTimeField(auto_now=True)
    intent_id = models.CharField(max_length=255, blank=True, default="", db_default="")
    reason = models.CharField(
        max_length=50, blank=True, default="", db_default="", help_text="The bank's, in a word."
    )
    cents = models.BigIntegerField(
        default=0, db_default=0, help_text="What is disputed of the payment, tax included."
    )
    opened_at = models.DateTimeField(null=True, blank=True)
    due_at = models.DateTimeField(
        null=True, blank=True, help_text="After it, the bank takes no answer."
    )
    evidence: "models.JSONField[Any, Any]" = models.JSONField(
        default=dict, db_default=Value({}, models.JSONField()), help_text="As it was submitted."
    )
    answered_at = models.DateTimeField(null=True, blank=True)
    answered_by = models.CharField(max_length=254, blank=True, default="", db_default="")

    ANSWERABLE = ("needs_response", "warning_needs_response")

    class Meta:
        permissions = [("answer_dispute", "Can answer a dispute, or give it up")]

    def __str__(self) -> str:
        return self.id

    @property
    def whose(self) -> Any:
        """The customer whose payment it is, if that is known."""
        return self.user or (self.topup and self.topup.user)


class Payout(models.Model):
    """What Stripe sent to our bank, and what it is made of. Amounts are cents."""

    id = models.CharField(max_length=255, primary_key=True)
    status = models.CharField(max_length=50)
    amount = models.BigIntegerField(help_text="Cents; negative: Stripe took it from the bank.")
    arrives_on = models.DateField()
    made_at = models.DateTimeField()
    gross = models.BigIntegerField(
        default=0, db_default=0, help_text="Cents, before Stripe's fees."
    )
    fees = models.BigIntegerField(default=0, db_default=0, help_text="Cents, what Stripe keeps.")
    unmatched = models.PositiveIntegerField(
        default=0, db_default=0, help_text="Movements that nothing in our books explains."
    )
    reconciled_at = models.DateTimeField(
        null=True, blank=True, help_text="When its movements were last laid beside the books."
    )

    class Meta:
        ordering = ["-made_at"]

    def __str__(self) -> str:
        return self.id


class PayoutLine(models.Model):
    """A balance transaction of Stripe's that is part of a payout. Amounts are cents."""

    id = models.CharField(max_length=255, primary_key=True)
    payout = models.ForeignKey(Payout, models.CASCADE, related_name="lines")
    category = models.CharField(max_length=50)
    source = models.CharField(max_length=255, blank=True)
    gross = models.BigIntegerField()
    fee = models.BigIntegerField()
    made_at = models.DateTimeField()
    booked_as = models.CharField(
        max_length=255, blank=True, help_text="Of our books. Empty: nothing explains it."
    )
    problem = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["made_at"]
        default_permissions = ()

    def __str__(self) -> str:
        return self.id
