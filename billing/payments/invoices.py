"""Stripe's invoices of an account: receipts of Checkout top-ups.

In the shape of our own (billing/invoices.py), so that a customer sees one list.
"""

from datetime import UTC, datetime
from itertools import islice
from typing import Any

from billing import stripe_api
from billing.payments import customers
from billing.stripe_api import Object
from hontoni import errors
from hontoni.money import CENT

MOST = 200


def of(user_id: int) -> list[dict[str, Any]]:
    """The newest 200, without drafts. Amounts are nano-dollars."""
    customer = customers.find(user_id)
    if customer is None:
        return []
    listed = islice(stripe_api.invoices(customer), MOST)
    return [_shown(invoice) for invoice in listed if invoice["status"] != "draft"]


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
    return {
        "id": invoice["id"],
        "number": invoice["number"],
        "kind": "stripe",
        "issued_at": datetime.fromtimestamp(invoice["created"], UTC),
        "total": invoice["total"] * CENT,
        "currency": invoice["currency"].upper(),
        "lines": [
            {"text": line["description"], "amount": line["amount"] * CENT} for line in lines
        ],
        "credits": [],
    }
