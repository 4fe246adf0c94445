"""The figures of the home page: of some days up to now, beside as many days before.

Usage is read from sums of days (daily.py) and what settlement sums by vendor, money from the
ledger: short walks, however many requests there were. Amounts are nano-dollars, days are UTC.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db.models import Count, F, Q, QuerySet, Sum

from accounts.models import User
from billing.books.ledger import COUNTERPARTS
from billing.books.models import LedgerAccount, Transfer, Wallet
from billing.invoices.models import Invoice
from billing.payments.models import BankTransfer, TopUp
from billing.plans.models import Subscription
from billing.subscriptions import card_bills
from cockpit import daily
from cockpit.daily import Period, Used, midnight
from gateway.usage.models import Refusal, UsageEvent
from gateway.usage.request_ids import first_id
from gateway.usage.vendor_day import Part, UsageVendorDay

Kind = Transfer.Kind
PAYMENTS = (COUNTERPARTS[Kind.TOPUP], COUNTERPARTS[Kind.BANK_TOPUP])
# Bought from balances, and given back to them; what goes back of usage names no invoice.
PLANS = (COUNTERPARTS[Kind.SUBSCRIPTION], COUNTERPARTS[Kind.BALANCE_REFUND])
_OF_PLANS = Q(kind=Kind.SUBSCRIPTION) | Q(kind=Kind.BALANCE_REFUND, ref__has_key="invoice")
WALLET = "wallet:"
SAMPLE = 20_000  # requests among which failures are looked for


@dataclass(frozen=True, slots=True)
class Figure:
    """A number, and the same of the days before. None: there is no such number."""

    now: int
    before: int | None = None

    @property
    def change(self) -> int | None:
        """Percent up or down; None where nothing was before."""
        if not self.before:
            return None
        return round((self.now - self.before) * 100 / abs(self.before))


@dataclass(frozen=True, slots=True)
class Span:
    """Today (UTC) so far, and the days before it: `days` in all."""

    end: datetime
    days: int

    @property
    def first(self) -> date:
        return self.last - timedelta(days=self.days - 1)

    @property
    def last(self) -> date:
        return self.end.astimezone(UTC).date()

    @property
    def begin(self) -> datetime:
        return midnight(self.first)

    @property
    def previous(self) -> "Span":
        """As many days up to the same time of day, so that a morning is compared with one."""
        return Span(self.end - timedelta(days=self.days), self.days)

    @property
    def period(self) -> Period:
        """To the end of the hour that runs: what is booked in it is in it."""
        hour = self.end.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        return Period(self.begin, hour + timedelta(hours=1))


# -- Money ---------------------------------------------------------------------------------------


def sold(spans: Sequence["Span"]) -> list[int]:
    """What plans and add-ons earned in each: from balances, and from cards, as Stripe bills them;
    less what was given back of them, and without tax."""
    begin = min(span.begin for span in spans)
    moves = Transfer.objects.filter(_OF_PLANS, created_at__gte=begin)
    bills = Invoice.objects.filter(transfer=None, issued_at__gte=begin)
    earned, returned, billed = {}, {}, {}
    for n, span in enumerate(spans):
        when = Q(created_at__gte=span.begin, created_at__lt=span.end)
        earned[f"n{n}"] = Sum("amount", filter=when & Q(credit__code__in=PLANS), default=0)
        returned[f"r{n}"] = Sum("amount", filter=when & Q(debit__code__in=PLANS), default=0)
        issued = Q(issued_at__gte=span.begin, issued_at__lt=span.end)
        billed[f"n{n}"] = Sum(F("total") - F("tax"), filter=issued, default=0)
    sums, cards = moves.aggregate(**earned, **returned), bills.aggregate(**billed)
    at_stripe = card_bills.paid(begin)
    return [
        int(sums[f"n{n}"] - sums[f"r{n}"] + cards[f"n{n}"])
        + sum(bill.net for bill in at_stripe if span.begin <= bill.at < span.end)
        for n, span in enumerate(spans)
    ]


def used(spans: Sequence["Span"]) -> list[tuple[Used, Used]]:
    """What was used in each, and in as many days before, which end at the same time of day."""
    begin = min(span.previous.begin for span in spans)
    by_day = daily.by_day(Period(begin, spans[0].period.end))
    found = []
    for span in spans:
        before = span.previous
        at = before.end.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        part = daily.total(Period(midnight(before.last), at + timedelta(hours=1)))
        earlier = _together(by_day, before.first, before.last - timedelta(days=1))
        earlier.add(part.requests, part.errors, part.cost)
        found.append((_together(by_day, span.first, span.last), earlier))
    return found


def _together(by_day: Mapping[date, Used], first: date, last: date) -> Used:
    whole = Used()
    for day, each in by_day.items():
        if first <= day <= last:
            whole.add(each.requests, each.errors, each.cost)
    return whole


def moved(span: Span) -> dict[str, tuple[int, int]]:
    """Of each kind of transfer but usage: how many, and nano-dollars; debits of wallets are those
    of their kind."""
    rows = _moves(span).values_list("kind").annotate(Count("pk"), Sum("amount")).order_by()
    return {kind: (count, total) for kind, count, total in rows}


def _moves(span: Span) -> QuerySet[Transfer]:
    return Transfer.objects.exclude(kind=Kind.USAGE).filter(
        created_at__gte=span.begin, created_at__lt=span.end
    )


def cash(span: Span) -> int:
    """Paid by card and by bank for balances, less what went back by refund or dispute."""
    sums = _moves(span).aggregate(
        paid=Sum("amount", filter=Q(debit__code__in=PAYMENTS), default=0),
        back=Sum("amount", filter=Q(credit__code__in=PAYMENTS), default=0),
    )
    return int(sums["paid"] - sums["back"])


def fees(span: Span) -> dict[int, int]:
    """What each customer paid for plans and add-ons, from the balance or at Stripe, less what was
    given back."""
    found: defaultdict[int, int] = defaultdict(int)
    moves = _moves(span).filter(_OF_PLANS).order_by()
    for side, sign in (("debit__code", 1), ("credit__code", -1)):
        rows = moves.filter(**{f"{side}__startswith": WALLET}).values_list(side)
        for code, amount in rows.annotate(Sum("amount")):
            found[int(code.removeprefix(WALLET))] += sign * amount
    billed = Invoice.objects.filter(
        transfer=None, issued_at__gte=span.begin, issued_at__lt=span.end
    ).values_list("user")
    for user, net in billed.annotate(net=Sum(F("total") - F("tax"))).order_by():
        found[user] += net
    for bill in card_bills.paid(span.begin, span.end):
        found[bill.user_id] += bill.net
    return dict(found)


def owed() -> tuple[int, int]:
    """Balances that customers have not used, which we owe them; and what some owe us."""
    balance = F("credits_total") - F("settled_total")
    wallets = Wallet.objects.annotate(left=balance).aggregate(
        owed=Sum("left", filter=Q(left__gt=0), default=0),
        owing=Sum("left", filter=Q(left__lt=0), default=0),
    )
    return int(wallets["owed"]), -int(wallets["owing"])


def books_balance() -> bool:
    """Whether the accounts add up to nothing: `reconcile` proves more, and takes longer."""
    return bool(LedgerAccount.objects.aggregate(total=Sum("balance", default=0))["total"] == 0)


def plans(at: datetime | None = None) -> list[dict[str, Any]]:
    """Each plan that is paid for, its subscribers, and what they pay a month with add-ons: now,
    or with those who had one at a moment, at what they paid last."""
    live = Q(status__in=Subscription.LIVE)
    if at is not None:
        live = Q(created_at__lte=at) & (Q(ended_at=None) | Q(ended_at__gt=at))
        live &= ~Q(status=Subscription.Status.INCOMPLETE)
    rows = (
        Subscription.objects.filter(live, trial=False)
        .values("plan_id", name=F("plan__name"))
        .annotate(
            subscribers=Count("pk"),
            monthly=Sum(F("plan_price") + F("add_on_price"), default=0),
        )
        .order_by("-monthly")
    )
    return [dict(row) for row in rows if row["monthly"]]


# -- People --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Newcomer:
    """Who signed up in these days, and how far they came."""

    user: int
    email: str
    at: datetime
    used: bool
    paid: bool


def newcomers(span: Span, active: Iterable[int]) -> list[Newcomer]:
    """Of these days, the newest first. `active` are the accounts that used something in them."""
    rows = User.objects.filter(created_at__gte=span.begin, created_at__lt=span.end, is_staff=False)
    new = list(rows.order_by("-created_at").values_list("pk", "email", "created_at"))
    used, paid = set(active), payers(pk for pk, _email, _at in new)
    return [Newcomer(pk, email, at, pk in used, pk in paid) for pk, email, at in new]


def payers(users: Iterable[int]) -> set[int]:
    """Those of them who have ever paid: a top-up by card or bank, or a plan at Stripe."""
    among = list(users)
    topped = TopUp.objects.filter(user__in=among, state=TopUp.State.PAID)
    sent = BankTransfer.objects.filter(user__in=among, state=BankTransfer.State.BOOKED)
    billed = card_bills.paid(user__in=among)
    return {
        *topped.values_list("user", flat=True),
        *sent.values_list("user", flat=True),
        *(bill.user_id for bill in billed),
    }


def changes(now: Mapping[int, Used], before: Mapping[int, Used]) -> list[tuple[int, Figure]]:
    """What customers spent, and before: those first with whom it changed most, up or down."""
    nothing = Used()
    found = [
        (pk, Figure(now.get(pk, nothing).cost, before.get(pk, nothing).cost))
        for pk in now.keys() | before.keys()
    ]
    return sorted(found, key=lambda each: -abs(each[1].now - (each[1].before or 0)))


def emails(users: Iterable[int]) -> dict[int, str]:
    return dict(User.objects.filter(pk__in=list(users)).values_list("pk", "email"))


# -- What went wrong -----------------------------------------------------------------------------


def refused(span: Span) -> list[dict[str, Any]]:
    """Why requests were refused, the most frequent reason first."""
    rows = Refusal.objects.filter(hour__gte=span.begin, hour__lt=span.end)
    found = rows.values("code", "status").annotate(
        times=Sum("count"), customers=Count("user", distinct=True)
    )
    return [dict(row) for row in found.order_by("-times")]


def failed(span: Span) -> list[dict[str, Any]]:
    """What failed and why, the most frequent first; among the newest SAMPLE requests of all, so
    that it takes no longer when there are more."""
    rows = UsageEvent.objects.order_by("-id").values_list("pk", flat=True)
    oldest = list(rows[SAMPLE - 1 : SAMPLE])
    since = max([first_id(span.begin.timestamp()), *oldest])
    found = (
        UsageEvent.objects.filter(pk__gte=since, status__gte=400)
        .order_by()
        .values("model", "status", "error", "upstream_status")
        .annotate(times=Count("pk"), customers=Count("user", distinct=True))
    )
    return [dict(row) for row in found.order_by("-times", "model")]


@dataclass(slots=True)
class Served:
    """What became of what a vendor was asked by one credential."""

    vendor: str
    credential: str
    requests: int = 0
    failed: int = 0  # attempts after which another was asked
    given_away: int = 0  # failed for the customer, too

    @property
    def percent(self) -> float:
        """Of all attempts: how many failed."""
        attempts = self.requests + self.failed
        return (self.failed + self.given_away) * 100 / attempts if attempts else 0.0


def vendors(span: Span) -> list[Served]:
    """How the vendors did, the worst first."""
    rows = UsageVendorDay.objects.filter(day__gte=span.first, day__lte=span.last).order_by()
    found: defaultdict[tuple[str, str], list[tuple[str, int]]] = defaultdict(list)
    for vendor, credential, part, requests in rows.values_list(
        "vendor", "credential", "part"
    ).annotate(Sum("requests")):
        found[vendor, credential].append((part, requests))
    served = [_served(*place, dict(parts)) for place, parts in found.items()]
    return sorted(served, key=lambda each: (-each.percent, each.vendor, each.credential))


def _served(vendor: str, credential: str, parts: Mapping[str, int]) -> Served:
    asked = sum(n for part, n in parts.items() if part not in (Part.FAILED, Part.DISPUTED))
    failed, given = parts.get(Part.FAILED, 0), parts.get(Part.GIVEN_AWAY, 0)
    return Served(vendor, credential, asked, failed, given)
