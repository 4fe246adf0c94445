"""Our own invoices, and credit notes: of what is paid from the balance, and given back to it.

Always true:

1. The numbers of a series are 1, 2, 3 ... without a gap: a number is taken under the lock of its
   series, in the transaction that issues the invoice, and returned if that fails.
2. An invoice belongs to one transfer of the ledger, and says its amount.
3. It is written once, with its PDF and the PDF's SHA-256. Seller and buyer are those of that day.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from django.conf import settings
from django.db import transaction

from accounts.deletion import DELETED
from accounts.models import User
from billing import invoice_pdf
from billing.models import BillingDetails, Invoice, InvoiceSeries, Subscription, Transfer

Kind = Invoice.Kind
PREFIXES = {Kind.INVOICE: "INV", Kind.CREDIT_NOTE: "CN"}


class Line(NamedTuple):
    """What for, and how many nano-dollars (negative: credited)."""

    text: str
    amount: int


def issue(
    *,
    transfer: Transfer,
    user: User,
    lines: Sequence[Line],
    now: datetime,
    subscription: Subscription | None = None,
) -> Invoice:
    """Issue the document of a transfer, in the transaction that posts it.

    An invoice if the lines add up to more than nothing, else a credit note. Raises ValueError if
    they are not the transfer's amount.
    """
    total = sum(line.amount for line in lines)
    if abs(total) != transfer.amount:
        raise ValueError(f"{transfer} is of {transfer.amount}, its lines add up to {total}")
    kind = Kind.INVOICE if total > 0 else Kind.CREDIT_NOTE
    series, sequence = _next(f"{PREFIXES[kind]}-{now:%Y}")
    invoice = Invoice(
        kind=kind,
        series=series,
        sequence=sequence,
        number=f"{series.name}-{sequence:06d}",
        user=user,
        subscription=subscription,
        transfer=transfer,
        issued_at=now,
        seller=_seller(),
        buyer=_buyer(user),
        lines=[line._asdict() for line in lines],
        total=total,
        credits=_credited(subscription) if kind == Kind.CREDIT_NOTE else [],
    )
    invoice.pdf = invoice_pdf.draw(invoice)
    invoice.sha256 = hashlib.sha256(invoice.pdf).hexdigest()
    invoice.save(force_insert=True)
    return invoice


def _next(name: str) -> tuple[InvoiceSeries, int]:
    """The next number of a series, ours until the transaction ends."""
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("a number is taken in the transaction that uses it")
    InvoiceSeries.objects.bulk_create([InvoiceSeries(name=name)], ignore_conflicts=True)
    series = InvoiceSeries.objects.select_for_update().get(name=name)
    series.last += 1
    series.save(update_fields=["last"])
    return series, series.last


def _seller() -> dict[str, str]:
    return {
        "name": settings.SELLER_NAME,
        "address": settings.SELLER_ADDRESS,
        "tax_id": settings.SELLER_TAX_ID,
        "email": settings.SELLER_EMAIL,
    }


def _buyer(user: User) -> dict[str, object]:
    """Who bought it, as they want to be named on it."""
    known = {"name": user.name, "email": user.email, "account": user.pk}
    details = BillingDetails.objects.filter(pk=user.pk).first()
    if details is None:
        return known
    given = {"name": details.name, "address": details.address, "tax_id": details.tax_id}
    return known | {name: text for name, text in given.items() if text}


def forget_deleted() -> int:
    """Drop the details of accounts that were deleted; invoices keep theirs, as the law asks."""
    return BillingDetails.objects.filter(
        user__is_active=False, user__email__endswith=DELETED
    ).delete()[0]


def _credited(subscription: Subscription | None) -> list[str]:
    """The invoices of the period that is credited now."""
    if subscription is None:
        return []
    issued = Invoice.objects.filter(
        subscription=subscription, kind=Kind.INVOICE, issued_at__gte=subscription.period_start
    )
    return list(issued.order_by("pk").values_list("number", flat=True))
