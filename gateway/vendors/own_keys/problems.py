"""Why an own key does not work, where it is not its vendor who says so.

What is kept, and what /api tells, is English; its owner's page says it in their language. What a
vendor answered is quoted as it is.
"""

import re

from django.utils.translation import gettext, gettext_noop

from gateway.vendors import verdicts

MOVED = gettext_noop("Its provider has moved since it was entered: enter it again.")
UNREADABLE = gettext_noop("It cannot be read any more: enter it again.")
_SILENT = gettext_noop("%(name)s did not answer (%(error)s).")
_WHO = re.compile(r"(?P<name>.+) did not answer \((?P<error>\w+)\)\.", re.DOTALL)


def silent(name: str, error: Exception) -> str:
    """That nothing came of asking that provider."""
    return _SILENT % {"name": name, "error": type(error).__name__}


def shown(problem: str) -> str:
    """The same in the reader's language; "" if these are a vendor's words."""
    if problem in (MOVED, UNREADABLE):
        return gettext(problem)
    found = _WHO.fullmatch(problem)
    return gettext(_SILENT) % found.groupdict() if found else verdicts.shown(problem)
