"""Staff hear of findings by mail, and programs of theirs by webhook: once each, with patience.

* Whoever changes `retry_at` first tells. What cannot be told is tried again after 1, 2, 4 ...
  minutes, then given up and shown.
* One mail has all that is new. A webhook is one finding, signed as Standard Webhooks says; told
  again it carries the same id, so that a receiver takes it once.
"""

import json
import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.mail import send_mass_mail
from django.db.models import F, Q
from django.utils import translation
from django.utils.translation import gettext

from accounts.models import User
from cockpit.watch import rules, sentences
from cockpit.watch.models import Finding, Rule
from hontoni import outbound, standard_webhooks

logger = logging.getLogger(__name__)

PERMISSION = "cockpit.view_finding"
LEASE = timedelta(minutes=5)
MOST_ATTEMPTS = 8
TIMEOUT_SECONDS = 5
NOT_TAKEN = (outbound.Failed,)


def tell_all(now: datetime) -> int:
    """Tell what is due; how many findings."""
    due = Finding.objects.filter(Q(mail_due=True) | Q(hook_due=True), retry_at__lte=now)
    taken = [found for found in due.order_by("pk")[:200] if _take(found, now)]
    _mail([found for found in taken if found.mail_due], now)
    known = Rule.objects.in_bulk()
    for found in taken:
        if found.hook_due:
            _hook(found, known[found.kind], now)
    return len(taken)


def _take(found: Finding, now: datetime) -> bool:
    """One conditional UPDATE decides who tells."""
    mine = Finding.objects.filter(pk=found.pk, retry_at=found.retry_at)
    return bool(mine.update(retry_at=now + LEASE, attempts=F("attempts") + 1))


def _mail(found: list[Finding], now: datetime) -> None:
    if not found:
        return
    staff = User.objects.filter(is_staff=True, is_active=True)
    to = [user for user in staff if user.has_perm(PERMISSION)]
    if not to:
        logger.warning("watch.nobody_to_tell")
        return
    mails = [_mail_in(language, found, to) for language in sorted({u.language for u in to})]
    try:
        send_mass_mail(mails)
    except OSError as error:  # and every error of SMTP's
        _postpone(found, error, now)
        return
    Finding.objects.filter(pk__in=[each.pk for each in found]).update(mail_due=False, problem="")


def _mail_in(
    language: str, found: list[Finding], staff: Iterable[User]
) -> tuple[str, str, None, list[str]]:
    """For those who read that language."""
    with translation.override(language or settings.LANGUAGE_CODE):
        texts = [sentences.translated(each.kind, each.text) for each in found]
        many = gettext("%(count)d findings of the watch") % {"count": len(found)}
    lines = "".join(f"* {t}\n  {page(each)}\n" for t, each in zip(texts, found, strict=True))
    subject = texts[0] if len(found) == 1 else many
    return subject[:150], lines, None, [u.email for u in staff if u.language == language]


def _hook(found: Finding, rule: Rule, now: datetime) -> None:
    if not rule.webhook:
        Finding.objects.filter(pk=found.pk).update(hook_due=False)
        return
    try:
        post(rule, f"finding_{found.pk}_{found.told}", payload(found), now)
    except NOT_TAKEN as error:
        _postpone([found], error, now)
        return
    Finding.objects.filter(pk=found.pk).update(hook_due=False, problem="")


def payload(found: Finding) -> dict[str, Any]:
    """What a webhook says of a finding."""
    return {
        "type": "watch.finding",
        "timestamp": found.last_at.isoformat(),
        "data": {
            "id": found.pk,
            "kind": found.kind,
            "text": found.text,
            "number": str(found.number),
            "state": found.state,
            "accounts": found.users,
            "first_at": found.first_at.isoformat(),
            "url": page(found),
        },
    }


def post(rule: Rule, name: str, about: dict[str, Any], now: datetime) -> None:
    """Send it to the rule's webhook, in our own network too: staff chose the address. Raises
    NOT_TAKEN unless it is taken (2xx)."""
    body = json.dumps(about)
    headers = standard_webhooks.headers(name, now, body, [rules.secret(rule)])
    answer = outbound.ask(
        "POST",
        rule.webhook,
        private=True,
        seconds=TIMEOUT_SECONDS,
        headers=headers,
        content=body.encode(),
    )
    if answer.status // 100 != 2:
        raise outbound.Failed(gettext("answers %(status)s") % {"status": answer.status})


def page(found: Finding) -> str:
    return f"{settings.PUBLIC_URL}/admin/cockpit/finding/{found.pk}/change/"


def _postpone(found: Iterable[Finding], error: Exception, now: datetime) -> None:
    problem = f"{type(error).__name__}: {error}"[:300]
    for each in found:
        attempts = each.attempts + 1
        logger.warning("watch.not_told %s (attempt %d): %s", each.pk, attempts, problem)
        row = Finding.objects.filter(pk=each.pk)
        row.update(retry_at=now + timedelta(minutes=2 ** (attempts - 1)), problem=problem)
        if attempts >= MOST_ATTEMPTS:
            row.update(mail_due=False, hook_due=False)
