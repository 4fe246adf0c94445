"""Spend caps that are nearly spent, and that are: told once for each day, month or life, and
again where the cap is another one. What a key may spend past its plan's windows is one, too.

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
from gateway.usage import overflow
from gateway.usage.spent import recorded
from hontoni.money import dollars

_PERIODS = ("day", "month", "life")
_REFUSED = {
    f"{whose}_cap_{code}": period
    for whose in ("key", "member")
    for code, period in (("daily", "day"), ("monthly", "month"), ("lifetime", "life"))
}


class _Purse(NamedTuple):
    """Whose caps they are, and of which keys the spending counts; `past`: that past windows."""

    account: int
    name: str
    of: str
    whose: str
    caps: tuple[int, int, int]
    keys: list[int]
    past: bool = False

    def spent(self, day: datetime) -> tuple[int, int, int]:
        """In that day, in its month, and ever."""
        month = day.replace(day=1)
        if self.past:
            return 0, overflow.spent(self.keys, month), 0
        return recorded(self.account, self.keys, day, month)


def look(events: Iterable[Mapping[str, Any]]) -> None:
    """Tell of caps at 80 and at 100 %. Call it once the rollups have these events."""
    keys = {event["api_key_id"] for event in events if _counts(event.get("details", {}))}
    if keys:
        _tell(keys, frozenset(), timezone.now())


def _counts(details: Mapping[str, Any]) -> bool:
    return "caps" in details or "overflow" in details


def refused(entries: Iterable[Mapping[str, Any]]) -> None:
    """The same where a cap has refused a request: (key, code) each."""
    found = {(int(entry["api_key_id"]), *which) for entry in entries if (which := _cap_of(entry))}
    if found:
        _tell({key for key, _, _ in found}, found, timezone.now())


def _cap_of(entry: Mapping[str, Any]) -> tuple[str, str] | None:
    """Which cap refused: its period, and whose it is."""
    code = str(entry["code"])
    if code in _REFUSED:
        return _REFUSED[code], code.partition("_")[0]
    return ("month", "overflow") if entry.get("overflow") == overflow.CAP else None


def _tell(keys: set[int], refusing: Iterable[tuple[int, str, str]], now: datetime) -> None:
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    refusing, found = set(refusing), {}
    for key in ApiKey.objects.filter(pk__in=keys).select_related("member__person"):
        for purse in _purses(key):
            for period, cap, amount in zip(_PERIODS, purse.caps, purse.spent(day), strict=True):
                over = amount >= cap or (key.pk, period, purse.of) in refusing
                if cap and amount * 5 >= cap * 4:
                    level = 100 if over else 80
                    notice = _notice(purse, period, cap, amount, day, level)
                    found[notice.key] = notice
    known = set(Notice.objects.filter(key__in=found).values_list("key", flat=True))
    notices.tell_all(found[name] for name in sorted(found.keys() - known))


def _purses(key: ApiKey) -> Iterable[_Purse]:
    caps, past = restrictions.caps(key), key.overflow_cap or 0
    if any(caps) or past:
        mine = list(ApiKey.objects.related(key).values_list("pk", flat=True))
        yield _Purse(key.user_id, key.purse, "key", key.name, caps, mine)
        name = f"{key.purse}:overflow"
        yield _Purse(key.user_id, name, "overflow", key.name, (0, past, 0), mine, past=True)
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
