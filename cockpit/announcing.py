"""Announcements on their way: whom one concerns, when it begins, and who comes later.

draft      staff write it
scheduled  released: it begins by itself at `starts_at`
running    everybody it concerned then was told, by mail if it has one; whom it concerns since
           sees its banner
over       at `ends_at`; withdrawn: at once, by staff
"""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q, QuerySet

from accounts.models import User
from billing.mails import announcements
from billing.mails.models import Announcement, Told
from billing.plans.models import Subscription
from gateway.usage.models import UsageHour

USED_LATELY = timedelta(days=30)
Audience = Announcement.Audience


def audience(announcement: Announcement, now: datetime) -> "QuerySet[User]":
    """The customers it concerns now."""
    people = User.objects.filter(is_active=True, is_staff=False)
    if announcement.audience == Audience.PLAN:
        return people.filter(_on_plans(announcement))
    if announcement.audience == Audience.MODEL:
        rows = UsageHour.objects.filter(model=announcement.model, hour__gte=now - USED_LATELY)
        return people.filter(pk__in=rows.values("user"))
    return people


def _on_plans(announcement: Announcement) -> Q:
    """Who has one of the plans; the default one has who has no subscription."""
    live = Subscription.objects.filter(status__in=Subscription.LIVE)
    plans = announcement.plans.all()
    on_them = Q(pk__in=live.filter(plan__in=plans).values("user"))
    if plans.filter(is_default=True).exists():
        on_them |= ~Q(pk__in=live.values("user"))
    return on_them


def announce(now: datetime) -> int:
    """Tell whom what has begun concerns, and was not told yet; how many."""
    due = Announcement.objects.filter(
        released_at__isnull=False, withdrawn_at=None, starts_at__lte=now, ends_at__gt=now
    )
    return sum(_tell(pk, now) for pk in due.values_list("pk", flat=True))


@transaction.atomic
def _tell(pk: int, now: datetime) -> int:
    """All of one announcement. Two at once do it one after the other."""
    announcement = Announcement.objects.select_for_update().get(pk=pk)
    if announcement.withdrawn_at or announcement.released_at is None:
        return 0
    begins = announcement.begun_at is None
    if not begins and not announcement.banner:
        return 0  # a mail goes to whom it concerned when it began
    told = Told.objects.filter(announcement=announcement).values("user")
    new = audience(announcement, now).exclude(pk__in=told).order_by("pk")
    mail = announcement.mail and begins
    count = announcements.tell(announcement, list(new.values_list("pk", flat=True)), mail=mail)
    if begins:
        Announcement.objects.filter(pk=pk).update(begun_at=now)
    return count


def release(announcement: Announcement, by: str, now: datetime) -> bool:
    """It begins at its time. False if somebody released it before."""
    drafts = Announcement.objects.filter(pk=announcement.pk, released_at=None)
    return bool(drafts.update(released_at=now, by=by))


def withdraw(announcement: Announcement, now: datetime) -> bool:
    """A scheduled one is a draft again; of a running one nothing is seen any more, and mails that
    have not gone out yet do. False if there was nothing to withdraw."""
    rows = Announcement.objects.filter(pk=announcement.pk, withdrawn_at=None)
    back = rows.filter(begun_at=None, released_at__isnull=False).update(released_at=None)
    return bool(back or rows.filter(begun_at__isnull=False).update(withdrawn_at=now))
