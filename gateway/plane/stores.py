"""This gateway's part in keeping the two stores one (docs/stores.md): it watches the epoch,
announces its live requests in a new one, spools its usage events, and has accounts made anew.
"""

import asyncio
import logging
import time
import uuid
from contextlib import suppress

from django.conf import settings

from gateway.plane import usage_events
from gateway.plane.call import Call
from gateway.plane.counts import Counts
from gateway.stores import epochs as authority
from gateway.stores import nodes, rebuilding, replaying, windows
from gateway.stores.models import StoreEpoch
from gateway.stores.spool import WRITE_SECONDS, Kept, Segment, Spool
from hontoni import freshness
from hontoni.db import in_thread
from hontoni.errors import ApiError
from ratelimits import epochs
from ratelimits.rebuilding import announce, confirmed

logger = logging.getLogger(__name__)

WATCH_SECONDS = 1.0
PATIENCE_SECONDS = 2.0  # of a request, for gateways that have not announced theirs yet
_PAUSE_SECONDS = 0.05
LIVE: set[Call] = set()  # admitted and not yet settled, in this process
UNSETTLED: dict[str, Call] = {}  # finished while Redis was away


class _Node:
    """This process as others see it."""

    id = ""
    announced = ""  # the epoch in which its requests are
    spool: Spool | None = None
    beaten = 0.0
    making: dict[int, asyncio.Task[None]] = {}
    lock = asyncio.Lock()


async def start() -> None:
    """Before the first request: a spool, what others left on this disk, and a sign of life."""
    _Node.id, _Node.announced, _Node.beaten = uuid.uuid4().hex, "", 0.0
    _Node.lock, _Node.making = asyncio.Lock(), {}
    try:
        _Node.spool = await in_thread(Spool, _Node.id)
    except OSError:
        logger.critical("spool.unusable %s", settings.SPOOL_DIR, exc_info=True)
    with suppress(Exception):  # without a store nothing is admitted anyway
        await watch()


async def stop() -> None:
    """After the last request."""
    with suppress(Exception):
        await in_thread(nodes.leave, _Node.id)
    if _Node.spool is not None:
        spool, _Node.spool = _Node.spool, None
        await in_thread(spool.close)


def keep(call: Call, event: bytes) -> None:
    """Have a usage event on this gateway's disk in a moment, with all others of that moment: a
    write of its own is dearer than all else the spool does."""
    spool = _Node.spool
    if spool is not None and spool.keep(Kept(call.caller.account, call.id, call.cost, event)):
        asyncio.get_running_loop().call_later(WRITE_SECONDS, spool.flush)


def answered(call: Call) -> None:
    """Redis has it."""
    if _Node.spool is not None:
        _Node.spool.answered(call.id)


def admitted(call: Call) -> bool:
    """A request is live. True if the epoch changed while it was admitted: `introduce` it late."""
    LIVE.add(call)
    return bool(_Node.announced) and epochs.believed() != call.epoch


def spooled() -> int:
    """Bytes of usage events on this gateway's disk."""
    return 0 if _Node.spool is None else _Node.spool.size()


async def rebuilt(account: int) -> None:
    """Make an account anew; all who ask for one at once share it. Raises Unavailable."""
    task = _Node.making.get(account)
    if task is None:
        task = _Node.making[account] = asyncio.create_task(_rebuild(account))
        task.add_done_callback(lambda _: _Node.making.pop(account, None))
    await asyncio.shield(task)


async def _rebuild(account: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        await _enter(await confirmed())
        try:
            await freshness.query(rebuilding.rebuild, account)
            Counts.rebuilt += 1
            return
        except rebuilding.Behind:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(_PAUSE_SECONDS)


async def went_back() -> None:
    """The database knows less than Redis was told by it: a new epoch."""
    await freshness.query(authority.begin, authority.RESTORED)


async def _enter(epoch: str) -> None:
    """Announce what is live in an epoch, once, and put back what the stream has lost."""
    async with _Node.lock:
        if _Node.announced == epoch or not _Node.id:
            return
        live = [call for call in (*LIVE, *UNSETTLED.values()) if call.admitted_at]
        await asyncio.gather(*(introduce(call) for call in live))
        await in_thread(_replay)
        await in_thread(nodes.beat, _Node.id, epoch)
        logger.info("epoch.entered %s with %d requests", epoch, len(live))
        _Node.announced = epoch


async def introduce(call: Call) -> None:
    """Make a live request known in the epoch that there is now. Raises Unavailable."""
    now, state = call.so_far(), call.state
    assert state is not None
    call.epoch = epochs.believed()
    await announce(
        call.admitted_ask(),
        hold=call.held,
        cost=now.cost,
        draft=usage_events.event(now, lost=True),
        admitted=call.admitted_at,
        windows=windows.opened(state.windows, state.now // 1000),
    )


def _replay(adopted: list[Segment] | None = None) -> None:
    spool = _Node.spool
    if spool is None:
        return
    restored = StoreEpoch.objects.filter(pk=StoreEpoch.THE, restored=True).exists()
    segments = adopted if adopted is not None else [*spool.adopt(), *spool.segments()]
    if count := replaying.replay(spool, list(dict.fromkeys(segments)), restored=restored):
        logger.warning("spool.replayed %d events", count)


async def watch() -> None:
    """Compare the stores once, and do what follows."""
    await _enter(await confirmed())
    await in_thread(_keep_house)


def _keep_house() -> None:
    now, spool = time.monotonic(), _Node.spool
    if now - _Node.beaten >= nodes.BEAT_SECONDS:
        nodes.beat(_Node.id, _Node.announced)
        _Node.beaten = now
        if spool is not None and (adopted := spool.adopt()):
            _replay(adopted)
    if spool is not None:
        if count := replaying.catch_up(spool):
            logger.warning("spool.caught_up %d events", count)
        spool.sync()
        replaying.trim(spool, keep_seconds=settings.SPOOL_KEEP_SECONDS, now=now)


async def watch_for_ever() -> None:
    """So that a new epoch is noticed by a gateway that is idle, too."""
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        try:
            await watch()
        except ApiError as error:
            logger.warning("epoch.unwatched: %s", error)
        except Exception:
            logger.exception("epoch.unwatched")
