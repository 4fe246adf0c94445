"""A list behind a number: what every figure of the home page leads to, as a page and as CSV.

A report is columns and rows; a cell may lead further, to the rows of the admin that it counts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from cockpit.figures import Figure
from hontoni.templatetags.money import about

FORMULAS = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would compute


class Cell(NamedTuple):
    """What is shown; where it leads, if anywhere."""

    text: str
    link: str = ""
    number: bool = False
    bad: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """`note` says what is counted, where that is not plain. `link`: where all of it is."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""
    link: str = ""
    empty: str = field(default_factory=lambda: _("Nothing in these days."))

    def newest(self, most: int) -> "Report":
        """The first rows, leading to all of them."""
        return Report(self.title, self.columns, self.rows[:most], self.note, self.link, self.empty)

    @property
    def head(self) -> list[tuple[str, bool]]:
        """Each column's title, and whether numbers stand under it."""
        first = self.rows[0] if self.rows else ()
        right = [cell.number for cell in first] or [False] * len(self.columns)
        return list(zip(self.columns, right, strict=True))

    def csv(self) -> list[list[str]]:
        """As a spreadsheet takes it: no cell begins a formula."""
        return [list(self.columns), *([_plain(cell) for cell in row] for row in self.rows)]


def _plain(cell: Cell) -> str:
    if cell.number:
        return cell.text
    return f"'{cell.text}" if cell.text.startswith(FORMULAS) else cell.text


# -- Cells ---------------------------------------------------------------------------------------


def usd(amount: int | None, link: str = "", *, unknown: str = "") -> Cell:
    """Nano-dollars, at a glance."""
    return Cell(unknown if amount is None else about(amount), link, number=True)


def number(count: int, link: str = "") -> Cell:
    return Cell(f"{count:,}", link, number=True)


def percent(part: int | None, whole: int, *, bad_below: int | None = None) -> Cell:
    """A share; nothing where it is not known, or of nothing."""
    if part is None or not whole:
        return Cell("", number=True)
    share = round(part * 100 / whole, 1)
    return Cell(f"{share:g} %", number=True, bad=bad_below is not None and share < bad_below)


def change(figure: Figure) -> Cell:
    """Against before."""
    if figure.change is None:
        return Cell(_("new") if figure.now else "", number=True)
    return Cell(f"{figure.change:+d} %", number=True)


def customer(pk: int, email: str) -> Cell:
    return Cell(email, reverse("admin:billing_customer_change", args=[pk]))


def rows_of(model: str, **lookups: object) -> str:
    """The admin's list of a table (`gateway_usageevent`), narrowed."""
    query = urlencode({name: str(value) for name, value in lookups.items()})
    return reverse(f"admin:{model}_changelist") + (f"?{query}" if query else "")


def report(name: str, **query: object) -> str:
    """The page of a report of ours."""
    shown = {key: str(value) for key, value in query.items() if value not in ("", None)}
    return reverse("cockpit-report", args=[name]) + (f"?{urlencode(shown)}" if shown else "")


Maker = Callable[..., Report]
