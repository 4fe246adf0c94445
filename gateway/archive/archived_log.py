"""An account's requests in one list, whether they are still in the database or in the archive.

The database is asked first. Only a page that reaches below what it keeps looks into the archive,
and there only into the months in which, as the rollups say, something is to be found. What was
corrected or is in quarantine is in both; the database's has the last word.
"""

import heapq
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from operator import itemgetter
from typing import Any

from django.db.models import QuerySet

from accounts.models import ApiKey
from billing.books import archived, checkpoints
from billing.books.models import Checkpoint
from gateway.archive import archived_receipts
from gateway.usage.charges import Charge
from gateway.usage.models import UsageEvent, UsageHour
from hontoni import months

_LEAST, _MOST = uuid.UUID(int=0), uuid.UUID(int=2**128 - 1)
_HOUR = timedelta(hours=1)  # more than an id's clock may differ from the one of the rollups
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Narrowing:
    """Which requests of an account: with these values in these columns, failed or not, with ids
    from `since` to before `until`."""

    user_id: int
    wanted: dict[str, Any] = field(default_factory=dict)
    failed: bool | None = None
    since: uuid.UUID = _LEAST
    until: uuid.UUID = _MOST
    began: tuple[datetime, datetime] | None = None  # from when to before when, by the rollups
    batch: uuid.UUID | None = None  # with which they were charged

    def between(self, since: uuid.UUID | None, until: uuid.UUID | None) -> "Narrowing":
        """From an id to before another one, besides."""
        first, last = max(self.since, since or _LEAST), min(self.until, until or _MOST)
        return replace(self, since=first, until=last)

    def charged_with(self, charge: Charge) -> "Narrowing":
        """Those that a charge is the sum of."""
        after = uuid.UUID(int=charge.last.int + 1)
        return replace(self.between(charge.first, after), batch=charge.first)

    def has(self, row: Row) -> bool:
        """Whether a row of this account is one of them."""
        if self.failed is not None and (row["status"] >= 400) != self.failed:
            return False
        if self.began and not self.began[0] <= row["created_at"] < self.began[1]:
            return False
        if self.batch and row["batch"] not in (None, self.batch.hex):
            return False
        return all(_is(row, name, value) for name, value in self.wanted.items())


def _is(row: Row, name: str, value: Any) -> bool:
    """As a query set says it: one value, or one of several."""
    column, _, several = name.partition("__")
    return row[column] in value if several else bool(row[column] == value)


@dataclass(frozen=True, slots=True)
class Log:
    """As much of a query set of events as pages ask for: an order, a position, a slice."""

    events: QuerySet[UsageEvent]
    narrowing: Narrowing
    ascending: bool = False

    def order_by(self, name: str) -> "Log":
        """By id, from either end: `pk` or `-pk`."""
        return replace(self, events=self.events.order_by(name), ascending=name == "pk")

    def filter(self, **position: Any) -> "Log":
        """From a position on: `pk__lt` or `pk__gt`. Raises ValueError of what is no id."""
        ((name, value),) = position.items()
        pk = value if isinstance(value, uuid.UUID) else uuid.UUID(value)
        after = uuid.UUID(int=pk.int + 1)
        span = (None, pk) if name == "pk__lt" else (after, None)
        narrowing = self.narrowing.between(*span)
        return replace(self, events=self.events.filter(**{name: pk}), narrowing=narrowing)

    def __getitem__(self, part: slice) -> list[UsageEvent]:
        """Raises Unavailable where the archive is needed and away."""
        kept = list(self.events[: part.stop])
        if not self._reaches_below(kept, part.stop):
            return kept[part.start : part.stop]
        known = {event.pk for event in kept}
        rows = read(self.narrowing, ascending=self.ascending)
        others = (
            event for event in map(archived_receipts.event_of, rows) if event.pk not in known
        )
        with archived.reading():
            found = list(islice(others, part.stop))
        both = sorted([*kept, *found], key=lambda e: e.pk.int, reverse=not self.ascending)
        return _listed(both[part.start : part.stop])

    def _reaches_below(self, kept: list[UsageEvent], most: int) -> bool:
        floor = checkpoints.usage_floor()
        if self.narrowing.since >= floor:
            return False
        return self.ascending or len(kept) < most or kept[-1].pk < floor


def _listed(events: list[UsageEvent]) -> list[UsageEvent]:
    """With what lists tell besides, in one query: their keys' names. What is in the archive alone
    was never corrected."""
    bare = [event for event in events if not UsageEvent.api_key.is_cached(event)]
    keys = ApiKey.objects.select_related("member__person").in_bulk(
        {event.api_key_id for event in bare}
    )
    for event in bare:
        event.api_key = keys[event.api_key_id]
        vars(event).setdefault("corrected_cost", None)
    return events


# -- The archive ---------------------------------------------------------------------------------


def read(narrowing: Narrowing, *, ascending: bool = False) -> Iterator[Row]:
    """Those of the archive, the newest first, or the oldest. Raises what the storage raises."""
    months_with = _months(narrowing)
    made = list(Checkpoint.objects.order_by("number"))
    since = _LEAST
    spans = []
    for each in made:
        spans.append((each, max(since, narrowing.since), min(each.usage_until, narrowing.until)))
        since = each.usage_until
    late = [each for each in made if checkpoints.contents(each)["usage"]["late"]]
    for each, first, last in spans if ascending else reversed(spans):
        if first < last and each.month in months_with:
            files = [each, *(other for other in late if other.number > each.number)]
            yield from _merged(files, replace(narrowing, since=first, until=last), ascending)


def _months(narrowing: Narrowing) -> set[Any]:
    """In which there are some, as the rollups say."""
    hours = UsageHour.objects.filter(user_id=narrowing.user_id, **narrowing.wanted)
    if narrowing.failed:
        hours = hours.filter(errors__gt=0)
    until = checkpoints.archived_until()
    if until is not None:
        hours = hours.filter(hour__lt=until + _HOUR)
    found = set(hours.datetimes("hour", "month", tzinfo=UTC))
    return {near.date() for month in found for near in _near(month)}


def _near(month: datetime) -> Iterable[datetime]:
    """By its id a request may be of the month before."""
    return months.shifted(month, -1), month


def _merged(files: list[Checkpoint], wanted: Narrowing, ascending: bool) -> Iterator[Row]:
    rows = [_rows(each, wanted, ascending) for each in files]
    return heapq.merge(*rows, key=itemgetter("request_id"), reverse=not ascending)


def _rows(checkpoint: Checkpoint, wanted: Narrowing, ascending: bool) -> Iterator[Row]:
    first, last = f"req_{wanted.since.hex}", f"req_{wanted.until.hex}"
    mine = {"user_id": (wanted.user_id, wanted.user_id), "request_id": (first, last)}
    with archived.file(checkpoint, archived_receipts.USAGE) as file:
        for row in file.rows(ascending=ascending, **mine):
            if row["request_id"] < last and wanted.has(row):
                yield row
