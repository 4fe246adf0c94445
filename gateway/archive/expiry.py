"""Months that are older than RETENTION_MONTHS: exported, sealed, taken out.

The files are written first. Then, in one transaction, the rows are counted once more, what they
come to is written down and signed, and they are gone. Whoever dies before that has changed
nothing, and who comes after him writes files of the same rows; there is no moment at which a row
is neither in the database nor in the archive, or counts twice.
"""

import logging
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import OperationalError, transaction
from django.db.models import Count, Sum

from billing.books import brought_forward, checkpoints
from billing.books.models import Checkpoint, Transfer
from billing.books.monthly import first_number
from gateway.archive import dropping, sums
from gateway.archive.models import UsageBroughtForward
from gateway.archive.span import Span, of
from gateway.usage.models import UsageEvent
from hontoni import months

logger = logging.getLogger(__name__)

TRIES, PAUSE_SECONDS = 5, 3.0
LEAST_MONTHS = 3  # windows are made anew from a month of rows, and vendors' bills come late


class Changed(Exception):
    """Rows of the month were written while it was exported. Another time will do."""


def due(now: datetime) -> Iterator[datetime]:
    """The months that ended RETENTION_MONTHS ago, or before, and are still here; the oldest
    first."""
    month = oldest()
    while settings.RETENTION_MONTHS and month is not None and _is_over(month, now):
        yield month
        month = months.shifted(month, 1)


def _is_over(month: datetime, now: datetime) -> bool:
    return months.shifted(month, 1 + max(settings.RETENTION_MONTHS, LEAST_MONTHS)) <= now


def oldest() -> datetime | None:
    """The one after the last checkpoint; before the first one, that of the first usage."""
    if (until := checkpoints.archived_until()) is not None:
        return until
    event = UsageEvent.objects.order_by("pk").values_list("created_at", flat=True).first()
    charges = Transfer.objects.filter(kind=Transfer.Kind.USAGE).order_by("pk")
    began = [event, charges.values_list("created_at", flat=True).first()]
    return min((months.begin(at) for at in began if at is not None), default=None)


def run(now: datetime) -> list[Checkpoint]:
    """Take out every month that is due. Raises Changed, django.db.Error, OSError, or what the
    storage raises; what was taken out before that is."""
    dropping.sweep()
    made = [take_out(month) for month in due(now)]
    dropping.sweep()
    return made


def take_out(month: datetime) -> Checkpoint:
    """Take out this month, of which all before is gone. Raises as `run`."""
    from gateway.archive import exporting  # Arrow is 50 MB, which a worker seldom needs

    span = of(month)
    files = exporting.export(span)
    whole = dropping.whole(month)
    if whole is not None:
        dropping.promise(whole)
    for left in reversed(range(TRIES)):
        try:
            return _sealed(span, files, whole)
        except OperationalError:
            if not left:
                raise
            logger.warning("archive.busy: the month of %s is tried again", months.name(month))
            time.sleep(PAUSE_SECONDS)
    raise AssertionError


@transaction.atomic
def _sealed(span: Span, files: list[dict[str, Any]], whole: dropping.Whole | None) -> Checkpoint:
    dropping.hold_still(whole)
    rows = (span.events().count(), span.transfers().count(), span.entries().count())
    if rows != tuple(file["rows"] for file in files):
        raise Changed(f"{months.name(span.month)}: {rows} rows, but others were exported")
    last = checkpoints.newest()
    number = last.number + 1 if last else 1
    charges, entries = span.charges()
    going = (span.leaving().count(), charges.count(), entries.count())
    checkpoint = checkpoints.seal(
        span.month,
        transfers_until=span.transfers_until,
        usage_until=span.usage_until,
        files=files,
        ledger=_ledger(span, number, going),
        usage=_usage(span, number),
    )
    if dropping.drop(span, whole) != going:
        raise Changed(f"{months.name(span.month)}: other rows went than were counted")
    return checkpoint


def _ledger(span: Span, number: int, going: tuple[int, int, int]) -> dict[str, Any]:
    amount = span.charges()[0].aggregate(total=Sum("amount"))["total"] or 0
    brought_forward.carry(number, span.transfers_until, first_number(span.end))
    return {
        "charges": going[1],
        "entries": going[2],
        "amount": amount,
        "brought_forward": checkpoints.digest_of(brought_forward.lines(number)),
    }


def _usage(span: Span, number: int) -> dict[str, Any]:
    """By account into a table, by hour into a digest."""
    by_account = span.leaving().values_list("user_id").annotate(Count("pk"), Sum("cost"))
    UsageBroughtForward.objects.bulk_create(
        [
            UsageBroughtForward(checkpoint_id=number, user_id=user, requests=count, cost=cost)
            for user, count, cost in by_account.order_by("user_id")
        ]
    )
    own, beyond = sums.split(sums.of_events(span.leaving()), span.month)
    late = span.leaving().filter(pk__lt=span.usage_since)
    return {
        **{"accounts": accounts_digest(number), "hours": sums.digest(own)},
        "beyond": sums.spelled(beyond),
        "late": late.count(),
    }


def accounts_digest(number: int) -> str:
    """Of what each account's events came to, as a checkpoint brought it forward."""
    rows = UsageBroughtForward.objects.filter(checkpoint=number).order_by("user_id")
    return checkpoints.digest_of(
        f"{user} {count} {cost}"
        for user, count, cost in rows.values_list("user_id", "requests", "cost")
    )
