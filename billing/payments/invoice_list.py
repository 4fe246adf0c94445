"""Every invoice of an account: ours, and those that Stripe makes."""

from operator import itemgetter
from typing import Any

from billing.invoices.models import Invoice
from billing.payments import stripe_invoices
from hontoni import errors


def listed(user_id: int) -> tuple[list[dict[str, Any]], bool]:
    """Our invoices and Stripe's in one shape, newest first; whether Stripe's are all there."""
    ours = Invoice.objects.filter(user_id=user_id).defer("pdf").order_by("-pk")
    rows = [row(invoice) for invoice in ours[: stripe_invoices.MOST]]
    complete = True
    try:
        rows += stripe_invoices.of(user_id)
    except errors.Unavailable:
        complete = False
    return sorted(rows, key=itemgetter("issued_at"), reverse=True), complete


def row(invoice: Invoice) -> dict[str, Any]:
    names = ("number", "kind", "issued_at", "total", "tax", "net", "currency", "lines", "credits")
    said = {name: getattr(invoice, name) for name in (*names, "note", "paid_by")}
    paid_at = invoice.paid_at or invoice.issued_at
    return {"id": f"inv_{invoice.pk}", "status": "paid", "paid_at": paid_at, **said}
