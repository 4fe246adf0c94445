"""Whether a search provider works: it is asked for one thing that everybody finds."""

import asyncio

from gateway.vendors.probing import Verdict
from gateway.vendors.web import searching
from gateway.vendors.web.models import SearchProvider

_QUERY = "wikipedia"


def test(row: SearchProvider) -> Verdict:
    """Asks it; `text` completes a sentence that begins with its name."""
    try:
        found = asyncio.run(searching.ask(searching.of(row), searching.Wanted(_QUERY)))
    except ValueError as error:
        return Verdict(False, f"cannot be used: {error}")
    except searching.Failed as failed:
        return Verdict(False, f"says {failed.detail}")
    if not found:
        return Verdict(False, "answers, and finds nothing")
    return Verdict(True, f"found {len(found)} pages, the first at {found[0].url[:100]}")
