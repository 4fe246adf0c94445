"""Downloads of what the usage page is narrowed to: request by request, or hour by hour.

Without a time, all there is, in the archive too.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from django.contrib.auth.decorators import login_required
from django.db.models import Q
from django.http import HttpRequest, StreamingHttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.pages.visitors import customer
from billing.books import archived
from gateway.dashboard import logged
from gateway.dashboard.selection import Selection
from gateway.dashboard.tables import HOURS, REQUESTS, Csv, Parquet
from gateway.usage import series
from gateway.usage.models import UsageHour
from hontoni.db import in_thread

Writer = Csv | Parquet
Pages = Callable[[int], Iterator[Sequence[Any]]]  # of so many rows each


@login_required
@require_safe
def requests_csv(request: HttpRequest) -> StreamingHttpResponse:
    """The log as CSV, streamed: all of what the filters select, however long it is."""
    return _file(Csv(REQUESTS), _requests(request), "usage.csv")


@login_required
@require_safe
def requests_parquet(request: HttpRequest) -> StreamingHttpResponse:
    """The same as Parquet."""
    return _file(Parquet(REQUESTS), _requests(request), "usage.parquet")


@login_required
@require_safe
def hours_csv(request: HttpRequest) -> StreamingHttpResponse:
    """Sums by hour, key, model and tool: what charts and groups are made of."""
    return _file(Csv(HOURS), _hours(request), "usage-hours.csv")


@login_required
@require_safe
def hours_parquet(request: HttpRequest) -> StreamingHttpResponse:
    """The same as Parquet."""
    return _file(Parquet(HOURS), _hours(request), "usage-hours.parquet")


def _file(writer: Writer, pages: Pages, name: str) -> StreamingHttpResponse:
    response = StreamingHttpResponse(_parts(writer, pages), content_type=writer.content_type)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


async def _parts(writer: Writer, pages: Pages) -> AsyncIterator[bytes]:
    yield await in_thread(writer.begin)
    source = pages(writer.rows_at_once)
    while (rows := await in_thread(next, source, None)) is not None:
        yield await in_thread(writer.rows, rows)
    yield await in_thread(writer.end)


def _requests(request: HttpRequest) -> Pages:
    user_id, chosen = customer(request).pk, Selection.of(request.GET)
    within = chosen.within(timezone.now())
    logged.selected(user_id, chosen, within, most=1)  # no such charge is a 404, in time
    archived.check(within[0] if within else None)

    def pages(most: int) -> Iterator[Sequence[Any]]:
        left = chosen
        while rows := logged.with_routes(logged.selected(user_id, left, within, most=most)[:most]):
            yield rows
            left = replace(left, before=rows[-1].pk)

    return pages


def _hours(request: HttpRequest) -> Pages:
    user_id, chosen = customer(request).pk, Selection.of(request.GET)
    within = chosen.within(timezone.now())
    rows = series.selection(user_id, within, chosen.narrowing).select_related(
        "api_key__member__person"
    )

    def pages(most: int) -> Iterator[Sequence[Any]]:
        after, ordered = Q(), rows.order_by("-hour", "-pk")
        while page := list(ordered.filter(after)[:most]):
            yield page
            last: UsageHour = page[-1]
            after = Q(hour__lt=last.hour) | Q(hour=last.hour, pk__lt=last.pk)

    return pages
