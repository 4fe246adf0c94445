"""The figures of the home page: of the last days, beside as many days before.

Usage is read from the hourly rollup and money from the ledger, by the transfers' days; both are
short walks on an index, however many requests there were. Amounts are nano-dollars.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Count, F, Q, Sum
from django.db.models.functions import TruncDay

from accounts.models import User
from billing.books.models import LedgerAccount, Transfer, Wallet
from billing.plans.models import Subscription
from gateway.usage.models import Refusal, UsageHour

Kind = Transfer.Kind
TAKEN_IN = (Kind.TOPUP,)
GIVEN_BACK = (Kind.REFUND, Kind.DISPUTE)


@dataclass(frozen=True, slots=True)
class Figure:
    """A number, and the same of the days before. None: there is no such number."""

    now: int
    before: int | None = None

    @property
    def change(self) -> int | None:
        """Percent up or down; None where nothing was before."""
        if not self.before:
            return None
        return round((self.now - self.before) * 100 / self.before)


@dataclass(frozen=True, slots=True)
class Span:
    """Some days up to a moment."""

    end: datetime
    days: int

    @property
    def begin(self) -> datetime:
        return self.end - timedelta(days=self.days)

    @property
    def previous(self) -> "Span":
        return Span(self.begin, self.days)


def _both(measure: Any, span: Span) -> Figure:
    return Figure(measure(span), measure(span.previous))


def usage_revenue(span: Span) -> Figure:
    """What requests were charged."""
    return _both(lambda days: _used(days)["cost"], span)


def requests(span: Span) -> Figure:
    return _both(lambda days: _used(days)["requests"], span)


def active(span: Span) -> Figure:
    """Customers with a request."""
    return _both(lambda days: _used(days)["users"], span)


def _hours(span: Span) -> Any:
    return UsageHour.objects.filter(hour__gte=span.begin, hour__lt=span.end)


def _used(span: Span) -> dict[str, int]:
    sums = _hours(span).aggregate(
        cost=Sum("cost", default=0),
        requests=Sum("requests", default=0),
        users=Count("user", distinct=True),
    )
    return {name: int(value) for name, value in sums.items()}


def paid_in(span: Span) -> Figure:
    """Cash of top-ups, less what went back by refund or dispute."""

    def measure(days: Span) -> int:
        moved = _moved(days)
        return sum(moved.get(kind, 0) for kind in TAKEN_IN) - sum(
            moved.get(kind, 0) for kind in GIVEN_BACK
        )

    return _both(measure, span)


def _moved(span: Span) -> dict[str, int]:
    rows = (
        Transfer.objects.exclude(kind=Kind.USAGE)
        .filter(created_at__gte=span.begin, created_at__lt=span.end)
        .values_list("kind")
        .annotate(total=Sum("amount"))
        .order_by()
    )
    return dict(rows)


def plans() -> list[dict[str, Any]]:
    """Each plan that is paid for, its subscribers, and what they pay a month with add-ons."""
    rows = (
        Subscription.objects.filter(status__in=Subscription.LIVE, trial=False)
        .values(name=F("plan__name"))
        .annotate(
            subscribers=Count("pk"),
            monthly=Sum(F("plan_price") + F("add_on_price"), default=0),
        )
        .order_by("-monthly")
    )
    return [dict(row) for row in rows if row["monthly"]]


def owed() -> int:
    """Balances that customers have not used: what we owe them."""
    wallets = Wallet.objects.aggregate(
        owed=Sum(F("credits_total") - F("settled_total"), default=0)
    )
    return int(wallets["owed"])


def books_balance() -> bool:
    """Whether the accounts add up to nothing: `reconcile` proves more, and takes longer."""
    return bool(LedgerAccount.objects.aggregate(total=Sum("balance", default=0))["total"] == 0)


def funnel(span: Span) -> tuple[int, int, int]:
    """Who signed up in these days; of them with a request; of them with a payment."""
    new = User.objects.filter(created_at__gte=span.begin, created_at__lt=span.end, is_staff=False)
    used = UsageHour.objects.filter(user__in=new).values("user").distinct().count()
    paid = new.filter(topups__state="paid").distinct().count()
    return new.count(), used, paid


def by_day(span: Span) -> list[tuple[datetime, int, int]]:
    """Each day (UTC) with what it was charged, and its requests."""
    rows = (
        _hours(span)
        .annotate(day=TruncDay("hour", tzinfo=UTC))
        .values_list("day")
        .annotate(cost=Sum("cost"), count=Sum("requests"))
        .order_by("day")
    )
    return list(rows)


def refused(span: Span, most: int = 8) -> list[dict[str, Any]]:
    """Why requests were refused, the most frequent reason first."""
    rows = Refusal.objects.filter(hour__gte=span.begin, hour__lt=span.end)
    found = rows.values("code", "status").annotate(
        times=Sum("count"), customers=Count("user", distinct=True)
    )
    return [dict(row) for row in found.order_by("-times")[:most]]


def spenders(span: Span, most: int = 8) -> list[dict[str, Any]]:
    """Who spent most, with what they spent in the days before."""
    now = dict(_spent(_hours(span))[:most])
    before = dict(_spent(_hours(span.previous).filter(user__in=now)))
    names = _emails(now)
    return [
        {"user": pk, "email": names[pk], "figure": Figure(spent, before.get(pk, 0))}
        for pk, spent in now.items()
    ]


def changes(span: Span, most: int = 6) -> list[dict[str, Any]]:
    """Whose spending changed most, up or down."""
    now, before = dict(_spent(_hours(span))), dict(_spent(_hours(span.previous)))
    moved = {pk: now.get(pk, 0) - before.get(pk, 0) for pk in now.keys() | before.keys()}
    top = sorted(moved, key=lambda pk: -abs(moved[pk]))[:most]
    names = _emails(top)
    return [
        {"user": pk, "email": names[pk], "figure": Figure(now.get(pk, 0), before.get(pk, 0))}
        for pk in top
    ]


def _spent(hours: Any) -> Any:
    return hours.values_list("user").annotate(spent=Sum("cost")).order_by("-spent")


def _emails(users: Iterable[int]) -> dict[int, str]:
    return dict(User.objects.filter(pk__in=list(users)).values_list("pk", "email"))


def failing(span: Span, most: int = 8) -> list[dict[str, Any]]:
    """Models by the share of their requests that failed."""
    rows = (
        _hours(span)
        .values("model")
        .annotate(count=Sum("requests"), failed=Sum("errors"))
        .filter(Q(failed__gt=0))
        .order_by("-failed")[:most]
    )
    return [{**row, "percent": row["failed"] * 100 / row["count"]} for row in rows]
