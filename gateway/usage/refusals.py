"""Why was this refused: every 4xx on /v1 of a known key, for its owner to see.

A refusal costs /v1 one entry in a dict of this process, where equal ones (key, code, model) are
one with a count. Every half second the dict goes to Redis in one command, and from there a worker
writes it into the database, an hour's equal refusals in one row.

Nobody can flood it: an account has at most MOST_KINDS in a process between two flushes, MOST_ROWS
rows an hour and KEPT_ROWS in all (what is beyond is counted without its model), and none is
kept longer than KEPT. What a dying process had not yet sent is lost: no money hangs on it.
"""

import asyncio
import logging
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import orjson
from django.db import DatabaseError, OperationalError, transaction
from django.db.models import F
from django.utils import timezone

from gateway.usage import cap_alerts, live
from gateway.usage.models import Refusal
from gateway.usage.request_ids import made_at
from hontoni import redis
from hontoni.errors import ApiError

logger = logging.getLogger(__name__)

WAITING = "refusals"  # the list in Redis
FLUSH_SECONDS = 0.5
MOST_KINDS, MOST_ROWS, KEPT_ROWS = 20, 50, 2_000
MOST_WAITING = 20_000
KEPT = timedelta(days=30)
_BATCH = 500
_WAITED = timedelta(minutes=1)  # the longest from a request's id to its refusal
_CANDIDATES = 10

_Kind = tuple[int, int, str, str]  # account, key id, code, model


class Refused(Protocol):
    """What is known of a refused request: whose it is (account and key), and what it asked."""

    owner: tuple[int, int] | None
    parsed: dict[str, Any] | None
    request_id: str


@dataclass(slots=True)
class _Noted:
    """Equal refusals since the last flush; the details are the last one's."""

    count: int
    first: float
    last: float
    request_id: str
    error: ApiError


_noted: dict[_Kind, _Noted] = {}
_kinds: Counter[int] = Counter()

# -- The gateway's side --------------------------------------------------------------------------


def note(http: Refused, error: ApiError) -> None:
    """Remember a 4xx, if we know whose it is."""
    if http.owner is None or not 400 <= error.status < 500:
        return
    account, key_id = http.owner
    kind = (account, key_id, error.code, _model(http))
    now = time.time()
    known = _noted.get(kind)
    if known is None and _kinds[account] >= MOST_KINDS:
        kind = (account, key_id, error.code, "")
        known = _noted.get(kind)
    if known is None:
        _kinds[account] += 1
        _noted[kind] = _Noted(1, now, now, http.request_id, error)
        return
    known.count += 1
    known.last, known.request_id, known.error = now, http.request_id, error


def _model(http: Refused) -> str:
    """As the client spells it."""
    model = http.parsed.get("model") if http.parsed else None
    return _plain(model[:100]) if isinstance(model, str) else ""


def _plain(text: str) -> str:
    """What every database takes: no NUL, no half of a surrogate pair."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


async def flush() -> None:
    """Send what was noted on its way. Without Redis it is lost; so is the traffic."""
    if not _noted:
        return
    texts = [orjson.dumps(_entry(kind, noted)) for kind, noted in _noted.items()]
    _noted.clear()
    _kinds.clear()
    pipe = redis.pipe()
    await pipe.execute("RPUSH", WAITING, *texts)
    await pipe.execute("LTRIM", WAITING, -MOST_WAITING, -1)


def forget_noted() -> None:
    """Nothing was refused."""
    _noted.clear()
    _kinds.clear()


async def flush_for_ever() -> None:
    while True:
        await asyncio.sleep(FLUSH_SECONDS)
        try:
            await flush()
        except redis.RedisError:
            logger.exception("refusals.flush_failed")


def _entry(kind: _Kind, noted: _Noted) -> dict[str, Any]:
    account, key_id, code, model = kind
    details = noted.error.details
    return {
        "user_id": account,
        "api_key_id": key_id,
        "code": code[:60],
        "model": model,
        "status": noted.error.status,
        "message": _plain(noted.error.message[:500]),
        "limit": str(details.get("limit", "")),
        "allowed": str(details.get("allowed", "")),
        "frees_at": details.get("frees_at"),
        "overflow": details.get("overflow", {}).get("refused_by", ""),
        "request_id": noted.request_id,
        "count": noted.count,
        "first": noted.first,
        "last": noted.last,
    }


# -- The worker's side ---------------------------------------------------------------------------


def drain() -> int:
    """Write what waits into the database. Returns how many entries were taken."""
    taken = 0
    while texts := redis.sync().lpop(WAITING, _BATCH):
        try:
            record([orjson.loads(text) for text in texts])
        except OperationalError:
            redis.sync().lpush(WAITING, *reversed(texts))  # tried again with the next run
            raise
        except DatabaseError:
            logger.exception("refusals.dropped %d", len(texts))  # of a key deleted meanwhile
        taken += len(texts)
    return taken


@transaction.atomic
def record(entries: Iterable[dict[str, Any]]) -> None:
    """Add refusals to their hours."""
    by_user: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
    for entry in entries:
        by_user[entry["user_id"]].append(entry)
    for user_id, mine in sorted(by_user.items()):
        for entry in sorted(mine, key=lambda entry: float(entry["last"])):
            _add(user_id, entry)
        _trim(user_id)
    cap_alerts.refused(entry for mine in by_user.values() for entry in mine)
    transaction.on_commit(lambda: live.ring(by_user), robust=True)


def _add(user_id: int, entry: dict[str, Any]) -> None:
    first, last = (datetime.fromtimestamp(entry[name], UTC) for name in ("first", "last"))
    hour = last.replace(minute=0, second=0, microsecond=0)
    kind = {
        "user_id": user_id,
        "hour": hour,
        **{name: entry[name] for name in ("api_key_id", "code", "model")},
    }
    latest = {
        **{name: entry[name] for name in ("status", "message", "limit", "allowed", "request_id")},
        "frees_at": datetime.fromisoformat(at) if (at := entry["frees_at"]) else None,
        "last_at": last,
    }
    rows = Refusal.objects.filter(user_id=user_id, hour=hour)
    if not rows.filter(**kind).exists() and rows.count() >= MOST_ROWS:
        kind["model"] = ""
    row, made = Refusal.objects.get_or_create(
        **kind, defaults={**latest, "first_at": first, "count": entry["count"]}
    )
    if not made:
        Refusal.objects.filter(pk=row.pk).update(count=F("count") + entry["count"], **latest)


def _trim(user_id: int) -> None:
    mine = Refusal.objects.filter(user_id=user_id).order_by("-pk")
    surplus: Sequence[int] = list(mine.values_list("pk", flat=True)[KEPT_ROWS : KEPT_ROWS + 1])
    if surplus:
        mine.filter(pk__lte=surplus[0]).delete()


def explaining(user_id: int, request_id: str) -> list[Refusal]:
    """Why that request of an account was refused: the row that names it. Of equal refusals only
    the last is named: of another, the rows of its moment, which its id begins with."""
    with suppress(redis.RedisError):  # then what was refused just now is not there yet
        drain()
    mine = Refusal.objects.filter(user_id=user_id)
    if named := list(mine.filter(request_id=request_id)[:1]):
        return named
    moment = made_at(request_id)
    if moment is None:
        return []
    along = mine.filter(count__gt=1, first_at__lte=moment + _WAITED, last_at__gte=moment)
    return list(along.order_by("-last_at")[:_CANDIDATES])


def forget() -> int:
    """Delete what is older than KEPT. Returns how many rows."""
    return Refusal.objects.filter(hour__lt=timezone.now() - KEPT).delete()[0]
