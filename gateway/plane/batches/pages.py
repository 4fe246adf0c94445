"""Lists by pages, as both APIs have them: behind an id, or in front of one."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from django.db.models import Model, Q, QuerySet

from gateway.batches import wording
from hontoni import digits
from hontoni.errors import BadRequest

M = TypeVar("M", bound=Model)


def limit(query: Mapping[str, str], usual: int, most: int) -> int:
    """Raises BadRequest."""
    given = query.get("limit", "")
    number = digits.whole(given) if given else usual
    if number is None or not 1 <= number <= most:
        raise BadRequest(f"limit must be between 1 and {most}.", param="limit")
    return number


def page(
    rows: QuerySet[M],
    shape: Callable[[M], dict[str, Any]],
    most: int,
    *,
    after: str = "",
    before: str = "",
    ascending: bool = False,
) -> dict[str, Any]:
    """The newest first, unless `ascending`. Raises BadRequest where there is no such id."""
    backwards = bool(before) and not after
    if pivot := after or before:
        rows = rows.filter(_beyond(rows, pivot, newer=backwards is not ascending))
    reverse = ascending is not backwards
    ordered = rows.order_by("created_at", "id") if reverse else rows.order_by("-created_at", "-id")
    found = list(ordered[: most + 1])
    more, found = len(found) > most, found[:most]
    if backwards:
        found.reverse()
    return wording.listed([shape(each) for each in found], more)


def _beyond(rows: QuerySet[M], pivot: str, *, newer: bool) -> Q:
    at = rows.filter(pk=pivot).values_list("created_at", flat=True).first()
    if at is None:
        raise BadRequest(f"There is no {pivot[:100]!r} to go on from.", param="after")
    if newer:
        return Q(created_at__gt=at) | Q(created_at=at, pk__gt=pivot)
    return Q(created_at__lt=at) | Q(created_at=at, pk__lt=pivot)
