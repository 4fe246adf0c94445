"""The pages of reports: the list behind a number, for whoever may see that number."""

import csv
from collections.abc import Callable
from datetime import date

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _

from cockpit import books_reports, growth_reports, home, usage_reports
from cockpit.figures import Span
from cockpit.reports import Report

REPORTS: dict[str, Callable[[Span], Report]] = {
    "revenue": books_reports.revenue,
    "cash": books_reports.cash,
    "plans": books_reports.plans,
    "owed": books_reports.owed,
    "margin-models": books_reports.by_model,
    "margin-vendors": books_reports.by_vendor,
    "active": books_reports.active,
    "changes": books_reports.changed,
    "sign-ups": usage_reports.newcomers,
    "failed": usage_reports.failed,
    "refused": usage_reports.refused,
    "vendors": usage_reports.vendors,
    "disputes": usage_reports.disputes,
    "queues": usage_reports.queues,
    "promos": growth_reports.promos,
    "referrals": growth_reports.referrals,
    "cohorts": growth_reports.cohorts,
    "earnings": growth_reports.earnings,
}


def show(request: HttpRequest, name: str) -> HttpResponse:
    """One report; with `?as=csv` as a file. `?days=` as on the home page, `?day=` for one day."""
    if not request.user.has_perm(home.SEES_MONEY):
        raise PermissionDenied
    span = home.span_of(request)
    if name == "day":
        found = books_reports.one_day(_day(request))
    elif name in REPORTS:
        found = REPORTS[name](span)
    else:
        raise Http404
    if request.GET.get("as") == "csv":
        return _file(name, found)
    context = {
        **admin.site.each_context(request),
        "title": found.title,
        "report": found,
        "days": span.days,
        "spans": home.SPANS,
        "spanned": f"days={span.days}" in found.link,
        "home_title": _("Home"),
    }
    return render(request, "cockpit/report.html", context)


def _day(request: HttpRequest) -> date:
    try:
        return date.fromisoformat(request.GET.get("day", ""))
    except ValueError:
        raise Http404 from None


def _file(name: str, found: Report) -> HttpResponse:
    today = timezone.now().date().isoformat()
    about = {"Content-Disposition": f'attachment; filename="{name}-{today}.csv"'}
    answer = HttpResponse(content_type="text/csv; charset=utf-8", headers=about)
    csv.writer(answer).writerows(found.csv())
    return answer


def tables(request: HttpRequest) -> HttpResponse:
    """Every table that one may see, plumbing with it."""
    context = {
        **admin.site.each_context(request),
        "title": _("All tables"),
        "app_list": admin.site.get_app_list(request),
        "show_changelinks": True,
    }
    return render(request, "cockpit/tables.html", context)
