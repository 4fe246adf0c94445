"""How an event goes out: as a webhook, to Slack, to Telegram, by mail."""

import json
from collections.abc import Callable
from datetime import datetime
from email.utils import parseaddr

from django.conf import settings
from django.utils.translation import gettext, override

from billing.channels import events, telegram
from billing.channels.models import Channel, Delivery
from billing.channels.secrets import VAULT
from billing.mails import letters
from hontoni import outbound, standard_webhooks
from hontoni.vault import Unreadable

SECONDS = 10.0
_SHOWN = 300  # of what a receiver answers, in the log


class NotTaken(Exception):
    """It was not taken: the status (0: no answer), in words; `gone`: nor will it ever be."""

    def __init__(self, status: int, words: str, *, gone: bool = False) -> None:
        super().__init__(words)
        self.status, self.gone = status, gone


def send(delivery: Delivery, now: datetime) -> int:
    """Bring it there; the status it was taken with. Raises NotTaken."""
    try:
        return _SENDERS[delivery.channel.kind](delivery, now)
    except outbound.Failed as error:
        raise NotTaken(0, gettext("It %(problem)s.") % {"problem": error}) from error
    except Unreadable as error:
        raise NotTaken(
            0, gettext("Its secret cannot be read any more: make a new one.")
        ) from error


def _webhook(delivery: Delivery, now: datetime) -> int:
    channel = delivery.channel
    at = (delivery.notice or delivery).created_at.isoformat()
    body = json.dumps(events.payload(delivery.notice, channel.account_id, at))
    headers = standard_webhooks.headers(delivery.message_id, now, body, _secrets(channel, now))
    return _post(channel.url, body, headers | {"user-agent": "hontoni-webhooks"}, gone=(410,))


def _secrets(channel: Channel, now: datetime) -> list[str]:
    """The one that signs, and the one before for as long as it is still believed."""
    found = [VAULT.unseal(channel.sealed)]
    if channel.sealed_before and channel.before_until and now < channel.before_until:
        found.append(VAULT.unseal(channel.sealed_before))
    return found


def _post(url: str, body: str, headers: dict[str, str], *, gone: tuple[int, ...]) -> int:
    answer = outbound.ask(
        "POST",
        url,
        private=settings.WEBHOOK_PRIVATE_NETWORKS,
        seconds=SECONDS,
        headers=headers,
        content=body.encode(),
    )
    if answer.status // 100 != 2:
        words = answer.body.decode("utf-8", "replace").replace("\0", "")[:_SHOWN]
        raise NotTaken(answer.status, words, gone=answer.status in gone)
    return answer.status


def _slack(delivery: Delivery, _: datetime) -> int:
    subject, text = _words(delivery)
    shown = f"*{_escaped(subject)}*\n{_escaped(text)}"
    headers = {"content-type": "application/json"}
    url = VAULT.unseal(delivery.channel.sealed)
    return _post(url, json.dumps({"text": shown}), headers, gone=(404, 410))


def _escaped(text: str) -> str:
    """What Slack reads as its own is three characters."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _telegram(delivery: Delivery, _: datetime) -> int:
    subject, text = _words(delivery)
    try:
        telegram.send(delivery.channel.chat, f"{subject}\n\n{text}")
    except telegram.Refused as error:
        raise NotTaken(error.status, str(error), gone=error.status == 403) from error
    return 200


def _mail(delivery: Delivery, _: datetime) -> int:
    person = delivery.channel.person
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2]
    subject, text = _words(delivery, name=person.name, choosing="/notifications")
    try:
        letters.laid_out(
            subject,
            text,
            {},
            to=person.email,
            language=person.language,
            message_id=f"<delivery-{delivery.pk}@{domain}>",
        ).send()
    except Exception as error:  # whatever a mail server has against it
        raise NotTaken(0, f"{type(error).__name__}: {error}"[:_SHOWN]) from error
    return 250


def _words(delivery: Delivery, **context: str) -> tuple[str, str]:
    """Subject and text in its reader's language; in a team, of which account."""
    channel, notice = delivery.channel, delivery.notice
    language = channel.person.language or settings.LANGUAGE_CODE
    with override(language):
        if notice is None:
            subject = gettext("A test of your notifications")
            text = gettext("It works: what happens in your account is told here.")
        else:
            facts = {**notice.facts, "at": notice.created_at}
            subject, text = letters.words(notice.kind, facts, language=language, **context)
        if channel.account_id != channel.person_id:
            named = {"subject": subject, "team": channel.account.name}
            subject = gettext("%(team)s: %(subject)s") % named
    return subject, text


_SENDERS: dict[str, Callable[[Delivery, datetime], int]] = {
    Channel.Kind.WEBHOOK: _webhook,
    Channel.Kind.SLACK: _slack,
    Channel.Kind.TELEGRAM: _telegram,
    Channel.Kind.MAIL: _mail,
}
