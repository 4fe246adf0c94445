"""What an account's windows have counted, told from its requests: for a Redis that lost it.

The newest request of a subject says when its windows opened and how many they held, itself
included, as admission told it; what was given back since is taken off. So nothing is counted over
a month of rows. The last minute is told by when each request was admitted, by Redis's clock.
"""

import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from django.utils import timezone

from accounts.models import ApiKey
from billing.plans.terms import terms
from gateway.usage import events as spelled
from gateway.usage import log, packing
from gateway.usage.models import UsageEvent
from gateway.usage.request_ids import first_id
from hontoni import redis
from ratelimits.limiter import Window
from ratelimits.rebuilding import LENGTHS_MS, Counted, Open, Opened
from ratelimits.scripts import unavailable

_NEWEST = 50  # rows of a key: more do not run at once, or they are of the last minute
_MINUTE = 60_000_000  # microseconds
_SLACK_SECONDS = 30  # a gateway's clock against Redis's
_MOST = 20_000
_REMEMBERED = timedelta(days=31)  # longer than any window lasts


class _Seen(NamedTuple):
    request_id: str
    admitted: int
    windows: tuple[Opened, ...]
    given_back: bool = False
    ended: int = 0
    past: bool = False  # it went past a full window, and counts in none but the minute


def opened(windows: Sequence[Window | Sequence[Any]], now_ms: int) -> tuple[Opened, ...]:
    """When the windows 5h to monthly opened and what they counted, from what admission told."""
    found = []
    for (_, _, used, reset_ms), length in zip(windows[1:], LENGTHS_MS, strict=True):
        found.append((now_ms + reset_ms - length, used) if used else (0, 0))
    return tuple(found)


def counted(user_id: int, live: Sequence[Open], events: Sequence[bytes]) -> dict[str, Counted]:
    """By subject: of every one that was used in the last month. Two queries a key."""
    by_subject: defaultdict[str, list[_Seen]] = defaultdict(list)
    now, found = _now(), terms(user_id)
    subjects = {key.pk: key for key in _keys(user_id)}
    entries = [event for text in events if (event := _event(text)) is not None]
    for key in subjects.values():
        subject = key.subject if found.subject == "key" else f"a{user_id}"
        by_subject[subject] += _rows(key, now)
        mine = (event for event in entries if event["api_key_id"] == key.pk)
        by_subject[subject] += [seen for event in mine if (seen := _seen(event))]
    for each in live:
        if each.admitted:
            by_subject[each.subject].append(_Seen(each.request_id, each.admitted, each.windows))
    return {
        subject: Counted(_windows(seen), _minute(seen, now) if found.limits.rpm else {})
        for subject, seen in by_subject.items()
    }


def _now() -> int:
    try:
        seconds, micros = redis.clock()
    except redis.RedisError as error:
        raise unavailable(error) from error
    return int(seconds) * 1_000_000 + int(micros)


def _keys(user_id: int) -> Iterable[ApiKey]:
    """Those that may have been used: when a key was last used is noted with its first receipt."""
    since = timezone.now() - _REMEMBERED
    mine = ApiKey.objects.filter(user_id=user_id)
    return mine.filter(last_used_at__gte=since) | mine.filter(last_used_at=None)


def _rows(key: ApiKey, now: int) -> Iterator[_Seen]:
    wanted = {"api_key_id": key.pk}
    mine = UsageEvent.objects.filter(user_id=key.user_id).order_by("-id")
    newest = log.narrowed(mine, key.user_id, wanted, most=_NEWEST)
    columns = ("id", "details", "brief", "duration_ms")
    rows = list(newest.values_list(*columns)[:_NEWEST])
    recent = first_id(now / 1_000_000 - 60 - _SLACK_SECONDS)
    if len(rows) == _NEWEST and rows[-1][0] >= recent:
        more = mine.filter(pk__gte=recent, **wanted)
        rows = list(more.values_list(*columns)[:_MOST])
    for pk, details, brief, duration_ms in rows:
        whole = packing.unpacked(details, brief)
        if seen := _seen({"id": pk.hex, "details": whole, "duration_ms": duration_ms}):
            yield seen


def _event(text: bytes) -> dict[str, Any] | None:
    """What cannot be read was counted nowhere that can be told."""
    try:
        event = spelled.read(text)
        uuid.UUID(hex=event["id"])
        return event if event["api_key_id"] else None
    except (spelled.Malformed, spelled.Newer, ValueError, TypeError, KeyError, AttributeError):
        return None


def _seen(event: dict[str, Any]) -> _Seen | None:
    """None where it does not tell when it was admitted: the last word of a lost process. Nor has a
    batch's request been counted in its key's windows."""
    details = event.get("details") or {}
    if not details.get("admitted_at") or not details.get("windows") or details.get("batch"):
        return None
    admitted = details["admitted_at"]
    return _Seen(
        f"req_{event['id']}",
        admitted,
        opened(details["windows"], details["windows_at"]),
        bool(details.get("given_back")),
        admitted + (event.get("duration_ms") or 0) * 1000,
        "overflow" in details,
    )


def _windows(seen: Iterable[_Seen]) -> tuple[Opened, ...]:
    entries = [each for each in seen if each.windows]
    if not entries:
        return ((0, 0),) * 4
    newest = max(entries, key=lambda each: each.admitted)
    after = [
        each
        for each in entries
        if each.given_back and not each.past and each.admitted <= newest.admitted <= each.ended
    ]
    return tuple(
        (since, used - sum(each.windows[i][0] == since for each in after))
        for i, (since, used) in enumerate(newest.windows)
    )


def _minute(seen: Iterable[_Seen], now: int) -> dict[str, int]:
    return {
        each.request_id: each.admitted
        for each in seen
        if each.admitted > now - _MINUTE and not each.given_back
    }
