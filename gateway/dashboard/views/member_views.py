"""What each member of a team used and was refused: a page, and the same as CSV."""

import csv
from datetime import UTC, date, datetime, timedelta

from django import forms
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from accounts.models import User
from accounts.pages.visitors import at_work
from gateway.usage import member_usage
from hontoni.money import dollars

_USUAL_DAYS, _MOST_DAYS = 30, 366


class SpanForm(forms.Form):
    since = forms.DateField(label=_("From"), required=False)
    until = forms.DateField(label=_("To"), required=False)

    def span(self) -> tuple[date, date]:
        """The days (UTC), both included. Raises Http404 for what no link of ours says."""
        if not self.is_valid():
            raise Http404
        last = self.cleaned_data["until"] or datetime.now(UTC).date()
        first = self.cleaned_data["since"] or last - timedelta(days=_USUAL_DAYS - 1)
        if not timedelta(0) <= last - first < timedelta(days=_MOST_DAYS):
            raise Http404
        return first, last


def _team(request: HttpRequest) -> User:
    work = at_work(request)
    if work.membership is None:
        raise Http404
    return work.account


@login_required
@require_safe
def usage(request: HttpRequest) -> HttpResponse:
    """A row a member."""
    first, last = SpanForm(request.GET).span()
    rows = member_usage.used(_team(request).pk, first, last)
    context = {
        "team": _team(request),
        "rows": rows,
        "cost": sum(each.cost for each in rows),
        "first": first,
        "last": last,
    }
    return render(request, "gateway/members.html", context)


@login_required
@require_safe
def usage_csv(request: HttpRequest) -> HttpResponse:
    """The same for a spreadsheet. Cost in dollars."""
    first, last = SpanForm(request.GET).span()
    answer = HttpResponse(content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = 'attachment; filename="members.csv"'
    table = csv.writer(answer)
    table.writerow(["member", "role", "requests", "errors", "tokens", "cost", "refusals"])
    for row in member_usage.used(_team(request).pk, first, last):
        role = row.member.role if row.member else ""
        table.writerow(
            [
                *(row.name, role, row.requests, row.errors, row.tokens),
                *(dollars(row.cost), row.refusals),
            ]
        )
    return answer
