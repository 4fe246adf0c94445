"""What becomes of plans, cards and open payments when an account is closed, frozen or thawed.

* Closed: its plan ends at once, here and at Stripe, and nobody hears of it. Nothing is credited.
  If it was deleted, its saved cards are taken off at Stripe.
* Frozen: its time stands still. Nothing is charged, nothing is announced, and nothing ends: Stripe
  bills it no more, and the subscription waits here.
* Thawed: the period that was paid goes on with as much as was left of it, so nobody pays for the
  time he was frozen. What Stripe billed goes on from the balance's side of the house until its
  period ends; the next one is the saved card's again.
* Pages that are open are closed. What was paid on one all the same is booked.

people/freezing.py and deletion.py call the first three in their own transactions; Stripe is
asked by the worker, which also finds whatever was missed.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import chain

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce
from kombu.exceptions import OperationalError

from accounts.models import User
from accounts.people import freezing
from accounts.sign_in import deletion
from billing.books import standing
from billing.payments import orders
from billing.payments.models import AutoTopUp, TopUp
from billing.plans.models import Subscription
from billing.stripe import customers, stripe_api
from billing.subscriptions import arrangements, contract, entitlements, renewals
from billing.subscriptions.models import PlanOrder
from hontoni import errors

logger = logging.getLogger(__name__)

Method = Subscription.PaymentMethod

SHORT = timedelta(minutes=5)  # thawed so soon, it may not have been taken from Stripe at all


def follow() -> None:
    """Hear of every account that is closed, frozen or thawed from now on."""
    deletion.follow(closed)
    freezing.follow(frozen=_ask_worker, thawing=thawing)


# -- In the transaction of the deed --------------------------------------------------------------


def closed(user_id: int, now: datetime) -> None:
    """End what is paid from the balance; what Stripe bills is ended by the worker."""
    AutoTopUp.objects.filter(pk=user_id).update(enabled=False)
    _end(user_id, now)
    _ask_worker(user_id)


def _end(user_id: int, now: datetime) -> None:
    live = Subscription.objects.filter(
        user_id=user_id, status__in=Subscription.LIVE, payment_method=Method.BALANCE
    )
    mine = live.select_related("plan", "add_on", "user").select_for_update(of=("self",)).first()
    if mine is not None:
        mine.user.is_active = False  # as it will be: nobody hears of it
        renewals.end(mine, reason="canceled", now=now)


def thawing(user_id: int) -> Callable[[datetime, datetime], None]:
    """Lock what was frozen with the account; what is answered lets its time go on."""
    live = Subscription.objects.filter(user_id=user_id, status__in=Subscription.LIVE)
    mine = live.select_for_update().first()

    def thaw(since: datetime, now: datetime) -> None:
        if mine is not None:
            _go_on(mine, since, now)

    return thaw


def _go_on(mine: Subscription, since: datetime, now: datetime) -> None:
    """The period is moved by the time that it stood still."""
    still = now - max(since, mine.period_start)
    with_stripe = mine.payment_method == Method.STRIPE
    if still <= timedelta(0) or (with_stripe and not mine.paused_at and still < SHORT):
        return
    if with_stripe and not mine.paused_at:
        mine.paused_at = now  # the worker was away: it is still to be taken from Stripe
    mine.period_start += still
    mine.period_end += still
    if mine.past_due_since is not None:
        mine.past_due_since += still
    mine.revision += 1
    mine.save()


def _ask_worker(user_id: int) -> None:
    transaction.on_commit(lambda: _enqueue(user_id))


def _enqueue(user_id: int) -> None:
    from billing.payments import tasks  # tasks.py is made of this module

    try:
        tasks.stop_charging.delay(user_id)
    except OperationalError:
        logger.warning("Account %d waits for the next minute: the broker is down.", user_id)


# -- By the worker -------------------------------------------------------------------------------


def left_over() -> list[int]:
    """The accounts that are charged, or may be, though they are closed or frozen."""
    bad = ~standing.good()
    live = Q(status__in=Subscription.LIVE)
    at_stripe = arrangements.at_stripe().filter(bad | Q(paused_at__isnull=False))
    gone = Subscription.objects.filter(live, user__is_active=False)
    pages = PlanOrder.objects.filter(bad, state=PlanOrder.State.OPEN)
    topups = TopUp.objects.filter(bad, state=TopUp.State.OPEN)
    cards = customers.cards_of_the_deleted()
    found = chain.from_iterable(
        rows.values_list("user_id", flat=True) for rows in (at_stripe, gone, pages, topups, cards)
    )
    return sorted(set(found))


def stop(user_id: int, *, now: datetime) -> None:
    """Charge this account no more, if it is closed or frozen. Twice is once."""
    owner = User.objects.get(pk=user_id)
    if stripe_api.configured():
        if not standing.is_good(user_id):
            _close_pages(user_id)
        for mine in arrangements.at_stripe().filter(user_id=user_id):
            _take_from_stripe(mine, now)
        if customers.cards_of_the_deleted().filter(user_id=user_id).exists():
            customers.forget_cards(user_id, now)
    if not owner.is_active:
        with transaction.atomic():  # staff switched it off
            _end(user_id, now)


def _close_pages(user_id: int) -> None:
    try:
        contract.clear(user_id)
    except contract.PaymentPending:
        logger.info("Account %d is paying for a plan right now.", user_id)
    orders.withdraw(user_id)


def _take_from_stripe(mine: Subscription, now: datetime) -> None:
    """What was paid before is booked; then it ends there, and here if its owner is gone."""
    entitlements.settle(mine.stripe_id, now=now)
    mine.refresh_from_db()
    if mine.payment_method != Method.STRIPE or mine.status not in Subscription.LIVE:
        return
    if not mine.user.is_active:
        arrangements.end(mine)
    elif mine.user.frozen_at is not None or mine.paused_at is not None:
        # Said first: whoever hears of its end knows that it is not over.
        Subscription.objects.filter(pk=mine.pk).update(
            paused_at=Coalesce("paused_at", now), revision=F("revision") + 1
        )
        mine.refresh_from_db()
        arrangements.end(mine)


def sweep(*, now: datetime) -> int:
    """Stop charging whoever must not be charged; how many accounts there were."""
    found = left_over()
    for user_id in found:
        try:
            stop(user_id, now=now)
        except errors.ApiError:  # one account's trouble is not the others'
            logger.warning("Account %d is still charged.", user_id, exc_info=True)
    return len(found)
