"""What was mailed to whom, and who wants what."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models import User
from billing.books.written_once import WrittenOnce
from hontoni import money


class Mail(models.Model):
    """The mail a notice became. Its row is the memory that it was sent."""

    class Status(models.TextChoices):
        WAITING = "waiting"
        SENT = "sent"
        UNWANTED = "unwanted", "switched off by its reader"
        FAILED = "failed", "given up"

    notice = models.OneToOneField(
        "billing.Notice", models.PROTECT, primary_key=True, related_name="mail"
    )
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(null=True)
    problem = models.CharField(max_length=500, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["due_at"], condition=Q(status="waiting"), name="mail_waiting")
        ]

    def __str__(self) -> str:
        return f"{self.notice_id}: {self.status}"


class Preferences(models.Model):
    """Which mails an account wants. No row: all of them, and the default threshold."""

    LOW_BALANCE = 2 * money.DOLLAR

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.PROTECT, primary_key=True, related_name="preferences"
    )
    unwanted = models.JSONField(default=list, help_text="Kinds of mail switched off.")
    low_balance = models.BigIntegerField(
        default=LOW_BALANCE, help_text="Nano-dollars; a mail when the balance is down to it."
    )

    class Meta:
        verbose_name_plural = "mail preferences"
        constraints = [
            models.CheckConstraint(
                condition=Q(low_balance__range=(0, money.MAX)), name="low_balance_in_range"
            )
        ]

    def __str__(self) -> str:
        return f"preferences:{self.pk}"

    @classmethod
    def of(cls, user: User) -> Self:
        """The account's own, or what everybody has who never chose."""
        return cls.objects.filter(pk=user.pk).first() or cls(user=user)

    def change(self, *, low_balance: Decimal | None, switched: Mapping[str, bool]) -> None:
        """Save a threshold in dollars (None: as it is) and kinds of mail switched on or off."""
        if low_balance is not None:
            self.low_balance = money.nanos(low_balance)
        unwanted = set(self.unwanted) | {kind for kind, on in switched.items() if not on}
        self.unwanted = sorted(unwanted - {kind for kind, on in switched.items() if on})
        self.save()


class Notice(WrittenOnce):
    """Something a customer should hear of. Whoever sends mail reads these, oldest first."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="notices")
    kind = models.CharField(max_length=50)
    key = models.CharField(max_length=255, unique=True)
    facts = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.key
