"""How an invoice looks on paper: one page of A4, or as many as its lines need."""

from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from reportlab.lib import colors
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer, Table

from hontoni.money import dollars

if TYPE_CHECKING:
    from billing.models import Invoice

# The fonts every PDF reader has know no Vietnamese.
FONTS = Path(__file__).parent / "fonts"
_CELLS = [("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (-1, -1), 0)]
TITLES = {"invoice": "Invoice", "credit_note": "Credit note"}


@cache
def _style(*, bold: bool = False, size: int = 10, right: bool = False) -> ParagraphStyle:
    name = "DejaVuSans-Bold" if bold else "DejaVuSans"
    pdfmetrics.registerFont(TTFont(name, str(FONTS / f"{name}.ttf")))
    return ParagraphStyle(
        f"{name}-{size}",
        fontName=name,
        fontSize=size,
        leading=size * 1.4,
        **({"alignment": TA_RIGHT} if right else {}),
    )


def draw(invoice: "Invoice") -> bytes:
    """The PDF of an invoice. The same invoice gives the same bytes."""
    out = BytesIO()
    title = f"{TITLES[invoice.kind]} {invoice.number}"
    page = SimpleDocTemplate(
        out,
        pagesize=A4,
        leftMargin=20 * mm,
        rightMargin=20 * mm,
        title=title,
        author=invoice.seller["name"],
        invariant=True,
    )
    page.build([*_head(invoice, title), _lines(invoice), Spacer(0, 8 * mm), *_foot(invoice)])
    return out.getvalue()


def _text(text: str, **style: Any) -> Paragraph:
    return Paragraph(escape(text), _style(**style))


def _head(invoice: "Invoice", title: str) -> list[Flowable]:
    columns = [_party("From", invoice.seller), _party("To", invoice.buyer)]
    about = [f"Date: {invoice.issued_at:%d %B %Y}", f"Account: {invoice.buyer['account']}"]
    if invoice.credits:
        about.append(f"Credits: {', '.join(invoice.credits)}")
    return [
        _text(title, bold=True, size=18),
        Spacer(0, 6 * mm),
        *(_text(line) for line in about),
        Spacer(0, 6 * mm),
        Table([columns], colWidths=[80 * mm, 80 * mm], hAlign="LEFT", style=_CELLS),
        Spacer(0, 8 * mm),
    ]


def _party(title: str, party: dict[str, Any]) -> list[Flowable]:
    lines = [party["name"], *party.get("address", "").split("; "), party["email"]]
    if party.get("tax_id"):
        lines.append(f"Tax ID: {party['tax_id']}")
    return [_text(title, bold=True), *(_text(line) for line in lines if line)]


def _lines(invoice: "Invoice") -> Table:
    rows = [(line["text"], line["amount"]) for line in invoice.lines]
    table = [
        [_text("Description", bold=True), _text(invoice.currency, bold=True, right=True)],
        *([_text(text), _text(dollars(amount), right=True)] for text, amount in rows),
        [_text("Total", bold=True), _text(dollars(invoice.total), bold=True, right=True)],
    ]
    rules = [("LINEBELOW", (0, row), (-1, row), 0.5, colors.grey) for row in (0, -2)]
    return Table(
        table,
        colWidths=[115 * mm, 45 * mm],
        repeatRows=1,
        hAlign="LEFT",
        style=[*_CELLS, *rules],
    )


def _foot(invoice: "Invoice") -> list[Flowable]:
    done = "Paid from" if invoice.kind == "invoice" else "Credited to"
    return [_text(f"{done} the prepaid balance. Nothing is due.", size=9)]
