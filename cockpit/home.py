"""The admin's home: how the business does, what failed and why, and what waits.

Every figure leads to the list behind it. Figures of money are for those who may see the books;
others have the sidebar.
"""

import json
from typing import Any

from django.db.models import F
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from billing.payments.models import Dispute
from cockpit import figures
from cockpit.figures import Figure, Span
from gateway.reconciliation.vendors.margins import margins
from hontoni.money import dollars
from hontoni.templatetags.money import about

SPANS = (1, 7, 30)
_CHART = {"maintainAspectRatio": False, "scales": {"y": {"beginAtZero": True}}}


def show(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """For `UNFOLD["DASHBOARD_CALLBACK"]`. `?days=` is 1, 7 or 30."""
    user = request.user
    context["sees_money"] = user.has_perm("billing.view_transfer")
    if not context["sees_money"]:
        return context
    days = request.GET.get("days", "7")
    span = Span(timezone.now(), int(days) if days in map(str, SPANS) else 7)
    return context | {
        "days": span.days,
        "spans": SPANS,
        "cards": _cards(span),
        "chart": _chart(span),
        "chart_options": json.dumps(_CHART),
        "plans": [{**row, "monthly": about(row["monthly"])} for row in figures.plans()],
        "failing": figures.failing(span),
        "refused": [{**row, "link": _refusals(row["code"])} for row in figures.refused(span)],
        "spenders": [_customer(row) for row in figures.spenders(span)],
        "changes": [_customer(row) for row in figures.changes(span)],
        "margins": _margins(span),
        "disputes": _disputes(),
        "balanced": figures.books_balance(),
        "read_at": span.end,
    }


def _card(
    title: str, value: str, figure: Figure | None, link: str, note: str = ""
) -> dict[str, Any]:
    return {
        "title": title,
        "value": value,
        "change": figure.change if figure else None,
        "link": link,
        "note": note,
    }


def _cards(span: Span) -> list[dict[str, Any]]:
    usage, paid, count = figures.usage_revenue(span), figures.paid_in(span), figures.requests(span)
    active, (new, used, payers) = figures.active(span), figures.funnel(span)
    monthly = sum(row["monthly"] for row in figures.plans())
    requests, transfers = _list("gateway_usageevent"), _list("billing_transfer")
    customers = _list("billing_customer")
    return [
        _card(_("Usage revenue"), about(usage.now), usage, requests),
        _card(_("Paid in, less refunds"), about(paid.now), paid, transfers),
        _card(_("Plans a month"), about(monthly), None, _list("billing_subscription")),
        _card(_("Balances owed"), about(figures.owed()), None, _list("billing_wallet")),
        _card(_("Requests"), f"{count.now:,}", count, requests),
        _card(_("Active customers"), f"{active.now:,}", active, customers),
        _card(
            _("New sign-ups"), f"{new:,}", None, customers,
            _("%(used)s made a request, %(paid)s paid") % {"used": used, "paid": payers},
        ),
    ]  # fmt: skip


def _list(name: str) -> str:
    return reverse(f"admin:{name}_changelist")


def _chart(span: Span) -> str:
    """Chart.js data: what was charged a day."""
    rows = figures.by_day(span)
    return json.dumps(
        {
            "labels": [f"{day:%d %b}" for day, _cost, _count in rows],
            "datasets": [
                {
                    "label": _("Usage, dollars a day"),
                    "data": [float(dollars(cost)) for _day, cost, _count in rows],
                    "maxBarThickness": 40,
                    "borderRadius": 4,
                    "backgroundColor": "var(--color-primary-600)",
                }
            ],
        }
    )


def _refusals(code: str) -> str:
    return f"{_list('gateway_refusal')}?code__exact={code}"


def _customer(row: dict[str, Any]) -> dict[str, Any]:
    figure = row["figure"]
    return {
        "email": row["email"],
        "link": reverse("admin:billing_customer_change", args=[row["user"]]),
        "spent": about(figure.now),
        "before": about(figure.before or 0),
        "change": figure.change,
    }


def _margins(span: Span) -> list[dict[str, Any]]:
    """By model, the most sold first; a cost that is not known makes no margin."""
    first, last = span.begin.date(), span.end.date()
    return [
        {
            "name": each.name,
            "revenue": about(each.revenue),
            "margin": None if each.margin is None else about(each.margin),
            "percent": None
            if each.margin is None or not each.revenue
            else round(each.margin * 100 / each.revenue),
        }
        for each in margins("model", first, last)[:8]
    ]


def _disputes() -> list[dict[str, Any]]:
    rows = Dispute.objects.filter(status__in=Dispute.ANSWERABLE).select_related(
        "user", "topup__user"
    )
    return [
        {
            "id": row.pk,
            "link": reverse("admin:payments_dispute_change", args=[row.pk]),
            "amount": about(row.amount),
            "who": row.user or (row.topup.user if row.topup else ""),
        }
        for row in rows.order_by(F("updated_at").desc())[:8]
    ]
