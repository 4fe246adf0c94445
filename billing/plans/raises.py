"""Limits that staff raise for a time: every one of an account's, times a number.

It is over at its moment by itself: terms are made without it from then on, and within a minute the
worker has every node follow. Another raise takes the place of the one there is.
"""

from datetime import datetime

from django.db import transaction

from billing.books import audit
from billing.plans import terms
from billing.plans.models import LimitRaise
from hontoni import errors

MOST_TIMES, MOST_DAYS = 100, 366


def of(user_id: int, now: datetime) -> LimitRaise | None:
    """The one that holds."""
    return LimitRaise.objects.filter(user_id=user_id, ended_at=None, until__gt=now).first()


@transaction.atomic
def give(
    user_id: int,
    multiplier: int,
    until: datetime,
    *,
    reason: str,
    actor: str,
    now: datetime,
    request_id: str = "",
) -> LimitRaise:
    """Raise them. Raises BadRequest for a number or a time that makes no sense."""
    if not 2 <= multiplier <= MOST_TIMES:
        raise errors.BadRequest(
            "From 2 to %(most_times)s times.", param="times", about={"most_times": MOST_TIMES}
        )
    if not now < until or (until - now).days > MOST_DAYS:
        raise errors.BadRequest(
            "From now on, up to %(most_days)s days.", param="days", about={"most_days": MOST_DAYS}
        )
    before = _end(user_id, now)
    made = LimitRaise.objects.create(
        user_id=user_id, multiplier=multiplier, until=until, reason=reason, made_by=actor
    )
    _record("raise limits", user_id, before, made, reason, actor, request_id)
    terms.apply(user_id)
    return made


@transaction.atomic
def take_back(
    user_id: int, *, reason: str, actor: str, now: datetime, request_id: str = ""
) -> None:
    """Before its time. Raises Conflict where there is none."""
    before = _end(user_id, now)
    if before is None:
        raise errors.Conflict("No limits are raised.")
    _record("lower limits", user_id, before, None, reason, actor, request_id)
    terms.apply(user_id)


def _record(
    action: str,
    user_id: int,
    before: LimitRaise | None,
    after: LimitRaise | None,
    reason: str,
    actor: str,
    request_id: str,
) -> None:
    audit.record(
        actor=actor,
        action=action,
        subject=f"user:{user_id}",
        before={"raise": str(before or "none")},
        after={"raise": str(after or "none"), "reason": reason},
        request_id=request_id,
    )


def _end(user_id: int, now: datetime) -> LimitRaise | None:
    """The one there was, also one that is over and that no worker has ended yet."""
    found = LimitRaise.objects.select_for_update().filter(user_id=user_id, ended_at=None).first()
    if found is not None:
        found.ended_at = now
        found.save(update_fields=["ended_at"])
    return found


def end_due(now: datetime) -> int:
    """Have every node follow what is over: how many."""
    over = LimitRaise.objects.filter(ended_at=None, until__lte=now)
    users = list(over.values_list("user_id", flat=True))
    for user_id in users:
        with transaction.atomic():
            _end(user_id, now)
            terms.apply(user_id)
    return len(users)
