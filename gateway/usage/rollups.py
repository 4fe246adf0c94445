"""What pages tell about an account's usage, from the hourly rollups: sums, shares and series.

Money is nano-dollars. Days are the visitor's: a zone that is half an hour off the full hours sees
the hour around midnight on the day it began.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
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


# -- Series for charts ---------------------------------------------------------------------------

Moment = datetime | date


@dataclass(frozen=True, slots=True)
class Series:
    """One colour of a chart: a value for each of its moments."""

    name: str
    values: list[int]


def moments(days: int, now: datetime) -> list[Moment]:
    """The bars of a chart: 24 hours, or the visitor's last days."""
    if days == 1:
        hour = timezone.localtime(now).replace(minute=0, second=0, microsecond=0)
        return [hour - timedelta(hours=back) for back in range(23, -1, -1)]
    today = timezone.localdate(now)
    return [today - timedelta(days=back) for back in range(days - 1, -1, -1)]


def series(
    rows: QuerySet[UsageHour], by: str, measure: str, along: list[Moment], most: int = 5
) -> list[Series]:
    """`measure` summed by moment and by `by`; all but the largest few are one series, "…"."""
    sums: defaultdict[str, defaultdict[Moment, int]] = defaultdict(lambda: defaultdict(int))
    hourly = isinstance(along[0], datetime)
    for row in rows.values("hour", by).annotate(amount=Sum(measure)):
        local = timezone.localtime(row["hour"])
        sums[str(row[by])][local if hourly else local.date()] += row["amount"]
    ranked = sorted(sums, key=lambda name: (-sum(sums[name].values()), name))
    found = [Series(name, [sums[name][m] for m in along]) for name in ranked[:most]]
    if rest := ranked[most:]:
        found.append(Series("…", [sum(sums[name][m] for name in rest) for m in along]))
    return found


def between(first: date, last: date) -> list[Moment]:
    """The bars of a chart of these days of the visitor's, both included."""
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def selection(user_id: int, along: list[Moment], wanted: dict[str, Any]) -> Selection:
    """An account's rollups under these bars, narrowed to a key, a model or a tool."""
    columns = {"key": "api_key_id", "model": "model", "tool": "tool"}
    narrowed = {columns[name]: wanted[name] for name in columns if wanted.get(name)}
    within = {"hour__gte": start(along[0]), "hour__lt": end(along[-1])}
    found = {"user_id": user_id, **within, **narrowed}
    return Selection(
        user_id, UsageHour.objects.filter(**found), OwnKeyHour.objects.filter(**found)
    )


def before(along: list[Moment]) -> list[Moment]:
    """As many bars, up to where these begin: what they are compared with."""
    step = timedelta(hours=1) if isinstance(along[0], datetime) else timedelta(days=1)
    return [moment - step * len(along) for moment in along]


def end(moment: Moment) -> datetime:
    """When an hour, or the visitor's day, is over."""
    if isinstance(moment, datetime):
        return moment + timedelta(hours=1)
    return start(moment + timedelta(days=1))


def start(moment: Moment) -> datetime:
    """When an hour, or the visitor's day, began."""
    if isinstance(moment, datetime):
        return moment
    return timezone.make_aware(datetime.combine(moment, datetime.min.time()))


def peak(found: Iterable[Series], length: int) -> int:
    """The height of the highest bar."""
    stacks = zip(*(each.values for each in found), strict=True)
    return max((sum(stack) for stack in stacks), default=0) if length else 0
