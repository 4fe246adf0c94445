"""What our documents say, in the language of whoever reads them.

The books keep one wording, in English: lines of invoices and what transfers are for. Printed and
shown they are read here; what is not one of our sentences is somebody's own words, and stays.
"""

import re
from datetime import datetime

from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from hontoni.templatetags.money import counted

_DAY = r"\d\d \w{3} \d{4}"
# How our lines are written (plans/quotes.py, payments/documents.py and plan_refunds.py), and what
# is said for them.
_SENTENCES = (
    (r"Unused time on (?P<what>.+)", gettext_noop("Unused time on %(what)s")),
    (
        rf"Reset pass of (?P<what>.+), (?P<start>{_DAY}) to (?P<end>{_DAY})",
        gettext_noop("Reset pass of %(what)s, %(start)s to %(end)s"),
    ),
    (
        rf"(?P<what>.+), (?P<start>{_DAY}) to (?P<end>{_DAY})",
        gettext_noop("%(what)s, %(start)s to %(end)s"),
    ),
    (rf"(?P<what>.+) until (?P<end>{_DAY})", gettext_noop("%(what)s until %(end)s")),
    (
        r"Back to your card: invoice (?P<what>.+)",
        gettext_noop("Back to your card: invoice %(what)s"),
    ),
    (
        r"Back to your balance: invoice (?P<what>.+)",
        gettext_noop("Back to your balance: invoice %(what)s"),
    ),
    (
        r"Back from your balance: invoice (?P<what>.+)",
        gettext_noop("Back from your balance: invoice %(what)s"),
    ),
    (
        r"Bank transfer of (?P<dong>\d+) VND at (?P<rate>\d+) VND for a dollar",
        gettext_noop("Bank transfer of %(dong)s ₫ at %(rate)s ₫ for a dollar"),
    ),
    (
        r"Refund: Hontoni balance, invoice (?P<what>.+)",
        gettext_noop("Refund of the balance bought: invoice %(what)s"),
    ),
    (r"(?P<what>.+) ending in (?P<end>\w{4})", gettext_noop("%(what)s ending in %(end)s")),
)
_KNOWN = tuple((re.compile(pattern), said) for pattern, said in _SENTENCES)
gettext_noop("Card")
gettext_noop("Back to your balance")
gettext_noop("Back from your balance")
gettext_noop("Hontoni balance")


def spoken(text: str) -> str:
    """The same, in the language that is spoken right now."""
    for pattern, said in _KNOWN:
        if found := pattern.fullmatch(text):
            return _(said) % {name: _part(name, part) for name, part in found.groupdict().items()}
    return _(text) if text else ""


def _part(name: str, part: str) -> str:
    """A day, or an amount of dong, as its reader writes them; what is neither stays."""
    return counted(int(part)) if name in ("dong", "rate") else _day(part)


def _day(part: str) -> str:
    if not re.fullmatch(_DAY, part):
        return part
    try:
        return date_format(datetime.strptime(part, "%d %b %Y").date())  # noqa: DTZ007 (a day)
    except ValueError:
        return part
