"""What a customer sees of the requests: the overview, the charts, the log, a receipt each."""

import csv
import time
import uuid
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from django import forms
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from accounts.legal import consents
from accounts.models import ApiKey
from accounts.pages.visitors import customer
from gateway.archive import log as archived_log
from gateway.archive import receipts as archived
from gateway.archive.log import Narrowing
from gateway.catalogue import snapshot
from gateway.catalogue.models import BUCKETS
from gateway.dashboard import advice, charts, receipt_pdf, signed_receipts
from gateway.dashboard.overview import figures
from gateway.dashboard.serializers import ReceiptSerializer
from gateway.dashboard.views.proof import receipt_json
from gateway.usage import charges, log, rollups
from gateway.usage.clients import NAMES
from gateway.usage.corrections.models import corrected
from gateway.usage.explanations import explain
from gateway.usage.models import Refusal, UsageEvent
from gateway.usage.request_ids import first_id
from hontoni import origins
from hontoni.db import in_thread
from hontoni.errors import Unavailable
from hontoni.money import dollars
from hontoni.templatetags.money import about

PAGE = 50
REFUSALS, REFUSALS_PAGE = 5, 200
MOST_DAYS = 367
UNWRITTEN_SECONDS = 60  # a request younger than this may still be on its way into the books
RANGES = {"1": _("24 hours"), "7": _("7 days"), "30": _("30 days"), "90": _("90 days")}
MEASURES = {"cost": _("Cost"), "requests": _("Requests"), "output": _("Output tokens")}
SPLITS = {"model": _("By model"), "api_key_id": _("By key"), "tool": _("By tool")}
OUTCOMES = {"": _("Any outcome"), "ok": _("Succeeded"), "failed": _("Failed")}


@login_required
@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    """Money, limits and the last requests, live; above and below them, what to do next."""
    user, now = customer(request), timezone.now()
    shown = figures(user)
    advised = advice.overview(user, shown["glance"], shown["balance"].available, now)
    context = {
        **shown,
        **advised,
        "now": now,
        "days": 14,
        "unagreed": consents.missing(user, now),
        "refusals": _explained(user.pk, advised["latest_refusals"]),
    }
    return render(request, "gateway/overview.html", context)


class UsageFilter(forms.Form):
    """What the usage page is narrowed to, all of it in the address."""

    days = forms.ChoiceField(label=_("Time"), choices=RANGES, required=False)
    since = forms.DateField(label=_("From"), required=False)
    until = forms.DateField(label=_("To"), required=False)
    custom = forms.BooleanField(required=False)  # what is shown is: another span ends it
    measure = forms.ChoiceField(label=_("Measure"), choices=MEASURES, required=False)
    by = forms.ChoiceField(label=_("Split"), choices=SPLITS, required=False)
    model = forms.CharField(label=_("Model"), required=False, max_length=100)
    tool = forms.ChoiceField(
        label=_("Tool"), choices=[(name, name) for name in NAMES], required=False
    )
    key = forms.IntegerField(label=_("Key"), required=False, min_value=1, max_value=2**62)
    outcome = forms.ChoiceField(label=_("Outcome"), choices=OUTCOMES, required=False)
    transaction = forms.CharField(required=False, max_length=30)
    before = forms.UUIDField(required=False)

    def wanted(self) -> dict[str, Any]:
        """The choices, with defaults. Raises Http404 for what no link of ours says."""
        if not self.is_valid():
            raise Http404
        filters = dict(self.cleaned_data)
        if filters["custom"] and filters["days"]:
            filters["since"] = filters["until"] = None
        chosen = filters["since"] or filters["until"]
        filters["days"] = 0 if chosen else int(filters["days"] or 7)
        filters["measure"] = filters["measure"] or "cost"
        filters["by"] = filters["by"] or "model"
        first, last = filters["since"], filters["until"]
        if first and last and not 0 <= (last - first).days < MOST_DAYS:
            raise Http404
        return filters

    @staticmethod
    def along(filters: dict[str, Any], now: datetime) -> list[rollups.Moment]:
        """The bars: days of their own choice, or the last ones. One end alone is a day."""
        first, last = filters["since"], filters["until"]
        if first or last:
            return rollups.between(first or last, last or first)
        return rollups.moments(filters["days"], now)


@login_required
@require_safe
def usage(request: HttpRequest) -> HttpResponse:
    """Charts and sums from the rollups, and the log, one keyset page at a time."""
    user_id, filters = customer(request).pk, UsageFilter(request.GET).wanted()
    now = timezone.now()
    along = UsageFilter.along(filters, now)
    rows = rollups.selection(user_id, along, filters)
    earlier = rollups.selection(user_id, rollups.before(along), filters)
    keys = {str(key.pk): key.name for key in ApiKey.objects.filter(user_id=user_id)}
    found = rollups.series(rows.rows, filters["by"], filters["measure"], along)
    if filters["by"] == "api_key_id":
        found = [rollups.Series(keys.get(s.name, s.name), s.values) for s in found]
    show = about if filters["measure"] == "cost" else "{:,}".format
    events, away = _page(_log(user_id, filters, PAGE + 1))
    context = {
        "filters": filters,
        "now": now,
        "ranges": RANGES,
        "measures": MEASURES,
        "splits": SPLITS,
        "outcomes": OUTCOMES,
        "keys": keys,
        "models": list(snapshot.load().models),
        "tools": NAMES,
        "refusals": []
        if filters["before"] or filters["transaction"]
        else _refusals(user_id, along[0])[:REFUSALS],
        "chart": charts.draw(along, found, show) if found else None,
        "totals": rollups.totals(rows, snapshot.load()),
        "earlier": rollups.totals(earlier, snapshot.load()),
        "events": events[:PAGE],
        "archive_away": away,
        "more": events[PAGE - 1].pk if len(events) > PAGE else None,
        "query": _without(request, "before"),
    }
    return render(request, "gateway/usage.html", context)


def _page(found: archived_log.Log) -> tuple[list[UsageEvent], bool]:
    """A page of the log; where the archive is away, of what the database has alone."""
    try:
        return found[: PAGE + 1], False
    except Unavailable:
        return list(found.events[: PAGE + 1]), True


def _refusals(user_id: int, since: rollups.Moment | None = None) -> list[dict[str, Any]]:
    """The latest refusals, each with what it means."""
    found = Refusal.objects.filter(user_id=user_id).select_related("api_key")
    if since is not None:
        found = found.filter(last_at__gte=rollups.start(since))
    return _explained(user_id, list(found.order_by("-last_at")[:REFUSALS_PAGE]))


def _explained(user_id: int, found: list[Refusal]) -> list[dict[str, Any]]:
    """Each with what it means, and with what ends it."""
    ends = advice.remedies(user_id, found)
    return [
        {"refusal": each, "explanation": explain(each), "remedies": ends[each.pk]}
        for each in found
    ]


@login_required
@require_safe
def refusals(request: HttpRequest) -> HttpResponse:
    """Why was this refused: the last month's refusals, equal ones of an hour together."""
    context = {"refusals": _refusals(customer(request).pk), "now": timezone.now()}
    return render(request, "gateway/refusals.html", context)


def _without(request: HttpRequest, name: str) -> str:
    query = request.GET.copy()
    query.pop(name, None)
    return query.urlencode()


def _log(user_id: int, filters: dict[str, Any], most: int) -> archived_log.Log:
    """The log, newest first, of which so many will be read at most. Its slices raise Unavailable
    where the archive is away."""
    events = UsageEvent.objects.filter(user_id=user_id)
    wanted = {"model": filters["model"], "tool": filters["tool"], "api_key_id": filters["key"]}
    failed = filters["outcome"] == "failed" if filters["outcome"] else None
    of = Narrowing(user_id, {name: value for name, value in wanted.items() if value}, failed)
    chosen = filters["since"] or filters["until"]
    if filters["transaction"]:
        charged = charges.requests_of(user_id, filters["transaction"])
        if charged is None:
            raise Http404
        events, of = charged, of.nowhere()  # the archive has charges of its own
    elif chosen:
        # The id is a UUIDv7: a range of time is a range of ids.
        since = first_id(rollups.start(chosen).timestamp())
        until = first_id(rollups.end(filters["until"] or filters["since"]).timestamp())
        events, of = events.filter(pk__gte=since, pk__lt=until), of.between(since, until)
    found = log.narrowed(
        corrected(events).select_related("api_key"),
        user_id,
        wanted,
        failed=failed,
        before=filters["before"],
        most=None if filters["transaction"] or chosen else most,
    )
    return archived_log.Log(found, of.between(None, filters["before"]))


@login_required
@require_safe
def receipt(request: HttpRequest, request_id: str) -> HttpResponse:
    """Every cent of one request. Asked for by htmx, only the part that goes into the drawer."""
    pk, event = _own(request, request_id)
    if event is None:
        if pk < first_id(time.time() - UNWRITTEN_SECONDS):
            raise Http404
        return render(request, "gateway/_unwritten.html", status=202)
    name = "gateway/_receipt.html" if request.headers.get("HX-Request") else "gateway/receipt.html"
    context = {"event": event, "receipt": ReceiptSerializer(event).data}
    response = render(request, name, context)
    response["Vary"] = "HX-Request, Cookie"
    return response


def _own(request: HttpRequest, request_id: str) -> tuple[uuid.UUID, UsageEvent | None]:
    """A request of this visitor's. Raises Http404 for what is no id."""
    try:
        pk = uuid.UUID(hex=request_id.removeprefix("req_"))
    except ValueError:
        raise Http404 from None
    events = UsageEvent.objects.select_related("price", "api_key", "user")
    mine = events.filter(pk=pk, user_id=customer(request).pk)
    return pk, mine.first() or archived.find(customer(request).pk, pk)


@login_required
@require_safe
def receipt_file(request: HttpRequest, request_id: str, ending: str) -> HttpResponse:
    """The receipt as a signed document, or on paper."""
    _pk, event = _own(request, request_id)
    if event is None:
        raise Http404
    if ending == "json":
        return receipt_json(signed_receipts.document(event, timezone.now()))
    url = origins.absolute(reverse("verify"))
    pdf = receipt_pdf.draw(event, ReceiptSerializer(event).data, url)
    response = HttpResponse(pdf, content_type="application/pdf")
    response["Content-Disposition"] = f'attachment; filename="receipt-{event.request_id}.pdf"'
    return response


@login_required
@require_POST
def share(request: HttpRequest, request_id: str) -> HttpResponse:
    """A link to the receipt for a stranger, that ends by itself."""
    _pk, event = _own(request, request_id)
    lasts = signed_receipts.LASTS.get(request.POST.get("days", ""))
    if event is None or lasts is None:
        raise Http404
    context = {
        "event": event,
        "receipt": ReceiptSerializer(event).data,
        "link": origins.absolute(signed_receipts.link(event, lasts)),
        "until": timezone.now() + lasts,
    }
    return render(request, "gateway/receipt.html", context)


# -- Export --------------------------------------------------------------------------------------

_COLUMNS = ("request_id", "created_at", "key", "model", "dialect", "status", "error", *BUCKETS)
_REST = ("cost_usd", "estimated", "aborted", "first_byte_ms", "duration_ms", "client", "tool")
_CHUNK = 1000


class _Echo:
    """A file that hands back what is written to it."""

    def write(self, line: str) -> str:
        return line


@login_required
@require_safe
def export(request: HttpRequest) -> StreamingHttpResponse:
    """The log as CSV, streamed: all of what the filters select, however long it is."""
    filters, user_id = UsageFilter(request.GET).wanted(), customer(request).pk
    response = StreamingHttpResponse(_lines(user_id, filters), content_type="text/csv")
    response["Content-Disposition"] = 'attachment; filename="usage.csv"'
    return response


async def _lines(user_id: int, filters: dict[str, Any]) -> AsyncIterator[str]:
    writer = csv.writer(_Echo())
    yield writer.writerow((*_COLUMNS, *_REST))
    while True:
        chunk = await in_thread(_chunk, user_id, filters)
        yield "".join(writer.writerow(_row(event)) for event in chunk)
        if len(chunk) < _CHUNK:
            return
        filters = {**filters, "before": chunk[-1].pk}


def _chunk(user_id: int, filters: dict[str, Any]) -> list[UsageEvent]:
    return _log(user_id, filters, _CHUNK)[:_CHUNK]


def _row(event: UsageEvent) -> list[object]:
    found = [getattr(event, name) for name in BUCKETS]
    begin = (event.request_id, event.created_at.isoformat(), _safe(event.api_key.name))
    what = (event.model, event.dialect, event.status, event.error)
    end = (dollars(event.charged), event.estimated, event.aborted)
    return [
        *begin,
        *what,
        *found,
        *end,
        event.first_byte_ms,
        event.duration_ms,
        _safe(event.client),
        event.tool,
    ]


def _safe(text: str) -> str:
    """Spreadsheets run what begins like a formula."""
    return f"'{text}" if text[:1] in "=+-@\t\r" and text else text
