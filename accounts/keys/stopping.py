"""The kill switch: keys that are stopped at once, and started again.

* A stopped key is refused with the next request, on every node; an answer that has begun ends well
  and is charged. What a key is rotated to, or was rotated from, is stopped with it.
* Who manages a team's members starts what anybody stopped; anybody else what they stopped
  themselves.
"""

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction
from django.db.models import Q, QuerySet

from accounts.models import ApiKey, User
from accounts.people import terms


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
