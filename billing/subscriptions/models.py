"""What was ordered at Stripe: plans and add-ons. What came of it is a Subscription (plans)."""

import uuid
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext


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
        app_label = "payments"
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
        return gettext("%(amount)s for %(user)s") % {
            "amount": self.plan or self.add_on,
            "user": self.user,
        }

    @property
    def idempotency_key(self) -> str:
        """Ours for Stripe: saved, with the row, before it is used."""
        return f"plan:{self.pk}:{self.attempt}"

    def close(self, state: str, failure: str = "", **fields: Any) -> None:
        """It is over, one way or the other. The first word counts."""
        open_one = PlanOrder.objects.filter(pk=self.pk, state=self.State.OPEN)
        open_one.update(state=state, failure=failure[:255], **fields)
        self.refresh_from_db()
