"""What is run on the way: searches of the web, and pages that are read, between two rounds of a
model's answer (`gateway/dialects/rounds.py`).

Each tool may be used as often as was held for, and what it brings is as long as was held for. The
round behind the last use offers none, so there are never more rounds than that.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

from gateway.dialects.codecs import pages
from gateway.dialects.codecs.hosted import FETCH
from gateway.dialects.ir import HostedCall, WebPage
from gateway.dialects.rounds import Rounds, Waiting
from gateway.plane import large
from gateway.plane.adapters import Translation
from gateway.plane.call import Call
from gateway.vendors.web import reading, searching
from hontoni.errors import Unavailable

logger = logging.getLogger(__name__)

_LEAST_OUTPUT = 16  # tokens; with fewer left the answer ends for its length
_BYTES_PER_TOKEN = 3
_OVERUSED = "max_uses_exceeded"


async def run(call: Call, tap: Rounds) -> AsyncGenerator[bytes, None]:
    """Run what is waiting; what to send the client, as it comes. Then the tap has begun the next
    round, and its request is the lane's body; or it has finished."""
    lane = call.lane
    assert isinstance(lane, Translation)
    waiting = tap.waiting
    running = [asyncio.ensure_future(each) for each in _allowed(lane, tap, waiting)]
    try:
        for each, task in zip(waiting, running, strict=True):
            yield tap.told(each, await task)
    finally:
        for task in running:
            task.cancel()
    left = _left(call, lane, tap)
    if tap.others or left < _LEAST_OUTPUT:
        yield tap.finish(short=left < _LEAST_OUTPUT)
        return
    spent = all(tap.tried[use.row.name] >= use.calls for use in lane.sifted.uses if use.row.ours)
    said = tap.conversation()
    await large.beside(lane, lane.onward, said, left, spent)
    tap.begin(lane.request, last=spent)


def _left(call: Call, lane: Translation, tap: Rounds) -> int:
    """Tokens of output that are left of what was asked for."""
    most = lane.request.max_output_tokens or call.estimate.output
    return min(most, call.estimate.output) - tap.output()


def _allowed(lane: Translation, tap: Rounds, waiting: list[Waiting]) -> list[Any]:
    """Of each call what runs it, or says that it was one too many."""
    most = {use.row.name: use.calls for use in lane.sifted.uses if use.row.ours}
    found = []
    for each in waiting:
        tap.tried[each.call.tool] += 1
        over = tap.last or tap.tried[each.call.tool] > most.get(each.call.tool, 0)
        found.append(_refused(each.call) if over else _one(lane, tap, each.call))
    return found


async def _refused(call: HostedCall) -> HostedCall:
    return replace(call, error=_OVERUSED)


async def _one(lane: Translation, tap: Rounds, call: HostedCall) -> HostedCall:
    declared = lane.declared(call)
    try:
        if call.tool == FETCH:
            return replace(call, pages=(await _read(lane, tap, call, declared),))
        return replace(call, pages=await _search(call, declared))
    except searching.Failed as failed:
        return replace(call, error=failed.code)
    except Unavailable:
        return replace(call, error=searching.UNAVAILABLE)
    except Exception:  # what strangers' pages break is a call that failed, not the whole answer
        logger.exception("helping.failed %s", call.tool)
        return replace(call, error=searching.UNAVAILABLE)


async def _search(call: HostedCall, declared: dict[str, Any]) -> tuple[WebPage, ...]:
    allowed, blocked = _sites(declared)
    place = declared.get("user_location")
    country = str(place.get("country") or "") if isinstance(place, dict) else ""
    wanted = searching.Wanted(call.query, allowed, blocked, country[:2].upper())
    found = await searching.search(wanted)
    each = pages.MOST_FOUND_BYTES // max(1, len(found)) - 200  # beside its title and address
    return tuple(
        WebPage(one.url, pages.cut(one.title, 150), pages.cut(one.text, max(100, each)), one.age)
        for one in found
    )


async def _read(
    lane: Translation, tap: Rounds, call: HostedCall, declared: dict[str, Any]
) -> WebPage:
    """Only what the conversation has named, or a search has found: a model that was talked into
    telling a secret must not be able to tell it to an address of its own making."""
    there = pages.plain(call.query)
    if there not in lane.mentioned and there not in tap.found:
        raise searching.Failed(reading.NOT_ALLOWED, "it stands nowhere in the conversation")
    most = declared.get("max_content_tokens")
    given = (
        most * _BYTES_PER_TOKEN if isinstance(most, int) and most > 0 else pages.MOST_PAGE_BYTES
    )
    url = call.query if "://" in call.query else f"https://{call.query}"
    allowed, blocked = _sites(declared)
    # Title, address and number stand before the text, and are counted with it.
    bound = min(given, pages.MOST_PAGE_BYTES - 1_000)
    page = await reading.read(url, bound, allowed, blocked)
    return WebPage(page.url, page.title, page.text, media_type="text/plain")


def _sites(declared: dict[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """On which a tool may look alone, and on which not: Anthropic's words, or Responses'."""
    filters = declared.get("filters")
    raw = {**declared, **(filters if isinstance(filters, dict) else {})}
    return _names(raw.get("allowed_domains")), _names(raw.get("blocked_domains"))


def _names(listed: Any) -> tuple[str, ...]:
    names = listed if isinstance(listed, list) else []
    return tuple(name for name in names if isinstance(name, str) and name)
