"""Rates, orders by bank transfer, the transfers we heard of, and what goes back.

Dong are whole; `amount` is nano-dollars.
"""

import uuid
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext

from hontoni import money


class ExchangeRate(models.Model):
    """How many dong a dollar costs. The newest that staff set is gone by (rates.py)."""

    class State(models.TextChoices):
        PROPOSED = "proposed", "proposed"
        SET = "set", "set by staff"
        DECLINED = "declined", "declined"

    dong = models.PositiveIntegerField(help_text="For a dollar.")
    state = models.CharField(max_length=10, choices=State.choices)
    source = models.CharField(
        max_length=500, blank=True, help_text="Who says so. Empty: staff did."
    )
    made_at = models.DateTimeField(auto_now_add=True)
    decided_by = models.CharField(max_length=254, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        app_label = "payments"
        ordering = ["-made_at", "-pk"]
        permissions = [("set_exchangerate", "Can set what a dollar costs in dong")]
        constraints = [
            models.CheckConstraint(condition=Q(dong__gte=1), name="exchange_rate_positive")
        ]

    def __str__(self) -> str:
        return gettext("%(dong)s dong for a dollar") % {"dong": self.dong}


class BankOrder(models.Model):
    """An order to be paid by bank transfer. What binds the transfer to it is `code`."""

    class Gateway(models.TextChoices):
        SEPAY = "sepay", "SePay"
        PAYOS = "payos", "payOS"

    class State(models.TextChoices):
        OPEN = "open", "waiting for the transfer"
        PAID = "paid", "paid"
        EXPIRED = "expired", "not paid in time"
        CANCELED = "canceled", "canceled"
        FAILED = "failed", "refused by the gateway"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="bank_orders")
    gateway = models.CharField(max_length=10, choices=Gateway.choices)
    state = models.CharField(max_length=10, choices=State.choices, default=State.OPEN)
    code = models.CharField(max_length=9, unique=True, help_text="In the transfer's content.")
    number = models.BigIntegerField(unique=True, help_text="Of the order at payOS.")
    dong = models.BigIntegerField()
    rate = models.PositiveIntegerField(help_text="Dong for a dollar, frozen.")
    amount = models.BigIntegerField(help_text="Nano-dollars of balance that it buys.")
    client_key = models.CharField(max_length=100, blank=True)
    bank = models.CharField(max_length=6, blank=True, help_text="Napas's number of the bank.")
    account = models.CharField(max_length=30, blank=True, help_text="That is paid to.")
    holder = models.CharField(max_length=100, blank=True)
    content = models.CharField(max_length=50, blank=True, help_text="What the transfer says.")
    qr = models.CharField(max_length=512, blank=True, help_text="What the code says.")
    link_id = models.CharField(max_length=100, blank=True, help_text="At payOS.")
    link_url = models.CharField(max_length=500, blank=True, help_text="payOS's own page.")
    failure = models.CharField(max_length=255, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    polled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        app_label = "payments"
        ordering = ["-created_at"]
        verbose_name = "bank order"
        indexes = [
            models.Index(fields=["user", "-created_at"], name="bank_order_of_user"),
            models.Index(fields=["expires_at"], name="bank_order_open", condition=Q(state="open")),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["user", "client_key"],
                condition=~Q(client_key=""),
                name="bank_order_client_key_once",
            ),
            models.CheckConstraint(
                condition=Q(dong__gte=1, amount__range=(1, money.MAX), rate__gte=1),
                name="bank_order_of_something",
            ),
        ]

    def __str__(self) -> str:
        return self.code


class BankTransfer(models.Model):
    """Money that came to our bank account, once, whoever told of it and however often."""

    class State(models.TextChoices):
        BOOKED = "booked", "on a balance"
        QUARANTINED = "quarantined", "waits for a person"
        RETURNING = "returning", "to be sent back"
        RETURNED = "returned", "sent back"

    class Problem(models.TextChoices):
        UNKNOWN = "unknown", "no order of ours is named"
        AMOUNT = "amount", "not the order's amount"
        LATE = "late", "after the order had ended"
        DOUBLE = "double", "the order was paid already"
        SEVERAL = "several", "several orders are named"
        ACCOUNT = "account", "to another account of ours"
        CLOSED = "closed", "the customer's account is closed"
        REFUSED = "refused", "the books refused it"

    gateway = models.CharField(max_length=10, choices=BankOrder.Gateway.choices)
    gateway_id = models.CharField(max_length=100, help_text="At the gateway that told first.")
    identity = models.CharField(
        max_length=250, unique=True, help_text="The same for whoever tells of it."
    )
    reference = models.CharField(max_length=100, blank=True, help_text="The bank's.")
    account = models.CharField(max_length=30, blank=True)
    dong = models.BigIntegerField()
    content = models.CharField(max_length=500, blank=True)
    sent_at = models.DateTimeField(help_text="As the bank says.")
    heard_at = models.DateTimeField(auto_now_add=True)
    heard_by = models.CharField(max_length=10, help_text="callback or poll")
    order = models.ForeignKey(
        BankOrder, models.PROTECT, null=True, blank=True, related_name="transfers"
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="bank_transfers",
        help_text="On whose balance it is.",
    )
    state = models.CharField(max_length=12, choices=State.choices)
    problem = models.CharField(max_length=10, choices=Problem.choices, blank=True)
    rate = models.PositiveIntegerField(default=0, help_text="Dong for a dollar, if booked.")
    amount = models.BigIntegerField(default=0, help_text="Nano-dollars, if booked.")
    by_staff = models.BooleanField(default=False)
    decided_by = models.CharField(max_length=254, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    note = models.CharField(max_length=200, blank=True)
    raw: "models.JSONField[Any, Any]" = models.JSONField(help_text="As we were told.")

    class Meta:
        app_label = "payments"
        ordering = ["-sent_at", "-pk"]
        verbose_name = "bank transfer"
        permissions = [("book_banktransfer", "Can book a transfer, or note that it goes back")]
        indexes = [
            models.Index(
                fields=["heard_at"], name="bank_transfer_waits", condition=Q(state="quarantined")
            )
        ]
        constraints = [
            models.CheckConstraint(condition=Q(dong__gte=1), name="bank_transfer_of_something"),
            # Whatever tells of it at once: an order is credited by itself once.
            models.UniqueConstraint(
                fields=["order"],
                condition=Q(state="booked", by_staff=False),
                name="bank_order_paid_once",
            ),
            models.CheckConstraint(
                condition=Q(state="booked", amount__gte=1, rate__gte=1, user__isnull=False)
                | (~Q(state="booked") & Q(amount=0)),
                name="bank_transfer_booked_or_not",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.dong} ₫ {self.reference or self.gateway_id}"

    @property
    def key(self) -> str:
        """Of the ledger's transfer that books it."""
        return f"vietqr:{self.pk}"


class BankRefund(models.Model):
    """Dong that go back by hand: one person says so, another sends them (bank_refunds.py)."""

    class State(models.TextChoices):
        REQUESTED = "requested", "waits to be sent by somebody else"
        SENT = "sent", "sent"
        DECLINED = "declined", "not sent after all"

    transfer = models.ForeignKey(BankTransfer, models.PROTECT, related_name="refunds")
    key = models.CharField(max_length=100, unique=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.REQUESTED)
    dong = models.BigIntegerField()
    amount = models.BigIntegerField(
        default=0, help_text="Nano-dollars taken from the balance; 0: it never was on one."
    )
    to = models.CharField(max_length=200, help_text="Bank, account and holder.")
    reason = models.CharField(max_length=200)
    requester = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    requested_by = models.CharField(max_length=254)
    requested_at = models.DateTimeField(auto_now_add=True)
    decider = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+"
    )
    decided_by = models.CharField(max_length=254, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    reference = models.CharField(max_length=100, blank=True, help_text="The bank's, of sending.")

    class Meta:
        app_label = "payments"
        ordering = ["-requested_at"]
        verbose_name = "bank refund"
        permissions = [
            ("request_bankrefund", "Can note that a bank transfer goes back"),
            ("send_bankrefund", "Can say that somebody else's note was sent, or decline it"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(dong__gte=1), name="bank_refund_of_something"),
            models.CheckConstraint(
                condition=Q(decider=None) | ~Q(decider=F("requester")),
                name="bank_refund_two_persons",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.dong} ₫: {self.to}"

    @property
    def ledger_key(self) -> str:
        """Of what it takes from the balance."""
        return f"vietqr_refund:{self.pk}"


class BankCursor(models.Model):
    """Up to when a gateway's list of transfers has been read."""

    gateway = models.CharField(max_length=10, primary_key=True)
    read_until = models.DateTimeField()
    error = models.CharField(max_length=255, blank=True)

    class Meta:
        app_label = "payments"
        default_permissions = ()

    def __str__(self) -> str:
        return self.gateway
