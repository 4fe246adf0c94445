"""What beat does for billing. Any of it may run twice, or at once: the locks are in the doing."""

import logging
from typing import Any

from celery import shared_task
from django.utils import timezone

from billing import renewals

logger = logging.getLogger(__name__)

RENEW_SECONDS = 15.0  # so soon does a failed renewal notice that money has arrived


@shared_task(expires=RENEW_SECONDS)
def renew_subscriptions(**_: Any) -> int:
    """Renew or end every subscription whose period is over; how many were looked at."""
    now = timezone.now()
    users = renewals.due(now)
    for user_id in users:
        try:
            renewals.renew(user_id, now=now)
        except Exception:  # one account's trouble is not the others'
            logger.exception("renewal.failed account %d", user_id)
    return len(users)


@shared_task(expires=600)
def announce_renewals(**_: Any) -> int:
    """Tell customers of renewals that are near; how many are."""
    return renewals.announce(timezone.now())
