"""How each model has done: the share of requests its vendor answered, and how fast it began.

Computed from the newest requests of all customers (at most SAMPLE of them a model's vendors
share), so that the page costs the same on a full database as on an empty one.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from django.core.cache import cache

from gateway.usage.models import UsageEvent
from gateway.usage.request_ids import first_id
from gateway.usage.rollups import percent

SAMPLE = 20_000
CACHE_SECONDS = 60
SPANS = {"day": timedelta(hours=24), "week": timedelta(days=7)}


@dataclass(frozen=True, slots=True)
class Health:
    """`success` in percent, as text; `first_byte` the median in ms of streams, if there were."""

    requests: int
    success: str
    first_byte: int | None
    level: str


def report(now: datetime) -> dict[str, dict[str, Health]]:
    """By model and span. At most a minute old."""
    found: dict[str, dict[str, Health]] | None = cache.get("status")
    if found is None:
        found = defaultdict(dict)
        for span, length in SPANS.items():
            for model, health in _healths(now - length).items():
                found[model][span] = health
        cache.set("status", dict(found), CACHE_SECONDS)
    return found


def overall(now: datetime) -> str:
    """All models over a day: `good`, `warn` or `bad` as the worst of them, `quiet` without any."""
    levels = {spans["day"].level for spans in report(now).values() if "day" in spans}
    return next((level for level in ("bad", "warn", "good") if level in levels), "quiet")


def _healths(since: datetime) -> dict[str, Health]:
    rows = UsageEvent.objects.filter(pk__gte=first_id(since.timestamp())).values_list(
        "model", "status", "stream", "first_byte_ms"
    )
    groups: defaultdict[str, list[tuple[int, bool, int | None]]] = defaultdict(list)
    for model, status, stream, first_byte in rows[:SAMPLE]:
        groups[model].append((status, stream, first_byte))
    return {model: _health(members) for model, members in groups.items()}


def _health(members: list[tuple[int, bool, int | None]]) -> Health:
    """Only failures of ours and the vendor's count as such: not what the client did."""
    failed = sum(status >= 500 for status, _, _ in members)
    good = len(members) - failed
    waits = [wait for _, stream, wait in members if stream and wait is not None]
    level = (
        "good"
        if failed * 100 <= len(members)
        else "warn"
        if failed * 10 <= len(members)
        else "bad"
    )
    return Health(
        len(members), percent(good, len(members)), round(median(waits)) if waits else None, level
    )
