"""What the worker does for payments. Every task may run twice, and beside itself."""

import logging
from datetime import timedelta
from typing import Any

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from accounts.models import User
from billing.payments import autotopup, documents, inbox, orders, pauses, payouts
from billing.payments.einvoice import handing_over
from billing.payments.vietqr import bank_orders, polling, rates
from billing.stripe import customers, mirror, stripe_api
from billing.stripe.models import StripeEvent
from billing.subscriptions import arrangements
from hontoni import errors

logger = logging.getLogger(__name__)


@shared_task
def handle_event(*, event_id: str, **_: Any) -> None:
    """A webhook, right after it was kept."""
    inbox.handle(event_id)
    if settings.STRIPE_MIRROR:
        mirror_event.delay(event_id=event_id)


@shared_task
def mirror_event(*, event_id: str, **_: Any) -> None:
    """For staff to look at, after everything that matters."""
    _mirror(StripeEvent.objects.get(pk=event_id))


@shared_task(expires=600)
def mirror_missing(**_: Any) -> None:
    """Every ten minutes: what could not be fetched."""
    if stripe_api.configured() and settings.STRIPE_MIRROR:
        for event in mirror.missing(timezone.now()):
            _mirror(event)


def _mirror(event: StripeEvent) -> None:
    try:
        mirror.keep(event)
    except Exception as error:  # whatever a library has against it: money does not depend on it
        logger.warning("Stripe event %s is not mirrored: %s", event.pk, error)


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
        arrangements.reconcile(now=timezone.now())
        arrangements.retax(now=timezone.now())
        payouts.read(now=timezone.now())
        inbox.forget(now=timezone.now())


@shared_task(expires=timedelta(hours=1).total_seconds())
def issue_documents(**_: Any) -> int:
    """Every hour: invoices and credit notes that are missing; how many were."""
    return documents.complete(now=timezone.now())


@shared_task(expires=60)
def renew_by_card(**_: Any) -> None:
    """Every minute: who must not be charged any more, periods that are over, what is Stripe's from
    now on, and new prices."""
    now = timezone.now()
    pauses.sweep(now=now)
    if not stripe_api.configured():
        return
    work = [(arrangements.catch_up, mine) for mine in arrangements.overdue(now)]
    work += [(arrangements.bill_prices, mine) for mine in arrangements.moved()]
    work += [(arrangements.hand_over, mine) for mine in arrangements.handed_over(now)]
    for do, mine in work:
        try:
            do(mine, now=now)
        except errors.ApiError:  # one account's trouble is not the others'
            logger.warning("%s failed for account %d", do.__name__, mine.user_id, exc_info=True)


@shared_task
def stop_charging(user_id: int) -> None:
    """An account was closed or frozen."""
    pauses.stop(user_id, now=timezone.now())


@shared_task(autoretry_for=(errors.Unavailable,), retry_backoff=True, max_retries=10)
def tell_billing_details(*, user_id: int, **_: Any) -> None:
    """They were changed: the next invoice that Stripe makes is a renewal nobody asks us about."""
    if stripe_api.configured() and customers.find(user_id) is not None:
        customers.tell(User.objects.get(pk=user_id))


@shared_task(expires=60)
def top_up_automatically(**_: Any) -> None:
    """Every minute."""
    if stripe_api.configured():
        autotopup.run(now=timezone.now())


@shared_task(expires=60)
def poll_banks(**_: Any) -> None:
    """Every minute: transfers that no callback told of, and orders that were not paid in time."""
    if bank_orders.gateways():
        polling.poll(timezone.now())


@shared_task(expires=3600)
def propose_rate(**_: Any) -> None:
    """Each morning: what a dollar costs, for staff to say yes to."""
    rates.propose()


@shared_task(expires=60)
def hand_over_invoices(**_: Any) -> None:
    """Every minute: to the tax office, one step after another."""
    handing_over.hand_over(timezone.now())
