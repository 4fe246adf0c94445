"""How an invoice looks on paper: one page of A4, or as many as its lines need."""

from typing import TYPE_CHECKING

from reportlab.lib.units import mm
from reportlab.platypus import Flowable, Spacer, Table

from billing.invoices import pdf_layout
from hontoni.money import dollars

if TYPE_CHECKING:
    from billing.invoices.models import Invoice

TITLES = {"invoice": "Invoice", "credit_note": "Credit note"}


def draw(invoice: "Invoice") -> bytes:
    """The PDF of an invoice. The same invoice gives the same bytes."""
    title = TITLES[invoice.kind]
    story: list[Flowable] = [
        *pdf_layout.head(invoice.seller["name"], title, invoice.number),
        pdf_layout.columns(
            [*pdf_layout.party("From", invoice.seller)],
            [*pdf_layout.party("To", invoice.buyer)],
        ),
        Spacer(0, 6 * mm),
        *_about(invoice),
        Spacer(0, 8 * mm),
        _lines(invoice),
        Spacer(0, 6 * mm),
        *_foot(invoice),
    ]
    return pdf_layout.bytes_of(f"{title} {invoice.number}", invoice.seller["name"], story)


def _about(invoice: "Invoice") -> list[Flowable]:
    paid = "Paid on" if invoice.kind == "invoice" else "Given back on"
    return pdf_layout.facts(
        [
            ("Number", invoice.number),
            ("Date", f"{invoice.issued_at:%d %B %Y}"),
            (paid, f"{invoice.paid_at or invoice.issued_at:%d %B %Y}"),
            ("By", invoice.paid_by),
            ("Account", str(invoice.buyer["account"])),
            ("Credits", ", ".join(invoice.credits) if invoice.kind == "credit_note" else ""),
        ]
    )


def _lines(invoice: "Invoice") -> Table:
    rows = [(line["text"], dollars(line["amount"])) for line in invoice.lines]
    totals = [(f"Total in {invoice.currency}", invoice.total)]
    if invoice.tax or invoice.tax_name:
        totals = [("Net", invoice.net), (invoice.tax_name or "Tax", invoice.tax), *totals]
    return pdf_layout.sums(["Description", "Amount"], rows, totals, [125, 45])


def _foot(invoice: "Invoice") -> list[Flowable]:
    done = "Paid" if invoice.kind == "invoice" else "Given back"
    included = "" if invoice.tax_on_top or not invoice.tax else " Amounts include the tax."
    said = [invoice.note, f"{done}: nothing is due.{included}"]
    return [pdf_layout.text(line) for line in said if line]
