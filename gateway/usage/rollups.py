"""What pages tell about an account's usage, from the hourly rollups: sums and shares.

Money is nano-dollars. Days are the visitor's: a zone that is half an hour off the full hours sees
the hour around midnight on the day it began. What charts and tables are made of is in series.py.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db.models import Q, QuerySet, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from billing.invoices.statements import Used
from gateway.catalogue.models import BUCKETS
from gateway.catalogue.own_prices.terms import Rates
from gateway.catalogue.snapshot import Catalogue
from gateway.usage.corrections.models import since_corrected
from gateway.usage.models import OwnKeyHour, UsageHour
from hontoni import money

_CACHES = ("cache_read", "cache_write_5m", "cache_write_1h")
PROMPT = ("input", "cache_read", "cache_write_5m", "cache_write_1h")


@dataclass(frozen=True, slots=True)
class Glance:
    """Sums of the visitor's day so far, and of the last 7 and 30 days with it."""

    today: int
    week: int
    month: int
    requests: int
    errors: int

    @property
    def error_percent(self) -> str:
        return percent(self.errors, self.requests)


def percent(part: int, whole: int) -> str:
    """ "0.4": with one decimal, and never in exponents or in the visitor's digits."""
    tenths = (part * 1000 + whole // 2) // whole if whole else 0
    return f"{tenths // 10}.{tenths % 10}"


def midnight(now: datetime) -> datetime:
    """When the visitor's day began."""
    return timezone.localtime(now).replace(hour=0, minute=0, second=0, microsecond=0)


def glance(user_id: int, now: datetime) -> Glance:
    """Spend and requests of the last days."""
    day = midnight(now)
    rows = UsageHour.objects.filter(user_id=user_id, hour__gte=day - timedelta(days=29))
    sums = rows.aggregate(
        today=Coalesce(Sum("cost", filter=Q(hour__gte=day)), 0),
        week=Coalesce(Sum("cost", filter=Q(hour__gte=day - timedelta(days=6))), 0),
        month=Coalesce(Sum("cost"), 0),
        requests=Coalesce(Sum("requests"), 0),
        errors=Coalesce(Sum("errors"), 0),
    )
    return Glance(**sums)


def top_models(user_id: int, now: datetime, most: int = 5) -> list[dict[str, Any]]:
    """The dearest models of the last 30 days, each with its share of the dearest in percent."""
    rows = UsageHour.objects.filter(user_id=user_id, hour__gte=midnight(now) - timedelta(days=29))
    sums = rows.values("model").annotate(spent=Sum("cost"), count=Sum("requests"))
    top = list(sums.order_by("-spent", "-count", "model")[:most])
    dearest = max((row["spent"] for row in top), default=0)
    return [row | {"share": row["spent"] * 100 // dearest if dearest else 0} for row in top]


def by_model(user_id: int, since: datetime, until: datetime) -> list[Used]:
    """What an account used of each model, by the hours from `since` until before `until`.

    At what was charged when it was used: a correction is a payment of its own, of its own day.
    """
    corrected = since_corrected(user_id, since, until)
    rows = UsageHour.objects.filter(user_id=user_id, hour__gte=since, hour__lt=until)
    names = ("requests", *BUCKETS, "cost")
    sums: Any = rows.order_by().values("model").annotate(**{f"sum_{n}": Sum(n) for n in names})
    return [
        Used(
            row["model"],
            row["sum_requests"],
            sum(row[f"sum_{name}"] for name in PROMPT),
            row["sum_output"] + row["sum_reasoning"],
            row["sum_cost"] - corrected.get(row["model"], 0),
        )
        for row in sums
    ]


class Selection(NamedTuple):
    """Some of an account's rollups, and the part of them that went through own keys."""

    account: int
    rows: QuerySet[UsageHour]
    own: QuerySet[OwnKeyHour]


@dataclass(slots=True)
class Totals:
    """What a selection of rollups adds up to. `saved` and `costs` are at today's prices, for what
    went through our accounts; `fees` is what own keys cost."""

    requests: int = 0
    errors: int = 0
    cost: int = 0
    saved: int = 0
    fees: int = 0
    tokens: dict[str, int] = field(default_factory=lambda: dict.fromkeys(BUCKETS, 0))
    costs: dict[str, int] = field(default_factory=lambda: dict.fromkeys(BUCKETS, 0))

    @property
    def error_percent(self) -> str:
        return percent(self.errors, self.requests)

    @property
    def cache_percent(self) -> str:
        """The share of all prompt tokens that came from a vendor's cache."""
        return percent(self.tokens["cache_read"], sum(self.tokens[name] for name in PROMPT))

    @property
    def buckets(self) -> list[tuple[str, int, int]]:
        """(bucket, tokens, cost) of every bucket that was used."""
        return [(n, self.tokens[n], self.costs[n]) for n in BUCKETS if self.tokens[n]]


def _rates(catalogue: Catalogue, name: str, account: int) -> Rates | None:
    """What this account pays for a model now, or paid last for one that has ended; None of one
    that is not known any more."""
    model, gone = catalogue.models.get(name), catalogue.retired.get(name)
    if model is not None:
        return model.owned(account).price.rates
    rates: Any = None if gone is None else gone.rates
    return rates  # type: ignore[no-any-return]  # as many as there are buckets


def totals(selected: Selection, catalogue: Catalogue) -> Totals:
    """Add up a selection of rollups."""
    total, rows = Totals(), selected.rows
    own = _by_own_keys(selected.own)
    names = ("requests", "errors", "cost", *BUCKETS)
    sums = rows.values("model").annotate(**{f"sum_{name}": Sum(name) for name in names})
    row: dict[str, Any]
    for row in sums:  # type: ignore[assignment]  # its keys are made of names
        total.requests += row["sum_requests"]
        total.errors += row["sum_errors"]
        total.cost += row["sum_cost"]
        rates, elsewhere = _rates(catalogue, row["model"], selected.account), own.get(row["model"])
        for position, name in enumerate(BUCKETS):
            tokens = row[f"sum_{name}"]
            total.tokens[name] += tokens
            ours = tokens - (elsewhere[name] if elsewhere else 0)
            if rates is not None:
                total.costs[name] += money.per_million(ours * rates[position])
            if rates is not None and name in _CACHES:  # writing may cost more than it saves
                total.saved += money.per_million(ours * (rates[0] - rates[position]))
        total.fees += elsewhere["cost"] if elsewhere else 0
    return total


def _by_own_keys(rows: QuerySet[OwnKeyHour]) -> dict[str, dict[str, int]]:
    """By model: the tokens that went through them, and the fees."""
    names = (*BUCKETS, "cost")
    sums: Any = rows.values("model").annotate(**{f"sum_{name}": Sum(name) for name in names})
    return {row["model"]: {name: row[f"sum_{name}"] for name in names} for row in sums}
