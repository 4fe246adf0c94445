"""What keys spent past their plan's windows, by UTC month: what the cap of overflow counts."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, Sum

from accounts.models import ApiKey
from billing.plans import surcharges
from billing.plans.models import Plan
from gateway.usage.books import Booked
from gateway.usage.models import OverflowMonth, UsageEvent
from hontoni import rowsets
from hontoni.money import dollars, per_cent

CAP = "cap"  # what a refusal says of a request that the cap left too little for
_COLUMNS = (("api_key_id", "bigint"), ("month", "timestamptz"), ("cost", "bigint"))


def went_past(event: Booked | UsageEvent) -> bool:
    """Whether it was admitted past a window."""
    return "overflow" in event.details


def month_of(moment: datetime) -> datetime:
    """When the month of a moment (in UTC) began."""
    return moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def add(rows: Iterable[Booked]) -> None:
    """What a batch adds. The caller has locked the wallets: nobody else writes of these keys."""
    sums: defaultdict[tuple[int, datetime], int] = defaultdict(int)
    for row in rows:
        if row.cost and went_past(row):
            sums[row.api_key_id, month_of(row.created_at)] += row.cost
    if sums:
        rowsets.insert(
            "gateway_overflowmonth",
            _COLUMNS,
            [(*key, cost) for key, cost in sorted(sums.items())],
            "ON CONFLICT (api_key_id, month) DO UPDATE "
            "SET cost = gateway_overflowmonth.cost + excluded.cost",
        )


def correct(changes: Iterable[tuple[UsageEvent, int]]) -> None:
    """The same of what is charged anew: of each request by how much."""
    for event, more in changes:
        if went_past(event):
            mine = OverflowMonth.objects.filter(
                api_key_id=event.api_key_id, month=month_of(event.created_at)
            )
            mine.update(cost=F("cost") + more)


def spent(keys: Collection[int], month: datetime) -> int:
    """Nano-dollars of the month that began then, as booked."""
    found = OverflowMonth.objects.filter(api_key_id__in=keys, month=month)
    return found.aggregate(cost=Sum("cost"))["cost"] or 0


def standing(key: ApiKey, plan: Plan, now: datetime) -> dict[str, Any] | None:
    """What a key may spend past its plan's windows in this month, and has, as booked: dollars,
    for programs. None: it stops at them."""
    if key.overflow_cap is None:
        return None
    mine = ApiKey.objects.related(key).values_list("pk", flat=True)
    month = month_of(now)
    used = spent(list(mine), month)
    return {
        "cap": dollars(key.overflow_cap),
        "spent": dollars(used),
        "remaining": dollars(max(key.overflow_cap - used, 0)),
        "surcharge_percent": per_cent(plan.surcharge),
        "surcharge_rises": surcharges.coming(plan),
        "resets_at": f"{(month + timedelta(31)).replace(day=1):%Y-%m-%dT%H:%M:%SZ}",
    }
