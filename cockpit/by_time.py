"""A large table narrowed by time without an index of times: its ids rise with it.

The id at a moment is found by halves, each of which reads one row by its id. Two who write at once
may do so in another order than their times, so the ids are taken an hour more widely than the
times, which the list's own filter compares.
"""

from datetime import datetime, timedelta
from typing import Any

from django.contrib.admin import DateFieldListFilter
from django.db.models import AutoField, Max, Min, QuerySet
from django.utils.timezone import is_aware, make_aware

SLACK = timedelta(hours=1)


def narrowed(rows: QuerySet[Any], chosen: Any) -> QuerySet[Any]:
    """`rows`, by the ids of the time that a list's filter was set to; all where it was not."""
    known = isinstance(rows.model._meta.pk, AutoField)
    if not known or not isinstance(chosen, DateFieldListFilter):
        return rows
    path = chosen.field_path
    if since := _moment(chosen, f"{path}__gte"):
        rows = rows.filter(pk__gte=_first(rows.model, path, since - SLACK))
    if until := _moment(chosen, f"{path}__lt"):
        rows = rows.filter(pk__lt=_first(rows.model, path, until + SLACK))
    return rows


def _moment(chosen: DateFieldListFilter, bound: str) -> datetime | None:
    given = chosen.used_parameters.get(bound)
    text = given[-1] if isinstance(given, list) else given
    found = chosen.field.to_python(text or None)
    if not isinstance(found, datetime):
        return None
    return found if is_aware(found) else make_aware(found)


def _first(model: type[Any], path: str, moment: datetime) -> int:
    """The id from which on rows are of that moment or later; above all, where none is."""
    rows = model._base_manager.order_by("pk")
    ends = rows.aggregate(low=Min("pk"), high=Max("pk"))
    low, high = ends["low"] or 0, (ends["high"] or 0) + 1
    while low < high:
        middle = (low + high) // 2
        found = rows.filter(pk__gte=middle).values_list("pk", path).first()
        if found is None or found[1] >= moment:
            high = middle
        else:
            low = found[0] + 1
    return int(low)
