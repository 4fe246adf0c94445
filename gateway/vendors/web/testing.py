"""Whether a search provider works: it is asked for one thing that everybody finds."""

import asyncio

from django.utils.translation import gettext as _

from gateway.vendors import verdicts
from gateway.vendors.verdicts import Verdict
from gateway.vendors.web import searching
from gateway.vendors.web.models import SearchProvider

_QUERY = "wikipedia"


def test(row: SearchProvider) -> Verdict:
    """Asks it; `text` completes a sentence that begins with its name."""
    try:
        found = asyncio.run(searching.ask(searching.of(row), searching.Wanted(_QUERY)))
    except ValueError as error:
        return Verdict(False, verdicts.UNUSABLE, error)
    except searching.Failed as failed:
        return Verdict(False, verdicts.REFUSES, failed.detail)
    if not found:
        return Verdict(False, _("answers, and finds nothing"))
    told = {"count": len(found), "url": found[0].url[:100]}
    return Verdict(True, _("found %(count)s pages, the first at %(url)s") % told)
