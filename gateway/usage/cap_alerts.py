"""Spend caps that are nearly spent, and that are: told once for each day, month or life, and
again where the cap is another one.

Only requests of keys with a cap are looked at (their events say so), so others cost nothing. What
is spent is what the rollups say. A refusal tells, too: with less left than a request needs, a cap
is as good as reached.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from django.utils import timezone

from accounts.keys import restrictions
from accounts.models import ApiKey, Membership
from billing.mails import notices
from billing.mails.models import Notice
from gateway.usage.spent import recorded
from hontoni.money import dollars

_PERIODS = ("day", "month", "life")
_REFUSED = {
    f"{whose}_cap_{code}": period
    for whose in ("key", "member")
    for code, period in (("daily", "day"), ("monthly", "month"), ("lifetime", "life"))
}


class _Purse(NamedTuple):
    """Whose caps they are, and of which keys the spending counts."""

    account: int
    name: str
    of: str
    whose: str
    caps: tuple[int, int, int]
    keys: list[int]


def look(events: Iterable[Mapping[str, Any]]) -> None:
    """Tell of caps at 80 and at 100 %. Call it once the rollups have these events."""
    keys = {event["api_key_id"] for event in events if event.get("details", {}).get("caps")}
    if keys:
        _tell(keys, frozenset(), timezone.now())


def refused(entries: Iterable[Mapping[str, Any]]) -> None:
    """The same where a cap has refused a request: (key, code) each."""
    found = {
        (int(entry["api_key_id"]), _REFUSED[entry["code"]], str(entry["code"]).partition("_")[0])
        for entry in entries
        if entry["code"] in _REFUSED
    }
    if found:
        _tell({key for key, _, _ in found}, found, timezone.now())


def _tell(keys: set[int], refusing: Iterable[tuple[int, str, str]], now: datetime) -> None:
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    refusing, found = set(refusing), {}
    for key in ApiKey.objects.filter(pk__in=keys).select_related("member__person"):
        for purse in _purses(key):
            spent = recorded(purse.account, purse.keys, day, day.replace(day=1))
            for period, cap, amount in zip(_PERIODS, purse.caps, spent, strict=True):
                over = amount >= cap or (key.pk, period, purse.of) in refusing
                if cap and amount * 5 >= cap * 4:
                    level = 100 if over else 80
                    notice = _notice(purse, period, cap, amount, day, level)
                    found[notice.key] = notice
    known = set(Notice.objects.filter(key__in=found).values_list("key", flat=True))
    notices.tell_all(found[name] for name in sorted(found.keys() - known))


def _purses(key: ApiKey) -> Iterable[_Purse]:
    if any(caps := restrictions.caps(key)):
        theirs = list(ApiKey.objects.related(key).values_list("pk", flat=True))
        yield _Purse(key.user_id, key.purse, "key", key.name, caps, theirs)
    member: Membership | None = key.member
    if member is not None and any(caps := restrictions.caps(member)):
        theirs = list(ApiKey.objects.filter(member=member).values_list("pk", flat=True))
        yield _Purse(key.user_id, member.purse, "member", member.person.email, caps, theirs)


def _notice(purse: _Purse, period: str, cap: int, spent: int, day: datetime, level: int) -> Notice:
    began, resets = _span(period, day)
    return Notice(
        user_id=purse.account,
        kind=f"cap_{level}",
        key=f"cap:{purse.account}:{purse.name}:{period}:{began}:{cap}:{level}",
        facts={
            "of": purse.of,
            "whose": purse.whose,
            "period": period,
            "cap": dollars(cap),
            "spent": dollars(spent),
            "resets_at": resets,
        },
    )


def _span(period: str, day: datetime) -> tuple[str, str | None]:
    """Which day or month it is, and when it is over (None: never)."""
    if period == "life":
        return "", None
    if period == "day":
        return f"{day:%Y-%m-%d}", (day + timedelta(days=1)).isoformat()
    first = day.replace(day=1)
    following = (first + timedelta(days=32)).replace(day=1, tzinfo=UTC)
    return f"{first:%Y-%m}", following.isoformat()
