"""Our own invoices and credit notes: of every payment that Stripe makes no invoice of.

Always true:

1. Our invoices are one series a year, our credit notes another, and Stripe's documents are in
   neither: the law asks for numbers "based on one or more series" (Directive 2006/112/EC, Article
   226), and who looks at one kind alone finds no gap either. The numbers of a series are 1, 2, 3
   ...: a number is taken under the lock of its series, in the transaction that issues the
   invoice, and returned if that fails.
2. An invoice belongs to one transfer of the ledger, and its lines say its amount; or to one fact
   at Stripe that moved no balance. It is issued once: asked again, the first one is answered.
3. It is written once, with its PDF and the PDF's SHA-256. Seller and buyer are those of that day.
4. It is dated when it is issued, and says when it was paid if that was on another day.

What has which: billing/payments/documents.py.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from django.conf import settings
from django.db import transaction
from django.utils import translation
from django.utils.translation import gettext_noop

from accounts.models import User
from accounts.people import mailboxes
from accounts.sign_in.deletion import DELETED
from billing.books.models import Transfer
from billing.invoices import taxes
from billing.invoices.models import BillingDetails, Invoice, InvoiceSeries
from billing.invoices.taxes import Tax

Kind = Invoice.Kind
PREFIXES = {Kind.INVOICE: "INV", Kind.CREDIT_NOTE: "CN"}


class Line(NamedTuple):
    """What for, and how many nano-dollars (negative: credited)."""

    text: str
    amount: int


@dataclass(frozen=True, slots=True)
class Payment:
    """How it was paid or given back, and when if not now; `credits`: numbers that it is about."""

    by: str = gettext_noop("Prepaid balance")
    at: datetime | None = None
    tax: Tax = Tax(note=taxes.FROM_BALANCE)
    credits: Sequence[str] = ()


FROM_BALANCE = Payment()


class Subscribed(Protocol):
    """What is said of a subscription: which one it is, and when the period paid now began."""

    @property
    def pk(self) -> Any: ...
    @property
    def period_start(self) -> datetime: ...


def issue(
    *,
    user: User,
    lines: Sequence[Line],
    now: datetime,
    transfer: Transfer | None = None,
    cause: str = "",
    subscription: Subscribed | None = None,
    payment: Payment = FROM_BALANCE,
) -> Invoice:
    """Issue the document of a transfer (or of a `cause`), in the transaction that posts it.

    An invoice if the lines add up to more than nothing, else a credit note. Raises ValueError if
    they are not the transfer's amount.
    """
    moved = sum(line.amount for line in lines)
    if transfer is not None and abs(moved) != transfer.amount:
        raise ValueError(f"{transfer} is of {transfer.amount}, its lines add up to {moved}")
    kind = Kind.INVOICE if moved > 0 else Kind.CREDIT_NOTE
    series = _locked(f"{PREFIXES[kind]}-{now:%Y}")
    if earlier := _earlier(transfer, cause):
        return earlier
    invoice = Invoice(
        kind=kind,
        series=series,
        sequence=series.last + 1,
        number=f"{series.name}-{series.last + 1:06d}",
        user=user,
        subscription_id=subscription.pk if subscription else None,
        transfer=transfer,
        cause=cause,
        issued_at=now,
        seller=seller(),
        buyer=buyer(user),
        lines=[line._asdict() for line in lines],
        total=moved + (payment.tax.amount if payment.tax.on_top else 0),
        credits=_credited(subscription, payment) if kind == Kind.CREDIT_NOTE else [],
        **_said(payment),
    )
    return _written(invoice, series)


def _said(payment: Payment) -> dict[str, Any]:
    tax = payment.tax
    said = {"tax": tax.amount, "tax_on_top": tax.on_top, "tax_name": tax.name, "note": tax.note}
    return said | {"paid_by": payment.by, "paid_at": payment.at}


def _written(invoice: Invoice, series: InvoiceSeries) -> Invoice:
    """Draw it in its buyer's language, keep it, and use up its number."""
    from billing.invoices import invoice_pdf  # 5 MB for who prints, and nobody else

    with translation.override(invoice.user.language):
        invoice.pdf = invoice_pdf.draw(invoice)
    invoice.sha256 = hashlib.sha256(invoice.pdf).hexdigest()
    invoice.save(force_insert=True)
    series.last = invoice.sequence
    series.save(update_fields=["last"])
    return invoice


def _locked(name: str) -> InvoiceSeries:
    """A series whose next number is ours until the transaction ends."""
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("a number is taken in the transaction that uses it")
    InvoiceSeries.objects.bulk_create([InvoiceSeries(name=name)], ignore_conflicts=True)
    return InvoiceSeries.objects.select_for_update().get(name=name)


def _earlier(transfer: Transfer | None, cause: str) -> Invoice | None:
    of_it = {"cause": cause} if cause else {"transfer": transfer}
    return Invoice.objects.filter(**of_it).first()


def seller() -> dict[str, str]:
    return {
        "name": settings.SELLER_NAME,
        "address": settings.SELLER_ADDRESS,
        "tax_id": settings.SELLER_TAX_ID,
        "email": settings.SELLER_EMAIL,
    }


def buyer(user: User) -> dict[str, object]:
    """Who bought it, as they want to be named on it."""
    known = {"name": user.name, "email": mailboxes.recipients(user)[0], "account": user.pk}
    details = BillingDetails.objects.filter(pk=user.pk).first()
    if details is None:
        return known
    names = ("name", "address", "tax_id", "country")
    given = {name: getattr(details, name) for name in names}
    return known | {name: text for name, text in given.items() if text}


def forget_deleted() -> int:
    """Drop the details of accounts that were deleted; invoices keep theirs, as the law asks."""
    return BillingDetails.objects.filter(
        user__is_active=False, user__email__endswith=DELETED
    ).delete()[0]


def _credited(subscription: Subscribed | None, payment: Payment) -> list[str]:
    """What a credit note is about: the invoices named, or those of the period credited now."""
    if subscription is None:
        return list(payment.credits)
    issued = Invoice.objects.filter(
        subscription_id=subscription.pk,
        kind=Kind.INVOICE,
        issued_at__gte=subscription.period_start,
    )
    return list(issued.order_by("pk").values_list("number", flat=True))
