"""What a customer sees of the requests: the overview, the charts and groups, the log."""

from datetime import datetime
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from accounts.legal import consents
from accounts.models import ApiKey
from accounts.pages.visitors import customer
from gateway.catalogue import snapshot
from gateway.dashboard import advice, figures, logged, selection
from gateway.dashboard import overview as live
from gateway.dashboard.models import SavedView
from gateway.dashboard.selection import Selection
from gateway.usage import member_usage, series
from gateway.usage.clients import NAMES
from gateway.usage.explanations import explain
from gateway.usage.models import Refusal, UsageEvent

PAGE = 50
REFUSALS, REFUSALS_PAGE = 5, 200


@login_required
@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    """Money, limits and the last requests, live; above and below them, what to do next."""
    user, now = customer(request), timezone.now()
    shown = live.figures(user)
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


# -- Usage ---------------------------------------------------------------------------------------


@login_required
@require_safe
def usage(request: HttpRequest) -> HttpResponse:
    """Charts and sums from the rollups, and the log, one keyset page at a time."""
    user_id, chosen = customer(request).pk, Selection.of(request.GET)
    now = timezone.now()
    log = logged.selected(user_id, chosen, chosen.within(now), most=PAGE + 1)
    events, away = logged.page(log, PAGE + 1)
    alone = not chosen.before and not chosen.transaction
    context = {
        "filters": chosen,
        "now": now,
        "choices": selection,
        "keys": {str(key.pk): key.name for key in ApiKey.objects.filter(user_id=user_id)},
        "models": list(snapshot.load().models),
        "members": member_usage.names(user_id),
        "tools": NAMES,
        "views": SavedView.objects.filter(user_id=user_id) if alone else [],
        "refusals": _latest(user_id, chosen, now) if alone else [],
        "events": events[:PAGE],
        "archive_away": away,
        "more": len(events) > PAGE,
        "query": chosen.query(),
        "hour": chosen.parameters().get("hour"),
        "older": _older(chosen, events),
        **(figures.of(user_id, chosen, now) if alone else {}),
    }
    return render(request, "gateway/usage.html", context)


def _latest(user_id: int, chosen: Selection, now: datetime) -> list[dict[str, Any]]:
    return _refusals(user_id, series.span(chosen.along(now)), chosen.member)[:REFUSALS]


def _older(chosen: Selection, events: list[UsageEvent]) -> str:
    """The address of the next page of the log, which says of a time only what was chosen."""
    if len(events) <= PAGE:
        return ""
    return chosen.query(before=str(events[PAGE - 1].pk), **({} if chosen.chosen else {"days": ""}))


# -- Saved views ---------------------------------------------------------------------------------


@login_required
@require_POST
def save_view(request: HttpRequest) -> HttpResponse:
    """Keep what the page is narrowed to under a name; the same name again takes its place."""
    user, name = customer(request), request.POST.get("name", "").strip()
    query = Selection.of(QueryDict(request.POST.get("query", "")[:1000])).query(transaction="")
    if not 0 < len(name) <= SavedView.NAME_LENGTH:
        messages.error(request, _("A view needs a name, of at most 60 characters."))
    elif SavedView.keep(user.pk, name, query):
        messages.success(request, _("The view “%(name)s” is saved.") % {"name": name})
    else:
        messages.error(request, _("There are as many views as there may be: remove one first."))
    return redirect(f"{reverse('usage-log')}?{query}")


@login_required
@require_POST
def remove_view(request: HttpRequest, pk: int) -> HttpResponse:
    """Forget a view. Twice is once."""
    SavedView.objects.filter(user_id=customer(request).pk, pk=pk).delete()
    messages.success(request, _("The view is removed."))
    return redirect("usage-log")


# -- Refusals ------------------------------------------------------------------------------------


def _refusals(
    user_id: int, within: series.Span | None = None, member: int | None = None
) -> list[dict[str, Any]]:
    """The latest refusals, of all keys or of a member's, each with what it means."""
    found = Refusal.objects.filter(user_id=user_id).select_related("api_key")
    if member is not None:
        found = found.filter(api_key_id__in=member_usage.keys_of(user_id, member))
    if within is not None:
        found = found.filter(last_at__gte=within[0], first_at__lt=within[1])
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
    user_id, chosen = customer(request).pk, Selection.of(request.GET)
    context = {
        "refusals": _refusals(user_id, member=chosen.member),
        "filters": chosen,
        "members": member_usage.names(user_id),
        "now": timezone.now(),
    }
    return render(request, "gateway/refusals.html", context)
