"""What the worker does for accounts."""

from celery import shared_task
from django.core.mail import EmailMultiAlternatives
from django.utils import timezone

from accounts import tokens


@shared_task
def forget_expired_sessions() -> int:
    """Delete refresh tokens that are good for nothing any more; how many. Daily is enough."""
    return tokens.forget(timezone.now())


# Seven more times, over about two hours. No pause is longer than the broker's visibility timeout:
# it would hand the mail out twice.
@shared_task(autoretry_for=(Exception,), retry_backoff=60, retry_backoff_max=1800, max_retries=7)
def send_mail(
    *, subject: str, text: str, html: list[str], to: list[str], headers: dict[str, str]
) -> None:
    """Send a mail of accounts/mails.py; every attempt carries the same Message-ID."""
    mail = EmailMultiAlternatives(subject, text, to=to, headers=headers)
    for part in html:
        mail.attach_alternative(part, "text/html")
    mail.send()
