"""What beat does for billing. Any of it may run twice, or at once: the locks are in the doing."""

import logging
from datetime import timedelta
from typing import Any

from celery import shared_task
from django.utils import timezone

from billing.channels import deliveries, keeping
from billing.invoices import issuing
from billing.mails import key_notices, sending
from billing.plans import prices, raises
from billing.rewards import referrals, unclaimed_gifts
from billing.subscriptions import renewals

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


@shared_task(expires=60)
def end_limit_raises(**_: Any) -> int:
    """Every minute: limits that were raised for a time; how many were over."""
    return raises.end_due(timezone.now())


@shared_task(expires=600)
def announce_renewals(**_: Any) -> int:
    """Tell customers of renewals that are near; how many are."""
    return renewals.announce(timezone.now())


@shared_task(expires=600)
def announce_prices(**_: Any) -> int:
    """Tell customers of prices that have risen; how many were told."""
    return prices.announce(timezone.now())


@shared_task(expires=5)
def send_due_mails(**_: Any) -> None:
    """Make mails of new notices, and hand out those that are due, one task each."""
    key_notices.notice_new_keys(timezone.now())
    sending.collect()
    for mail_id in sending.due(timezone.now()):
        send_mail.delay(mail_id)


@shared_task
def send_mail(mail_id: int) -> bool:
    return sending.send(mail_id, timezone.now())


@shared_task(expires=5)
def send_due_deliveries(**_: Any) -> None:
    """Take new notices to webhooks and other channels, and hand out what is due, one task each; so
    is to look for a chat that sends its code, while a code waits."""
    now = timezone.now()
    deliveries.collect(now)
    for delivery_id in deliveries.due(now):
        send_delivery.delay(delivery_id)
    if keeping.waits_for_a_chat(now):
        link_chats.delay()


@shared_task
def send_delivery(delivery_id: int) -> bool:
    return deliveries.send(delivery_id, timezone.now())


@shared_task(expires=5)
def link_chats(**_: Any) -> int:
    """Link the chats of Telegram that have sent their code; how many."""
    return keeping.link_started(timezone.now())


@shared_task(expires=3600)
def forget_deliveries(**_: Any) -> int:
    """What was delivered is kept for a month; how many rows went."""
    return deliveries.forget(timezone.now())


@shared_task
def settle_referrals(**_: Any) -> int:
    """Pay what has stood long enough, take back what was refunded."""
    return referrals.settle_all(timezone.now())


@shared_task(expires=600)
def write_down_gifts(**_: Any) -> int:
    """Claim what nodes of the last release gave without a claim; how many gifts were looked at."""
    return unclaimed_gifts.write_down(timezone.now() - timedelta(days=2))


@shared_task
def forget_deleted(**_: Any) -> int:
    """What deleted accounts do not need any more; how many rows."""
    return issuing.forget_deleted()
