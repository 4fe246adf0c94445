"""What Stripe has of ours, what it told us, and what of that fits nothing."""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q

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

    class Meta:
        app_label = "payments"

    def __str__(self) -> str:
        return self.stripe_id


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
        app_label = "payments"
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
        app_label = "payments"
        constraints = [
            models.UniqueConstraint(fields=["name", "percent"], name="stripe_tax_rate_once")
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.percent} %"


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
        app_label = "payments"
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

    class Meta:
        app_label = "payments"

    def __str__(self) -> str:
        return self.read_until.isoformat()


class Quarantine(models.Model):
    """Something about money that does not fit, for a person to look at."""

    subject = models.CharField(max_length=255, help_text="The id of Stripe's object.")
    problem = models.CharField(max_length=50)
    topup = models.ForeignKey(
        "payments.TopUp", models.PROTECT, null=True, blank=True, related_name="quarantines"
    )
    details: "models.JSONField[Any, Any]" = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolved_by = models.CharField(max_length=254, blank=True)

    class Meta:
        app_label = "payments"
        verbose_name_plural = "quarantine"
        permissions = [("resolve_quarantine", "Can mark a quarantined payment as dealt with")]
        constraints = [
            models.UniqueConstraint(fields=["subject", "problem"], name="quarantine_once")
        ]

    def __str__(self) -> str:
        return f"{self.subject}: {self.problem}"

    @classmethod
    def note(
        cls, subject: str, problem: str, details: dict[str, Any], order: models.Model | None = None
    ) -> None:
        """Leave it to staff. The same problem of the same object is noted once."""
        cls.objects.get_or_create(
            subject=subject, problem=problem, defaults={"topup": order, "details": details}
        )

    @staticmethod
    def resolve(
        chosen: "models.QuerySet[Quarantine]", actor: str, now: datetime
    ) -> "list[Quarantine]":
        """Mark those of them as dealt with that are open; which. It moves no money."""
        open_ones = list(chosen.filter(resolved_at=None))
        chosen.filter(resolved_at=None).update(resolved_at=now, resolved_by=actor)
        return open_ones
