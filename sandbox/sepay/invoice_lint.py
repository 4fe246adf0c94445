"""What SePay refuses of an e-invoice, as its documentation says."""

from datetime import datetime, timedelta, timezone
from typing import Any

Object = dict[str, Any]
VIETNAM = timezone(timedelta(hours=7))
RATES = (-2, -1, 0, 5, 8, 10)
ACCOUNT: Object = {
    "id": "0aea3134-da40-11f0-aef4-52c7e9b4f41b",
    "provider": "matbao",
    "active": True,
    "templates": [{"template_code": "1", "invoice_series": "C26THT"}],
}
REQUIRED = (
    *("template_code", "invoice_series", "issued_date", "currency", "provider_account_id"),
    *("buyer", "items", "is_draft"),
)
LINE = ("line_number", "line_type", "item_name", "quantity", "unit_price", "tax_rate")


class Refusal(Exception):
    """An answer in place of a deed."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def check(given: Object) -> None:
    """Raises Refusal for anything but a VAT invoice of this account."""
    for name in REQUIRED:
        if name not in given:
            raise Refusal(400, f"{name} is required.")
    if given["provider_account_id"] != ACCOUNT["id"]:
        raise Refusal(400, "provider_account_id: there is no such account.")
    series = {"template_code": given["template_code"], "invoice_series": given["invoice_series"]}
    if series not in ACCOUNT["templates"]:
        raise Refusal(400, "invoice_series is not registered.")
    if given["currency"] != "VND" or type(given["is_draft"]) is not bool:
        raise Refusal(400, "currency or is_draft")
    if given.get("payment_method", "CK") not in ("TM", "CK", "TM/CK", "KHAC"):
        raise Refusal(400, "payment_method")
    _check_date(str(given["issued_date"]))
    _check_buyer(given["buyer"])
    if not isinstance(given["items"], list) or not given["items"]:
        raise Refusal(400, "items is required.")
    for line in given["items"]:
        _check_line(line)


def _check_date(text: str) -> None:
    try:
        at = datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=VIETNAM)
    except ValueError:
        raise Refusal(400, "issued_date: yyyy-MM-dd HH:mm:ss") from None
    if at > datetime.now(VIETNAM) + timedelta(seconds=5):
        raise Refusal(400, "issued_date cannot be in the future.")


def _check_buyer(buyer: Any) -> None:
    if not isinstance(buyer, dict) or not str(buyer.get("name", "")).strip():
        raise Refusal(400, "buyer.name is required.")
    code = str(buyer.get("tax_code") or "")
    plain = code.replace("-", "")
    if code and not (plain.isdecimal() and len(plain) in (10, 12, 13)):
        raise Refusal(400, "buyer.tax_code is not valid.")


def _check_line(line: Object) -> None:
    for name in LINE:
        if name not in line:
            raise Refusal(400, f"items.{name} is required.")
    if line["tax_rate"] not in RATES:
        raise Refusal(400, "items.tax_rate is not valid.")
    if any(type(line[name]) is bool or line[name] < 0 for name in ("quantity", "unit_price")):
        raise Refusal(400, "items.quantity and items.unit_price")


def check_reason(given: Object) -> None:
    if not str(given.get("reason", "")).strip():
        raise Refusal(400, "reason is required.")


def check_adjustment(given: Object, origin: Object) -> None:
    """Only the difference is written, and never more is taken away than there is."""
    type_ = given.get("adjustment_type")
    if type_ not in ("increase", "decrease", "combined", "info"):
        raise Refusal(400, "adjustment_type is not valid.")
    net, tax = sums(given)
    left = origin["total_amount"] + origin["adjusted"]
    if type_ == "decrease" and not 0 < -(net + tax) <= left:
        raise Refusal(400, "It takes away more than there is.")


def sums(given: Object) -> tuple[int, int]:
    """Before tax, and the tax: said, or as the rate makes it; negative if it decreases."""
    sign = -1 if given.get("adjustment_type") == "decrease" else 1
    net = tax = 0
    for line in given["items"]:
        amount = line["quantity"] * line["unit_price"]
        rate = max(line["tax_rate"], 0)
        exact = amount * rate / 100
        said = line.get("tax_amount", round(exact))
        if abs(said - exact) > 1:
            raise Refusal(400, "items.tax_amount does not follow from the rate.")
        net, tax = net + int(amount), tax + int(said)
    return sign * net, sign * tax
