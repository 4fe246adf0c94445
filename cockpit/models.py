"""Sums of whole days, so that the home page is quick however many requests there were.

Amounts are nano-dollars, days are UTC.
"""

from typing import ClassVar

from django.conf import settings
from django.db import models

from cockpit.watch.models import Finding, Rule

__all__ = ["CustomerDay", "Finding", "Rule", "SummedDay"]


class SummedDay(models.Model):
    """A day that was summed, with all its usage. `daily.py` says when it is good.

    `booked_requests` and `booked_cost` are what settlement had booked of that day then: while they
    have not moved, neither has anything else of it.
    """

    day = models.DateField(primary_key=True)
    requests = models.BigIntegerField()
    errors = models.BigIntegerField()
    cost = models.BigIntegerField()
    booked_requests = models.BigIntegerField()
    booked_cost = models.BigIntegerField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.day.isoformat()


class CustomerDay(models.Model):
    """What one customer used on such a day."""

    day = models.DateField()
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, db_index=False, related_name="+"
    )
    requests = models.BigIntegerField()
    errors = models.BigIntegerField()
    cost = models.BigIntegerField()

    class Meta:
        default_permissions = ()
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=("day", "user"), name="customer_day_once")
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=("user", "day"), name="customer_day_of_user")
        ]

    def __str__(self) -> str:
        return f"{self.user_id} {self.day}"
