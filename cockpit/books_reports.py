"""Reports of money: what came in, from whom, and what it earned."""

from datetime import date, datetime, timedelta

from django.db.models import F, Sum
from django.utils.translation import gettext as _

from billing.books.models import Transfer, Wallet
from cockpit import daily, figures
from cockpit.daily import Period, Used, midnight
from cockpit.figures import Figure, Span
from cockpit.reports import (
    Cell,
    Report,
    change,
    customer,
    number,
    percent,
    report,
    rows_of,
    usd,
)
from gateway.reconciliation.vendors.earnings import Margin, folded, of_places
from gateway.reconciliation.vendors.places import Place
from gateway.usage.models import UsageHour
from gateway.usage.request_ids import first_id

MOST = 500  # rows of a report


def between(begin: datetime, end: datetime) -> dict[str, object]:
    """The requests of a time, as the admin's list narrows them: by their ids, which begin with
    their time."""
    return {
        "id__gte": first_id(begin.timestamp()),
        "id__lt": first_id(end.timestamp()),
    }


def revenue(span: Span) -> Report:
    """Day by day, with as much before as the span is long."""
    by_day = daily.by_day(span.period)
    days = [span.last - timedelta(days=n) for n in range(span.days)]
    rows = [_day(day, by_day.get(day, Used())) for day in days]
    (sold,) = figures.sold([span])
    note = _("Usage by day (UTC). Plans and add-ons beside it: %(sold)s.") % {
        "sold": usd(sold).text
    }
    columns = [_("Day"), _("Usage"), _("Requests"), _("Failed"), "%"]
    return Report(_("Revenue"), columns, rows, note, report("revenue", days=span.days))


def _day(day: date, used: Used) -> list[Cell]:
    link = report("day", day=day.isoformat())
    return [
        Cell(day.isoformat(), link),
        usd(used.cost, link),
        number(used.requests, link),
        number(used.errors),
        percent(used.errors, used.requests),
    ]


def one_day(day: date) -> Report:
    """Who used what on a day, each leading to the requests themselves."""
    begin, end = midnight(day), midnight(day + timedelta(days=1))
    rows = UsageHour.objects.filter(hour__gte=begin, hour__lt=end).order_by()
    sums = rows.values_list("user", "user__email", "model").annotate(
        spent=Sum("cost"), count=Sum("requests"), failed=Sum("errors")
    )
    found = sums.order_by("-spent", "-count")[:MOST]
    return Report(
        _("Usage of %(day)s (UTC)") % {"day": day.isoformat()},
        [_("Customer"), _("Model"), _("Usage"), _("Requests"), _("Failed")],
        [
            [
                customer(pk, email),
                Cell(model),
                usd(cost, link := _requests(begin, end, pk, model)),
                number(count, link),
                number(errors),
            ]
            for pk, email, model, cost, count, errors in found
        ],
    )


def _requests(begin: datetime, end: datetime, user: int, model: str) -> str:
    narrowed = {"user__id__exact": user, "model__exact": model, **between(begin, end)}
    return rows_of("gateway_usageevent", **narrowed)


def cash(span: Span) -> Report:
    """What the books moved but usage, by kind."""
    moves = figures.moved(span)
    labels = dict(Transfer.Kind.choices)
    when = {"created_at__gte": span.begin.isoformat(), "created_at__lt": span.end.isoformat()}
    rows = [
        [
            Cell(_(labels[kind]), link := rows_of("billing_transfer", kind__exact=kind, **when)),
            number(count, link),
            usd(amount, link),
        ]
        for kind, (count, amount) in sorted(moves.items(), key=lambda each: -each[1][1])
    ]
    note = _("What the books moved, either way. By card, less what went back: %(cash)s.") % {
        "cash": usd(figures.cash(span)).text
    }
    columns = [_("Kind"), _("Times"), _("Amount")]
    return Report(_("Paid in, less refunds"), columns, rows, note, report("cash", days=span.days))


def plans(span: Span) -> Report:
    """What is paid a month, by plan, and as it was when the span began."""
    before = {row["plan_id"]: row["monthly"] for row in figures.plans(span.begin)}
    rows = [
        [
            Cell(row["name"], link := subscribers(row["plan_id"])),
            number(row["subscribers"], link),
            usd(row["monthly"]),
            usd(before.get(row["plan_id"], 0)),
            change(Figure(row["monthly"], before.get(row["plan_id"], 0))),
        ]
        for row in figures.plans()
    ]
    columns = [_("Plan"), _("Subscribers"), _("A month"), _("Before"), _("Change")]
    return Report(
        _("Plans"),
        columns,
        rows,
        _("What is paid a month, add-ons with it; trials and gifts are left out."),
        report("plans", days=span.days),
        _("Nobody has a plan that is paid for."),
    )


def subscribers(plan: int) -> str:
    return rows_of("billing_subscription", plan__id__exact=plan, status__in="active,past_due")


def owed(_span: Span) -> Report:
    """Every balance, the largest first: what we owe, and what is owed to us."""
    left = F("credits_total") - F("settled_total")
    wallets = Wallet.objects.annotate(left=left).exclude(left=0)
    rows = [
        [customer(pk, email), usd(amount), Cell(_("frozen") if frozen else "")]
        for pk, email, frozen, amount in wallets.order_by("-left").values_list(
            "pk", "user__email", "user__frozen_at", "left"
        )[:MOST]
    ]
    liability, owing = figures.owed()
    note = _("Owed to customers: %(owed)s. Below zero: %(owing)s.") % {
        "owed": usd(liability).text,
        "owing": usd(owing).text,
    }
    columns = [_("Customer"), _("Balance"), _("State")]
    return Report(_("Balances owed"), columns, rows, note, report("owed"), _("No balances."))


# -- Margin --------------------------------------------------------------------------------------


def margins(span: Span) -> tuple[Report, Report]:
    """By model and by vendor."""
    places = of_places(span.first, span.last)
    return _by_model(span, places), _by_vendor(span, places)


def by_model(span: Span) -> Report:
    return margins(span)[0]


def by_vendor(span: Span) -> Report:
    return margins(span)[1]


def _by_model(span: Span, places: dict[Place, Margin]) -> Report:
    found = folded(places, lambda place: place.model)
    rows = [_margin(each, Cell(each.name, _used(span, each.name))) for each in found]
    return _margins(_("Margin by model"), _("Model"), rows, "margin-models", span)


def _by_vendor(span: Span, places: dict[Place, Margin]) -> Report:
    found = folded(places, lambda place: place.vendor)
    bills = {"day__gte": span.first.isoformat(), "day__lte": span.last.isoformat()}
    rows = [
        _margin(e, Cell(e.name, rows_of("gateway_vendorbill", vendor__exact=e.name, **bills)))
        for e in found
    ]
    return _margins(_("Margin by vendor"), _("Vendor"), rows, "margin-vendors", span)


def _used(span: Span, model: str) -> str:
    when = between(span.begin, span.end)
    return rows_of("gateway_usageevent", model__exact=model, **when)


def _margin(each: Margin, name: Cell) -> list[Cell]:
    unknown = _("cost not known")
    return [
        name,
        usd(each.revenue),
        usd(each.cost if each.known else None, unknown=unknown),
        usd(each.margin),
        percent(each.margin, each.revenue, bad_below=0),
    ]


def _margins(title: str, of: str, rows: list[list[Cell]], name: str, span: Span) -> Report:
    note = _("What was charged, less the vendors' bills; where none is there yet, their prices.")
    columns = [of, _("Revenue"), _("Cost"), _("Margin"), "%"]
    return Report(title, columns, rows, note, report(name, days=span.days))


# -- Customers -----------------------------------------------------------------------------------


def spenders(span: Span, now: dict[int, Used], before: dict[int, Used]) -> Report:
    """Who spent most, beside what they spent before."""
    ranked = sorted(now, key=lambda pk: (-now[pk].cost, -now[pk].requests, pk))[:MOST]
    spent = [(pk, Figure(now[pk].cost, before.get(pk, Used()).cost)) for pk in ranked]
    return _customers(_("Biggest spenders"), spent, report("active", days=span.days))


def movers(span: Span, now: dict[int, Used], before: dict[int, Used]) -> Report:
    """Whose spending changed most, up or down."""
    changed = [each for each in figures.changes(now, before) if each[1].now != each[1].before]
    return _customers(_("Biggest changes"), changed[:MOST], report("changes", days=span.days))


def active(span: Span) -> Report:
    return spenders(span, *sides(span))


def changed(span: Span) -> Report:
    return movers(span, *sides(span))


def sides(span: Span) -> tuple[dict[int, Used], dict[int, Used]]:
    """What customers used now, and before."""
    return daily.by_customer(span.period), daily.by_customer(_before(span))


def _before(span: Span) -> Period:
    shift = timedelta(days=span.days)
    return Period(span.period.begin - shift, span.period.end - shift)


def _customers(title: str, found: list[tuple[int, Figure]], link: str) -> Report:
    names = figures.emails(pk for pk, _figure in found)
    rows = [
        [customer(pk, names[pk]), usd(each.now), usd(each.before or 0), change(each)]
        for pk, each in found
    ]
    return Report(title, [_("Customer"), _("Spent"), _("Before"), _("Change")], rows, "", link)
