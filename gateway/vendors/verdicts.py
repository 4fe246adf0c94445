"""What came of asking somebody whether he takes a key.

`text` completes a sentence that begins with who was asked. It is English, to be kept and for
commands; `shown` says it in the reader's language, and so does what was kept of it.
"""

import re
from typing import NamedTuple

from django.utils.translation import gettext, gettext_noop

TAKES = gettext_noop("takes our key")
UNTRIED = gettext_noop("answers, and has no list of models to try our key on")
NO_TOKEN = gettext_noop("gets no token from its issuer")
ELSEWHERE = gettext_noop("was entered for %(why)s")
UNUSABLE = gettext_noop("cannot be used: %(why)s")
UNREACHED = gettext_noop("is not reached: %(why)s")
REFUSES = gettext_noop("says %(why)s")
_KEPT = (NO_TOKEN, UNREACHED, REFUSES)


class Verdict(NamedTuple):
    good: bool
    sentence: str
    why: object = ""

    @property
    def text(self) -> str:
        return _filled(self.sentence, self.why)

    @property
    def shown(self) -> str:
        return _filled(gettext(self.sentence), self.why)


def kept_as(name: str, verdict: Verdict) -> str:
    """The whole sentence, in English."""
    return f"{name} {verdict.text}."


def shown(kept: str) -> str:
    """The same in the reader's language; "" if it is no such sentence."""
    for sentence in _KEPT:
        pattern = re.escape(sentence).replace(re.escape("%(why)s"), r"(?P<why>\w+)")
        if found := re.fullmatch(rf"(?P<name>.+) {pattern}\.", kept, re.DOTALL):
            parts = found.groupdict("")
            return f"{parts['name']} {_filled(gettext(sentence), parts.get('why', ''))}."
    return ""


def _filled(sentence: str, why: object) -> str:
    return sentence.replace("%(why)s", str(why))
