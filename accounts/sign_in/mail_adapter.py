"""Mails of signing in and up: rendered here, where the request is, and sent by the worker.

A mail server that is slow or away keeps nobody out: the worker tries again.
"""

from email.utils import make_msgid
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from celery import shared_task
from django.core.mail import EmailMultiAlternatives
from kombu.exceptions import OperationalError


# Seven more times, over about two hours. No pause is longer than the broker's visibility timeout:
# it would hand the mail out twice.
@shared_task(
    name="accounts.tasks.send_mail",
    autoretry_for=(Exception,),
    retry_backoff=60,
    retry_backoff_max=1800,
    max_retries=7,
)
def send_mail(
    *, subject: str, text: str, html: list[str], to: list[str], headers: dict[str, str]
) -> None:
    """Send such a mail; every attempt carries the same Message-ID."""
    mail = EmailMultiAlternatives(subject, text, to=to, headers=headers)
    for part in html:
        mail.attach_alternative(part, "text/html")
    mail.send()


class Letter(EmailMultiAlternatives):
    """Goes out once for every `send`, by the worker, however often that has to try."""

    def send(self, *args: Any, **kwargs: Any) -> int:
        """Hand it to the worker; while the broker is down, send it here."""
        html = [str(content) for content, _ in self.alternatives]
        headers = {"Message-ID": make_msgid(), "Auto-Submitted": "auto-generated"}
        try:
            send_mail.delay(
                subject=str(self.subject),
                text=str(self.body),
                to=self.to,
                html=html,
                headers=headers,
            )
        except OperationalError:
            return super().send(*args, **kwargs)
        return 1


class Adapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth is untyped
    def render_mail(self, *args: Any, **kwargs: Any) -> Letter:
        """As allauth does, to be sent as ours."""
        mail = super().render_mail(*args, **kwargs)
        letter = Letter(mail.subject, mail.body, mail.from_email, mail.to)
        for content, mimetype in getattr(mail, "alternatives", []):
            letter.attach_alternative(content, mimetype)
        return letter
