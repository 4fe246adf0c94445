"""Stripe's events: kept as they come, answered at once, handled by a worker.

* An event is a hint that something changed: its handler fetches the object and settles it, so
  copies, late ones and forgeries that slip through change nothing.
* What is kept but not handled is tried again, with growing pauses, for as long as it takes.
* What was never delivered is found in Stripe's own list, once an hour.
"""

import json
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone
from kombu.exceptions import OperationalError

from billing.payments import documents, payouts, settlements
from billing.stripe import stripe_api
from billing.stripe.models import PollCursor, StripeEvent
from billing.subscriptions import entitlements
from hontoni import errors

logger = logging.getLogger(__name__)

MOST_BYTES = 256 * 1024
FIRST_RETRY = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=1)
LOOK_BACK = timedelta(days=3)
OVERLAP = timedelta(hours=1)  # events may be listed later than they are dated
KEPT = timedelta(days=90)
BATCH = 200

HANDLERS: dict[str, Callable[[str], object]] = {
    "checkout.session.completed": settlements.settle_session,
    "checkout.session.async_payment_succeeded": settlements.settle_session,
    "checkout.session.async_payment_failed": settlements.settle_session,
    "checkout.session.expired": settlements.settle_session,
    "payment_intent.succeeded": settlements.settle_intent,
    "payment_intent.payment_failed": settlements.settle_intent,
    "payment_intent.canceled": settlements.settle_intent,
    "charge.refunded": settlements.settle_charge,
    "refund.created": settlements.settle_refund,
    "refund.updated": settlements.settle_refund,
    "refund.failed": settlements.settle_refund,
    "charge.dispute.created": settlements.settle_dispute,
    "charge.dispute.updated": settlements.settle_dispute,
    "charge.dispute.closed": settlements.settle_dispute,
    "charge.dispute.funds_withdrawn": settlements.settle_dispute,
    "charge.dispute.funds_reinstated": settlements.settle_dispute,
    "payout.created": payouts.settle,
    "payout.updated": payouts.settle,
    "payout.paid": payouts.settle,
    "payout.failed": payouts.settle,
    "payout.reconciliation_completed": payouts.settle,
    "customer.subscription.created": entitlements.settle,
    "customer.subscription.updated": entitlements.settle,
    "customer.subscription.deleted": entitlements.settle,
    "customer.subscription.pending_update_applied": entitlements.settle,
    "customer.subscription.pending_update_expired": entitlements.settle,
    "invoice.paid": documents.settle_invoice,
    "invoice.payment_failed": entitlements.settle_invoice,
}
MOST_TYPES = 20  # docs.stripe.com/api/events/list: "up to 20" at once


def receive(body: bytes, signature: str) -> bool:
    """Keep a webhook; False if it is here already.

    Raises TooLarge, or Forged: not signed by Stripe for us, old, from the future, the wrong mode.
    """
    if len(body) > MOST_BYTES:
        raise errors.TooLarge(f"The body is larger than {MOST_BYTES} bytes.")
    stripe_api.verify(body, signature)
    try:
        event = json.loads(body)
        fits = all(isinstance(event[name], str) for name in ("id", "type"))
    except (ValueError, KeyError, TypeError, RecursionError):
        fits = False
    if not fits:
        raise stripe_api.Forged("This is no event.", code="invalid_event")
    if not stripe_api.is_ours(event):
        raise stripe_api.Forged("This event is of the other mode.", code="wrong_mode")
    return keep(event, StripeEvent.Source.WEBHOOK)


def keep(event: dict[str, Any], source: str) -> bool:
    """Store an event, and have it handled as soon as it is committed. Twice is once."""
    thing = (event.get("data") or {}).get("object") or {}
    with transaction.atomic():
        _, created = StripeEvent.objects.get_or_create(
            pk=event["id"],
            defaults={
                "type": event["type"][:100],
                "object_id": str(thing.get("id") or "")[:255],
                "payload": event,
                "source": source,
                "retry_at": timezone.now() + FIRST_RETRY,
            },
        )
        if created:
            transaction.on_commit(lambda: _enqueue(event["id"]))
    return created


def _enqueue(event_id: str) -> None:
    from billing.payments import tasks  # tasks.py is made of this module

    try:
        tasks.handle_event.delay(event_id=event_id)
    except OperationalError:
        # It is kept: `retry` finds it within two minutes.
        logger.warning("Stripe event %s waits: the broker is down.", event_id)


def handle(event_id: str) -> bool:
    """Settle what an event is about. False if it failed: it is tried again later."""
    event = StripeEvent.objects.get(pk=event_id)
    if event.handled_at is not None:
        return True
    handler = HANDLERS.get(event.type)
    note = ""
    try:
        if handler is not None:
            handler(event.object_id)
    except errors.NotFound:
        note = "Stripe no longer has it."
    except Exception as error:  # whatever it is, the event must be tried again
        _failed(event, error)
        return False
    waiting = StripeEvent.objects.filter(pk=event_id, handled_at=None)
    waiting.update(handled_at=timezone.now(), attempts=F("attempts") + 1, error=note)
    return True


def _failed(event: StripeEvent, error: Exception) -> None:
    if not isinstance(error, stripe_api.Unanswered):
        logger.exception("Stripe event %s could not be handled.", event.pk)
    pause = min(FIRST_RETRY * 2 ** min(event.attempts, 10), LONGEST_PAUSE)
    StripeEvent.objects.filter(pk=event.pk, handled_at=None).update(
        attempts=F("attempts") + 1,
        retry_at=timezone.now() + pause,
        error=f"{type(error).__name__}: {error}"[:500],
    )


def retry(*, now: datetime) -> int:
    """Handle what was kept and is due: how many succeeded."""
    due = StripeEvent.objects.filter(handled_at=None, retry_at__lte=now).order_by("retry_at")
    return sum(handle(event_id) for event_id in list(due.values_list("pk", flat=True)[:BATCH]))


def replay(event: StripeEvent) -> bool:
    """Handle it once more, on a member of staff's word. False if it failed again."""
    StripeEvent.objects.filter(pk=event.pk).update(handled_at=None, retry_at=timezone.now())
    return handle(event.pk)


def poll(*, now: datetime) -> int:
    """Keep what Stripe has listed since the last time, and was not delivered: how many."""
    cursor = PollCursor.objects.first() or PollCursor(pk=1, read_until=now - LOOK_BACK)
    since = int((cursor.read_until - OVERLAP).timestamp())
    types = list(HANDLERS)
    batches = [tuple(types[at : at + MOST_TYPES]) for at in range(0, len(types), MOST_TYPES)]
    listed = [event for some in batches for event in stripe_api.events(since=since, types=some)]
    listed.sort(key=lambda event: event["created"])
    found = sum(
        keep(event, StripeEvent.Source.POLL) for event in listed if stripe_api.is_ours(event)
    )
    cursor.read_until = now
    cursor.save()
    return found


def forget(*, now: datetime) -> int:
    """Delete what was handled long ago; how many. The ledger keeps what they were about."""
    old = StripeEvent.objects.filter(handled_at__isnull=False, received_at__lt=now - KEPT)
    return old.delete()[0]
