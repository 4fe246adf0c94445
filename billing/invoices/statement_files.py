"""A statement to download: as PDF, and as CSV. Amounts are dollars, in whole cents.

The PDF is in the language that is spoken right now; the CSV is for programs, and always the same.
"""

import csv
import io
from datetime import UTC, datetime

from django.http import HttpResponse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import pgettext
from reportlab.lib.units import mm
from reportlab.platypus import Flowable, Spacer

from accounts.models import User
from billing.books.transfer_names import KIND_NAMES, SECTION_NAMES
from billing.invoices import issuing, pdf_layout, statements
from billing.invoices.spoken import spoken
from billing.invoices.statements import Line, Statement
from hontoni.money import dollars
from hontoni.templatetags import moments, money

HEAD = (
    "section", "date", "description", "number", "requests", "prompt_tokens", "output_tokens",
    "amount", "exact_amount",
)  # fmt: skip

_TYPES = {"pdf": "application/pdf", "csv": "text/csv; charset=utf-8"}


def as_csv(statement: Statement) -> str:
    """A row each; from the second to the one before the last they add up to the difference."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(HEAD)
    writer.writerow(_balance("opening", statement.opening, statement.exact_opening))
    writer.writerows(_row(line) for section in SECTION_NAMES for line in statement.of(section))
    writer.writerow(_balance("closing", statement.closing, statement.exact_closing))
    return out.getvalue()


def _balance(name: str, shown: int, exact: int) -> list[object]:
    return [name, "", "", "", "", "", "", dollars(shown), dollars(exact)]


def _row(line: Line) -> list[object]:
    used = line.used
    counts = [used.requests, used.prompt, used.output] if used else ["", "", ""]
    date = f"{line.at:%Y-%m-%d}" if line.at else ""
    amounts = [dollars(line.shown), dollars(line.exact)]
    return [line.section, date, _text(line.text), line.number, *counts, *amounts]


def _text(text: str) -> str:
    """A spreadsheet takes what begins like this for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def as_pdf(statement: Statement, user: User) -> bytes:
    """For the seller's and the buyer's accountants."""
    seller = issuing.seller()
    story: list[Flowable] = [
        *pdf_layout.head(seller["name"], _("Statement"), moments.month(statement.month)),
        pdf_layout.columns(
            pdf_layout.party(pgettext("a seller", "From"), seller, tax_id=_("Tax ID")),
            pdf_layout.party(pgettext("a buyer", "To"), issuing.buyer(user), tax_id=_("Tax ID")),
        ),
        Spacer(0, 6 * mm),
        *_about(statement, user),
    ]
    for section in SECTION_NAMES:
        if lines := statement.of(section):
            story += [Spacer(0, 6 * mm), *_section(section, lines)]
    closing = [(_("Closing balance"), statement.closing)]
    story += [
        Spacer(0, 6 * mm),
        pdf_layout.sums([_("Summary"), "USD"], _summary(statement), closing, _WIDE),
    ]
    return pdf_layout.bytes_of(
        f"{_('Statement')} {moments.month(statement.month)}", seller["name"], story
    )


_WIDE = [125, 45]


def _about(statement: Statement, user: User) -> list[Flowable]:
    open_still = "" if statement.is_over else f" ({_('This month is not over yet.')})"
    return pdf_layout.facts(
        [
            (_("From"), _midnight(statement.since)),
            (_("Until"), _midnight(statement.until) + open_still),
            (_("Account"), str(user.pk)),
        ]
    )


def _midnight(day: datetime) -> str:
    return f"{date_format(day)}, 00:00 UTC"


def _summary(statement: Statement) -> list[tuple[str, str]]:
    rows = [(_("Opening balance"), dollars(statement.opening))]
    for section, title in SECTION_NAMES.items():
        if statement.of(section):
            rows.append((str(title), dollars(statement.total(section))))
    return rows


def _section(section: str, lines: list[Line]) -> list[Flowable]:
    total = [(_("Total"), sum(line.shown for line in lines))]
    title = str(SECTION_NAMES[section])
    if section == "usage":
        heads = [title, _("Requests"), _("Prompt tokens"), _("Output tokens"), "USD"]
        return [
            pdf_layout.sums(heads, [_used(line) for line in lines], total, [66, 24, 28, 30, 22])
        ]
    rows = [(_moved(line), line.number, dollars(line.shown)) for line in lines]
    return [pdf_layout.sums([title, _("Invoice"), "USD"], rows, total, [100, 40, 30])]


def _moved(line: Line) -> str:
    """The day in UTC, what it is, and what the books say of it."""
    day = f"{date_format(line.at.astimezone(UTC).date())}  " if line.at else ""
    kind = KIND_NAMES.get(line.kind)
    said = spoken(line.text.strip())
    named = said if kind is None else str(kind)
    return day + (f"{named}: {said}" if said not in ("", named) else named)


def _used(line: Line) -> list[str]:
    used = line.used
    if used is None:
        text = _("Charged in another month than it was sent")
        return [text, "", "", "", dollars(line.shown)]
    counts = [money.counted(n) for n in (used.requests, used.prompt, used.output)]
    return [line.text, *counts, dollars(line.shown)]


def download(user: User, month: str, ending: str) -> HttpResponse:
    """A month as `pdf`, in the language spoken right now, or as `csv`. Raises NotFound where
    there is no statement."""
    found = statements.of(user.pk, month, timezone.now())
    content: str | bytes = as_pdf(found, user) if ending == "pdf" else as_csv(found)
    headers = {
        "Content-Disposition": f'attachment; filename="statement-{month}.{ending}"',
        "Cache-Control": "private, no-store",
    }
    return HttpResponse(content, content_type=_TYPES[ending], headers=headers)
