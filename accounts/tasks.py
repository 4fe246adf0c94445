"""What the worker does for accounts."""

from celery import shared_task
from django.utils import timezone

from accounts.keys import places
from accounts.sign_in import tokens
from accounts.sign_in.mail_adapter import send_mail as send_mail


@shared_task
def forget_expired_sessions() -> int:
    """Delete refresh tokens that are good for nothing any more; how many. Daily is enough."""
    places.forget_old(timezone.now().date())
    return tokens.forget(timezone.now())
