"""What events come to by hour, account, key, model and tool: as the rollups say it, and as a
checkpoint's digest keeps it of events that are gone."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from django.db.models import Count, QuerySet, Sum
from django.db.models.functions import TruncHour

from billing.books.checkpoints import digest_of
from gateway.catalogue.models import BUCKETS
from gateway.usage.models import UsageEvent
from hontoni import months

BY = ("user_id", "hour", "api_key_id", "model", "tool")
SUMS = ("requests", *BUCKETS, "cost")

Key = tuple[Any, ...]  # the values of BY
Sums = tuple[int, ...]  # those of SUMS
NOTHING: Sums = (0,) * len(SUMS)


def of_events(events: QuerySet[UsageEvent]) -> dict[Key, Sums]:
    """Added up by the database."""
    totals = {f"sum_{name}": Sum(name) for name in SUMS[1:]}
    rows = (
        events.order_by()
        .annotate(hour=TruncHour("created_at", tzinfo=UTC))
        .values_list(*BY)
        .annotate(requests=Count("pk"), **totals)
    )
    return {row[: len(BY)]: row[len(BY) :] for row in rows.iterator()}


def plus(left: Sums, right: Sums) -> Sums:
    """Each with the other."""
    return tuple(a + b for a, b in zip(left, right, strict=True))


def minus(left: Sums, right: Sums) -> Sums:
    """Each less the other."""
    return tuple(a - b for a, b in zip(left, right, strict=True))


def split(rows: Mapping[Key, Sums], month: datetime) -> tuple[dict[Key, Sums], dict[Key, Sums]]:
    """Those of a month's own hours, and the others: a request's id is a moment older than its
    admission, which may lie beyond the month's end."""
    own = {key: sums for key, sums in rows.items() if months.begin(key[1]) == month}
    return own, {key: sums for key, sums in rows.items() if key not in own}


def digest(rows: Mapping[Key, Sums]) -> str:
    """Of these, but for those that are nothing."""
    return digest_of(sorted(_line(key, sums) for key, sums in rows.items() if any(sums)))


def _line(key: Key, sums: Sums) -> str:
    user_id, hour, *rest = key
    return "\t".join(map(str, (user_id, int(hour.timestamp()), *rest, *sums)))


def spelled(rows: Mapping[Key, Sums]) -> list[list[Any]]:
    """As a checkpoint's statement has them."""
    return [[key[0], int(key[1].timestamp()), *key[2:], *sums] for key, sums in rows.items()]


def read(rows: Iterable[list[Any]]) -> dict[Key, Sums]:
    """`spelled`, back again."""
    return {
        (row[0], datetime.fromtimestamp(row[1], UTC), *row[2 : len(BY)]): tuple(row[len(BY) :])
        for row in rows
    }
