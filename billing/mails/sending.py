"""From notices to mail: once each, with patience.

* A notice becomes one `Mail` row, and the row is the memory: whoever changes `due_at` first sends.
* A mail that cannot be sent is tried again after 1, 2, 4 ... minutes, then given up and kept.
* A worker that dies while sending leaves a row that falls due again. The second copy carries the
  same Message-ID.
"""

import logging
from datetime import datetime, timedelta
from email.utils import parseaddr

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db.models import F, Max

from accounts.people import mailboxes
from billing.mails import announcements, letters
from billing.mails.models import Mail, Notice, Preferences

logger = logging.getLogger(__name__)

Status = Mail.Status

LEASE = timedelta(minutes=5)  # longer than any attempt takes
MOST_ATTEMPTS = 8  # over about two hours
# Notices commit out of order: one may appear behind those already collected, but not far.
_LOOK_BACK = 10_000


def collect() -> None:
    """Make a mail of every new notice."""
    last = Mail.objects.aggregate(last=Max("notice_id"))["last"] or 0
    new = Notice.objects.filter(pk__gt=last - _LOOK_BACK, mail=None, kind__in=letters.LETTERS)
    Mail.objects.bulk_create(
        [Mail(notice=notice, due_at=notice.created_at) for notice in new], ignore_conflicts=True
    )


def due(now: datetime) -> list[int]:
    """The mails to send now, the oldest first."""
    waiting = Mail.objects.filter(status=Status.WAITING, due_at__lte=now).order_by("due_at")
    return list(waiting.values_list("pk", flat=True)[:500])


def send(mail_id: int, now: datetime) -> bool:
    """Send it, unless somebody else does. True if it was sent."""
    waiting = Mail.objects.filter(pk=mail_id, status=Status.WAITING, due_at__lte=now)
    # One conditional UPDATE decides who sends.
    if not waiting.update(due_at=now + LEASE, attempts=F("attempts") + 1):
        return False
    mail = Mail.objects.select_related("notice__user").get(pk=mail_id)
    if not wanted(mail.notice):
        _finish(mail, status=Status.UNWANTED)
        return False
    try:
        _compose(mail.notice).send()
    except Exception as error:  # whatever a mail server or a template has against it
        _postpone(mail, error, now)
        return False
    _finish(mail, status=Status.SENT, sent_at=now, problem="")
    return True


def wanted(notice: Notice) -> bool:
    """Whether its account gets a mail of it."""
    if not notice.user.is_active:
        return False
    if letters.LETTERS[notice.kind].required:
        return True
    mine = Preferences.objects.filter(pk=notice.user_id).first()
    return mine is None or notice.kind not in mine.unwanted


def _compose(notice: Notice) -> EmailMultiAlternatives:
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2]
    facts = {**notice.facts, **announcements.facts(notice), "at": notice.created_at}
    return letters.compose(
        notice.kind,
        facts,
        to=mailboxes.recipients(notice.user),
        name=notice.user.name,
        language=notice.user.language,
        message_id=f"<notice-{notice.pk}@{domain}>",
    )


def _postpone(mail: Mail, error: Exception, now: datetime) -> None:
    logger.warning("mail.not_sent %s (attempt %d): %s", mail.pk, mail.attempts, error)
    wait = timedelta(minutes=2 ** (mail.attempts - 1))
    given_up = mail.attempts >= MOST_ATTEMPTS
    status = Status.FAILED if given_up else Status.WAITING
    problem = f"{type(error).__name__}: {error}"[:500]
    _finish(mail, status=status, due_at=now + wait, problem=problem)


def _finish(mail: Mail, **fields: object) -> None:
    Mail.objects.filter(pk=mail.pk).update(**fields)
