"""The admin's home: how the business does, what failed and why, and what waits.

Every figure leads to the list behind it (reports.py). Figures of money are for those who may see
the books; others have the sidebar. Days are UTC, and compared with as many before, up to the same
time of day.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from cockpit import books_reports, daily, figures, usage_reports
from cockpit.daily import Used
from cockpit.figures import Figure, Span
from cockpit.reports import Report, report
from hontoni.templatetags.money import about

SPANS = (1, 7, 30)
SEES_MONEY = "billing.view_transfer"
SHOWN = 8  # rows of a list


@dataclass(frozen=True, slots=True)
class Card:
    """A number, how it has changed, and the list behind it."""

    title: str
    value: str
    link: str
    change: int | None = None
    note: str = ""
    less_is_better: bool = False

    @property
    def good(self) -> bool:
        return self.change is None or (self.change < 0) == self.less_is_better


@dataclass(frozen=True, slots=True)
class Bar:
    """A day of the chart: `height` in percent of the highest."""

    day: date
    value: str
    requests: int
    height: int
    link: str
    labelled: bool


def span_of(request: HttpRequest) -> Span:
    """`?days=` is 1, 7 or 30."""
    days = request.GET.get("days", "7")
    return Span(timezone.now(), int(days) if days in map(str, SPANS) else 7)


def show(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """For `UNFOLD["DASHBOARD_CALLBACK"]`."""
    context["sees_money"] = request.user.has_perm(SEES_MONEY)
    if not context["sees_money"]:
        return context
    span = span_of(request)
    now, before = books_reports.sides(span)
    new = figures.newcomers(span, now)
    books, well = usage_reports.books()
    return context | {
        "days": span.days,
        "spans": SPANS,
        "revenue": _revenue(span.end),
        "cards": [*_money(span), *_people(span, now, before, new), *_work(span)],
        "bars": bars(span),
        "reports": [each.newest(SHOWN) for each in _reports(span, now, before, new)],
        "books": books,
        "balanced": well,
        "read_at": span.end,
    }


def _revenue(now: datetime) -> list[Card]:
    """Of today, 7 and 30 days, whichever span the rest of the page is about."""
    spans = [Span(now, days) for days in SPANS]
    sold = figures.sold([*spans, *(span.previous for span in spans)])
    found = []
    for n, (span, (used, earlier)) in enumerate(zip(spans, figures.used(spans), strict=True)):
        figure = Figure(used.cost + sold[n], earlier.cost + sold[n + len(spans)])
        title = _("Revenue today") if span.days == 1 else _("Revenue, %d days") % span.days
        note = _("usage %(usage)s, plans %(plans)s") % {
            "usage": about(used.cost),
            "plans": about(sold[n]),
        }
        link = report("revenue", days=span.days)
        found.append(Card(title, about(figure.now), link, figure.change, note))
    return found


def _money(span: Span) -> list[Card]:
    monthly = Figure(*(sum(row["monthly"] for row in figures.plans(at)) for at in _ends(span)))
    cash = Figure(figures.cash(span), figures.cash(span.previous))
    owed, owing = figures.owed()
    note = _("%(amount)s below zero") % {"amount": about(owing)} if owing else ""
    plans, paid = report("plans", days=span.days), report("cash", days=span.days)
    return [
        Card(_("Plans a month"), about(monthly.now), plans, monthly.change),
        Card(_("Paid in, less refunds"), about(cash.now), paid, cash.change),
        Card(_("Balances owed"), about(owed), report("owed"), note=note),
    ]


def _ends(span: Span) -> tuple[datetime | None, datetime]:
    return None, span.begin


def _people(
    span: Span, now: dict[int, Used], before: dict[int, Used], new: list[figures.Newcomer]
) -> list[Card]:
    active = Figure(len(now), len(before))
    paid = sum(each.paid for each in new)
    used = sum(each.used for each in new)
    note = _("%(used)s made a request, %(paid)s paid") % {"used": used, "paid": paid}
    customers = report("active", days=span.days)
    newcomers = report("sign-ups", days=span.days)
    return [
        Card(_("Active customers"), f"{active.now:,}", customers, active.change),
        Card(_("New sign-ups"), f"{len(new):,}", newcomers, note=note),
    ]


def _work(span: Span) -> list[Card]:
    ((used, earlier),) = figures.used([span])
    requests = Figure(used.requests, earlier.requests)
    failed = Figure(used.errors, earlier.errors)
    waiting, oldest = usage_reports.queue()
    since = _("since %(at)s") % {"at": f"{timezone.localtime(oldest):%H:%M:%S}"} if oldest else ""
    revenue, failures = report("revenue", days=span.days), report("failed", days=span.days)
    return [
        Card(_("Requests"), f"{requests.now:,}", revenue, requests.change),
        Card(_("Failed"), f"{failed.now:,}", failures, failed.change, less_is_better=True),
        Card(_("On its way into the books"), f"{waiting:,}", report("queues"), note=since),
    ]


def _reports(
    span: Span, now: dict[int, Used], before: dict[int, Used], new: list[figures.Newcomer]
) -> list[Report]:
    return [
        books_reports.spenders(span, now, before),
        books_reports.movers(span, now, before),
        *books_reports.margins(span),
        books_reports.plans(span),
        usage_reports.of_newcomers(span, new),
        usage_reports.failed(span),
        usage_reports.vendors(span),
        usage_reports.refused(span),
        usage_reports.disputes(span),
    ]


def bars(span: Span) -> list[Bar]:
    """What was charged a day, each leading to that day; of one day, with the six before."""
    wide = Span(span.end, max(span.days, 7))
    by_day = daily.by_day(wide.period)
    days = [date.fromordinal(wide.first.toordinal() + n) for n in range(wide.days)]
    most = max((used.cost for used in by_day.values()), default=0)
    step = max(1, wide.days // 10)
    return [
        Bar(
            day,
            about((used := by_day.get(day, Used())).cost),
            used.requests,
            max(1, used.cost * 100 // most) if most else 1,
            report("day", day=day.isoformat()),
            n % step == 0,
        )
        for n, day in enumerate(days)
    ]
