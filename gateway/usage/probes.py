"""Requests that we make ourselves to see how a vendor is: what they cost us, in a daily budget.

Always true: before one is sent, the most it can cost is booked; it is sent only if the day (UTC)
has room for that; what it cost takes its place. So the budget holds whatever dies in between.
"""

from datetime import UTC, datetime, time, timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.db import models, transaction
from django.db.models import Sum
from django.utils import timezone

from gateway.catalogue.costs import margins
from gateway.catalogue.models import BUCKETS, Price
from gateway.catalogue.prices import schedule
from gateway.dialects.ir import Usage
from gateway.usage import vendor_days
from hontoni.money import nanos, per_million

_KEPT = timedelta(days=30)


class VendorProbe(models.Model):
    """One such request. `cost` is ours, in nano-dollars, by what the vendor is known to charge;
    until it has ended the most that it can be."""

    at = models.DateTimeField(default=timezone.now, db_index=True)
    credential = models.CharField(max_length=100)
    model = models.CharField(max_length=100)
    ok = models.BooleanField(null=True)
    error = models.CharField(max_length=60, blank=True, db_default="", default="")
    first_byte_ms = models.PositiveIntegerField(null=True)
    tokens = models.PositiveIntegerField(default=0, db_default=0)
    cost = models.BigIntegerField()

    class Meta:
        ordering = ("-at", "-id")
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=models.Q(cost__gte=0), name="probe_cost_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.credential} {self.model}"


def budget() -> int:
    """Nano-dollars a day; 0: none is made."""
    return nanos(settings.PROBE_DAILY_DOLLARS)


def spent(now: datetime) -> int:
    """Nano-dollars of this day, those under way at their most."""
    midnight = datetime.combine(now.astimezone(UTC).date(), time(), UTC)
    found = VendorProbe.objects.filter(at__gte=midnight).aggregate(whole=Sum("cost"))
    return int(found["whole"] or 0)


@transaction.atomic
def begin(credential: str, model: str, most: Usage) -> int | None:
    """Book the most it can cost; its id, or None where the day has no room for it."""
    now = timezone.now()
    bound = cost(model, most)
    if bound is None or spent(now) + bound > budget():
        return None
    VendorProbe.objects.filter(at__lt=now - _KEPT).delete()
    return VendorProbe.objects.create(credential=credential, model=model, cost=bound).pk


@transaction.atomic
def end(pk: int, *, error: str, first_ms: int | None, used: Usage | None) -> None:
    """Book what it cost in place of that. `used` is None where nobody knows: then it is the
    most."""
    row = VendorProbe.objects.select_for_update().get(pk=pk)
    row.ok, row.error, row.first_byte_ms = not error, error[:60], first_ms
    if used is not None:
        row.tokens, row.cost = sum(used), cost(row.model, used) or 0
        vendor_days.probed(row.at, row.credential, row.model, used)
    row.save()


def cost(model: str, used: Usage) -> int | None:
    """Nano-dollars that the vendor charges, as far as that is known, else our price; None of a
    model that has neither."""
    now = timezone.now()
    known: Any = margins.known([model]).on(model, now.astimezone(UTC).date())
    rates: Any = known or schedule.in_force(model, now)
    if rates is None:
        return None
    return per_million(sum(n * _rate(rates, b) for n, b in zip(used, BUCKETS, strict=True)))


def _rate(row: Any, bucket: str) -> int:
    return int(getattr(row, bucket) if isinstance(row, Price) else row.rate(bucket))


def shown(now: datetime) -> dict[str, Any]:
    """For people: today's budget, and the last of them."""
    return {"budget": budget(), "spent": spent(now), "last": list(VendorProbe.objects.all()[:20])}
