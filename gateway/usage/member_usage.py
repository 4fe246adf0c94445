"""What each member of a team used in some days (UTC), and what was refused to them.

From the hourly rollups of their keys, so who has left is there too. Refusals are kept for a month.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db.models import F, QuerySet, Sum

from accounts.models import ApiKey, Membership
from gateway.catalogue.models import BUCKETS
from gateway.usage.models import Refusal, UsageHour


@dataclass(slots=True)
class MemberUsage:
    """Of one member, or (None) of the keys that belong to nobody. Cost in nano-dollars."""

    member: Membership | None
    requests: int = 0
    errors: int = 0
    tokens: int = 0
    cost: int = 0
    refusals: int = 0

    @property
    def name(self) -> str:
        """Their address; empty of the account's own keys."""
        return "" if self.member is None else self.member.person.email


def keys_of(account_id: int, member_id: int) -> list[int]:
    """All keys that a member of an account ever had there; of nobody in it, none."""
    mine = ApiKey.objects.filter(user_id=account_id, member_id=member_id)
    return list(mine.order_by("pk").values_list("pk", flat=True))


def names(account_id: int) -> dict[str, str]:
    """The address of everybody who is, or was, a member, by the id of their place."""
    there = Membership.objects.filter(account_id=account_id).select_related("person")
    return {str(each.pk): each.person.email for each in there.order_by("person__email")}


def used(account_id: int, first: date, last: date) -> list[MemberUsage]:
    """Who is there now or used something then, the dearest first."""
    since = datetime.combine(first, datetime.min.time(), UTC)
    until = datetime.combine(last, datetime.min.time(), UTC) + timedelta(days=1)
    there = Membership.objects.filter(account_id=account_id).select_related("person")
    found: dict[int | None, MemberUsage] = {each.pk: MemberUsage(each) for each in there}
    found[None] = MemberUsage(None)
    sums = {name: Sum(name) for name in ("requests", "errors", "cost", *BUCKETS)}
    hours = UsageHour.objects.filter(user_id=account_id, hour__gte=since, hour__lt=until)
    for row in _by_member(hours).annotate(**{f"sum_{name}": sums[name] for name in sums}):
        mine = found[row["member"]]
        mine.requests, mine.errors = row["sum_requests"], row["sum_errors"]
        mine.cost = row["sum_cost"]
        mine.tokens = sum(row[f"sum_{name}"] for name in BUCKETS)
    refused = Refusal.objects.filter(user_id=account_id, hour__gte=since, hour__lt=until)
    for row in _by_member(refused).annotate(n=Sum("count")):
        found[row["member"]].refusals = row["n"]
    return _shown(found.values())


def _by_member(rows: QuerySet[Any]) -> Any:
    return rows.order_by().annotate(member=F("api_key__member_id")).values("member")


def _shown(found: Iterable[MemberUsage]) -> list[MemberUsage]:
    shown = [
        each
        for each in found
        if each.requests
        or each.refusals
        or (each.member is not None and each.member.ended_at is None)
    ]
    return sorted(shown, key=lambda each: (-each.cost, each.name))
