"""Reports of people and of what went wrong: who came, what failed and why, what waits."""

from datetime import UTC, datetime

from django.db.models import Count, F
from django.utils import timezone
from django.utils.translation import gettext as _

from billing.mails.models import Mail
from billing.payments.models import Dispute
from cockpit import daily, figures, waiting
from cockpit.books_reports import MOST, between
from cockpit.figures import Span
from cockpit.finding import page
from cockpit.reports import Cell, Report, customer, number, report, rows_of, usd
from gateway.metrics import store_metrics
from gateway.usage.models import DeadEvent
from hontoni import health
from hontoni.pages import at
from hontoni.redis import RedisError


def newcomers(span: Span) -> Report:
    """Sign-up, first request, first payment: each who came."""
    return of_newcomers(span, figures.newcomers(span, daily.by_customer(span.period)))


def of_newcomers(span: Span, found: list[figures.Newcomer]) -> Report:
    yes = _("yes")
    rows = [
        [
            customer(each.user, each.email),
            Cell(f"{each.at:%Y-%m-%d %H:%M}"),
            Cell(yes if each.used else ""),
            Cell(yes if each.paid else ""),
        ]
        for each in found[:MOST]
    ]
    columns = [_("Customer"), _("Signed up"), _("Made a request"), _("Paid")]
    return Report(_("New sign-ups"), columns, rows, "", report("sign-ups", days=span.days))


def refused(span: Span) -> Report:
    """Why requests were refused, each leading to those of that kind."""
    when = {"hour__gte": span.begin.isoformat()}
    rows = [
        [
            Cell(row["code"], rows_of("gateway_refusal", code__exact=row["code"], **when)),
            number(row["status"]),
            number(row["times"]),
            number(row["customers"]),
        ]
        for row in figures.refused(span)
    ]
    columns = [_("Reason"), _("Status"), _("Times"), _("Customers")]
    title = _("Why requests were refused")
    return Report(title, columns, rows, "", report("refused", days=span.days))


def failed(span: Span) -> Report:
    """What failed and why, each leading to those requests."""
    rows = []
    for row in figures.failed(span):
        narrowed = {"model__exact": row["model"], "status__exact": row["status"]}
        narrowed |= {"error__exact": row["error"], **between(span.begin, span.end)}
        upstream = row["upstream_status"]
        said = "" if upstream is None else _("the vendor said %(status)s") % {"status": upstream}
        rows.append(
            [
                Cell(row["model"], rows_of("gateway_usageevent", **narrowed)),
                Cell(f"{row['status']} {row['error']}"),
                Cell(said),
                number(row["times"]),
                number(row["customers"]),
            ]
        )
    note = _("Among the newest %(number)s requests.") % {"number": f"{figures.SAMPLE:,}"}
    columns = [_("Model"), _("Answered"), _("Because"), _("Times"), _("Customers")]
    title, link = _("What failed, and why"), report("failed", days=span.days)
    return Report(title, columns, rows, note, link, _("Nothing failed in these days."))


def vendors(span: Span) -> Report:
    """How each credential was answered, the worst first."""
    when = {"day__gte": span.first.isoformat(), "day__lte": span.last.isoformat()}
    rows = [
        [
            Cell(each.vendor, rows_of("gateway_vendorbill", vendor__exact=each.vendor, **when)),
            Cell(each.credential),
            number(each.requests),
            number(each.failed),
            number(each.given_away),
            Cell(f"{each.percent:.1f} %", number=True, bad=each.percent >= 10),
        ]
        for each in figures.vendors(span)
    ]
    columns = [
        *(_("Vendor"), _("Credential"), _("Requests"), _("Failed over")),
        *(_("Given away"), _("Failing")),
    ]
    note = _("Failed over: another was asked. Given away: failed for the customer, and free.")
    return Report(_("Vendors' health"), columns, rows, note, report("vendors", days=span.days))


def disputes(_span: Span) -> Report:
    """Those that the bank wants an answer to, the first due first."""
    rows = Dispute.objects.filter(status__in=Dispute.ANSWERABLE)
    found = rows.select_related("user", "topup__user").order_by(F("due_at").asc(nulls_last=True))
    now = timezone.now()
    return Report(
        _("Disputes to answer"),
        [_("Dispute"), _("Customer"), _("Amount"), _("Answer until")],
        [
            [
                Cell(row.pk, page(row)),
                Cell(str(row.user or (row.topup.user if row.topup else ""))),
                usd(row.amount),
                _until(row.due_at, now),
            ]
            for row in found
        ],
        link=rows_of("payments_dispute"),
        empty=_("No dispute waits for an answer."),
    )


def _until(due: datetime | None, now: datetime) -> Cell:
    if due is None:
        return Cell(_("not known"), number=True)
    hours = int((due - now).total_seconds() // 3600)
    left = _("%(days)s days left") % {"days": hours // 24} if hours >= 0 else _("over")
    return Cell(f"{at(due)}, {left}", number=True, bad=hours < 72)


# -- What waits ----------------------------------------------------------------------------------


def queues(_span: Span) -> Report:
    """What is on its way, and how the books stand."""
    rows = [[Cell(name), number(count, link), Cell(said)] for name, count, link, said in _queues()]
    alarms = [[Cell(part), Cell("", bad=True), Cell(text)] for part, text in _alarms().items()]
    columns = [_("What"), _("How many"), _("Remark")]
    return Report(_("Queues and books"), columns, [*rows, *alarms], books()[0], report("queues"))


def _alarms() -> dict[str, str]:
    return {_(part): _(text) for part, text in health.alarms().items()}


def _queues() -> list[tuple[str, int, str, str]]:
    usage, oldest = queue()
    mails = Mail.objects.filter(status=Mail.Status.WAITING).aggregate(n=Count("pk"))["n"]
    age = "" if oldest is None else _("the oldest is of %(at)s") % {"at": at(oldest)}
    return [
        (_("Usage on its way into the books"), usage, "", age),
        (_("Usage that did not get there"), DeadEvent.objects.count(), _dead(), ""),
        (_("Mails to send"), mails, rows_of("billing_mail", status__exact="waiting"), ""),
        (
            _("Stripe events to handle"),
            waiting.stripe_events(),
            rows_of("payments_stripeevent", handled_at__isempty=1),
            "",
        ),
    ]


def _dead() -> str:
    return rows_of("gateway_deadevent")


def queue() -> tuple[int, datetime | None]:
    """Usage that is not in the books yet, and since when the oldest waits; nothing while Valkey
    is away, which the alarms say."""
    try:
        length, oldest = store_metrics.queue()
    except RedisError:
        return 0, None
    return length, None if oldest is None else datetime.fromtimestamp(oldest, UTC)


def books() -> tuple[str, bool]:
    """How the books stand, in words, and whether that is well."""
    try:
        last = health.reconciled()
    except RedisError:
        last = None
    if not figures.books_balance():
        return _("The books do not balance."), False
    if last is None:
        return _("Books balanced; not proved yet."), True
    when = at(datetime.fromtimestamp(last.at, UTC))
    if last.differences:
        said = _("The proof of %(at)s found %(number)s differences.")
        return said % {"at": when, "number": last.differences}, False
    return _("Books balanced, proved at %(at)s.") % {"at": when}, True
