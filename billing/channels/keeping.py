"""Making and changing channels: what pages and /api do.

* Somebody's own (Slack, Telegram, mail) are seen and changed by them alone, whatever their role;
  webhooks by whoever may manage them.
* A secret is shown once, when it is made. A new one signs beside the one before for OVERLAP.
"""

import logging
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts.keys import scopes
from accounts.models import User
from accounts.teams.acting import Acting
from billing.channels import events, telegram
from billing.channels.models import Channel
from billing.channels.secrets import VAULT
from hontoni import errors, outbound, standard_webhooks
from ratelimits.throttle import Throttle

logger = logging.getLogger(__name__)

Kind = Channel.Kind
PERSONAL = (Kind.SLACK, Kind.TELEGRAM, Kind.MAIL)
MOST = 20  # of an account; translated_errors.py says so, too
OVERLAP = timedelta(hours=24)
CODE_LASTS = timedelta(minutes=15)


class SendsByAccount(Throttle):
    """Tests and replays: nobody is bombed through us."""

    scope, limit, seconds = "channels", 60, 600

    def identify(self, request: Any) -> str | None:
        return str(request.user.pk)


def of(work: Acting) -> QuerySet[Channel]:
    """What somebody at work for an account may see and change."""
    mine = Q(person=work.person, kind__in=PERSONAL)
    if work.may(scopes.WEBHOOKS):
        mine |= Q(kind=Kind.WEBHOOK)
    return Channel.objects.filter(mine, account=work.account).order_by("kind", "pk")


def offered() -> list[Kind]:
    """The kinds of one's own that there are here."""
    return [kind for kind in PERSONAL if kind != Kind.TELEGRAM or telegram.offered()]


@transaction.atomic
def add(
    work: Acting, kind: str, name: str, *, url: str = "", chosen: Sequence[str] = ()
) -> tuple[Channel, str]:
    """A channel, and the secret that signs if it is a webhook. Raises BadRequest, Conflict, and
    NotFound for a kind that is not offered."""
    if kind in PERSONAL and kind not in offered():
        raise errors.NotFound("This channel is not offered here.", param="kind")
    User.objects.select_for_update().get(pk=work.account.pk)
    if Channel.objects.filter(account=work.account).count() >= MOST:
        raise errors.Conflict(f"An account has at most {MOST} channels.", code="too_many_channels")
    secret = standard_webhooks.new_secret() if kind == Kind.WEBHOOK else ""
    made = Channel(account=work.account, person=work.person, kind=kind, name=name)
    made.events = events.known(list(chosen))
    if kind == Kind.WEBHOOK:
        made.url, made.sealed = address(url), VAULT.seal(secret)
    if kind == Kind.SLACK:
        made.sealed = VAULT.seal(address(url))
    made.active = kind != Kind.TELEGRAM  # nothing is sent before a chat is linked
    made.save()
    return made, secret


def address(url: str) -> str:
    """An address that may be sent to, as it is written. Raises BadRequest."""
    try:
        outbound.check(url, private=settings.WEBHOOK_PRIVATE_NETWORKS)
    except outbound.Failed as error:
        raise errors.BadRequest(
            "It must be an https address on the public internet.",
            code="webhook_address",
            param="url",
        ) from error
    return url


def change(
    channel: Channel,
    *,
    name: str | None = None,
    url: str | None = None,
    chosen: Sequence[str] | None = None,
    active: bool | None = None,
) -> None:
    """What is None stays. Switched on again it begins without a past. Raises BadRequest, and
    Conflict for a chat that is not linked yet."""
    if name is not None:
        channel.name = name
    if url:
        sent = address(url)
        if channel.kind == Kind.WEBHOOK:
            channel.url = sent
        elif channel.kind == Kind.SLACK:
            channel.sealed = VAULT.seal(sent)
    if chosen is not None:
        channel.events = events.known(list(chosen))
    if active and not channel.active:
        if channel.kind == Kind.TELEGRAM and not channel.chat:
            raise errors.Conflict("Link a chat first.", code="chat_unlinked")
        if channel.disabled_at is None:  # what failed is made up for, what was not wanted is not
            channel.since = timezone.now()
        channel.failing_since = channel.disabled_at = None
    if active is not None:
        channel.active = active
    channel.save(
        update_fields=[
            "name",
            "url",
            "sealed",
            "events",
            "failing_since",
            "disabled_at",
            "active",
            "since",
        ]
    )


def rotate(channel: Channel, now: datetime) -> str:
    """A new secret for a webhook, shown this once; both sign until OVERLAP is over."""
    secret = standard_webhooks.new_secret()
    with transaction.atomic():
        found = Channel.objects.select_for_update().get(pk=channel.pk)
        found.sealed_before, found.sealed = found.sealed, VAULT.seal(secret)
        found.before_until = now + OVERLAP
        found.save(update_fields=["sealed", "sealed_before", "before_until"])
    channel.refresh_from_db()
    return secret


def remove(channel: Channel) -> None:
    """With what was delivered."""
    channel.delete()


def close(user_id: int, _: datetime) -> None:
    """Of an account that is deleted."""
    Channel.objects.filter(Q(account=user_id) | Q(person=user_id, kind__in=PERSONAL)).delete()


# -- Telegram ------------------------------------------------------------------------------------


def linking(channel: Channel, now: datetime) -> str:
    """The code that links a chat: what there is of it, or a new one."""
    if not channel.code or channel.code_until is None or channel.code_until <= now:
        channel.code, channel.code_until = secrets.token_urlsafe(16), now + CODE_LASTS
        channel.save(update_fields=["code", "code_until"])
    return channel.code


def _waiting(now: datetime) -> QuerySet[Channel]:
    return Channel.objects.filter(code_until__gt=now).exclude(code="")


def waits_for_a_chat(now: datetime) -> bool:
    """Whether a code was given out that a chat may send any moment."""
    return telegram.offered() and _waiting(now).exists()


def link_started(now: datetime) -> int:
    """Link the chats that have sent their code; how many. The bot is asked only while a code
    waits."""
    waiting = _waiting(now)
    if not waits_for_a_chat(now):
        return 0
    try:
        found = telegram.started()
    except (telegram.Refused, outbound.Failed) as error:
        logger.warning("channels.telegram %s", error)
        return 0
    linked = 0
    for chat, code in found:
        mine = waiting.filter(code=code, kind=Kind.TELEGRAM)
        # One conditional UPDATE: a code is good once.
        linked += mine.update(chat=chat, code="", code_until=None, active=True, since=now)
    return linked
