from celery import shared_task
from django.utils import timezone

from accounts import tokens


@shared_task
def forget_expired_sessions() -> int:
    """Delete refresh tokens that are good for nothing any more; how many. Daily is enough."""
    return tokens.forget(timezone.now())
