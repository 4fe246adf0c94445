"""An account's own invoices by their ids, and links to their PDFs that need no session."""

from datetime import timedelta

from django.core import signing
from django.urls import reverse

from billing.invoices.models import Invoice
from hontoni import errors

LINK_LASTS = timedelta(minutes=5)
_LINKS = signing.TimestampSigner(salt="billing.invoice")


def own(user_id: int, invoice_id: str) -> Invoice:
    """An invoice of ours, of this account's. Raises NotFound for anybody else's."""
    number = invoice_id.removeprefix("inv_")
    mine = Invoice.objects.filter(user_id=user_id).defer("pdf")
    invoice: Invoice | None = mine.filter(pk=number).first() if _is_id(number) else None
    if invoice is None:
        raise errors.NotFound(f"You have no invoice {invoice_id}.")
    return invoice


def _is_id(number: str) -> bool:
    return number.isascii() and number.isdigit() and len(number) < 20 and int(number) < 2**63


def link(invoice: Invoice) -> str:
    """The path of an invoice's PDF, for whoever may see it, for LINK_LASTS."""
    return reverse("invoice-file", args=[_LINKS.sign(str(invoice.pk))])


def linked(token: str) -> Invoice | None:
    """The invoice a link leads to; None if it is not good any more."""
    try:
        return Invoice.objects.get(pk=_LINKS.unsign(token, max_age=LINK_LASTS))
    except signing.BadSignature:
        return None
