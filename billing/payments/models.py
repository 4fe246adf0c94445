"""What we asked Stripe for, and what it told us. Amounts are nano-dollars unless named `cents`."""

import uuid
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q

from billing import taxes
from hontoni import money


class StripeCustomer(models.Model):
    """Who an account is at Stripe."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        primary_key=True,
        related_name="stripe_customer",
    )
    stripe_id = models.CharField(max_length=255, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    cards_removed_at = models.DateTimeField(
        null=True, blank=True, help_text="Of an account that was deleted."
    )

    def __str__(self) -> str:
        return self.stripe_id


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
        return f"${money.dollars(self.amount)} for {self.user}"

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


class StripePrice(models.Model):
    """What a plan or an add-on is at Stripe, at one monthly amount. Prices there never change."""

    plan = models.ForeignKey("billing.Plan", models.PROTECT, null=True, related_name="+")
    add_on = models.ForeignKey("billing.AddOn", models.PROTECT, null=True, related_name="+")
    cents = models.BigIntegerField()
    stripe_id = models.CharField(max_length=255, unique=True)
    product_id = models.CharField(max_length=255)
    inclusive = models.BooleanField(
        default=False, db_default=False, help_text="It contains SELLER_TAX_RATE."
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(plan=None, add_on__isnull=False) | Q(plan__isnull=False, add_on=None),
                name="stripe_price_of_one_thing",
            ),
            models.UniqueConstraint(
                fields=["plan", "cents", "inclusive"], name="stripe_price_of_plan"
            ),
            models.UniqueConstraint(
                fields=["add_on", "cents", "inclusive"], name="stripe_price_of_add_on"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.plan or self.add_on} at ${money.dollars(self.cents * money.CENT)}"


class StripeTaxRate(models.Model):
    """SELLER_TAX_RATE at Stripe, for the invoices it makes of plans. Rates there never change."""

    name = models.CharField(max_length=50)
    percent = models.CharField(max_length=20)
    stripe_id = models.CharField(max_length=255, unique=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["name", "percent"], name="stripe_tax_rate_once")
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.percent} %"


class PlanOrder(models.Model):
    """One attempt to have a plan, or an add-on, paid by Stripe. At most one is open an account."""

    class State(models.TextChoices):
        OPEN = "open", "waiting for the payment"
        DONE = "done"
        FAILED = "failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="plan_orders")
    subscription = models.ForeignKey("billing.Subscription", models.PROTECT, related_name="orders")
    plan = models.ForeignKey("billing.Plan", models.PROTECT, null=True, related_name="+")
    add_on = models.ForeignKey("billing.AddOn", models.PROTECT, null=True, related_name="+")
    state = models.CharField(max_length=10, choices=State.choices, default=State.OPEN)
    card = models.CharField(max_length=255, blank=True, help_text="Empty: by Checkout.")
    client_key = models.CharField(max_length=100, blank=True)
    attempt = models.PositiveIntegerField(default=1)
    session_id = models.CharField(max_length=255, blank=True)
    invoice_id = models.CharField(max_length=255, blank=True)
    cents = models.BigIntegerField(default=0, help_text="What was paid; below 0 if credited.")
    failure = models.CharField(max_length=255, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["user"], condition=Q(state="open"), name="plan_order_one_open"
            ),
            models.UniqueConstraint(
                fields=["user", "client_key"],
                condition=~Q(client_key=""),
                name="plan_order_client_key_once",
            ),
            models.UniqueConstraint(
                fields=["session_id"], condition=~Q(session_id=""), name="plan_order_session_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.plan or self.add_on} for {self.user}"

    @property
    def idempotency_key(self) -> str:
        """Ours for Stripe: saved, with the row, before it is used."""
        return f"plan:{self.pk}:{self.attempt}"

    def close(self, state: str, failure: str = "", **fields: Any) -> None:
        """It is over, one way or the other. The first word counts."""
        open_one = PlanOrder.objects.filter(pk=self.pk, state=self.State.OPEN)
        open_one.update(state=state, failure=failure[:255], **fields)
        self.refresh_from_db()


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
        return f"automatic top-up of {self.user}"


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

    def __str__(self) -> str:
        return self.id


class StripeEvent(models.Model):
    """The inbox: an event exactly as it was received, once."""

    class Source(models.TextChoices):
        WEBHOOK = "webhook"
        POLL = "poll"

    id = models.CharField(max_length=255, primary_key=True)
    type = models.CharField(max_length=100, db_index=True)
    object_id = models.CharField(max_length=255, blank=True, db_index=True)
    payload: "models.JSONField[Any, Any]" = models.JSONField()
    source = models.CharField(max_length=10, choices=Source.choices)
    received_at = models.DateTimeField(auto_now_add=True)
    handled_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    retry_at = models.DateTimeField()
    error = models.CharField(max_length=500, blank=True)
    mirrored_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "Stripe event"
        permissions = [("replay_stripeevent", "Can handle a Stripe event again")]
        indexes = [
            models.Index(
                fields=["retry_at"], name="stripe_event_waiting", condition=Q(handled_at=None)
            )
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.id}"


class PollCursor(models.Model):
    """Up to when Stripe's list of events has been read."""

    read_until = models.DateTimeField()

    def __str__(self) -> str:
        return self.read_until.isoformat()


class Quarantine(models.Model):
    """Something about money that does not fit, for a person to look at."""

    subject = models.CharField(max_length=255, help_text="The id of Stripe's object.")
    problem = models.CharField(max_length=50)
    topup = models.ForeignKey(
        TopUp, models.PROTECT, null=True, blank=True, related_name="quarantines"
    )
    details: "models.JSONField[Any, Any]" = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolved_by = models.CharField(max_length=254, blank=True)

    class Meta:
        verbose_name_plural = "quarantine"
        permissions = [("resolve_quarantine", "Can mark a quarantined payment as dealt with")]
        constraints = [
            models.UniqueConstraint(fields=["subject", "problem"], name="quarantine_once")
        ]

    def __str__(self) -> str:
        return f"{self.subject}: {self.problem}"

    @classmethod
    def note(
        cls, subject: str, problem: str, details: dict[str, Any], order: TopUp | None = None
    ) -> None:
        """Leave it to staff. The same problem of the same object is noted once."""
        cls.objects.get_or_create(
            subject=subject, problem=problem, defaults={"topup": order, "details": details}
        )
