"""Where somebody wants to hear of events, and what was brought there."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class Channel(models.Model):
    """A way to be told. A webhook is the account's; Slack, Telegram and mail are the person's, who
    hears of this account for as long as their role lets them."""

    class Kind(models.TextChoices):
        WEBHOOK = "webhook", _("Webhook")
        SLACK = "slack", _("Slack")
        TELEGRAM = "telegram", _("Telegram")
        MAIL = "mail", _("E-mail")

    account = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="channels")
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", help_text="Who made it."
    )
    kind = models.CharField(max_length=10, choices=Kind.choices)
    name = models.CharField(max_length=100)
    url = models.CharField(max_length=500, blank=True, help_text="Of a webhook.")
    # A webhook's secret, and the one before while both sign; Slack's address, which is a secret.
    sealed = models.TextField(blank=True)
    sealed_before = models.TextField(blank=True)
    before_until = models.DateTimeField(null=True)
    chat = models.CharField(max_length=40, blank=True, help_text="Of Telegram, once linked.")
    code = models.CharField(max_length=40, blank=True, help_text="Links a chat of Telegram.")
    code_until = models.DateTimeField(null=True)
    events = models.JSONField(default=list, help_text="Types of events; none: all of them.")
    active = models.BooleanField(default=True)
    failing_since = models.DateTimeField(null=True, help_text="Nothing was taken since.")
    disabled_at = models.DateTimeField(null=True, help_text="It was switched off for failing.")
    since = models.DateTimeField(default=timezone.now, help_text="What was before is no news.")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [models.Index(fields=["account", "id"], name="channel_of_account")]
        constraints = [
            models.UniqueConstraint(
                fields=["code"], condition=~Q(code=""), name="channel_code_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind}: {self.name}"


class Delivery(models.Model):
    """An event on its way to a channel. Its row is the memory that it was brought."""

    class Status(models.TextChoices):
        WAITING = "waiting", _("waiting")
        TAKEN = "taken", _("taken")
        FAILED = "failed", _("given up")
        NEEDLESS = "needless", _("not sent")

    channel = models.ForeignKey(Channel, models.CASCADE, related_name="deliveries")
    # None: a test.
    notice = models.ForeignKey("billing.Notice", models.PROTECT, null=True, related_name="+")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0, help_text="Since it was last begun.")
    begun_at = models.DateTimeField(default=timezone.now)
    due_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True)
    tries = models.JSONField(default=list, help_text="The last ones: when, status, what came.")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name_plural = "deliveries"
        constraints = [
            models.UniqueConstraint(fields=["channel", "notice"], name="delivered_once")
        ]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(status="waiting"), name="delivery_due"),
            models.Index(fields=["channel", "-id"], name="delivery_of_channel"),
        ]

    def __str__(self) -> str:
        return f"{self.channel_id}: {self.status}"

    @property
    def message_id(self) -> str:
        """The same however often it is sent, and wherever: an event is taken once."""
        return f"msg_test_{self.pk}" if self.notice_id is None else f"msg_{self.notice_id}"
