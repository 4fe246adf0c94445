"""The kill switch: keys that are stopped at once, and started again.

* A stopped key is refused with the next request, on every node; an answer that has begun ends well
  and is charged. What a key is rotated to, or was rotated from, is stopped with it.
* Who manages a team's members starts what anybody stopped; anybody else what they stopped
  themselves.
* Who manages stops a whole member, too: all keys of theirs are refused, those to come included.
* Who has a key that somebody else stopped makes no other instead, until that one is started; to
  revoke it changes nothing, unless who manages does.
"""

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction
from django.db.models import Q, QuerySet

from accounts.models import ApiKey, Membership, User
from accounts.people import terms
from hontoni import errors


def switch(
    keys: Iterable[ApiKey], *, stopped: bool, by: User, manages: bool, now: datetime
) -> int:
    """Stop keys, or start them; how many changed."""
    changed, found = 0, list(keys)
    with transaction.atomic():
        for user_id in sorted({key.user_id for key in found}):
            User.objects.select_for_update(no_key=True).get(pk=user_id)
            firsts = {key.lineage or key.pk for key in found if key.user_id == user_id}
            related = ApiKey.objects.filter(Q(pk__in=firsts) | Q(lineage__in=firsts))
            live = related.filter(revoked_at=None)
            changed += _stop(live, by, manages, now) if stopped else _start(live, by, manages)
            terms.changed(user_id)
    return changed


def _stop(live: QuerySet[ApiKey], by: User, manages: bool, now: datetime) -> int:
    if manages:  # from now on nobody else starts it
        live.exclude(stopped_at=None).update(stopped_by=by)
    return live.filter(stopped_at=None).update(stopped_at=now, stopped_by=by)


def _start(live: QuerySet[ApiKey], by: User, manages: bool) -> int:
    mine = live.exclude(stopped_at=None)
    return (mine if manages else mine.filter(stopped_by=by)).update(
        stopped_at=None, stopped_by=None
    )


def switch_members(
    members: Iterable[Membership], *, stopped: bool, by: User, now: datetime
) -> list[Membership]:
    """Stop all that members of an account have and will make, or start it all again: whoever
    stopped it. Those who changed."""
    changed = []
    with transaction.atomic():
        for each in members:
            User.objects.select_for_update(no_key=True).get(pk=each.account_id)
            held = None if stopped else holding(each)
            mine = Membership.objects.filter(pk=each.pk, stopped_at__isnull=stopped)
            new = mine.update(
                stopped_at=now if stopped else None, stopped_by=by if stopped else None
            )
            if held is not None:
                held.update(stopped_at=None, stopped_by=None)
            if new or held is not None:
                changed.append(each)
                terms.changed(each.account_id)
            each.refresh_from_db(fields=["stopped_at", "stopped_by"])
    return changed


def holding(member: Membership) -> QuerySet[ApiKey] | None:
    """The keys of a member that somebody else stopped, revoked ones included; None: none."""
    mine = ApiKey.objects.filter(member=member).exclude(stopped_at=None)
    found = mine.exclude(stopped_by=member.person_id)
    return found if found.exists() else None


def check_new(member: Membership | None) -> None:
    """Raises Forbidden where somebody else has stopped a member, or a key of theirs."""
    if member is not None and (member.stopped_at is not None or holding(member) is not None):
        raise errors.Forbidden(
            "An owner or admin of this team has stopped your keys, or one of them. Until they "
            "start it again you make no new ones.",
            code="member_stopped",
        )


def settled(key: ApiKey) -> None:
    """Who manages has revoked a key: that it was stopped holds nobody back any more."""
    ApiKey.objects.filter(pk=key.pk).exclude(revoked_at=None).update(
        stopped_at=None, stopped_by=None
    )
