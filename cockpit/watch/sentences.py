"""What is found, as a sentence: kept in English, and read in the language of whoever reads it.

A sentence is taken apart by the very pattern it was made of, so that what was found before a
language was there is read in it too. What fits no pattern stays as it is.
"""

import re
from functools import cache
from typing import Any

from django.utils.translation import gettext, gettext_noop

from cockpit.watch.models import Kind

PATTERNS: dict[str, str] = {
    Kind.SPEND: gettext_noop("%(who)s spent %(spent)s on %(day)s; %(usual)s a day before"),
    Kind.ACCOUNTS: gettext_noop("%(count)s new accounts in 24 hours; %(usual)s a day before"),
    Kind.ADDRESS: gettext_noop("%(count)s accounts on %(place)s"),
    Kind.PERSON: gettext_noop("%(count)s accounts of one %(mark)s"),
    Kind.KEY_PLACES: gettext_noop(
        "Key %(key)s of %(who)s was used from %(count)s networks on %(day)s"
    ),
    Kind.CAPPED: gettext_noop("%(model)s: %(count)s charges of 24 hours were cut at %(amount)s"),
    Kind.QUARANTINE: gettext_noop("%(count)s %(list)s in quarantine"),
    Kind.MARGIN: gettext_noop("%(model)s: charged %(charged)s, cost %(cost)s on %(day)s"),
    Kind.VENDOR_BILL: gettext_noop("%(difference)s: %(amount)s that nothing explains"),
}
WORDS = (
    gettext_noop("mailbox"),
    gettext_noop("card"),
    gettext_noop("browser"),
    gettext_noop("bills"),
    gettext_noop("payments"),
    gettext_noop("events"),
)


def sentence(kind: str, **facts: Any) -> str:
    """In English."""
    return PATTERNS[kind] % facts


def translated(kind: str, text: str) -> str:
    """The sentence in the language that is active."""
    found = _shape(PATTERNS[kind]).fullmatch(text) if kind in PATTERNS else None
    if found is None:
        return text
    facts = {name: gettext(v) if v in WORDS else v for name, v in found.groupdict().items()}
    return gettext(PATTERNS[kind]) % facts


@cache
def _shape(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"%\((\w+)\)s", pattern)
    texts, names = parts[::2], parts[1::2]
    groups = [f"(?P<{name}>.+)" for name in names]
    return re.compile("".join(re.escape(t) + g for t, g in zip(texts, [*groups, ""], strict=True)))
