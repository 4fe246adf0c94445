"""What our printed pages have in common: the fonts, the mark, a table that ends in sums."""

from collections.abc import Callable, Sequence
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from reportlab.graphics.shapes import Drawing, Line, Rect
from reportlab.lib import colors
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer, Table

from hontoni.money import dollars

# The fonts every PDF reader has know no Vietnamese.
FONTS = Path(__file__).parent / "fonts"
WIDTH = 170 * mm
INK, GREY, PALE = (colors.HexColor(code) for code in ("#1f5f5b", "#5c6664", "#e4ecea"))
CELLS = [("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (-1, -1), 0)]


@cache
def _style(*, bold: bool = False, size: int = 9, right: bool = False, ink: Any = None) -> Any:
    name = "DejaVuSans-Bold" if bold else "DejaVuSans"
    pdfmetrics.registerFont(TTFont(name, str(FONTS / f"{name}.ttf")))
    return ParagraphStyle(
        f"{name}-{size}",
        fontName=name,
        fontSize=size,
        leading=size * 1.4,
        textColor=ink or colors.black,
        **({"alignment": TA_RIGHT} if right else {}),
    )


def text(words: str, **style: Any) -> Paragraph:
    """A paragraph: `bold`, `size`, `right`, `ink`."""
    return Paragraph(escape(words), _style(**style))


def bytes_of(title: str, author: str, story: list[Flowable]) -> bytes:
    """The PDF of these, on A4. The same ones give the same bytes."""
    out = BytesIO()
    page = SimpleDocTemplate(
        out,
        pagesize=A4,
        leftMargin=20 * mm,
        rightMargin=20 * mm,
        topMargin=18 * mm,
        bottomMargin=20 * mm,
        title=title,
        author=author,
        invariant=True,
    )
    page.build(story, onFirstPage=_number, onLaterPages=_number)
    return out.getvalue()


def _number(canvas: Any, page: Any) -> None:
    _style()  # the font is known from here on
    canvas.setFont("DejaVuSans", 8)
    canvas.setFillColor(GREY)
    canvas.drawString(20 * mm, 12 * mm, page.title)
    canvas.drawRightString(190 * mm, 12 * mm, str(canvas.getPageNumber()))


def head(seller: str, title: str, number: str) -> list[Flowable]:
    """Who it is from, and what it is."""
    name = Table(
        [[_mark(), text(seller, bold=True, size=13)]],
        colWidths=[11 * mm, 79 * mm],
        style=[("VALIGN", (0, 0), (-1, -1), "MIDDLE"), ("LEFTPADDING", (0, 0), (-1, -1), 0)],
    )
    what = [text(title, bold=True, size=15, right=True, ink=INK), text(number, right=True)]
    return [
        Table([[name, what]], colWidths=[90 * mm, 80 * mm], hAlign="LEFT", style=CELLS),
        Spacer(0, 8 * mm),
    ]


def _mark() -> Drawing:
    """As static/favicon.svg."""
    drawing = Drawing(24, 24)
    drawing.add(Rect(0, 0, 24, 24, rx=5, ry=5, fillColor=INK, strokeColor=None))
    for x1, y1, x2, y2 in ((7, 6, 7, 18), (17, 6, 17, 18), (7, 12, 17, 12)):
        stroke = {"strokeColor": colors.white, "strokeWidth": 2.5, "strokeLineCap": 1}
        drawing.add(Line(x1, y1, x2, y2, **stroke))
    return drawing


def party(title: str, about: dict[str, Any], tax_id: str = "Tax ID") -> list[Flowable]:
    """A name, an address, and what the law wants to know."""
    country = about.get("country")
    lines = [about["name"], *about.get("address", "").split("; "), country, about.get("email")]
    if about.get("tax_id"):
        lines.append(f"{tax_id}: {about['tax_id']}")
    return [text(title, size=8, ink=GREY), *(text(line) for line in lines if line)]


def columns(*each: list[Flowable]) -> Table:
    width = WIDTH / len(each)
    return Table([list(each)], colWidths=[width] * len(each), hAlign="LEFT", style=CELLS)


def facts(rows: Sequence[tuple[str, str]]) -> list[Flowable]:
    """A name and a value a line."""
    table = [[text(name, size=8, ink=GREY), text(value)] for name, value in rows if value]
    style = [*CELLS, ("TOPPADDING", (0, 0), (-1, -1), 1), ("BOTTOMPADDING", (0, 0), (-1, -1), 1)]
    return [Table(table, colWidths=[30 * mm, 140 * mm], hAlign="LEFT", style=style)]


def sums(
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    totals: Sequence[tuple[str, int]],
    widths: Sequence[float],
    *,
    write: Callable[[int], str] = dollars,
) -> Table:
    """A table whose last column is numbers; its totals, in nano-dollars, the last one in bold, as
    `write` has them."""
    last, left = len(heads) - 1, [""] * (len(heads) - 2)
    table = [[text(h, bold=True, size=8, right=at > 0) for at, h in enumerate(heads)]]
    table += [[text(cell, right=at > 0) for at, cell in enumerate(row)] for row in rows]
    for at, (name, amount) in enumerate(totals, 1):
        bold = at == len(totals)
        cells = [text(name, bold=bold), *left, text(write(amount), bold=bold, right=True)]
        table.append(cells)
    first = len(table) - len(totals)
    rules: list[Any] = [
        ("BACKGROUND", (0, 0), (last, 0), PALE),
        ("LEFTPADDING", (0, 0), (-1, -1), 4),
        ("LINEBELOW", (0, 1), (last, max(first - 1, 1)), 0.25, PALE),
        ("LINEABOVE", (0, -1), (last, -1), 0.75, INK),
    ]
    sizes = [each * mm for each in widths]
    style = [("VALIGN", (0, 0), (-1, -1), "TOP"), *rules]
    return Table(table, colWidths=sizes, repeatRows=1, hAlign="LEFT", style=style)
