"""What charts and tables of usage are made of: bars along time, series over them, and groups.

Money is nano-dollars. Hours are the clock's full hours in UTC, as the rollups have them, so a zone
that is half an hour off them has its hours begin at half past; days are the visitor's.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db.models import Count, F, Q, QuerySet, Sum
from django.db.models.functions import Coalesce, TruncMinute
from django.utils import timezone

from gateway.catalogue.models import BUCKETS
from gateway.usage import member_usage, rollups
from gateway.usage.corrections.models import corrected
from gateway.usage.models import OwnKeyHour, UsageEvent, UsageHour

Moment = datetime | date
Span = tuple[datetime, datetime]

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
DAY = "day"  # what is grouped by is a column of the rollups, or this
REST = "…"
_MINUTES = 60


@dataclass(frozen=True, slots=True)
class Series:
    """One colour of a chart: a value for each of its moments."""

    name: str
    values: list[int]


# -- Time ----------------------------------------------------------------------------------------


def moments(days: int, now: datetime) -> list[Moment]:
    """The bars of a chart: 24 hours, or the visitor's last days."""
    if days == 1:
        hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        return [hour - HOUR * back for back in range(23, -1, -1)]
    today = timezone.localdate(now)
    return [today - timedelta(days=back) for back in range(days - 1, -1, -1)]


def between(first: date, last: date) -> list[Moment]:
    """The bars of a chart of these days of the visitor's, both included; of one day, its hours."""
    if first != last:
        return [first + timedelta(days=n) for n in range((last - first).days + 1)]
    begin, over = _full(start(first)), _full(end(last))
    return [begin + HOUR * n for n in range((over - begin) // HOUR)]


def minutes(hour: datetime) -> list[Moment]:
    """The bars of an hour."""
    return [hour + MINUTE * n for n in range(_MINUTES)]


def span(along: Sequence[Moment]) -> Span:
    """From which full hour until before which these bars are; an hour's minutes are an hour."""
    if len(along) > 1 and isinstance(along[0], datetime) and along[1] == along[0] + MINUTE:
        return start(along[0]), start(along[0]) + HOUR
    return _full(start(along[0])), _full(end(along[-1]))


def _full(moment: datetime) -> datetime:
    """The next full hour of UTC, or this one."""
    below = moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return below if below == moment else below + HOUR


def earlier(along: Sequence[Moment], by: timedelta | None = None) -> list[Moment]:
    """As many bars, so much earlier, or else up to where these begin: to compare with."""
    begin, over = span(along)
    if by is None and isinstance(along[0], datetime):
        by = over - begin
    by = by or timedelta(days=len(along))
    return [moment - by for moment in along]


def end(moment: Moment) -> datetime:
    """When an hour, or the visitor's day, is over."""
    if isinstance(moment, datetime):
        return moment + HOUR
    return start(moment + timedelta(days=1))


def start(moment: Moment) -> datetime:
    """When an hour, or the visitor's day, began."""
    if isinstance(moment, datetime):
        return moment
    return timezone.make_aware(datetime.combine(moment, datetime.min.time()))


# -- What is summed ------------------------------------------------------------------------------


def _tokens(*buckets: str) -> Any:
    first, *others = buckets
    total: Any = F(first)
    for name in others:
        total = total + F(name)
    return total


_SUMMED: dict[str, Any] = {
    "prompt": _tokens(*rollups.PROMPT),
    "output": _tokens("output", "reasoning"),
    "tokens": _tokens(*BUCKETS),
}
MEASURES = ("cost", "requests", "errors", *_SUMMED)


def _of_hours(measure: str) -> Any:
    return Sum(_SUMMED.get(measure, measure))


def _of_events(measure: str) -> Any:
    if measure == "cost":
        return Sum(Coalesce("corrected_cost", "cost"))
    if measure in _SUMMED:
        return Sum(_SUMMED[measure])
    return Count("pk", filter=Q(status__gte=400) if measure == "errors" else None)


def selection(user_id: int, within: Span | None, wanted: dict[str, Any]) -> QuerySet[UsageHour]:
    """An account's rollups in this time (None: of all), narrowed to a key, a model, a tool or
    a member."""
    return UsageHour.objects.filter(**_narrowed(user_id, within, wanted)).order_by()


def with_own_keys(user_id: int, within: Span | None, wanted: dict[str, Any]) -> rollups.Selection:
    """The same, and the part of it that went through own keys."""
    narrowed = _narrowed(user_id, within, wanted)
    rows = UsageHour.objects.filter(**narrowed).order_by()
    return rollups.Selection(user_id, rows, OwnKeyHour.objects.filter(**narrowed).order_by())


def _narrowed(user_id: int, within: Span | None, wanted: dict[str, Any]) -> dict[str, Any]:
    columns = {"key": "api_key_id", "model": "model", "tool": "tool"}
    narrowed = {columns[name]: wanted[name] for name in columns if wanted.get(name)}
    if member := wanted.get("member"):
        narrowed["api_key_id__in"] = member_usage.keys_of(user_id, member)
    hours = {"hour__gte": within[0], "hour__lt": within[1]} if within else {}
    return {"user_id": user_id, **hours, **narrowed}


# -- Series for charts ---------------------------------------------------------------------------


def series(
    rows: QuerySet[UsageHour], by: str, measure: str, along: Sequence[Moment], most: int = 5
) -> list[Series]:
    """`measure` summed by moment and by `by`; all but the largest few are one series, "…"."""
    hourly = isinstance(along[0], datetime)
    sums: defaultdict[str, defaultdict[Moment, int]] = defaultdict(lambda: defaultdict(int))
    for row in rows.values("hour", by).annotate(amount=_of_hours(measure)):
        hour = row["hour"]
        sums[str(row[by])][hour if hourly else timezone.localtime(hour).date()] += row["amount"]
    return _ranked(sums, along, most)


def by_minute(
    events: QuerySet[UsageEvent], by: str, measure: str, along: Sequence[Moment], most: int = 5
) -> list[Series]:
    """The same of an hour, from its requests."""
    sums: defaultdict[str, defaultdict[Moment, int]] = defaultdict(lambda: defaultdict(int))
    found = corrected(events).order_by().annotate(minute=TruncMinute("created_at", tzinfo=UTC))
    row: dict[str, Any]
    for row in found.values("minute", by).annotate(amount=_of_events(measure)):
        sums[str(row[by])][row["minute"]] += row["amount"]
    return _ranked(sums, along, most)


def _ranked(
    sums: dict[str, defaultdict[Moment, int]], along: Sequence[Moment], most: int
) -> list[Series]:
    ranked = sorted(sums, key=lambda name: (-sum(sums[name].values()), name))
    found = [Series(name, [sums[name][m] for m in along]) for name in ranked[:most]]
    if rest := ranked[most:]:
        found.append(Series(REST, [sum(sums[name][m] for name in rest) for m in along]))
    return found


def peak(found: Iterable[Series], length: int) -> int:
    """The height of the highest bar."""
    stacks = zip(*(each.values for each in found), strict=True)
    return max((sum(stack) for stack in stacks), default=0) if length else 0


# -- Groups in two levels ------------------------------------------------------------------------

_COLUMNS = ("requests", "errors", "cost", "prompt", "output")


@dataclass(slots=True)
class Group:
    """What one model, key, tool or day of the visitor's adds up to, and what it is made of."""

    value: Any
    requests: int = 0
    errors: int = 0
    cost: int = 0
    prompt: int = 0
    output: int = 0
    earlier: int = 0  # the cost in the time that is compared with
    parts: list["Group"] = field(default_factory=list)

    def add(self, row: dict[str, Any]) -> None:
        for name in _COLUMNS:
            setattr(self, name, getattr(self, name) + row[f"sum_{name}"])

    @property
    def error_percent(self) -> str:
        return rollups.percent(self.errors, self.requests)


def groups(
    rows: QuerySet[UsageHour], by: str, then: str, compared: QuerySet[UsageHour] | None = None
) -> list[Group]:
    """Sums by `by` and within each by `then` (empty: one level), the dearest first, days the
    latest first."""
    first: dict[Any, Group] = {}
    second: dict[tuple[Any, Any], Group] = {}
    levels = [by, *([then] if then and then != by else [])]
    for keys, row in _grouped(rows, levels):
        group = first.setdefault(keys[0], Group(keys[0]))
        group.add(row)
        if len(keys) == 2:
            part = second.get(keys) or Group(keys[1])
            if keys not in second:
                second[keys] = part
                group.parts.append(part)
            part.add(row)
    for keys, row in _grouped(compared, levels) if compared is not None and by != DAY else ():
        if keys[0] in first:
            first[keys[0]].earlier += row["sum_cost"]
        if keys in second and then != DAY:
            second[keys].earlier += row["sum_cost"]
    for group in first.values():
        group.parts = _sorted(group.parts, then)
    return _sorted(list(first.values()), by)


def _grouped(
    rows: QuerySet[UsageHour], levels: list[str]
) -> Iterable[tuple[tuple[Any, ...], dict[str, Any]]]:
    columns = ["hour" if level == DAY else level for level in levels]
    sums = {f"sum_{name}": _of_hours(name) for name in _COLUMNS}
    row: dict[str, Any]
    for row in rows.values(*columns).annotate(**sums):
        yield (
            tuple(
                timezone.localtime(row["hour"]).date() if level == DAY else row[level]
                for level in levels
            ),
            row,
        )


def _sorted(found: list[Group], by: str) -> list[Group]:
    if by == DAY:
        return sorted(found, key=lambda group: group.value, reverse=True)
    return sorted(found, key=lambda group: (-group.cost, -group.requests, str(group.value)))
