"""What an e-invoice says, in the words of the API: its buyer, its one line, what it is about."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.conf import settings
from stdnum.vn import mst

from billing.invoices import taxes
from billing.invoices.models import Invoice
from billing.invoices.taxes import VIETNAM
from billing.payments.einvoice.models import EInvoice

_PERCENT = re.compile(r"(\d+(?:\.\d+)?) %\Z")
NOT_TAXED = "-2"
LINE = "Nạp số dư dịch vụ API"  # in the language of the tax office
DECREASE, INCREASE = "decrease", "increase"


def percent(invoice: Invoice) -> str:
    """Of the tax that an invoice says ("VAT 10 %"), as it was on its day. Not taxed is another
    thing than taxed at nothing."""
    if not invoice.tax:
        return NOT_TAXED if not invoice.tax_name else "0"
    found = _PERCENT.search(invoice.tax_name)
    return found.group(1) if found else f"{taxes.rate(invoice.issued_at).normalize():f}"


def buyer(about: Mapping[str, Any]) -> dict[str, object]:
    """Whom it is made out to; a tax code only if it can be a Vietnamese one."""
    named = {
        "name": str(about.get("name") or about.get("email") or about.get("account") or ""),
        "address": str(about.get("address") or "").replace("; ", ", "),
        "email": str(about.get("email") or ""),
    }
    code = str(about.get("tax_id") or "")
    if mst.is_valid(code):
        named["tax_code"] = mst.compact(code)
    return {name: value for name, value in named.items() if value}


def body(found: EInvoice, now: datetime) -> dict[str, Any]:
    """The body of what makes it. Amounts are whole dong, and never negative."""
    body: dict[str, Any] = {
        "reference_code": found.reference_code,
        "template_code": found.template,
        "invoice_series": found.series,
        "issued_date": now.astimezone(VIETNAM).strftime("%Y-%m-%d %H:%M:%S"),
        "currency": "VND",
        "provider_account_id": settings.EINVOICE_ACCOUNT,
        "payment_method": "CK",
        "buyer": found.buyer,
        "items": [_line(found)],
        "notes": found.invoice.number,
        "is_draft": True,
    }
    if found.about is not None:
        body["original_invoice_reference_code"] = found.about.reference_code
        body["reason"] = found.reason
    if found.kind == EInvoice.Kind.ADJUSTMENT:
        body["adjustment_type"] = DECREASE if found.total < 0 else INCREASE
    return body


def _line(found: EInvoice) -> dict[str, Any]:
    rate = float(found.tax_percent)
    return {
        "line_number": 1,
        "line_type": 1,
        "item_code": "TOPUP",
        "item_name": f"{LINE} ({found.invoice.number})",
        "unit": "lần",
        "quantity": 1,
        "unit_price": abs(found.net),
        "total_amount": abs(found.net),
        "tax_rate": int(rate) if rate.is_integer() else rate,
        "tax_amount": abs(found.tax),
    }
