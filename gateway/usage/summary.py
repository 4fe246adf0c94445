"""What an account used in some days (UTC), grouped one way: for programs that ask on /v1 or /api.

From the hourly rollups; money as decimal strings of dollars.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db.models import F, Sum
from django.db.models.functions import Coalesce, TruncDate

from gateway.catalogue.models import BUCKETS
from gateway.usage.models import UsageHour
from hontoni.errors import BadRequest
from hontoni.money import dollars, nanos

_USUAL_DAYS, _MOST_DAYS = 30, 366
GROUPS = ("day", "model", "key", "member")
_COUNTS = ("requests", "errors")
_TOKENS = dict(zip(BUCKETS, (f"{name}_tokens" for name in BUCKETS), strict=True))
_NAMES = {
    "day": ("day", TruncDate("hour", tzinfo=UTC)),
    "model": ("model", F("model")),
    "key": ("key_id", F("api_key_id")),
    "member": ("member", Coalesce(F("api_key__member__person__email"), F("api_key__user__email"))),
}


def answer(user_id: int, first: date | None, last: date | None, by: str) -> dict[str, Any]:
    """The groups of those days (both included; without a word the last 30) and their total.
    Raises BadRequest."""
    last = last or datetime.now(UTC).date()
    first = first or last - timedelta(days=_USUAL_DAYS - 1)
    if not timedelta(0) <= last - first < timedelta(days=_MOST_DAYS):
        raise BadRequest(f"From 1 to {_MOST_DAYS} days can be asked for.", param="from")
    rows = grouped(user_id, first, last, by)
    return {
        "object": "usage",
        "currency": "USD",
        "from": first.isoformat(),
        "to": last.isoformat(),
        "group_by": by,
        "data": rows,
        "total": total(rows),
    }


def grouped(user_id: int, first: date, last: date, by: str) -> list[dict[str, Any]]:
    """A row a group that was used: days in their order, others the dearest first."""
    since = datetime.combine(first, datetime.min.time(), UTC)
    until = datetime.combine(last, datetime.min.time(), UTC) + timedelta(days=1)
    name, of = _NAMES[by]
    hours = UsageHour.objects.filter(user_id=user_id, hour__gte=since, hour__lt=until)
    sums = {f"sum_{each}": Sum(each) for each in (*_COUNTS, *BUCKETS, "cost")}
    found = hours.order_by().annotate(group=of).values("group").annotate(**sums)
    order = ("group",) if by == "day" else ("-sum_cost", "group")
    return [_row(name, row) for row in found.order_by(*order)]


def _row(name: str, row: Mapping[str, Any]) -> dict[str, Any]:
    group = row["group"].isoformat() if isinstance(row["group"], date) else row["group"]
    return {
        name: group,
        **{each: row[f"sum_{each}"] for each in _COUNTS},
        **{shown: row[f"sum_{each}"] for each, shown in _TOKENS.items()},
        "cost": dollars(row["sum_cost"]),
    }


def total(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """All groups together."""
    added = dict.fromkeys((*_COUNTS, *_TOKENS.values()), 0)
    cost = 0
    for row in rows:
        cost += nanos(row["cost"])
        for name in added:
            added[name] += row[name]
    return {**added, "cost": dollars(cost)}
