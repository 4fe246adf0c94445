"""What was mailed to whom, who wants what, and what is announced to many."""

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


class Announcement(models.Model):
    """What staff tell customers, by banner, by mail, or both. `announcements.py` says to whom it
    has gone; once it has begun its words are not changed any more."""

    class Kind(models.TextChoices):
        SERVICE = "service", "about the service: everybody it concerns is mailed"
        NEWS = "news", "news and offers: not mailed to who has unsubscribed"

    class Audience(models.TextChoices):
        ALL = "all", "all customers"
        PLAN = "plan", "who has one of these plans"
        MODEL = "model", "who used this model in the last 30 days"

    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.SERVICE)
    title = models.CharField("title in English", max_length=150)
    title_vi = models.CharField("title in Vietnamese", max_length=150)
    body = models.TextField("text in English", help_text="Plain text; addresses become links.")
    body_vi = models.TextField("text in Vietnamese")
    audience = models.CharField(max_length=10, choices=Audience.choices, default=Audience.ALL)
    plans = models.ManyToManyField(
        "billing.Plan", blank=True, related_name="+", help_text="If it is for plans."
    )
    model = models.CharField(max_length=100, blank=True, help_text="If it is for a model.")
    banner = models.BooleanField(default=True, help_text="On customers' pages, until dismissed.")
    mail = models.BooleanField(default=False, help_text="One mail to each, when it begins.")
    starts_at = models.DateTimeField(default=timezone.now)
    ends_at = models.DateTimeField(help_text="The banner goes, and nobody new is told.")
    released_at = models.DateTimeField(null=True, editable=False)
    begun_at = models.DateTimeField(null=True, editable=False)
    withdrawn_at = models.DateTimeField(null=True, editable=False)
    by = models.CharField(max_length=254, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        permissions = [("release_announcement", "Can send announcements, and withdraw them")]
        constraints = [
            models.CheckConstraint(
                condition=Q(ends_at__gt=models.F("starts_at")), name="announcement_forward"
            )
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def status(self) -> str:
        """`draft`, `scheduled`, `running`, `over` or `withdrawn`."""
        if self.withdrawn_at:
            return "withdrawn"
        if not self.released_at:
            return "draft"
        if not self.begun_at:
            return "scheduled"
        return "over" if self.ends_at <= timezone.now() else "running"

    def words(self, language: str) -> tuple[str, str]:
        """Title and text."""
        return (self.title_vi, self.body_vi) if language == "vi" else (self.title, self.body)


class Told(models.Model):
    """That an announcement reached a customer: once each. Its banner shows until dismissed."""

    announcement = models.ForeignKey(Announcement, models.CASCADE, related_name="told")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, db_index=False, related_name="+"
    )
    mailed = models.BooleanField(default=False)
    dismissed_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["announcement", "user"], name="told_once")]
        indexes = [
            models.Index(fields=["user"], condition=Q(dismissed_at=None), name="told_banner")
        ]

    def __str__(self) -> str:
        return f"{self.announcement_id} to {self.user_id}"
