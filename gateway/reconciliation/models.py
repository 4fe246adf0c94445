"""Months that are proven: what their events came to (proven_months.py)."""

from typing import ClassVar

from django.conf import settings
from django.db import models


class ProvenMonth(models.Model):
    """A month (UTC) that was over and whose rows were all added up, signed. Transfers below
    `transfers_until`, and requests with ids of before the next month, are not read each night."""

    month = models.DateField(primary_key=True)
    transfers_until = models.BigIntegerField()
    statement = models.TextField(help_text="JSON, to the byte what was signed.")
    public_key = models.CharField(max_length=64)
    signature = models.CharField(max_length=128)
    proven_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["month"]
        default_permissions = ()

    def __str__(self) -> str:
        return f"the proof of {self.month:%Y-%m}"


class ProvenUsage(models.Model):
    """The events of one account in a proven month, in sum."""

    month = models.ForeignKey(ProvenMonth, models.CASCADE, related_name="usage")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    requests = models.BigIntegerField()
    cost = models.BigIntegerField(help_text="nano-dollars charged")

    class Meta:
        default_permissions = ()
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=("month", "user"), name="usage_proven_once")
        ]

    def __str__(self) -> str:
        return f"{self.month_id} of {self.user_id}"
