"""What is found, as a sentence: kept in English, and read in the language of whoever reads it.

A sentence is taken apart by the very pattern it was made of, so that what was found before a
language was there is read in it too. What fits no pattern stays as it is.
"""

import re
from functools import cache
from typing import Any

from django.utils.translation import gettext, gettext_noop

from cockpit.watch.models import Kind

_t = gettext_noop
PATTERNS: dict[str, str] = {
    Kind.SPEND: _t("%(who)s spent %(spent)s on %(day)s; %(usual)s a day before"),
    Kind.ACCOUNTS: _t("%(count)s new accounts in 24 hours; %(usual)s a day before"),
    Kind.ADDRESS: _t("%(count)s accounts on %(place)s"),
    Kind.PERSON: _t("%(count)s accounts of one %(mark)s"),
    Kind.KEY_PLACES: _t("Key %(key)s of %(who)s was used from %(count)s networks on %(day)s"),
    Kind.CAPPED: _t("%(model)s: %(count)s charges of 24 hours were cut at %(amount)s"),
    Kind.QUARANTINE: _t("%(count)s %(list)s in quarantine"),
    Kind.MARGIN: _t("%(model)s: charged %(charged)s, cost %(cost)s on %(day)s"),
    Kind.VENDOR_BILL: _t("%(difference)s: %(amount)s that nothing explains"),
}
WORDS = (_t("mailbox"), _t("card"), _t("browser"), _t("bills"), _t("payments"), _t("events"))


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
