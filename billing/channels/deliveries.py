"""From notices to channels: every event to each channel once, with patience.

* A notice becomes one `Delivery` a channel that wants it, and the row is the memory: whoever
  changes `due_at` first sends.
* What is not taken (anything but 2xx, or no answer in time) is tried again for three days, ever
  more seldom (WAITS), then given up and kept for its owner to replay.
* A channel that has taken nothing for DISABLED_AFTER is switched off, and so is one that says it
  is gone (410); its owner gets a mail.
* A worker that dies while sending leaves a row that falls due again, with the same message id.
"""

import logging
from collections import Counter, defaultdict
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F, Max

from accounts.people import mailboxes
from accounts.teams import acting
from billing.channels import events, senders
from billing.channels.models import Channel, Delivery
from billing.channels.senders import NotTaken
from billing.mails import notices, sending
from billing.mails.models import Notice

logger = logging.getLogger(__name__)

Status = Delivery.Status

_MINUTE, _HOUR = timedelta(minutes=1), timedelta(hours=1)
# Before the second attempt, the third ...: 71 hours and 35 minutes in all.
WAITS = (
    timedelta(seconds=5),
    *(5 * _MINUTE, 30 * _MINUTE),
    *(2 * _HOUR, 5 * _HOUR, 10 * _HOUR, 14 * _HOUR, 20 * _HOUR, 20 * _HOUR),
)
DISABLED_AFTER = timedelta(days=3)
KEPT = timedelta(days=30)
NEWS = timedelta(days=7)  # less than KEPT: what was forgotten is not sent anew
LEASE = timedelta(minutes=2)  # longer than any attempt takes
_LOOK_BACK = 1_000  # notices commit out of order, but not far
_MOST, _MOST_OF_ONE = 300, 10  # a round; so a channel that is slow holds up no other
_TRIES = 20  # kept of each


def collect(now: datetime) -> int:
    """Make a delivery of every new notice for each channel that wants it; how many."""
    last = Delivery.objects.aggregate(last=Max("notice_id"))["last"] or 0
    active = Channel.objects.filter(active=True)
    new = Notice.objects.filter(
        pk__gt=last - _LOOK_BACK,
        kind__in=events.KINDS,
        created_at__gte=now - NEWS,
        user__in=active.values("account"),
    )
    rows = list(new.order_by("pk").values_list("pk", "kind", "created_at", "user_id"))
    channels: defaultdict[int, list[Channel]] = defaultdict(list)
    for channel in active.filter(account__in={user for *_, user in rows}):
        channels[channel.account_id].append(channel)
    there = Delivery.objects.filter(notice__in=[pk for pk, *_ in rows])
    known = set(there.values_list("channel_id", "notice_id"))
    made = [
        Delivery(channel=channel, notice_id=pk, due_at=at, begun_at=at)
        for pk, kind, at, user in rows
        for channel in channels[user]
        if at >= channel.since
        and events.wanted(kind, channel.events)
        and (channel.pk, pk) not in known
    ]
    Delivery.objects.bulk_create(made, ignore_conflicts=True)
    return len(made)


def due(now: datetime) -> list[int]:
    """Those to send now, the oldest first, and of no channel too many."""
    waiting = Delivery.objects.filter(
        status=Status.WAITING, due_at__lte=now, channel__active=True
    ).order_by("due_at")
    found: list[int] = []
    seen = Counter[int]()
    for pk, channel in waiting.values_list("pk", "channel_id")[: 10 * _MOST]:
        seen[channel] += 1
        if seen[channel] <= _MOST_OF_ONE and len(found) < _MOST:
            found.append(pk)
    return found


def send(delivery_id: int, now: datetime) -> bool:
    """Send it, unless somebody else does. True if it was taken."""
    waiting = Delivery.objects.filter(
        pk=delivery_id, status=Status.WAITING, due_at__lte=now, channel__active=True
    )
    # One conditional UPDATE decides who sends.
    if not waiting.update(due_at=now + LEASE, attempts=F("attempts") + 1):
        return False
    found = Delivery.objects.select_related("notice", "channel__account", "channel__person")
    delivery = found.get(pk=delivery_id)
    if not hears(delivery):
        _end(delivery, Status.NEEDLESS, now)
        return False
    try:
        code = senders.send(delivery, now)
    except NotTaken as error:
        _postpone(delivery, error, now)
        return False
    _note(delivery, now, code, "")
    _end(delivery, Status.TAKEN, now)
    Channel.objects.filter(pk=delivery.channel_id).update(failing_since=None)
    return True


def hears(delivery: Delivery) -> bool:
    """Whether the channel may be told of it now: its account is there, its person in it, and the
    person's role lets them know. Nobody gets the same mail twice."""
    channel, notice = delivery.channel, delivery.notice
    if channel.kind == Channel.Kind.WEBHOOK:  # the account's, whoever made it
        return channel.account.is_active
    if not (channel.account.is_active and channel.person.is_active):
        return False
    work = acting.choose(channel.person, channel.account_id)
    if work is None:
        return False
    if notice is None:
        return True
    needs = events.TYPES[events.type_of(notice)].needs
    if not all(work.may(each) for each in needs):
        return False
    return channel.kind != Channel.Kind.MAIL or not _is_mailed(channel, notice)


def _is_mailed(channel: Channel, notice: Notice) -> bool:
    """Whether the account's own mail of it goes to them anyway."""
    return channel.person.email in mailboxes.recipients(channel.account) and sending.wanted(notice)


def _postpone(delivery: Delivery, error: NotTaken, now: datetime) -> None:
    logger.warning(
        "delivery.not_taken %s (attempt %d): %s %s",
        *(delivery.pk, delivery.attempts, error.status, error),
    )
    _note(delivery, now, error.status, str(error))
    if delivery.attempts > len(WAITS) or error.gone:
        _end(delivery, Status.FAILED, now)
    else:
        wait = WAITS[delivery.attempts - 1]
        Delivery.objects.filter(pk=delivery.pk).update(due_at=now + wait)
    channel = delivery.channel
    Channel.objects.filter(pk=channel.pk, failing_since=None).update(failing_since=now)
    since = channel.failing_since or now
    if error.gone or now - since >= DISABLED_AFTER:
        switch_off(channel, error, now)


@transaction.atomic
def switch_off(channel: Channel, error: NotTaken, now: datetime) -> None:
    """It has failed for too long: nothing goes there until its owner switches it on again. The
    mail goes to whose it is."""
    on = Channel.objects.filter(pk=channel.pk, active=True)
    if not on.update(active=False, disabled_at=now):
        return
    is_accounts = channel.kind == Channel.Kind.WEBHOOK
    notices.tell(
        user_id=channel.account_id if is_accounts else channel.person_id,
        kind="channel_off",
        key=f"channel-off:{channel.pk}:{int(now.timestamp())}",
        facts={
            "channel": channel.name,
            "url": channel.url,
            "problem": str(error)[:200],
            "status": error.status,
            "page": f"{settings.PUBLIC_URL}/notifications/{channel.pk}",
        },
    )


def _note(delivery: Delivery, now: datetime, status: int, problem: str) -> None:
    """Keep what came of an attempt."""
    tries = [*delivery.tries, {"at": now.isoformat(), "status": status, "problem": problem[:300]}]
    delivery.tries = tries[-_TRIES:]
    Delivery.objects.filter(pk=delivery.pk).update(tries=delivery.tries)


def _end(delivery: Delivery, status: Status, now: datetime) -> None:
    delivery.status, delivery.ended_at = status, now
    Delivery.objects.filter(pk=delivery.pk).update(status=status, ended_at=now)


def test(channel: Channel, now: datetime) -> Delivery:
    """Send something that is no event, now; what came of it."""
    made = Delivery.objects.create(channel=channel, due_at=now, begun_at=now)
    Delivery.objects.filter(pk=made.pk).update(due_at=now + LEASE, attempts=1)
    try:
        code = senders.send(made, now)
    except NotTaken as error:
        _note(made, now, error.status, str(error))
        _end(made, Status.FAILED, now)
    else:
        _note(made, now, code, "")
        _end(made, Status.TAKEN, now)
        Channel.objects.filter(pk=channel.pk).update(failing_since=None)
    return made


def replay(delivery: Delivery, now: datetime) -> bool:
    """Send it again, with another three days for it; a receiver that knows its id takes it once.
    False if it is on its way."""
    ended = Delivery.objects.filter(pk=delivery.pk).exclude(status=Status.WAITING)
    return bool(
        ended.update(status=Status.WAITING, due_at=now, begun_at=now, attempts=0, ended_at=None)
    )


def forget(now: datetime) -> int:
    """Delete what is older than KEPT; how many."""
    old = Delivery.objects.filter(created_at__lt=now - KEPT).exclude(status=Status.WAITING)
    return old.delete()[0]
