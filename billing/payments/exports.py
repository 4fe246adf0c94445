"""The books for accountants, as CSV: what was posted, invoiced, paid, given back and taxed in a
period of days (UTC, both included), and what was owed to customers at its end.

Amounts are dollars, exact. Rows come as they were booked, the oldest first. What customers wrote
themselves is kept from being taken for a formula.
"""

import csv
import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from operator import attrgetter, itemgetter
from typing import Any

from django.db import connection
from django.db.models import Count, F, Q, Sum
from django.db.models.functions import TruncMonth
from django.utils.translation import gettext_noop

from accounts.models import User
from billing.books import archived
from billing.books.ledger import Kind
from billing.books.models import Transfer
from billing.invoices.models import Invoice
from billing.payments.models import BankRefund, BankTransfer, EInvoice, TopUp
from billing.subscriptions import card_bills
from billing.subscriptions.card_bills import CardBill
from hontoni.money import CENT, dollars

CHUNK = 2_000
Row = Sequence[object]


@dataclass(frozen=True, slots=True)
class Export:
    """A kind of file. `rows` are of what was booked from one moment until before another."""

    title: str
    head: tuple[str, ...]
    rows: Callable[[datetime, datetime], Iterable[Row]]


class _Echo:
    """What csv writes to: it gets the line back."""

    def write(self, text: str) -> str:
        return text


def lines(export: Export, first: date, last: date) -> Iterator[str]:
    """The file, line by line. Raises ValueError if the period ends before it begins."""
    if last < first:
        raise ValueError("The period ends before it begins.")
    writer = csv.writer(_Echo())
    yield writer.writerow(export.head)
    for row in export.rows(_midnight(first), _midnight(last + timedelta(days=1))):
        yield writer.writerow([_cell(value) for value in row])


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _cell(value: object) -> object:
    """A spreadsheet takes a text that begins like this for a formula; numbers are ours."""
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return value if _is_number(value) else f"'{value}"
    return value


def _is_number(text: str) -> bool:
    return text.lstrip("-").replace(".", "", 1).isdecimal()


def _at(moment: datetime | None) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if moment else ""


# -- What was posted -----------------------------------------------------------------------------


def _transfers(since: datetime, until: datetime) -> Iterator[Row]:
    """Also those that are in the archive. Raises Unavailable where it is away."""
    kept = Transfer.objects.filter(created_at__gte=since, created_at__lt=until).order_by("pk")
    rows = kept.select_related("debit", "credit").iterator(CHUNK)
    with archived.reading():
        for each in heapq.merge(rows, archived.charges(since, until), key=attrgetter("pk")):
            sides = each.debit.code, each.credit.code
            moved = each.pk, _at(each.created_at), each.kind, dollars(each.amount)
            yield (*moved, *sides, each.key, each.reason, each.actor)


def _invoices(since: datetime, until: datetime) -> Iterator[Row]:
    """Ours, and those that Stripe made; of a top-up's only Stripe's id is kept."""
    return heapq.merge(_ours(since, until), _stripes(since, until), key=itemgetter(2))


def _stripes(since: datetime, until: datetime) -> Iterator[Row]:
    found = _made_by_stripe(since, until)
    emails = dict(
        User.objects.filter(pk__in={bill.user_id for bill in found}).values_list("pk", "email")
    )
    for bill in found:
        yield (
            *(bill.number, "stripe", _at(bill.at), _at(bill.at), bill.user_id),
            *(emails[bill.user_id], "", "", "", dollars(bill.net), "Tax" if bill.tax else ""),
            *(dollars(bill.tax), dollars(bill.paid), "USD", "Card", "", f"stripe:{bill.number}"),
        )


def _made_by_stripe(since: datetime, until: datetime) -> list[CardBill]:
    """Of top-ups on its page, and of what it billed itself: the oldest first."""
    paid = TopUp.objects.filter(state=TopUp.State.PAID, paid_at__gte=since, paid_at__lt=until)
    top_ups = [
        CardBill(
            order.user_id,
            order.invoice_id,
            order.paid_at or order.created_at,
            order.charged_cents * CENT,
            order.charged_cents * CENT - order.amount,
        )
        for order in paid.exclude(invoice_id="").iterator(CHUNK)
    ]
    bills = card_bills.paid(since, until)
    return sorted([*top_ups, *bills], key=attrgetter("at"))


def _ours(since: datetime, until: datetime) -> Iterator[Row]:
    for one in _issued(since, until).select_related("user", "transfer").iterator(CHUNK):
        buyer = one.buyer
        yield (
            *(one.number, one.kind, _at(one.issued_at), _at(one.paid_at or one.issued_at)),
            *(one.user_id, one.user.email, buyer.get("name", ""), buyer.get("country", "")),
            *(buyer.get("tax_id", ""), dollars(one.net), one.tax_name, dollars(one.tax)),
            *(dollars(one.total), one.currency, one.paid_by, " ".join(map(str, one.credits))),
            one.transfer.key if one.transfer else one.cause,
        )


def _issued(since: datetime, until: datetime) -> Any:
    found = Invoice.objects.filter(issued_at__gte=since, issued_at__lt=until)
    return found.defer("pdf").order_by("pk")


def _top_ups(since: datetime, until: datetime) -> Iterator[Row]:
    paid = TopUp.objects.filter(state=TopUp.State.PAID, paid_at__gte=since, paid_at__lt=until)
    ours = dict(
        Invoice.objects.filter(transfer__kind=Kind.TOPUP, issued_at__gte=since)
        .values_list("transfer__key", "number")
        .iterator(CHUNK)
    )
    for order in paid.select_related("user").order_by("paid_at", "pk").iterator(CHUNK):
        charged = order.charged_cents * CENT
        yield (
            *(str(order.pk), _at(order.paid_at), order.user_id, order.user.email, order.route),
            *(dollars(order.amount), dollars(charged - order.amount), dollars(charged)),
            *(order.intent_id, ours.get(f"topup:{order.intent_id}", order.invoice_id)),
        )


def _bank_transfers(since: datetime, until: datetime) -> Iterator[Row]:
    """Every transfer that came to the bank account, and where it is now. Dong, whole."""
    came = BankTransfer.objects.filter(sent_at__gte=since, sent_at__lt=until)
    for each in came.select_related("order", "user").order_by("sent_at", "pk").iterator(CHUNK):
        yield (
            *(each.pk, _at(each.sent_at), each.gateway, each.account, each.reference, each.dong),
            *(each.state, each.problem, each.order.code if each.order else ""),
            *(each.user_id or "", each.user.email if each.user else "", each.rate or ""),
            *(dollars(each.amount) if each.amount else "", each.content),
            each.key if each.amount else "",
        )


def _bank_refunds(since: datetime, until: datetime) -> Iterator[Row]:
    """What goes, or went, back by hand. Dong, whole."""
    found = BankRefund.objects.filter(requested_at__gte=since, requested_at__lt=until)
    for each in found.select_related("transfer").order_by("pk").iterator(CHUNK):
        yield (
            *(each.pk, _at(each.requested_at), each.state, each.transfer_id, each.dong),
            *(dollars(each.amount), each.to, each.reason, each.requested_by),
            *(each.decided_by, _at(each.decided_at), each.reference),
            each.ledger_key if each.amount else "",
        )


def _e_invoices(since: datetime, until: datetime) -> Iterator[Row]:
    """What the tax office has. Dong, whole."""
    found = EInvoice.objects.filter(created_at__gte=since, created_at__lt=until)
    found = found.select_related("invoice", "about").defer("pdf", "xml", "invoice__pdf")
    for each in found.order_by("pk").iterator(CHUNK):
        yield (
            *(each.pk, _at(each.issued_at), each.kind, each.state, each.series, each.number),
            *(each.invoice.number, each.about.number if each.about else "", each.tax_percent),
            *(each.net, each.tax, each.total, each.rate, each.error),
        )


def _refunds(since: datetime, until: datetime) -> Iterator[Row]:
    """What left for the card, by refund or dispute, of a balance or of a plan that a card paid;
    negative what came back of that, and what was given back to the balance."""
    return heapq.merge(
        _refunds_of_balance(since, until), _refunds_of_plans(since, until), key=itemgetter(0)
    )


def _refunds_of_plans(since: datetime, until: datetime) -> Iterator[Row]:
    """No balance was bought: the documents say it, under the fact at Stripe."""
    for note in _issued(since, until).filter(transfer=None).iterator(CHUNK):
        kind = note.cause.partition(":")[0]
        card = dollars(-note.total)
        yield (
            *(_at(note.issued_at), kind, str(note.user_id), dollars(0), card),
            *("", "", note.cause, note.number),
        )


def _refunds_of_balance(since: datetime, until: datetime) -> Iterator[Row]:
    kinds = (Kind.REFUND, Kind.DISPUTE, Kind.BANK_REFUND, Kind.BALANCE_REFUND)
    back = Transfer.objects.filter(
        ~Q(kind=Kind.USAGE), kind__in=kinds, created_at__gte=since
    ).filter(created_at__lt=until)
    back = back.select_related("debit", "credit", "invoice").defer("invoice__pdf").order_by("pk")
    for moved in back.iterator(CHUNK):
        sign = 1 if moved.debit.code.startswith("wallet:") else -1
        wallet = moved.debit.code if sign > 0 else moved.credit.code
        cents = abs(int(moved.ref.get("cents") or 0))
        note = getattr(moved, "invoice", None)
        yield (
            *(_at(moved.created_at), moved.kind, wallet.removeprefix("wallet:")),
            *(dollars(sign * moved.amount), dollars(sign * cents * CENT) if cents else ""),
            *(moved.ref.get("topup", ""), moved.ref.get("payment_intent", "")),
            *(moved.key, note.number if note else ""),
        )


def _tax(since: datetime, until: datetime) -> Iterator[Row]:
    """By month, buyer's country and tax: invoices less credit notes. Of those that Stripe made we
    know no country."""
    rows = (
        _issued(since, until)
        .order_by()
        .annotate(month=TruncMonth("issued_at", tzinfo=UTC))
        .values_list("month", "buyer__country", "tax_name")
        .annotate(
            documents=Count("pk"),
            net=Sum(F("total") - F("tax")),
            taxes=Sum("tax"),
            whole=Sum("total"),
        )
        .order_by("month", "buyer__country", "tax_name")
    )
    sums = {(f"{row[0]:%Y-%m}", row[1] or "", row[2]): list(row[3:]) for row in rows}
    for bill in _made_by_stripe(since, until):
        key = (f"{bill.at.astimezone(UTC):%Y-%m}", "", "Tax" if bill.tax else "")
        before = sums.setdefault(key, [0, 0, 0, 0])
        more = (1, bill.net, bill.tax, bill.paid)
        sums[key] = [sum_ + each for sum_, each in zip(before, more, strict=True)]
    for key, (documents, *amounts) in sorted(sums.items()):
        yield (*key, documents, *map(dollars, amounts))


# -- What was owed -------------------------------------------------------------------------------

_OWED = """
SELECT a.code, sum(moved.amount) FROM (
    SELECT e.account_id, e.amount FROM billing_entry e
    JOIN billing_transfer t ON t.id = e.transfer_id WHERE t.created_at < %s
    UNION ALL
    SELECT account_id, amount FROM billing_broughtforward WHERE last_at < %s
) AS moved JOIN billing_ledgeraccount a ON a.id = moved.account_id
WHERE a.code LIKE 'wallet:%%' GROUP BY a.code HAVING sum(moved.amount) <> 0
"""


def _liability(since: datetime, until: datetime) -> Iterator[Row]:
    """Every balance at the end, and what they come to: prepaid, so owed; below 0, owed to us."""
    end = connection.ops.adapt_datetimefield_value(until)
    with connection.cursor() as cursor:
        cursor.execute(_OWED, [end, end])
        owed = {int(code.removeprefix("wallet:")): int(sum_) for code, sum_ in cursor.fetchall()}
    emails = dict(User.objects.filter(pk__in=owed).values_list("pk", "email"))
    for user_id in sorted(owed):
        yield (user_id, emails.get(user_id, ""), dollars(owed[user_id]))
    yield ("", "total owed", dollars(sum(amount for amount in owed.values() if amount > 0)))
    yield ("", "total below zero", dollars(sum(amount for amount in owed.values() if amount < 0)))


EXPORTS = {
    "transfers": Export(
        gettext_noop("Transfers"),
        ("id", "at", "kind", "amount", "from", "to", "key", "reason", "actor"),
        _transfers,
    ),
    "invoices": Export(
        gettext_noop("Invoices and credit notes"),
        (
            *("number", "kind", "issued_at", "paid_at", "customer", "email", "name", "country"),
            *("tax_id", "net", "tax_name", "tax", "total", "currency", "paid_by", "credits"),
            "booked_as",
        ),
        _invoices,
    ),
    "top-ups": Export(
        gettext_noop("Top-ups"),
        (
            *("id", "paid_at", "customer", "email", "route", "amount", "tax", "charged"),
            *("payment_intent", "invoice"),
        ),
        _top_ups,
    ),
    "bank-transfers": Export(
        gettext_noop("Bank transfers"),
        (
            *("id", "at", "gateway", "account", "reference", "dong", "state", "problem", "order"),
            *("customer", "email", "rate", "amount", "content", "booked_as"),
        ),
        _bank_transfers,
    ),
    "bank-refunds": Export(
        gettext_noop("Bank refunds"),
        (
            *("id", "at", "state", "transfer", "dong", "balance", "to", "reason", "requested_by"),
            *("decided_by", "decided_at", "reference", "booked_as"),
        ),
        _bank_refunds,
    ),
    "e-invoices": Export(
        gettext_noop("E-invoices"),
        (
            *("id", "issued_at", "kind", "state", "series", "number", "invoice", "about"),
            *("tax_percent", "net", "tax", "total", "rate", "error"),
        ),
        _e_invoices,
    ),
    "refunds": Export(
        gettext_noop("Refunds and disputes"),
        (
            *("at", "kind", "customer", "balance", "card", "top_up", "payment_intent", "key"),
            "credit_note",
        ),
        _refunds,
    ),
    "tax": Export(
        gettext_noop("Tax"),
        ("month", "country", "tax_name", "documents", "net", "tax", "total"),
        _tax,
    ),
    "liability": Export(
        gettext_noop("Balances owed at the end"), ("customer", "email", "balance"), _liability
    ),
}
