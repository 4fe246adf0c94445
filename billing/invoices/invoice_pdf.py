"""How an invoice looks on paper: one page of A4, or as many as its lines need.

It is drawn once, when it is issued, in the language that is spoken then: the buyer's.
"""

from datetime import datetime
from typing import TYPE_CHECKING

from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, pgettext
from reportlab.lib.units import mm
from reportlab.platypus import Flowable, Spacer, Table

from billing.invoices import pdf_layout
from billing.invoices.spoken import spoken
from hontoni.templatetags.money import usd

if TYPE_CHECKING:
    from billing.invoices.models import Invoice

TITLES = {"invoice": gettext_noop("Invoice"), "credit_note": gettext_noop("Credit note")}


def draw(invoice: "Invoice") -> bytes:
    """The PDF of an invoice. The same invoice gives the same bytes."""
    title = _(TITLES[invoice.kind])
    story: list[Flowable] = [
        *pdf_layout.head(invoice.seller["name"], title, invoice.number),
        pdf_layout.columns(
            [*pdf_layout.party(pgettext("a seller", "From"), invoice.seller, tax_id=_("Tax ID"))],
            [*pdf_layout.party(pgettext("a buyer", "To"), invoice.buyer, tax_id=_("Tax ID"))],
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
    paid = _("Paid on") if invoice.kind == "invoice" else _("Given back on")
    return pdf_layout.facts(
        [
            (_("Number"), invoice.number),
            (_("Date"), _day(invoice.issued_at)),
            (paid, _day(invoice.paid_at or invoice.issued_at)),
            (_("Paid by"), spoken(invoice.paid_by)),
            (_("Account"), str(invoice.buyer["account"])),
            (_("Credits"), ", ".join(invoice.credits) if invoice.kind == "credit_note" else ""),
        ]
    )


def _day(moment: datetime) -> str:
    return date_format(moment)


def _lines(invoice: "Invoice") -> Table:
    rows = [(spoken(line["text"]), usd(line["amount"])) for line in invoice.lines]
    total = _("Total in %(currency)s") % {"currency": invoice.currency}
    totals = [(total, invoice.total)]
    if invoice.tax or invoice.tax_name:
        totals = [
            (_("Net"), invoice.net),
            (spoken(invoice.tax_name) or _("Tax"), invoice.tax),
            *totals,
        ]
    return pdf_layout.sums([_("Description"), _("Amount")], rows, totals, [125, 45])


def _foot(invoice: "Invoice") -> list[Flowable]:
    paid, back = _("Paid: nothing is due."), _("Given back: nothing is due.")
    said = [spoken(invoice.note), paid if invoice.kind == "invoice" else back]
    if invoice.tax and not invoice.tax_on_top:
        said.append(_("Amounts include the tax."))
    return [pdf_layout.text(line) for line in said if line]
