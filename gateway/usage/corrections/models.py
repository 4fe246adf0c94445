"""Corrections: who priced which requests anew, why, and what that changed. Nano-dollars."""

from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, OuterRef, QuerySet, Subquery, Sum
from django.utils import timezone
from django.utils.translation import gettext

from billing.books.written_once import WrittenOnce

if TYPE_CHECKING:
    from gateway.usage.models import UsageEvent


class Correction(WrittenOnce):
    """The requests with a model from `since` to before `until`, at the prices of `price`."""

    price = models.ForeignKey("gateway.Price", models.PROTECT, related_name="corrections")
    since = models.DateTimeField("from")
    until = models.DateTimeField("to")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="Empty: of all accounts.",
    )
    debits = models.BooleanField(help_text="Whether what was too cheap was charged, too.")
    actor = models.CharField(max_length=254)
    reason = models.CharField(max_length=200, help_text="The customers see it.")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("-id",)
        permissions = (("correct_requests", "Can price requests anew"),)

    def __str__(self) -> str:
        return gettext("correction %(number)s") % {"number": self.pk}


class CorrectedAccount(WrittenOnce):
    """What a correction changed for one account: one transfer, one document, one mail."""

    correction = models.ForeignKey(Correction, models.PROTECT, related_name="accounts")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    requests = models.PositiveIntegerField()
    credited = models.BigIntegerField(help_text="Nano-dollars that were charged too much.")
    debited = models.BigIntegerField(help_text="Nano-dollars that were charged too little.")
    transfer = models.OneToOneField(
        "billing.Transfer",
        models.PROTECT,
        null=True,
        related_name="+",
        db_constraint=False,
        help_text="Of the difference; none where both are the same.",
    )

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=("correction", "user"), name="account_corrected_once")
        ]

    def __str__(self) -> str:
        return f"{self.correction_id} of {self.user_id}"


class CorrectedRequest(WrittenOnce):
    """What one request cost before a correction, and since."""

    correction = models.ForeignKey(Correction, models.PROTECT, related_name="requests")
    event = models.ForeignKey(
        "gateway.UsageEvent", models.PROTECT, related_name="corrections", db_constraint=False
    )
    old_cost = models.BigIntegerField()
    new_cost = models.BigIntegerField()

    class Meta:
        ordering = ("id",)
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=("correction", "event"), name="request_corrected_once")
        ]

    def __str__(self) -> str:
        return f"{self.event_id}: {self.old_cost} → {self.new_cost}"


def corrected(events: "QuerySet[UsageEvent]") -> "QuerySet[UsageEvent]":
    """Usage events, each with its `corrected_cost`: None if it was never corrected."""
    last = CorrectedRequest.objects.filter(event=OuterRef("pk")).order_by("-pk")
    return events.annotate(corrected_cost=Subquery(last.values("new_cost")[:1]))


def since_corrected(user_id: int, since: datetime, until: datetime) -> dict[str, int]:
    """By model, what corrections have changed of an account's requests from then until then."""
    known = CorrectedAccount.objects.filter(user_id=user_id).values("correction")
    mine = CorrectedRequest.objects.filter(
        correction__in=known,
        event__user_id=user_id,
        event__created_at__gte=since,
        event__created_at__lt=until,
    )
    sums = mine.order_by().values("event__model").annotate(more=Sum(F("new_cost") - F("old_cost")))
    return {row["event__model"]: row["more"] for row in sums}
