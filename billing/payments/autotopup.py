"""Automatic top-ups: a saved card buys more balance before it runs out.

* Off unless its owner switched it on, and off again after three failures in a row.
* One at a time: the row is the lock, and a unique constraint holds what the lock cannot see.
* Paused while the account is frozen.
* Never more than the monthly cap, counted in orders of this calendar month (UTC), pending ones
  included.
"""

from datetime import datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.db import transaction
from django.db.models import Sum

from accounts.models import User
from billing.books import balances, standing
from billing.mails import notices
from billing.payments import orders
from billing.payments.models import AutoTopUp, TopUp
from billing.stripe import customers, stripe_api
from billing.stripe.checkout import CheckoutRequired
from hontoni import errors
from hontoni.money import CENT, dollars, nanos

PAUSE = timedelta(hours=1)  # after a failure, times their number

State = TopUp.State


def of(user: User) -> AutoTopUp:
    """The account's settings. Nobody's is off; what it would be is shown."""
    least = nanos(settings.TOPUP_MIN)
    return AutoTopUp.objects.filter(pk=user.pk).first() or AutoTopUp(
        user=user, threshold=100 * CENT, amount=least, monthly_cap=4 * least
    )


def change(
    user: User,
    *,
    enabled: bool,
    threshold: Decimal,
    amount: Decimal,
    monthly_cap: Decimal,
    payment_method: str = "",
) -> None:
    """Switch it on or off. Amounts are dollars; without a payment method the default card pays.

    Raises BadRequest (the amounts, or `no_payment_method`), NotFound for anybody else's card,
    CheckoutRequired.
    """
    ordered = orders.check_amount(amount)
    if monthly_cap < amount:
        raise errors.BadRequest("monthly_cap: at least one top-up's worth.", param="monthly_cap")
    if enabled:
        _check_card(user, payment_method)
    AutoTopUp.objects.update_or_create(
        user=user,
        defaults={
            "enabled": enabled,
            "threshold": nanos(threshold),
            "amount": ordered,
            "monthly_cap": nanos(monthly_cap),
            "payment_method": payment_method,
            "failures": 0,
            "last_failure": "",
            "retry_at": None,
        },
    )


def _check_card(user: User, id: str) -> None:
    if settings.STRIPE_TAX:
        raise CheckoutRequired("Automatic top-ups are not possible where tax is added.")
    if customers.chosen_card(user.pk, id) is None:
        raise errors.BadRequest(
            "Save a card first: top up with `save_card`.", code="no_payment_method"
        )


def run(*, now: datetime) -> int:
    """Top up every account that is due; how many were charged. Every minute is right."""
    wanted = AutoTopUp.objects.filter(standing.good(), enabled=True)
    ids = wanted.exclude(retry_at__gt=now).values_list("pk", flat=True)
    return sum(top_up(user_id, now=now) for user_id in list(ids))


def top_up(user_id: int, *, now: datetime) -> bool:
    """Charge the account's card if it is due. True if it has paid."""
    if not standing.is_good(user_id):
        return False
    order = _pending(user_id) or _order(user_id, now)
    if order is None:
        return False
    failure = None
    try:
        orders.submit(order)
    except stripe_api.Unanswered:
        return False  # the same order is asked about again in a minute
    except errors.ApiError as error:
        failure = error.code
    order.refresh_from_db()
    if order.state == State.PAID:
        AutoTopUp.objects.filter(pk=user_id).update(failures=0, last_failure="", retry_at=None)
    elif order.state not in TopUp.PENDING:
        _failed(order, failure or order.failure, now)
    return order.state == State.PAID


def spent(user_id: int, now: datetime) -> int:
    """Nano-dollars ordered automatically in this calendar month."""
    first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    counted = TopUp.objects.filter(
        user_id=user_id,
        route=TopUp.Route.AUTO,
        state__in=(*TopUp.PENDING, State.PAID, State.QUARANTINED),
        created_at__gte=first,
    )
    return counted.aggregate(total=Sum("amount"))["total"] or 0


def _pending(user_id: int) -> TopUp | None:
    waiting = TopUp.objects.filter(
        user_id=user_id, route=TopUp.Route.AUTO, state__in=TopUp.PENDING
    )
    return waiting.select_related("user").first()


def _order(user_id: int, now: datetime) -> TopUp | None:
    """A new order if the balance is low, the cap allows it and there is a card."""
    wanted = AutoTopUp.objects.select_related("user").get(pk=user_id)
    if not _is_due(wanted, now):
        return None
    card = customers.chosen_card(user_id, wanted.payment_method)
    with transaction.atomic():
        wanted = AutoTopUp.objects.select_for_update().get(pk=user_id)
        if not _is_due(wanted, now) or _pending(user_id) is not None:
            return None
        order = TopUp.objects.create(
            user_id=user_id,
            route=TopUp.Route.AUTO,
            amount=wanted.amount,
            payment_method=card or "",
        )
    if card is None:
        order.fail("no_payment_method")
        _failed(order, "no_payment_method", now)
        return None
    return order


def _is_due(wanted: AutoTopUp, now: datetime) -> bool:
    if not wanted.enabled or (wanted.retry_at is not None and wanted.retry_at > now):
        return False
    if spent(wanted.pk, now) + wanted.amount > wanted.monthly_cap:
        return False
    return balances.live(wanted.pk).balance < wanted.threshold


def _failed(order: TopUp, failure: str, now: datetime) -> None:
    """Count it once, pause, and give up after three."""
    with transaction.atomic():
        wanted = AutoTopUp.objects.select_for_update().get(pk=order.user_id)
        wanted.failures += 1
        wanted.last_failure, wanted.retry_at = failure[:255], now + PAUSE * wanted.failures
        wanted.enabled = wanted.failures < AutoTopUp.MOST_FAILURES
        wanted.save()
        notices.tell(
            user_id=order.user_id,
            kind="auto_topup_failed" if wanted.enabled else "auto_topup_off",
            key=f"topup:{order.pk}",
            facts={
                "amount": dollars(order.amount),
                "reason": failure,
                "failures": wanted.failures,
                "off": not wanted.enabled,
            },
        )
