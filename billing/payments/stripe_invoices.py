"""Stripe's invoices of an account: of Checkout top-ups, and of plans paid by card.

In the shape of our own (invoices/issuing.py), so that a customer sees one list, and each payment
in it once.
"""

from datetime import UTC, datetime
from itertools import islice
from typing import Any
from uuid import UUID

from billing.invoices.models import Invoice
from billing.payments.models import TopUp
from billing.stripe import customers, stripe_api
from billing.stripe.stripe_api import Object
from hontoni import errors
from hontoni.money import CENT

MOST = 200
SHOWN = ("open", "paid")


def of(user_id: int) -> list[dict[str, Any]]:
    """The newest 200, without drafts and what was given up. Amounts are nano-dollars."""
    customer = customers.find(user_id)
    if customer is None:
        return []
    listed = islice(stripe_api.invoices(customer), MOST)
    found = [invoice for invoice in listed if invoice["status"] in SHOWN]
    ours = _invoiced_here(found)
    return [_shown(invoice) for invoice in found if top_up_of(invoice) not in ours]


def top_up_of(invoice: Object) -> str:
    """The top-up that an invoice of Stripe's is of; empty: of a plan."""
    return str((invoice["metadata"] or {}).get("topup") or "")


def _invoiced_here(found: list[Object]) -> set[str]:
    """The top-ups that had an invoice of ours before Stripe told of its own."""
    claims = {top_up_of(invoice) for invoice in found} - {""}
    paid = TopUp.objects.filter(id__in=[claim for claim in claims if _is_uuid(claim)])
    keys = {f"topup:{order.intent_id}": str(order.pk) for order in paid.filter(invoice_id="")}
    made = Invoice.objects.filter(transfer__key__in=keys) if keys else Invoice.objects.none()
    return {keys[key] for key in made.values_list("transfer__key", flat=True)}


def _is_uuid(text: str) -> bool:
    try:
        return bool(UUID(text))
    except ValueError:
        return False


def pdf(user_id: int, id: str) -> str:
    """A fresh address of the PDF. Raises NotFound for anybody else's."""
    customer = customers.find(user_id)
    missing = errors.NotFound("There is no such invoice.")
    if customer is None:
        raise missing
    try:
        invoice = stripe_api.invoice(id)
    except errors.NotFound:
        raise missing from None
    if invoice["customer"] != customer or not invoice["invoice_pdf"]:
        raise missing
    return str(invoice["invoice_pdf"])


def _shown(invoice: Object) -> dict[str, Any]:
    lines = invoice["lines"]["data"]
    net = invoice["total_excluding_tax"]
    net = invoice["total"] if net is None else net
    paid_at = invoice["status_transitions"]["paid_at"]
    return {
        "id": invoice["id"],
        "number": invoice["number"],
        "kind": "stripe",
        "issued_at": datetime.fromtimestamp(invoice["created"], UTC),
        "status": "paid" if invoice["status"] == "paid" else "open",
        "total": invoice["total"] * CENT,
        "tax": (invoice["total"] - net) * CENT,
        "net": net * CENT,
        "note": "",
        "paid_by": "",
        "paid_at": datetime.fromtimestamp(paid_at, UTC) if paid_at else None,
        "currency": invoice["currency"].upper(),
        "lines": [
            {"text": line["description"], "amount": line["amount"] * CENT} for line in lines
        ],
        "credits": [],
    }
