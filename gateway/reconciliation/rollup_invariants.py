"""Rollups = events, hour by hour, read side by side a day at a time: what agrees is forgotten, so
what is in memory is a day, and what differs, however many years there are."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from django.db.models import QuerySet

from billing.books import checkpoints
from gateway.archive import archive_proof as archived
from gateway.archive import sums
from gateway.archive.sums import NOTHING, Key, Sums
from gateway.usage.corrections import correction_proof as corrections
from gateway.usage.models import UsageEvent, UsageHour
from gateway.usage.request_ids import first_id

SLACK = timedelta(days=1)  # that a request's id may be older than its hour, where clocks differ
Part = tuple[QuerySet[UsageEvent], QuerySet[UsageHour]]


class Differences:
    """By key: what the rollup says, and what the events come to, as corrected."""

    def __init__(self, since: datetime | None) -> None:
        self.open: dict[Key, tuple[Sums, Sums]] = {
            key: (NOTHING, (*NOTHING[:-1], more))
            for key, more in corrections.changed().items()
            if more and (since is None or key[1] >= since)
        }

    def add(self, key: Key, *, rolled_up: Sums = NOTHING, added_up: Sums = NOTHING) -> None:
        """Forgets it if both are the same now; whatever comes later begins anew."""
        rolled, added = self.open.pop(key, (NOTHING, NOTHING))
        both = sums.plus(rolled, rolled_up), sums.plus(added, added_up)
        if both[0] != both[1]:
            self.open[key] = both


def problems(since: datetime | None) -> Iterator[str]:
    """Every rollup that is not what its events come to, here or in the archive: of all hours; or
    of those from `since` on, and of months that are in the archive."""
    found, archive = Differences(since), archived.Rollups()
    for events, hours in _parts(since):
        for key, added_up in sums.of_events(events).items():
            found.add(key, added_up=added_up)
        for row in hours.order_by().values_list(*sums.BY, *sums.SUMS).iterator():
            key, rolled_up = row[: len(sums.BY)], row[len(sums.BY) :]
            found.add(key, rolled_up=rolled_up)
            if rolled_up == NOTHING:  # it would agree with no events at all
                yield f"the rollup of {key} has no events"
    for key, (rolled_up, added_up) in found.open.items():
        difference = sums.minus(rolled_up, added_up)
        if added_up == NOTHING and not archive.knows(key):
            yield f"the rollup of {key} has no events"
        elif not archive.is_explained(key, difference):
            yield from _named(key, rolled_up, difference)
    yield from archive.problems()


def _named(key: Key, rolled_up: Sums, difference: Sums) -> Iterator[str]:
    if rolled_up == NOTHING:
        yield f"usage of {key} has no rollup"
        return
    for name, value, more in zip(sums.SUMS, rolled_up, difference, strict=True):
        if more:
            stands = f"{value} requests" if name == "requests" else f"{name} is {value}"
            yield f"rollup of {key}: {stands}, not {value - more}"


def _parts(since: datetime | None) -> Iterator[Part]:
    """A day each, by the ids of its requests, and all of them together."""
    events, hours = UsageEvent.objects.all(), UsageHour.objects.all()
    if since is not None:
        if until := checkpoints.archived_until():
            stayed = events.filter(pk__lt=checkpoints.usage_floor())
            yield stayed, hours.filter(hour__lt=until)
        hours = hours.filter(hour__gte=since)
        first = first_id((since - SLACK).timestamp())
        events = events.filter(pk__gte=first, created_at__gte=since)
    for day in list(hours.datetimes("hour", "day", tzinfo=UTC))[1:]:
        edge = first_id(day.timestamp())
        yield events.filter(pk__lt=edge), hours.filter(hour__lt=day)
        events, hours = events.filter(pk__gte=edge), hours.filter(hour__gte=day)
    yield events, hours
