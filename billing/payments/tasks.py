"""What the worker does for payments. Every task may run twice, and beside itself."""

from datetime import timedelta
from typing import Any

from celery import shared_task
from django.utils import timezone

from billing import stripe_api
from billing.payments import autotopup, inbox, orders


@shared_task
def handle_event(*, event_id: str, **_: Any) -> None:
    """A webhook, right after it was kept."""
    inbox.handle(event_id)


@shared_task(expires=60)
def retry_events(**_: Any) -> None:
    """Every minute."""
    if stripe_api.configured():
        inbox.retry(now=timezone.now())


@shared_task(expires=timedelta(hours=1).total_seconds())
def poll_events(**_: Any) -> None:
    """Every hour: what no webhook told us, and orders nobody heard of again."""
    if stripe_api.configured():
        inbox.poll(now=timezone.now())
        orders.reconcile(now=timezone.now())
        inbox.forget(now=timezone.now())


@shared_task(expires=60)
def top_up_automatically(**_: Any) -> None:
    """Every minute."""
    if stripe_api.configured():
        autotopup.run(now=timezone.now())
