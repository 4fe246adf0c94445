"""An account's requests, narrowed to a key or a member's keys, a model or a tool.

No index has these: they would be a third of what a request takes on disk. The rollups say in which
hours there is something to be found, and the log's own index leads there, however rare it is.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import F, Q, QuerySet, Sum

from billing.books import checkpoints
from gateway.usage.models import UsageEvent, UsageHour
from gateway.usage.monthly import moment_of
from gateway.usage.request_ids import first_id
from gateway.usage.series import Span

MOST_SPANS = 60  # what is found in more hours than that is found soon
_HOUR = timedelta(hours=1)
_SLACK = timedelta(minutes=2)  # an id's clock against the one of the rollups
NARROWING = ("api_key_id", "api_key_id__in", "model", "tool")


def narrowed(
    events: QuerySet[UsageEvent],
    user_id: int,
    wanted: dict[str, Any],
    *,
    failed: bool | None = None,
    within: Span | None = None,
    before: UUID | None = None,
    most: int | None = None,
) -> QuerySet[UsageEvent]:
    """Those of an account's with these of NARROWING, failed or not, in a time, before an id;
    `most` is how many will be read at most, from the newest on."""
    wanted = {name: value for name, value in wanted.items() if value not in (None, "")}
    events = events.filter(**wanted)
    if failed is not None:
        events = events.filter(**{"status__gte" if failed else "status__lt": 400})
    if before is not None:
        events = events.filter(pk__lt=before)
    if within is not None:  # by the ids, which have an index, and then to the very moment
        begin, end = within
        ids = {"pk__gte": _id(begin - _SLACK), "pk__lt": _id(end + _SLACK)}
        events = events.filter(**ids, created_at__gte=begin, created_at__lt=end)
    if not wanted:
        return events
    hours = UsageHour.objects.filter(user_id=user_id, **wanted)
    if within is not None:
        hours = hours.filter(hour__gte=within[0], hour__lt=within[1])
    begun = None
    if before is not None:
        begun = moment_of(before) - _SLACK - _HOUR
        hours = hours.filter(hour__lte=moment_of(before) + _SLACK)
    spans = list(_spans(hours, failed, most, begun))
    if len(spans) > MOST_SPANS:
        return events.filter(pk__gte=_id(spans[-1][0]), pk__lt=_id(spans[0][1]))
    return events.filter(_within(spans))


def _spans(
    hours: QuerySet[UsageHour], failed: bool | None, most: int | None, begun: datetime | None
) -> Iterator[Span]:
    """The hours in which there are some, from the newest on, as few stretches as they make; until
    there are as many as will be read. Hours after `begun` may have been read in part and do not
    count. Last, whatever is older than the archive is."""
    until = checkpoints.archived_until()
    if until is not None:
        hours = hours.filter(hour__gte=until)
    errors = F("errors")
    count = Sum(F("requests") if failed is None else errors if failed else F("requests") - errors)
    found, begin, end = 0, None, None
    rows = hours.order_by("-hour").values_list("hour").annotate(count=count)
    for hour, more in rows.filter(count__gt=0).iterator():
        if begin is not None and end is not None and hour < begin - _HOUR:
            yield begin - _SLACK, end + _SLACK
            end = None
        begin, end = hour, end or hour + _HOUR
        found += more if begun is None or hour <= begun else 0
        if most is not None and found >= most:
            yield begin - _SLACK, end + _SLACK
            return
    if begin is not None and end is not None:
        yield begin - _SLACK, end + _SLACK
    if until is not None:
        yield datetime.fromtimestamp(0, until.tzinfo), until + _SLACK


def _within(spans: list[Span]) -> Q:
    either = Q(pk__in=())
    for begin, end in spans:
        either |= Q(pk__gte=_id(begin), pk__lt=_id(end))
    return either


def _id(moment: datetime) -> UUID:
    return first_id(moment.timestamp())
