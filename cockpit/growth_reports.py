"""Reports of growth: what codes and invitations brought and cost, who stays, what plans earn."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime

from django.db.models import Count, Min, Q, Sum
from django.db.models.functions import TruncMonth
from django.utils.translation import gettext as _

from accounts.models import User
from billing.payments.models import BankTransfer, TopUp
from billing.plans import price_list
from billing.plans.models import Plan, Subscription
from billing.rewards.models import PromoCode, Redemption, Referral
from billing.subscriptions import card_bills
from cockpit import daily, figures
from cockpit.figures import Span
from cockpit.reports import Cell, Report, number, percent, report, rows_of, usd
from gateway.reconciliation.vendors.earnings import margins
from gateway.usage.models import UsageHour
from hontoni import months

COHORTS = 12  # months

# -- Codes and invitations -----------------------------------------------------------------------


def promos(_span: Span) -> Report:
    """Of every code: who redeemed it, who got it, who paid since, and what it cost."""
    codes = {code.pk: code for code in PromoCode.objects.all()}
    given = _given()
    rows = []
    for pk, (people, got, cost) in sorted(given.items(), key=lambda each: -each[1][2]):
        users, paid = _paid_since(pk)
        redeemed = rows_of("billing_redemption", code__id__exact=pk)
        rows.append(
            [
                Cell(codes[pk].code, rows_of("billing_promocode", id__exact=pk)),
                number(people, redeemed),
                number(got, redeemed),
                number(users),
                percent(users, people),
                usd(paid),
                usd(cost),
            ]
        )
    columns = [
        *(_("Code"), _("Redeemed"), _("Given"), _("Paid later"), "%"),
        *(_("Earned from them"), _("Cost")),
    ]
    note = _("Cost is what was given and not taken back; what they paid since is by card.")
    title, nothing = _("Promo codes"), _("Nobody has redeemed a code.")
    return Report(title, columns, rows, note, report("promos"), nothing)


def _given() -> dict[int, tuple[int, int, int]]:
    """By code: people who redeemed it, who got something, and nano-dollars."""
    rows = Redemption.objects.values_list("code").order_by()
    sums = rows.annotate(
        people=Count("user", distinct=True),
        got=Count("user", distinct=True, filter=Q(granted_at__isnull=False)),
        cost=Sum("granted"),
    )
    return {code: (people, got, cost) for code, people, got, cost in sums}


def _paid_since(code: int) -> tuple[int, int]:
    """Who paid by card or bank after they redeemed it: how many, and nano-dollars."""
    rows = Redemption.objects.filter(code=code).values_list("user").order_by()
    since = dict(rows.annotate(Min("created_at")))
    paid: defaultdict[int, int] = defaultdict(int)
    top_ups = TopUp.objects.filter(state=TopUp.State.PAID, user__in=since)
    banks = BankTransfer.objects.filter(state=BankTransfer.State.BOOKED, user__in=since)
    for user, at, amount in [
        *top_ups.values_list("user", "paid_at", "amount"),
        *banks.values_list("user", "heard_at", "amount"),
    ]:
        if at is not None and at > since[user]:
            paid[user] += amount
    return len(paid), sum(paid.values())


def referrals(_span: Span) -> Report:
    """How far came who was invited, and what that cost."""
    found = list(Referral.objects.values_list("invitee", "status", "confirmed", "paid"))
    invited = [user for user, *_rest in found]
    used = UsageHour.objects.filter(user__in=invited).values("user").distinct().count()
    by_status = [status for _user, status, _confirmed, _paid in found]
    steps = [
        (_("Invited"), len(found), ""),
        (_("Address confirmed"), sum(confirmed for _u, _s, confirmed, _p in found), ""),
        (_("Made a request"), used, ""),
        (_("Paid"), len(figures.payers(invited)), ""),
        (_("Under review"), by_status.count(Referral.Status.REVIEW), "review"),
        (_("Rejected"), by_status.count(Referral.Status.REJECTED), "rejected"),
    ]
    rows = [
        [Cell(name, link := _referrals(status)), number(n, link), percent(n, len(found))]
        for name, n, status in steps
    ]
    cost = sum(paid for _u, _s, _c, paid in found)
    rows.append([Cell(_("Rewards paid"), _paid_out()), usd(cost), Cell("", number=True)])
    note = _("Who came by an invitation, and how far. Cost is what was paid to those who invited.")
    columns, nothing = [_("Step"), _("How many"), _("Share")], _("Nobody was invited.")
    return Report(
        _("Referrals"), columns, rows if found else [], note, report("referrals"), nothing
    )


def _referrals(status: str) -> str:
    narrowed = {"status__exact": status} if status else {}
    return rows_of("billing_referral", **narrowed)


def _paid_out() -> str:
    return rows_of("billing_transfer", kind__exact="referral")


# -- Who stays -----------------------------------------------------------------------------------


def cohorts(span: Span) -> Report:
    """Customers by the month they signed up in: how many paid in that month, and each since."""
    this = months.begin(span.end)
    firsts = [months.shifted(this, -back) for back in range(COHORTS)]
    members = _members(firsts[-1])
    paid = _payments(firsts[-1])
    rows = []
    for first in firsts:
        cohort = members.get(first.date(), set())
        if not cohort:
            continue
        end = months.shifted(first, 1)
        within = {"created_at__gte": first.isoformat(), "created_at__lt": end.isoformat()}
        link = rows_of("billing_customer", **within)
        age = (this.year - first.year) * 12 + this.month - first.month
        row = [Cell(f"{first:%Y-%m}", link), number(len(cohort), link)]
        for n in range(COHORTS):
            row.append(_paid_in(cohort, paid, months.shifted(first, n)) if n <= age else _EMPTY)
        rows.append(row)
    columns = [_("Signed up in"), _("People"), *(_("Month %d") % n for n in range(COHORTS))]
    note = _(
        "Customers by the month they signed up in, and how many of them paid in each month since."
    )
    return Report(_("Cohorts"), columns, rows, note, report("cohorts"), _("Nobody signed up yet."))


_EMPTY = Cell("", number=True)


def _paid_in(cohort: set[int], paid: dict[date, set[int]], month: datetime) -> Cell:
    payers = len(cohort & paid.get(month.date(), set()))
    return Cell(f"{payers} ({round(payers * 100 / len(cohort))} %)", number=True)


def _members(since: datetime) -> dict[date, set[int]]:
    """Customers by the month (UTC) they signed up in."""
    rows = User.objects.filter(created_at__gte=since, is_staff=False)
    return _by_month(rows.values_list(TruncMonth("created_at", tzinfo=UTC), "pk"))


def _payments(since: datetime) -> dict[date, set[int]]:
    """Who paid, by month: a top-up by card or bank, or a plan at Stripe."""
    topped = TopUp.objects.filter(state=TopUp.State.PAID, paid_at__gte=since)
    banks = BankTransfer.objects.filter(state=BankTransfer.State.BOOKED, heard_at__gte=since)
    billed = card_bills.paid(since)
    return _by_month(
        [
            *banks.values_list(TruncMonth("heard_at", tzinfo=UTC), "user").distinct(),
            *topped.values_list(TruncMonth("paid_at", tzinfo=UTC), "user").distinct(),
            *((months.begin(bill.at), bill.user_id) for bill in billed),
        ]
    )


def _by_month(rows: Iterable[tuple[datetime, int]]) -> dict[date, set[int]]:
    found: defaultdict[date, set[int]] = defaultdict(set)
    for month, user in rows:
        found[month.date()].add(user)
    return dict(found)


# -- What plans earn -----------------------------------------------------------------------------


def earnings(span: Span) -> Report:
    """By the plan people have now: fees and usage of these days, less what vendors took."""
    plans = list(Plan.objects.all())
    on = dict(
        Subscription.objects.filter(status__in=Subscription.LIVE).values_list("user", "plan")
    )
    default = next((plan.pk for plan in plans if plan.is_default), 0)
    used, fees = daily.by_customer(span.period), figures.fees(span)
    costs = {each.name: each for each in margins("customer", span.first, span.last)}
    found = {plan.pk: _Earned() for plan in plans} | {default: _Earned()}
    for user in used.keys() | fees.keys():
        earned, cost = found[on.get(user, default)], costs.get(str(user))
        earned.people += 1
        earned.fees += fees.get(user, 0)
        earned.usage += used[user].cost if user in used else 0
        earned.cost += cost.cost if cost else 0
        earned.known &= cost is None or cost.known
    rows = [_earned(plan, found[plan.pk]) for plan in plans if found[plan.pk].people]
    columns = [
        *(_("Plan"), _("People"), _("Fees"), _("Usage"), _("Vendor cost")),
        *(_("Earned"), _("Each"), "%"),
    ]
    note = _(
        "What subscribers paid for plans and for usage in these days, less what the vendors took "
        "for their usage."
    )
    note = " ".join([note, *price_list.dominated()])
    return Report(_("What plans earn"), columns, rows, note, report("earnings", days=span.days))


class _Earned:
    """What the people of one plan paid, and cost. Nano-dollars."""

    def __init__(self) -> None:
        self.people = self.fees = self.usage = self.cost = 0
        self.known = True


def _earned(plan: Plan, each: _Earned) -> list[Cell]:
    paid = each.fees + each.usage
    left = paid - each.cost if each.known else None
    link = rows_of("billing_subscription", plan__id__exact=plan.pk, status__in="active,past_due")
    return [
        Cell(plan.name, "" if plan.is_default else link),
        number(each.people),
        usd(each.fees),
        usd(each.usage),
        usd(each.cost if each.known else None, unknown=_("cost not known")),
        usd(left),
        usd(None if left is None else left // each.people),
        percent(left, paid, bad_below=0),
    ]
