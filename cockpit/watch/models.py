"""The rules of the watch as staff set them, and what was found."""

from decimal import Decimal
from typing import ClassVar

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from gateway.vendors.models import http_url


class Kind(models.TextChoices):
    SPEND = "spend", _("a customer spends far more than before")
    ACCOUNTS = "accounts", _("far more new accounts than before")
    ADDRESS = "address", _("many accounts on one address")
    PERSON = "person", _("many accounts with one browser, card or mailbox")
    KEY_PLACES = "key_places", _("a key used from many places")
    CAPPED = "capped", _("charges cut at what was held")
    QUARANTINE = "quarantine", _("something waits in quarantine")
    MARGIN = "margin", _("a model earns too little")
    VENDOR_BILL = "vendor_bill", _("a vendor bills what the books do not explain")


class Rule(models.Model):
    """When staff want to hear of a kind of thing, and how. What the two numbers mean is the
    kind's (rules.py)."""

    kind = models.CharField(max_length=20, choices=Kind.choices, primary_key=True, editable=False)
    active = models.BooleanField(default=True, help_text="Off: it is not looked for.")
    threshold = models.DecimalField(
        max_digits=14, decimal_places=2, validators=[MinValueValidator(Decimal(-1000))]
    )
    least = models.DecimalField(
        max_digits=14, decimal_places=2, default=0, validators=[MinValueValidator(Decimal(0))]
    )
    mail = models.BooleanField(default=True, help_text="To staff who may see findings.")
    webhook = models.CharField(
        max_length=300,
        blank=True,
        validators=[http_url],
        help_text="Signed as standardwebhooks.com says. Empty: none.",
    )
    # The secret that signs is made of it: a new one makes a new secret.
    secret_version = models.PositiveIntegerField(default=1, editable=False)
    looked_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ("kind",)
        verbose_name = "rule of the watch"
        verbose_name_plural = "rules of the watch"

    def __str__(self) -> str:
        return str(Kind(self.kind).label)


class Finding(models.Model):
    """Something a rule found. The same again is the same finding."""

    class State(models.TextChoices):
        OPEN = "open"
        ACKNOWLEDGED = "acknowledged", "somebody looks into it"
        CLOSED = "closed"

    kind = models.CharField(max_length=20, choices=Kind.choices)
    subject = models.CharField(max_length=200)
    text = models.CharField(max_length=500)
    number = models.DecimalField(max_digits=20, decimal_places=2)
    users = models.JSONField(default=list, help_text="Accounts it is about, by id.")
    link = models.CharField(max_length=500, blank=True, help_text="Where the rows are.")
    state = models.CharField(max_length=12, choices=State.choices, default=State.OPEN)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    by = models.CharField(max_length=254, blank=True, help_text="Who acknowledged or closed it.")
    note = models.CharField(max_length=500, blank=True)
    frozen = models.JSONField(default=list, help_text="Accounts frozen because of it, by id.")
    frozen_reason = models.CharField(max_length=200, blank=True)
    # What it was when staff were told; and what is still to be told.
    told_number = models.DecimalField(max_digits=20, decimal_places=2)
    told = models.PositiveIntegerField(default=1, help_text="Which telling of it this is.")
    mail_due = models.BooleanField(default=False)
    hook_due = models.BooleanField(default=False)
    attempts = models.PositiveSmallIntegerField(default=0)
    retry_at = models.DateTimeField()
    problem = models.CharField(max_length=300, blank=True, help_text="Why it was not told.")

    class Meta:
        ordering = ("-last_at", "-id")
        permissions = (("decide_finding", "Can acknowledge, close and reopen findings"),)
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=("kind", "subject"), name="finding_once")
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=("state", "-last_at"), name="finding_by_state"),
            models.Index(
                fields=("retry_at",),
                condition=Q(mail_due=True) | Q(hook_due=True),
                name="finding_to_tell",
            ),
        ]

    def __str__(self) -> str:
        from cockpit.watch import sentences  # which names the kinds

        return sentences.translated(self.kind, self.text)
