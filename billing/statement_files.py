"""A statement to download: as PDF, and as CSV. Amounts are dollars, in whole cents."""

import csv
import io

from reportlab.lib.units import mm
from reportlab.platypus import Flowable, Spacer

from accounts.models import User
from billing import invoices, paper
from billing.statements import Line, Statement
from hontoni.money import dollars

TITLES = {
    "payments": "Payments",
    "refunds": "Refunds and disputes",
    "credits": "Credits and adjustments",
    "purchases": "Plans and add-ons",
    "corrections": "Corrections of usage",
    "usage": "Usage",
}
HEAD = (
    "section", "date", "description", "number", "requests", "prompt_tokens", "output_tokens",
    "amount", "exact_amount",
)  # fmt: skip


def as_csv(statement: Statement) -> str:
    """A row each; from the second to the one before the last they add up to the difference."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(HEAD)
    writer.writerow(_balance("opening", statement.opening, statement.exact_opening))
    writer.writerows(_row(line) for section in TITLES for line in statement.of(section))
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
    seller = invoices.seller()
    story: list[Flowable] = [
        *paper.head(seller["name"], "Statement", statement.month),
        paper.columns(
            paper.party("From", seller),
            paper.party("To", invoices.buyer(user)),
        ),
        Spacer(0, 6 * mm),
        *_about(statement, user),
    ]
    for section in TITLES:
        if lines := statement.of(section):
            story += [Spacer(0, 6 * mm), *_section(section, lines)]
    closing = [("Closing balance", statement.closing)]
    story += [
        Spacer(0, 6 * mm),
        paper.sums(["Summary", "USD"], _summary(statement), closing, _WIDE),
    ]
    return paper.bytes_of(f"Statement {statement.month}", seller["name"], story)


_WIDE = [125, 45]


def _about(statement: Statement, user: User) -> list[Flowable]:
    last = "" if statement.is_over else " (the month is not over)"
    return paper.facts(
        [
            ("From", f"{statement.since:%d %B %Y}, 00:00 UTC"),
            ("Until", f"{statement.until:%d %B %Y}, 00:00 UTC{last}"),
            ("Account", str(user.pk)),
        ]
    )


def _summary(statement: Statement) -> list[tuple[str, str]]:
    rows = [("Opening balance", dollars(statement.opening))]
    for section, title in TITLES.items():
        if statement.of(section):
            rows.append((title, dollars(statement.total(section))))
    return rows


def _section(section: str, lines: list[Line]) -> list[Flowable]:
    total = [("Total", sum(line.shown for line in lines))]
    title = TITLES[section]
    if section == "usage":
        heads = [title, "Requests", "Prompt tokens", "Output tokens", "USD"]
        return [paper.sums(heads, [_used(line) for line in lines], total, [70, 22, 28, 28, 22])]
    rows = [
        (
            f"{line.at:%Y-%m-%d}  {line.text}" if line.at else line.text,
            line.number,
            dollars(line.shown),
        )
        for line in lines
    ]
    return [paper.sums([title, "Document", "USD"], rows, total, [100, 40, 30])]


def _used(line: Line) -> list[str]:
    used = line.used
    counts = [f"{n:,}" for n in (used.requests, used.prompt, used.output)] if used else [""] * 3
    return [line.text, *counts, dollars(line.shown)]
