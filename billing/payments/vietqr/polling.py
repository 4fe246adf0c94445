"""The net under the callbacks: what the gateways list is received, too. As often as one likes.

SePay's list is read again from OVERLAP before it was read last, payOS is asked for every order
that may be paid: banks tell it of some transfers late. An order that its customer canceled on
payOS's own page, where nobody calls back, is over here, too.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from django.db.models import F, Q
from django.utils import timezone

from billing.payments.vietqr import bank_orders, payos, sepay, settling
from billing.payments.vietqr.heard import POLL, Unanswered
from billing.payments.vietqr.models import BankCursor, BankOrder

logger = logging.getLogger(__name__)

OVERLAP = timedelta(hours=6)
FIRST = timedelta(days=3)  # so far back a list is read that never was
LATE = timedelta(days=2)  # so long an order that has ended is asked for
OFTEN = 50  # orders at once

Reader = Callable[[datetime], None]


def poll(now: datetime) -> None:
    """Read both, and end what was not paid in time: after that, so that nothing is late because
    we were."""
    if sepay.configured() and sepay.polled():
        _keep_reading(sepay.GATEWAY, now, _read_sepay)
    if payos.configured():
        _keep_reading(payos.GATEWAY, now, _read_payos)
    bank_orders.expire(now)


def _keep_reading(gateway: str, now: datetime, read: Reader) -> None:
    cursor, _ = BankCursor.objects.get_or_create(
        gateway=gateway, defaults={"read_until": now - FIRST}
    )
    try:
        read(cursor.read_until)
    except Unanswered as error:
        logger.warning("%s was not read: %r", gateway, error.__cause__ or error)
        cursor.error = repr(error.__cause__ or error)[:255]
    else:
        cursor.read_until, cursor.error = now, ""
    cursor.save()


def _read_sepay(since: datetime) -> None:
    for heard in sepay.listed(since - OVERLAP):
        settling.receive(heard, POLL)


def _read_payos(since: datetime) -> None:
    """Those that wait longest for being asked for first."""
    recent = Q(state=BankOrder.State.OPEN) | Q(ended_at__gte=since - LATE)
    waiting = BankOrder.objects.filter(recent, gateway=payos.GATEWAY).exclude(link_id="")
    for order in waiting.order_by(F("polled_at").asc(nulls_first=True), "created_at")[:OFTEN]:
        try:
            _read_order(order)
        except payos.Refused as error:
            logger.warning("payOS on order %s: %s", order.number, error)
        BankOrder.objects.filter(pk=order.pk).update(polled_at=timezone.now())


def _read_order(order: BankOrder) -> None:
    there = payos.found(order)
    for heard in payos.transfers(order, there):
        settling.receive(heard, POLL)
    if there.get("status") == payos.CANCELED:
        bank_orders.end(order, BankOrder.State.CANCELED)
    elif there.get("status") == payos.EXPIRED:
        bank_orders.end(order, BankOrder.State.EXPIRED)
