"""Bills that staff must hear of: numbers nobody can believe, and a cost above what was held.

Both are billed at the hold. An account that has several of them in a day is either a fault of ours
or a way around the hold: it is frozen until somebody has looked. Not for what is the vendor's own
doing, though: no request makes a number negative, and numbers that cannot be true for several
accounts at once are nobody's trick.
"""

import logging
from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import timedelta

from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction
from django.db.models import Count, Q
from django.utils import timezone

from accounts.models import User
from accounts.people import freezing
from billing.books import audit
from billing.mails import notices
from gateway.usage.models import UsageEvent
from gateway.usage.quarantine.models import Kind, UsageQuarantine
from hontoni.money import dollars

logger = logging.getLogger(__name__)

_DAY = timedelta(hours=24)
_SEVERAL = 3  # accounts
_REASON = "Several bills cost more than was held for them. Please write to us."


def set_aside(rows: Sequence[UsageEvent]) -> None:
    """Keep what is strange of a batch for staff, and tell them. In the batch's transaction."""
    found = [row for each in rows for row in _rows(each)]
    if not found:
        return
    UsageQuarantine.objects.bulk_create(found)
    by_user: defaultdict[int, list[UsageQuarantine]] = defaultdict(list)
    for row in found:
        by_user[row.event.user_id].append(row)
    for user_id, members in sorted(by_user.items()):
        _judge(user_id, members)
    transaction.on_commit(lambda: _mail(found), robust=True)


def _rows(event: UsageEvent) -> list[UsageQuarantine]:
    for kind, name in (("absurd", "quarantine"), ("capped", "capped")):
        if name in event.details:
            return [UsageQuarantine(event=event, kind=kind, told=event.details[name])]
    return []


def _judge(user_id: int, members: list[UsageQuarantine]) -> None:
    """Freeze an account whose day had too many."""
    most = settings.FREEZE_AFTER_STRANGE_BILLS
    recent = _theirs(user_id) if most else []
    if not most or len(recent) < most or not freezing.freeze(user_id, _REASON):
        return
    last = members[-1].event.request_id
    logger.critical("account.frozen %d: strange bills, the last %s", user_id, last)
    audit.record(
        actor="system",
        action="freeze",
        subject=f"user:{user_id}",
        before={"frozen_reason": ""},
        after={"reason": _REASON, "bills": [str(member) for member in recent]},
        request_id=last,
    )
    key = f"account_frozen:{user_id}:{last}"
    notices.tell(user_id=user_id, kind="account_frozen", key=key, facts={"request": last})


def _theirs(user_id: int) -> list[UsageQuarantine]:
    """The day's open ones of an account, without those that a vendor must have made."""
    today = UsageQuarantine.objects.filter(created_at__gte=timezone.now() - _DAY, closed_at=None)
    found = list(today.filter(event__user_id=user_id).select_related("event"))
    absurd = today.filter(kind=Kind.ABSURD).values("event__model")
    shared = absurd.annotate(accounts=Count("event__user_id", distinct=True))
    failing = {row["event__model"] for row in shared if row["accounts"] >= _SEVERAL}
    return [row for row in found if row.kind != Kind.ABSURD or _is_possible(row, failing)]


def _is_possible(row: UsageQuarantine, failing: Collection[str]) -> bool:
    return row.event.model not in failing and min(row.told.values()) >= 0


def _mail(found: Sequence[UsageQuarantine]) -> None:
    """One mail a batch to everybody who may close them."""
    may = Q(is_superuser=True)
    for path in ("groups__permissions", "user_permissions"):
        may |= Q(**{f"{path}__codename": "close_usagequarantine"})
    staff = User.objects.filter(may, is_staff=True, is_active=True).distinct()
    to = staff.values_list("email", flat=True)
    lines = [f"{row} {row.kind}: billed ${dollars(row.event.cost)}, the hold" for row in found]
    text = "\n".join([*lines, "", f"{settings.PUBLIC_URL}/admin/gateway/usagequarantine/"])
    for address in to:
        send_mail("Bills to look at", text, None, [address], fail_silently=True)
